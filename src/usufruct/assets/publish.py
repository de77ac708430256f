"""Make a version ready to be signed: refuse what cannot be published before anything is written."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from usufruct.assets.cache import DigestCache
from usufruct.assets.manifest import build_manifest
from usufruct.assets.sidecar import check_writable
from usufruct.errors import BadInput
from usufruct.evidence import predicates
from usufruct.evidence.content import Manifest
from usufruct.evidence.predicates import Reference, Version
from usufruct.ports import SILENT, Progress
from usufruct.types import Address, AssetId, AssetKind, Digest, parse_address

SALT_SIZE = 16
MAX_TITLE = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stands at a path, ready to be published as a version.

    Parameters
    ----------
    path
        Where it was read.
    manifest
        Its files; holds secret salts.
    content_root
        The manifest's root.
    size, files, rows
        Totals.
    """

    path: Path
    manifest: Manifest = field(repr=False)
    content_root: Digest
    size: int
    files: int
    rows: int

    def version(
        self,
        *,
        owner: Address,
        salt: bytes,
        number: int,
        kind: AssetKind,
        title: str,
        created: str,
        inputs: tuple[Reference, ...] = (),
        run: Digest | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Version:
        """Return the predicate that says so; its ``payload()`` is the statement to sign.

        Parameters
        ----------
        salt
            16 bytes that the asset's id is made from with `owner`.
        number
            Of the version, from 1.
        created
            RFC 3339 in UTC.

        Raises
        ------
        BadInput
            The title or the salt cannot be used.
        """
        return Version(
            asset=asset_id(owner, salt),
            salt=salt,
            version=number,
            kind=kind,
            title=check_title(title),
            owner=owner,
            content_root=self.content_root,
            size=self.size,
            files=self.files,
            rows=self.rows,
            algorithm=self.manifest.algorithm,
            created=created,
            inputs=inputs,
            run=run,
            metadata=dict(metadata or {}),
        )


def prepare(
    path: Path,
    *,
    algorithm: str = "blake3",
    rows: bool = True,
    salt_root: bytes | None = None,
    cache: DigestCache | None = None,
    follow_links: bool = False,
    evidence: bool = True,
    progress: Progress = SILENT,
) -> Prepared:
    """Read what stands at `path`; nothing is written there.

    Parameters
    ----------
    evidence
        Whether evidence is going to be written beside `path`: that it can is made sure first.
    algorithm, rows, salt_root, cache, follow_links
        As :func:`usufruct.assets.manifest.build_manifest`.

    Raises
    ------
    NotFound, BadInput
        As :func:`~usufruct.assets.manifest.build_manifest` and
        :func:`~usufruct.assets.sidecar.check_writable`.
    """
    if evidence and path.exists():
        check_writable(path)
    manifest = build_manifest(
        path,
        algorithm=algorithm,
        rows=rows,
        salt_root=salt_root,
        cache=cache,
        follow_links=follow_links,
        progress=progress,
    )
    root = Digest(manifest.content_root.hex())
    return Prepared(path, manifest, root, manifest.size, len(manifest.files), manifest.rows)


def new_salt() -> bytes:
    """Return 16 random bytes to make a new asset's id from."""
    return secrets.token_bytes(SALT_SIZE)


def asset_id(owner: Address, salt: bytes) -> AssetId:
    """Return keccak256(owner ‖ salt): the id is known before registration and cannot be squatted.

    Raises
    ------
    BadInput
        Not an address, or not 16 bytes of salt.
    """
    if len(salt) != SALT_SIZE:
        raise BadInput(f"an asset's salt has {SALT_SIZE} bytes")
    return predicates.asset_id(parse_address(owner), salt)


def check_title(title: str) -> str:
    """Return `title` if an asset can have it.

    Raises
    ------
    BadInput
        Empty, longer than 200 characters, or with line ends or other control characters.
    """
    if not title.strip() or len(title) > MAX_TITLE or not title.isprintable():
        raise BadInput(
            "an asset's title is 1 to 200 printable characters", hint="choose a short title"
        )
    return title
