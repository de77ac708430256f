"""Fetching what was bought: which licence, which node, which version, then `fetching`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from usufruct.errors import NotAllowed, NotFound
from usufruct.peer.answers import NodeBusy
from usufruct.peer.directory import find_node
from usufruct.types import AssetState, Digest, Use
from usufruct.workspace import fetching, finding, holding
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Downloaded

_WAITS = (1, 2, 4, 8, 15)
"""Seconds to wait, at most, each time a node is busy."""

_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789-_."


def download(
    session: Session,
    asset: str,
    *,
    output: Path | None = None,
    node: str | None = None,
    version: int | None = None,
) -> Downloaded:
    """Download a licensed asset into a new folder; called again it goes on where it stopped.

    Raises
    ------
    NotFound
        No such asset or version, no licence, or no node is known.
    NotAllowed
        The licence has ended, or the node refuses.
    VerificationError
        What came is not what the ledger says; what was good is kept for the next time.
    AlreadyExists
        Something stands at `output`.
    """
    index = session.index
    found = finding.asset(session, index, asset)
    if found.state is AssetState.REVOKED:
        raise NotAllowed(f"the asset {found.asset[:16]} is revoked by its owner")
    versions = {one.version: one for one in index.versions(found.asset)}
    number = version or max(versions, default=0)
    if number not in versions:
        raise NotFound(
            f"the asset has no version {number}", hint=f"usufruct market show {found.asset[:12]}"
        )
    licence = holding.usable(session, index, found.asset, Use.DOWNLOAD)
    place = node or find_node(index, found.owner)
    title = finding.titles(session).get(found.asset, "")
    target = output if output is not None else Path(_file_name(title) or found.asset[:16])

    def fetch() -> fetching.Fetched:
        return fetching.fetch(
            session,
            asset=found.asset,
            version=number,
            licence=licence.licence,
            node_url=place,
            node_address=found.owner,
            target=target,
            root=Digest(versions[number].root.hex()),
        )

    got = _patiently(fetch)
    return Downloaded(
        found.asset,
        title or found.asset[:16],
        number,
        Digest(versions[number].root.hex()),
        licence.licence,
        str(got.path),
        got.files,
        got.size,
        None if got.evidence is None else str(got.evidence),
    )


def _patiently(fetch: Callable[[], fetching.Fetched]) -> fetching.Fetched:
    """Fetch; where the node asks for time, as it does until a purchase is final, give it some."""
    for seconds in _WAITS:
        try:
            return fetch()
        except NodeBusy as busy:
            if not busy.wait:
                raise
            time.sleep(min(seconds, busy.wait))
    return fetch()


def _file_name(title: str) -> str:
    """Return a title as a folder's name that needs no quoting; others wrote the title."""
    plain = "".join(c if c in _PLAIN else "-" for c in title.casefold())
    return "-".join(part for part in plain.split("-") if part).strip(".")[:60]
