"""The sealed copy of an asset in a home's vault, with keys that follow from the identity.

What is going to be sealed is promised first, so that a crash leaves nothing in the vault that
belongs to no version.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from usufruct.assets.sealing import SealedAsset, SealKeys, check_sealed, seal_asset
from usufruct.crypto.identity import Identity
from usufruct.errors import Mismatch, NotFound, UsufructError, VerificationError
from usufruct.evidence.content import MAX_MANIFEST_BYTES, Manifest
from usufruct.evidence.predicates import Version
from usufruct.ports import Progress
from usufruct.store import make_folder, read_bytes, remove, write_atomic
from usufruct.types import AssetId, Digest
from usufruct.vault import Vault
from usufruct.workspace.records import Work
from usufruct.workspace.session import Session

LABEL = b"usufruct/seal/v1\0"
DIGEST = "sealed"
"""Name in a version's metadata of the digest over all sealed bytes."""
WORK = "seal"


def promise(session: Session, manifest: Manifest, version: Version) -> Work:
    """Keep durably which objects are going to be put into the vault."""
    names = keys(session, version)
    objects = [names.object_id(number) for number in range(len(manifest.files))]
    document = {
        "asset": version.asset,
        "version": version.version,
        "root": version.content_root,
        "objects": [names.object_id(None), *objects],
    }
    return session.records.promise(WORK, document)


def settle(session: Session, work: Work) -> None:
    """Forget what was promised; what was sealed goes too, unless its version is kept."""
    said = work.document
    asset, number = AssetId(str(said["asset"])), int(said["version"])
    if not _is_kept(session, asset, number, str(said["root"])):
        vault = Vault(_folder(session))
        for name in said["objects"]:
            with contextlib.suppress(NotFound):
                vault.delete(name)
        remove(_digests(session, asset, number))
    session.records.finish(work)


def seal(
    session: Session, path: Path, manifest: Manifest, version: Version, follow_links: bool
) -> dict[str, str]:
    """Seal the files into the vault and return what the version's statement says of them."""
    sealed = seal_asset(
        path,
        manifest,
        Vault(_folder(session)),
        keys(session, version),
        follow_links=follow_links,
        progress=session.progress,
    )
    write_atomic(_digests(session, version.asset, version.version), sealed.to_bytes())
    return {DIGEST: str(sealed.digest)}


def check(
    session: Session,
    asset: AssetId,
    number: int,
    metadata: Mapping[str, str],
    *,
    manifest: Manifest | None,
    progress: Progress,
) -> SealedAsset:
    """Hold the vault's objects against the digest that the version's statement signs.

    Needs no keys. Mismatches name the files of `manifest` where one is given.

    Raises
    ------
    VerificationError
        Objects or their list are missing or differ.
    """
    path = _digests(session, asset, number)
    try:
        sealed = SealedAsset.from_bytes(read_bytes(path, limit=MAX_MANIFEST_BYTES))
    except UsufructError as error:
        raise _broken(path, f"the list of sealed objects is not usable: {error.message}") from error
    if sealed.digest != metadata.get(DIGEST):
        raise _broken(path, "the list of sealed objects is not the one that was signed")
    try:
        check_sealed(Vault(_folder(session)), sealed, progress=progress)
    except VerificationError as error:
        names = {sealed.manifest.object_id: "the manifest"}
        if manifest is not None and len(manifest.files) == len(sealed.files):
            pairs = zip(sealed.files, manifest.files, strict=True)
            names |= {one.object_id: entry.path for one, entry in pairs}
        found = tuple(_named(mismatch, names, session.public.name) for mismatch in error.mismatches)
        raise VerificationError(error.message, mismatches=found, hint=error.hint) from error
    return sealed


def keys(session: Session, version: Version) -> SealKeys:
    """Return the keys of a sealed version: the identity's words bring them back."""
    return keys_of(
        session.identity, version.asset, version.version, version.salt, version.content_root
    )


def keys_of(
    identity: Identity, asset: AssetId, number: int, salt: bytes, content_root: Digest
) -> SealKeys:
    """Return the keys of a sealed version of an asset with this salt of its id."""
    about = LABEL + bytes.fromhex(asset) + number.to_bytes(8) + salt
    about += bytes.fromhex(content_root)
    return SealKeys(hmac.digest(identity.export_entropy(), about, "sha256"))


def _named(found: Mismatch, names: Mapping[str, str], party: str) -> Mismatch:
    name = found.file or ""
    return Mismatch(
        found.what,
        file=names.get(name, name),
        chunk=found.chunk,
        party=party,
        detail=f"in the vault, object {name}" + (f": {found.detail}" if found.detail else ""),
    )


def _broken(path: Path, why: str) -> VerificationError:
    return VerificationError(
        f"the sealed copy cannot be checked: {why}",
        mismatches=(Mismatch("sealed", file=path.name, detail=why),),
        hint="restore the vault from a copy",
    )


def _is_kept(session: Session, asset: AssetId, number: int, root: str) -> bool:
    try:
        kept = session.assets_store.version(asset, number)
    except NotFound:
        return False
    return kept.sealed and kept.content_root == root


def _folder(session: Session) -> Path:
    folder = session.home.path / "vault"
    make_folder(folder)
    return folder


def digests_path(vault: Path, asset: AssetId, number: int) -> Path:
    """Return where the list of a version's sealed objects is, in the folder of the vault."""
    return vault / f"{asset[:32]}-{number}.json"


def _digests(session: Session, asset: AssetId, number: int) -> Path:
    return digests_path(session.home.path / "vault", asset, number)
