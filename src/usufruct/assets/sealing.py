"""Keep an asset sealed in a vault: its files, and its manifest too.

All keys come from one secret of 32 bytes a version and epoch. Object names are made from it as
well, so storage shows how many objects there are and how large, and nothing else; what may be
published are the digests of the sealed chunks, which let anybody check the vault without keys.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from usufruct.assets.hashing import Hash, changing, hash_function, open_file, unreadable
from usufruct.assets.walk import printable
from usufruct.crypto import canonical
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    Mismatch,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
)
from usufruct.evidence.content import CHUNK, MAX_MANIFEST_BYTES, FileEntry, Manifest
from usufruct.ports import SILENT, Progress
from usufruct.store import fsync_folder, make_folder
from usufruct.store.atomic import TEMPORARY
from usufruct.types import Digest
from usufruct.vault import SealedObject, Vault

FORMAT = "usufruct/sealed/v1"
MAX_OBJECTS = 4_000_000

_FILES = "usufruct/seal/files/v1"
_CHUNKS = "usufruct/seal/chunks/v1"
_MANIFEST = "usufruct/seal/manifest/v1"
_NAMES = "usufruct/seal/names/v1"


class SealKeys:
    """The keys of one sealed version.

    Parameters
    ----------
    root
        32 secret random bytes, never used for another version or epoch.

    Raises
    ------
    BadInput
        Not 32 bytes.
    """

    def __init__(self, root: bytes) -> None:
        self._files = KeyTree(root, _FILES)
        self._manifest = KeyTree(root, _MANIFEST)
        self._names = KeyTree(root, _NAMES).leaf(0)

    @property
    def manifest(self) -> KeyTree:
        """The chunk keys of the sealed manifest."""
        return self._manifest

    def file(self, number: int) -> KeyTree:
        """Return the chunk keys of file `number` (from 0); a grant is a cover of these."""
        return chunk_keys(self._files.leaf(number))

    def files(self, count: int) -> Cover:
        """Return the fewest keys that open files 0 to `count` (exclusive), and no others."""
        return Cover(self._files.cover(0, count))

    def object_id(self, number: int | None) -> str:
        """Return what file `number` is called in the vault, None for the manifest."""
        label = b"manifest" if number is None else b"file" + number.to_bytes(8, "big")
        return hmac.digest(self._names, label, "sha256").hex()[:40]


def chunk_keys(file_key: bytes) -> KeyTree:
    """Return the chunk keys of the file that has this key."""
    return KeyTree(file_key, _CHUNKS)


@dataclass(frozen=True, slots=True)
class SealedAsset:
    """What may be known of a sealed version without keys.

    Parameters
    ----------
    manifest
        The sealed manifest.
    files
        The sealed files, in the order of the manifest.
    """

    manifest: SealedObject
    files: tuple[SealedObject, ...]

    @property
    def objects(self) -> tuple[SealedObject, ...]:
        """Everything in the vault."""
        return (self.manifest, *self.files)

    @property
    def digest(self) -> Digest:
        """SHA-256 of :meth:`to_bytes`: one value that stands for all sealed bytes."""
        return Digest(sha256(self.to_bytes()).hexdigest())

    def to_bytes(self) -> bytes:
        """Return the ciphertext digests as canonical JSON; holds no secret."""
        return canonical.dumps(
            {
                "format": FORMAT,
                "objects": [
                    {
                        "id": one.object_id,
                        "size": one.size,
                        "sealed_size": one.sealed_size,
                        "algorithm": one.algorithm,
                        "digests": canonical.b64(one.digests),
                    }
                    for one in self.objects
                ],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedAsset:
        """Read ciphertext digests strictly.

        Raises
        ------
        BadInput
            Not canonical, or not of version 1.
        """
        value = canonical.loads(data, max_bytes=MAX_MANIFEST_BYTES)
        if not isinstance(value, dict) or set(value) != {"format", "objects"}:
            raise BadInput(f"not sealed digests of format {FORMAT}")
        objects = value["objects"]
        if value["format"] != FORMAT or not isinstance(objects, list):
            raise BadInput(f"not sealed digests of format {FORMAT}")
        if not 2 <= len(objects) <= MAX_OBJECTS:
            raise BadInput("a sealed asset has a manifest and at least one file")
        first, *files = (_object(item) for item in objects)
        return cls(first, tuple(files))


def seal_asset(
    path: Path,
    manifest: Manifest,
    vault: Vault,
    keys: SealKeys,
    *,
    follow_links: bool = False,
    progress: Progress = SILENT,
) -> SealedAsset:
    """Put every file of an asset and its manifest into `vault`; all of it or nothing.

    Parameters
    ----------
    path
        What `manifest` was made from; each byte is compared with it as it is sealed.

    Raises
    ------
    BadInput
        A file is unreadable or is no longer what the manifest says.
    AlreadyExists
        These keys were used before.
    Unavailable
        The storage fails or is full.
    """
    is_folder = path.is_dir()
    done: list[SealedObject] = []
    try:
        with progress.task("sealing", manifest.size, "B") as task:
            for number, entry in enumerate(manifest.files):
                full = str(path / entry.path) if is_folder else str(path)
                follow = follow_links or not is_folder
                with _reader(full, entry, follow) as reader:
                    sealed = vault.put(keys.object_id(number), reader, keys.file(number))
                    done.append(sealed)
                    reader.finish()
                task.advance(entry.size)
        whole = _Bytes(manifest.to_bytes())
        sealed = vault.put(keys.object_id(None), whole, keys.manifest)
    except BaseException:
        for one in done:
            with contextlib.suppress(UsufructError):
                vault.delete(one.object_id)
        raise
    return SealedAsset(sealed, tuple(done))


def check_sealed(vault: Vault, asset: SealedAsset, *, progress: Progress = SILENT) -> None:
    """Check without keys that the vault holds what was sealed.

    Raises
    ------
    VerificationError
        Its mismatches name every object that is missing or differs, and the first chunk.
    """
    found: list[Mismatch] = []
    total = sum(one.sealed_size for one in asset.objects)
    with progress.task("checking sealed objects", total, "B") as task:
        for one in asset.objects:
            try:
                vault.check(one)
            except NotFound:
                found.append(Mismatch("missing", file=one.object_id, detail="not in the vault"))
            except VerificationError as error:
                found.extend(error.mismatches)
            task.advance(one.sealed_size)
    if found:
        raise VerificationError(
            f"{len(found)} of {len(asset.objects)} sealed objects are not what was sealed",
            mismatches=tuple(found),
            hint="restore them from a copy",
        )


def open_manifest(
    vault: Vault, keys: SealKeys, *, content_root: Digest, sealed: SealedAsset | None = None
) -> Manifest:
    """Return the manifest of a sealed asset.

    Parameters
    ----------
    content_root
        What was published.
    sealed
        The published ciphertext digests, to be checked as well.

    Raises
    ------
    NotFound
        The vault does not hold it, or not under these keys.
    VerificationError
        It is not what was sealed, or of another content root.
    """
    parts = bytearray()
    expected = sealed.manifest if sealed is not None else None
    for chunk in vault.get(keys.object_id(None), keys.manifest, expected=expected):
        parts += chunk
        if len(parts) > MAX_MANIFEST_BYTES:
            raise VerificationError("the sealed manifest is larger than any can be")
    try:
        manifest = Manifest.from_bytes(bytes(parts))
    except BadInput as error:
        raise VerificationError(f"the sealed manifest is malformed: {error.message}") from None
    if manifest.content_root.hex() != content_root:
        raise VerificationError("the sealed manifest is of another content root")
    return manifest


def restore(
    vault: Vault,
    keys: SealKeys,
    destination: Path,
    *,
    content_root: Digest,
    sealed: SealedAsset | None = None,
    progress: Progress = SILENT,
) -> Manifest:
    """Write a sealed asset's files into the new folder `destination`, all of them or none.

    Raises
    ------
    AlreadyExists
        Something stands at `destination`.
    NotFound
        An object is not in the vault.
    VerificationError
        An object is not what was sealed, or a file not what its manifest says.
    Unavailable
        The disk is full.
    """
    if destination.exists() or destination.is_symlink():
        raise AlreadyExists(f"there is something at {printable(str(destination))} already")
    manifest = open_manifest(vault, keys, content_root=content_root, sealed=sealed)
    if sealed is not None and len(sealed.files) != len(manifest.files):
        raise VerificationError("the published digests are of another number of files")
    temporary = destination.with_name(TEMPORARY + secrets.token_hex(8))
    make_folder(temporary)
    try:
        with progress.task("restoring", manifest.size, "B") as task:
            for number, entry in enumerate(manifest.files):
                expected = sealed.files[number] if sealed is not None else None
                chunks = vault.get(keys.object_id(number), keys.file(number), expected=expected)
                _write(temporary / entry.path, entry, chunks)
                task.advance(entry.size)
        temporary.rename(destination)
        fsync_folder(destination.parent)
    except OSError as error:
        raise Unavailable(
            f"cannot write {printable(str(destination))}: {error.strerror}",
            hint="check free space and permissions",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _write(path: Path, entry: FileEntry, chunks: Iterator[memoryview]) -> None:
    new_hash = hash_function(entry.algorithm)
    digests = []
    size = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb", buffering=0) as file:
        for chunk in chunks:
            if chunk:
                digests.append(new_hash(chunk).digest())
            size += len(chunk)
            left = chunk
            while left:
                left = left[file.write(left) :]
        os.fsync(file.fileno())
    if size != entry.size or b"".join(digests) != entry.chunk_digests:
        raise VerificationError(
            f"the sealed file '{entry.path}' is not what its manifest says",
            mismatches=(Mismatch("changed", file=entry.path),),
        )


class _Reading:
    """Reads a file for the vault and compares each chunk with the manifest on the way."""

    def __init__(self, file: Any, full: str, entry: FileEntry) -> None:
        self._file = file
        self._full = full
        self._entry = entry
        self._new: Hash = hash_function(entry.algorithm)
        self._hash = self._new()
        self._filled = 0
        self._digests: list[bytes] = []

    def readinto(self, buffer: memoryview, /) -> int | None:
        want = min(len(buffer), CHUNK - self._filled)
        got: int = self._file.readinto(buffer[:want]) or 0
        self._hash.update(buffer[:got])
        self._filled += got
        if self._filled == CHUNK:
            self._next()
        return got

    def finish(self) -> None:
        if self._filled:
            self._next()
        if b"".join(self._digests) != self._entry.chunk_digests:
            raise changing(self._full)

    def _next(self) -> None:
        self._digests.append(self._hash.digest())
        self._hash, self._filled = self._new(), 0


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def readinto(self, buffer: memoryview, /) -> int | None:
        got = min(len(buffer), len(self._left))
        buffer[:got] = self._left[:got]
        self._left = self._left[got:]
        return got


@contextlib.contextmanager
def _reader(full: str, entry: FileEntry, follow_links: bool) -> Iterator[_Reading]:
    descriptor = open_file(full, follow_links=follow_links)
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield _Reading(file, full, entry)
    except OSError as error:
        raise unreadable(full, error) from None


def _object(item: Any) -> SealedObject:
    if not isinstance(item, dict) or set(item) != {
        "id",
        "size",
        "sealed_size",
        "algorithm",
        "digests",
    }:
        raise BadInput("a sealed object has an id, two sizes, an algorithm and digests")
    digests = canonical.unb64(item["digests"])
    sizes = (item["size"], item["sealed_size"])
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise BadInput("a sealed object's sizes are whole numbers")
    if not isinstance(item["id"], str) or not isinstance(item["algorithm"], str):
        raise BadInput("a sealed object's id and algorithm are text")
    if not digests or len(digests) % 32:
        raise BadInput("a sealed object's digests have 32 bytes each")
    return SealedObject(item["id"], *sizes, item["algorithm"], digests)
