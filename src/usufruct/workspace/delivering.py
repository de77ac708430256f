"""What a party hands to those who hold a licence: sealed copies, keys for them, evidence.

`prepare` writes, with the home's lock. `Deliveries` is what a node reads while it serves; it takes
no lock and nothing that it returns leads outside the vault.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, TypeVar

from usufruct.assets.delivery import delivery_info, make_delivery, make_probe, pick_chunk
from usufruct.assets.hashing import key_of
from usufruct.assets.sealing import SealedAsset, SealKeys, open_manifest
from usufruct.assets.versions import AssetStore, VersionRecord
from usufruct.clock import iso
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, NotAllowed, NotFound, UsufructError, VerificationError
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.content import MAX_MANIFEST_BYTES, Manifest
from usufruct.evidence.predicates import Version
from usufruct.ports import SILENT, Progress
from usufruct.store import read_bytes
from usufruct.types import Address, AssetId, Digest, LicenceId
from usufruct.vault import Vault
from usufruct.workspace import gathering, sealing, targets
from usufruct.workspace.home import Home
from usufruct.workspace.session import Session

_K = TypeVar("_K")
_V = TypeVar("_V")
_List = tuple[Any, SealedAsset, frozenset[str]]
_SUFFIX = ".sealed"
_MOST_CACHED = 1 << 20


def prepare(
    session: Session, asset: AssetId, number: int | None = None, *, progress: Progress = SILENT
) -> SealedAsset:
    """Make sure that a sealed copy of a version stands in the home's vault; return its digests.

    A version that was published sealed has one. Any other is sealed from where it was published;
    a crash on the way leaves nothing behind once the next command has finished what was promised.

    Raises
    ------
    NotFound
        No such version here, or its files are no longer where they were.
    BadInput
        The files are no longer what was published.
    NotAllowed
        The asset is another party's.
    VerificationError
        The copy of a version published sealed is broken.
    Unavailable
        The disk is full.
    """
    record = session.assets_store.asset(asset)
    kept = session.assets_store.version(asset, number)
    if record.owner != session.public.address:
        raise NotAllowed(
            f"'{record.title}' belongs to {record.owner}", hint="usufruct id use its owner's name"
        )
    for work in session.records.unfinished():
        if work.kind == sealing.WORK:
            sealing.settle(session, work)
    vault = session.home.path / "vault"
    try:
        sealed = _read(vault, kept.asset, kept.number)
        _check_there(vault, sealed)
    except (NotFound, VerificationError) as error:
        if kept.sealed:
            raise VerificationError(
                f"the sealed copy of version {kept.number} of '{record.title}' is broken: "
                f"{error.message}",
                hint="restore the vault from a copy",
            ) from error
    else:
        return sealed
    if kept.source is None or not kept.source.exists():
        raise NotFound(
            f"the files of version {kept.number} of '{record.title}' are not where they were",
            hint="put them back, or publish with --sealed to keep a copy",
        )
    manifest = session.assets_store.manifest(kept.asset, kept.number)
    version = Version(
        kept.asset,
        record.salt,
        kept.number,
        record.kind,
        record.title,
        record.owner,
        kept.content_root,
        manifest.size,
        len(manifest.files),
        manifest.rows,
        manifest.algorithm,
        iso(kept.created),
    )
    # what broken copies have left is in the way
    sealing.settle(session, sealing.promise(session, manifest, version))
    work = sealing.promise(session, manifest, version)
    before, session.progress = session.progress, progress
    try:
        # links were allowed or not when it was published; now each byte is compared
        sealing.seal(session, kept.source, manifest, version, follow_links=True)
    except BaseException as error:
        with contextlib.suppress(UsufructError):
            sealing.settle(session, work)
        if isinstance(error, BadInput):
            raise BadInput(
                f"version {kept.number} of '{record.title}' cannot be sealed: {error.message}",
                hint="the files must be as they were published; or publish a new version",
            ) from error
        raise
    finally:
        session.progress = before
    session.records.finish(work)
    return _read(vault, kept.asset, kept.number)


class Deliveries:
    """What a node hands out of one home; safe to use from several threads.

    Parameters
    ----------
    home
        The home's folder. Its lock is not taken.
    identity
        The party whose assets are served; the keys of sealed copies follow from it.

    Raises
    ------
    Damaged
        The home's asset store is not what was written.
    """

    def __init__(self, home: Path, identity: Identity) -> None:
        self._home = home
        self._vault = home / "vault"
        self._identity = identity
        self._store = AssetStore(home / "assets.sqlite")
        self._lock = threading.Lock()
        self._versions: OrderedDict[tuple[AssetId, int], VersionRecord] = OrderedDict()
        self._lists: OrderedDict[tuple[AssetId, int], _List] = OrderedDict()
        self._bundles: OrderedDict[tuple[Digest, bytes], bytes] = OrderedDict()
        self._manifest: tuple[Digest, Manifest] | None = None

    def close(self) -> None:
        """Close what is open."""
        self._store.close()

    def version(self, asset: AssetId, number: int) -> tuple[Digest, Digest]:
        """Return content root and statement digest of a version of this party's (NotFound)."""
        kept = self._version(asset, number)
        return kept.content_root, kept.statement

    def sealed(self, asset: AssetId, number: int) -> SealedAsset:
        """Return the ciphertext digests of a version.

        Raises
        ------
        NotFound
            No such version of this party's, or it has no sealed copy (:func:`prepare` makes one).
        VerificationError
            The list of sealed objects was changed.
        """
        self._version(asset, number)
        return self._list(asset, number)[0]

    def object_path(self, asset: AssetId, number: int, object_id: str) -> Path:
        """Return the file of one sealed object of a version, to be sent as it is.

        Raises
        ------
        NotFound
            The version has no such object, or it is gone from the vault.
        """
        self._version(asset, number)
        # nothing but a name of the version's own list is ever joined to the vault
        known = object_id in self._list(asset, number)[1]
        path = self._vault / (object_id + _SUFFIX) if known else None
        if path is None or path.is_symlink() or not path.is_file():
            raise NotFound(f"version {number} of {asset} has no such sealed object here")
        return path

    def grant(
        self,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        holder: Address,
        encryption_key: bytes,
    ) -> bytes:
        """Return the keys of a whole version for the holder of a licence, an HPKE message.

        Whether the licence is good is for the caller to check.

        Parameters
        ----------
        encryption_key
            The holder's X25519 key, 32 bytes.

        Raises
        ------
        NotFound
            As :meth:`sealed`.
        BadInput
            The key is none.
        """
        kept = self._version(asset, number)
        sealed = self.sealed(asset, number)
        info = delivery_info(asset, number, licence, holder, kept.content_root)
        keys = self._keys(kept)
        return make_delivery(keys, len(sealed.files), sealed.manifest.chunks, encryption_key, info)

    def probe(
        self,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        holder: Address,
        encryption_key: bytes,
        seed: bytes,
    ) -> bytes:
        """Return the key of one chunk with the proof that it was published, an HPKE message.

        Parameters
        ----------
        seed
            The digest of the signed request (:func:`usufruct.peer.requests.request_digest`),
            from which both sides know which chunk it is.

        Raises
        ------
        NotFound, VerificationError, BadInput
            As :meth:`grant`.
        """
        kept = self._version(asset, number)
        sealed = self.sealed(asset, number)
        keys = self._keys(kept)
        manifest = self._manifest_of(kept, keys, sealed)
        info = delivery_info(asset, number, licence, holder, kept.content_root)
        return make_probe(keys, manifest, pick_chunk(sealed, seed), encryption_key, info)

    def evidence(self, asset: AssetId, number: int) -> bytes:
        """Return a bundle that proves the version, with its lineage if that is at hand.

        It holds no manifest, so it says nothing of the content.

        Raises
        ------
        NotFound
            No such version of this party's, or its statement is not in the log yet.
        """
        kept = self._version(asset, number)
        with Session(Home.open(self._home), identity=self._identity, write=False) as session:
            size = session.log.size
            anchor = session.records.last_anchor(session.origin, size)
            stand = b"%d %d" % (size, -1 if anchor is None else anchor[0])
            key = (kept.statement, stand)
            with self._lock:
                if key in self._bundles:
                    self._bundles.move_to_end(key)
                    return self._bundles[key]
            claim = targets.claim_of(session, kept.statement)
            try:
                data = gathering.gather(session, claim).to_bytes()
            except NotFound:
                if not claim.lineage:
                    raise
                data = gathering.gather(session, VersionClaim(kept.statement)).to_bytes()
        if len(data) <= _MOST_CACHED:
            with self._lock:
                _keep(self._bundles, key, data, 32)
        return data

    def _version(self, asset: AssetId, number: int) -> VersionRecord:
        # ids come from strangers: they are looked up as they are, never matched
        with self._lock:
            if (asset, number) in self._versions:
                return self._versions[asset, number]
        if self._store.asset(asset).owner != self._identity.address:
            raise NotFound(f"the asset {asset} is not this party's")
        if type(number) is not int:
            raise NotFound("a version is a whole number")
        found = self._store.version(asset, number)
        with self._lock:
            # what is asked of it here never changes
            _keep(self._versions, (asset, number), found, 1024)
        return found

    def _list(self, asset: AssetId, number: int) -> tuple[SealedAsset, frozenset[str]]:
        """Return a version's list and the names in it; read again when its file has changed."""
        path = sealing.digests_path(self._vault, asset, number)
        try:
            state = key_of(path.stat())
        except OSError:
            state = None
        with self._lock:
            known = self._lists.get((asset, number))
        if known is not None and known[0] == state:
            return known[1], known[2]
        sealed = _read(self._vault, asset, number)
        names = frozenset(one.object_id for one in sealed.objects)
        with self._lock:
            _keep(self._lists, (asset, number), (state, sealed, names), 16)
        return sealed, names

    def _keys(self, kept: VersionRecord) -> SealKeys:
        salt = self._store.asset(kept.asset).salt
        return sealing.keys_of(self._identity, kept.asset, kept.number, salt, kept.content_root)

    def _manifest_of(self, kept: VersionRecord, keys: SealKeys, sealed: SealedAsset) -> Manifest:
        with self._lock:
            if self._manifest is not None and self._manifest[0] == kept.content_root:
                return self._manifest[1]
        try:
            manifest = self._store.manifest(kept.asset, kept.number)
        except NotFound:
            root = kept.content_root
            vault = Vault(self._vault)
            manifest = open_manifest(vault, keys, content_root=root, sealed=sealed)
        with self._lock:
            self._manifest = (kept.content_root, manifest)
        return manifest


def _keep(cache: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > most:
        cache.popitem(last=False)


def _read(vault: Path, asset: AssetId, number: int) -> SealedAsset:
    path = sealing.digests_path(vault, asset, number)
    try:
        data = read_bytes(path, limit=MAX_MANIFEST_BYTES)
    except NotFound:
        raise NotFound(
            f"version {number} of {asset} has no sealed copy here",
            hint="its owner offers it for download: usufruct offer",
        ) from None
    try:
        return SealedAsset.from_bytes(data)
    except BadInput as error:
        raise VerificationError(
            f"the list of sealed objects was changed: {error.message}"
        ) from error


def _check_there(vault: Path, sealed: SealedAsset) -> None:
    """Check that all objects stand in the vault with their sizes; cheap, no byte is read."""
    for one in sealed.objects:
        path = vault / (one.object_id + _SUFFIX)
        if not path.is_file() or path.stat().st_size != one.sealed_size:
            raise NotFound(f"the object {one.object_id} is not in the vault as it was sealed")
