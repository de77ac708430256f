"""What assets are called: titles from statements whose digest stands on the ledger.

An asset's owner writes SHA-256 of its statement to the ledger. Only a statement with that digest,
naming that very asset, gives it a title, so nobody can caption another's asset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.evidence.predicates import Draft, Version
from usufruct.node.needs import IndexReader
from usufruct.types import AssetId, Digest
from usufruct.workspace.gathering import statements
from usufruct.workspace.home import Home
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.crypto.identity import Identity
    from usufruct.ledger.records import AssetRecord

MAX_TITLE = 200
MAX_DESCRIPTION = 2000
_WATCHED = ("assets.sqlite", "assets.sqlite-wal", "records.sqlite", "records.sqlite-wal")


@dataclass(frozen=True, slots=True)
class Caption:
    """What a statement calls an asset."""

    asset: AssetId
    title: str
    description: str


class Captions:
    """The captions a home can vouch for, read again when its files change.

    Parameters
    ----------
    home
        The home's folder; it is only read.
    """

    def __init__(self, home: Path, identity: Identity) -> None:
        self._home = home
        self._identity = identity
        self._seen: object = None
        self._known: Mapping[Digest, Caption] = {}

    def changed(self) -> bool:
        """Say whether the home's files changed since :meth:`read`; cheap."""
        return self._stand() != self._seen

    def read(self) -> None:
        """Read the home's statements.

        Raises
        ------
        Damaged, Unavailable
            The home's files cannot be read.
        """
        seen = self._stand()
        known = {}
        home = Home.open(self._home)
        with Session(home, identity=self._identity, write=False) as session:
            for digest, made in statements(session):
                if isinstance(made, Version | Draft):
                    known[digest] = Caption(made.asset, _line(made.title), _description(made))
        self._known, self._seen = known, seen

    def of(self, index: IndexReader, asset: AssetRecord) -> Caption | None:
        """Return what an asset is called by its newest statement that is known, None if none."""
        digests = [one.metadata for one in reversed(index.versions(asset.asset))]
        for digest in (*digests, asset.metadata):
            found = self._known.get(Digest(digest.hex()))
            if found is not None and found.asset == asset.asset:
                return found
        return None

    def _stand(self) -> object:
        stands = []
        for name in _WATCHED:
            try:
                found = (self._home / name).stat()
            except OSError:
                stands.append((0, 0))
            else:
                stands.append((found.st_mtime_ns, found.st_size))
        return stands


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_TITLE]


def _description(made: Version | Draft) -> str:
    said = made.metadata if isinstance(made, Version) else made.terms
    return str(said.get("description", ""))[:MAX_DESCRIPTION]
