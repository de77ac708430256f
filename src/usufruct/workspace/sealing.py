"""The sealed copy of an asset in a home's vault, with keys that follow from the identity."""

from __future__ import annotations

import hmac
from pathlib import Path

from usufruct.assets.sealing import SealKeys, seal_asset
from usufruct.evidence.content import Manifest
from usufruct.evidence.predicates import Version
from usufruct.store import make_folder, write_atomic
from usufruct.vault import Vault
from usufruct.workspace.session import Session

LABEL = b"usufruct/seal/v1\0"
DIGEST = "sealed"
"""Name in a version's metadata of the digest over all sealed bytes."""


def seal(
    session: Session, path: Path, manifest: Manifest, version: Version, follow_links: bool
) -> dict[str, str]:
    """Seal the files into the vault and return what the version's statement says of them."""
    folder = session.home.path / "vault"
    make_folder(folder)
    sealed = seal_asset(
        path,
        manifest,
        Vault(folder),
        keys(session, version),
        follow_links=follow_links,
        progress=session.progress,
    )
    digests = folder / f"{version.asset[:32]}-{version.version}.json"
    write_atomic(digests, sealed.to_bytes())
    return {DIGEST: str(sealed.digest)}


def keys(session: Session, version: Version) -> SealKeys:
    """Return the keys of a sealed version: the identity's words bring them back."""
    about = LABEL + bytes.fromhex(version.asset) + version.version.to_bytes(8) + version.salt
    about += bytes.fromhex(version.content_root)
    return SealKeys(hmac.digest(session.identity.export_entropy(), about, "sha256"))
