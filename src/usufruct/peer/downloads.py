"""Verified download of a sealed version: no chunk is kept before it is known to be good.

Ciphertext comes in windows of byte ranges. With keys, each chunk is opened and its plaintext held
against the manifest, which is held against the content root on the ledger; without keys (before a
purchase is settled) each sealed chunk is held against the list of sealed objects.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from blake3 import blake3

from usufruct.assets.delivery import GrantedKeys
from usufruct.assets.hashing import hash_function
from usufruct.assets.sealing import SealedAsset
from usufruct.assets.walk import EVIDENCE_FOLDER, printable
from usufruct.crypto import aead
from usufruct.errors import BadInput, Mismatch, Unavailable, VerificationError
from usufruct.evidence.content import CHUNK, FileEntry, Manifest
from usufruct.peer.answers import NodeBusy
from usufruct.peer.client import NodeClient
from usufruct.peer.partial import MANY, Partial, keep, write_all
from usufruct.ports import SILENT, Progress
from usufruct.types import AssetId, Digest, LicenceId
from usufruct.vault import SealedObject

WINDOW: Final = 64
"""Chunks asked for at once: few signed requests, and each of them soon over."""

TRIES: Final = 4
PAUSE = 0.05
"""Seconds, tripled with each try in a row that failed."""

_HASHES: Final[Mapping[str, Callable[[memoryview], Any]]] = {"blake3": blake3, "sha256": sha256}
_MANIFEST: Final = "the manifest"

Chunks = Generator[tuple[int, memoryview], None, None]
"""Chunks by number, each a view of one buffer that the next one overwrites."""

_Give = Callable[[SealedObject, int], Chunks]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version's ciphertext comes from.

    Parameters
    ----------
    client
        Of the node, with an account.
    asset, number, licence
        What is asked for, and by which right.
    sealed
        The list of sealed objects, checked to make sense.
    """

    client: NodeClient
    asset: AssetId
    number: int
    licence: LicenceId
    sealed: SealedAsset

    def chunks(self, one: SealedObject, first: int = 0) -> Chunks:
        """Yield the sealed chunks of an object from number `first` on, views of one buffer.

        A connection that breaks is opened again, a few times in a row.

        Raises
        ------
        VerificationError
            The node has another number of bytes.
        Unavailable
            It does not answer, or stops in the middle again and again.
        """
        step = aead.SEALED_CHUNK_SIZE
        buffer = memoryview(bytearray(min(step, one.sealed_size)))
        index, failed = first, 0
        while index < one.chunks:
            start = index * step
            stop = min(one.sealed_size, start + WINDOW * step)
            try:
                with self.client.sealed_bytes(
                    self.asset,
                    self.number,
                    one.object_id,
                    licence=self.licence,
                    start=start,
                    stop=stop,
                    size=one.sealed_size,
                ) as answer:
                    while start < stop:
                        length = min(step, stop - start)
                        if answer.fill(buffer[:length]) != length:
                            raise Unavailable("the node stops in the middle of an answer")
                        yield index, buffer[:length]
                        index, start, failed = index + 1, start + length, 0
            except Unavailable as error:
                failed += 1
                if failed == TRIES:
                    raise
                wait = error.wait if isinstance(error, NodeBusy) else 0
                time.sleep(max(wait, PAUSE * 3**failed))


def load_manifest(
    source: Source, keys: GrantedKeys, root: Digest, *, part: Partial | None = None
) -> Manifest:
    """Fetch and open the manifest.

    Parameters
    ----------
    part
        Where its ciphertext may lie already.

    Raises
    ------
    VerificationError
        It does not open, is none, or has another content root than `root`; or the list of sealed
        objects is of other files.
    """
    one = source.sealed.manifest
    data = bytearray()
    place = contextlib.nullcontext(source.chunks) if part is None else _stashed(source, part, one)
    with place as chunks, contextlib.closing(_opened(chunks, one, keys.manifest)) as found:
        for _, plain in _named(found, _MANIFEST):
            data += plain
    try:
        manifest = Manifest.from_bytes(bytes(data))
    except BadInput as error:
        raise _wrong(f"the manifest is malformed: {error.message}", _MANIFEST) from None
    if manifest.content_root.hex() != root:
        raise _wrong("the manifest has another content root than the ledger", _MANIFEST)
    sizes = [entry.size for entry in manifest.files]
    if sizes != [one.size for one in source.sealed.files]:
        raise _wrong("the sealed objects are not those of the manifest's files", _MANIFEST)
    if any(entry.path.partition("/")[0] == EVIDENCE_FOLDER for entry in manifest.files):
        raise _wrong(f"the manifest has a file in {EVIDENCE_FOLDER}", _MANIFEST)
    return manifest


def load_files(
    source: Source,
    keys: GrantedKeys,
    manifest: Manifest,
    part: Partial,
    *,
    progress: Progress = SILENT,
) -> None:
    """Fetch, open and keep every file; what lies in `part` already and is good stays.

    Raises
    ------
    VerificationError
        A chunk is not what was published; its mismatch names file and chunk. All before it stays.
    Unavailable
        The node does not answer, or the disk is full; all that was good stays.
    BadInput
        Something is in the way of a file.
    """
    seen: set[tuple[int, int]] = set()
    with progress.task("downloading", manifest.size, "B") as task:
        for number, entry in enumerate(manifest.files):
            one = source.sealed.files[number]
            with part.file(entry.path) as descriptor:
                found = os.fstat(descriptor)
                if (found.st_dev, found.st_ino) in seen:
                    raise BadInput(
                        f"'{printable(entry.path)}' and another file are one on this disk",
                        hint="use a file system that tells upper from lower case",
                    )
                seen.add((found.st_dev, found.st_ino))
                with _stashed(source, part, one) as chunks:
                    _load(descriptor, entry, one, keys.file(number), chunks, task.advance)
                if len(manifest.files) <= MANY:
                    os.fsync(descriptor)
            (part.stash / one.object_id).unlink(missing_ok=True)


def load_sealed(source: Source, part: Partial, *, progress: Progress = SILENT) -> None:
    """Fetch all ciphertext and hold it against the list of sealed objects; needs no keys.

    Raises
    ------
    VerificationError
        A sealed chunk is not what the list says; its mismatch names object and chunk.
    Unavailable
        As :func:`load_files`.
    """
    objects = source.sealed.objects
    total = sum(one.sealed_size for one in objects)
    with progress.task("downloading sealed", total, "B") as task:
        for one in objects:
            good = _listed(one)
            with part.sealed(one.object_id) as descriptor:
                step, size = aead.SEALED_CHUNK_SIZE, one.sealed_size
                first = keep(descriptor, size, step, good, task.advance)
                chunks = _named(source.chunks(one, first), one.object_id)
                with contextlib.closing(chunks):
                    for index, chunk in chunks:
                        if not good(index, chunk):
                            why = "is not what the node's list of sealed objects says"
                            raise _wrong(why, one.object_id, index)
                        write_all(descriptor, chunk)
                        task.advance(len(chunk))


def stashed_chunk(part: Partial, one: SealedObject, index: int) -> bytes:
    """Return one sealed chunk of what :func:`load_sealed` has fetched."""
    step = aead.SEALED_CHUNK_SIZE
    with part.sealed(one.object_id) as descriptor:
        return os.pread(descriptor, min(step, one.sealed_size - index * step), index * step)


def _load(
    descriptor: int,
    entry: FileEntry,
    one: SealedObject,
    keys: aead.Keys,
    chunks: _Give,
    advance: Callable[[int], object],
) -> None:
    new_hash = hash_function(entry.algorithm)

    def good(index: int, plain: memoryview) -> bool:
        return bool(new_hash(plain).digest() == entry.chunk_digests[32 * index : 32 * index + 32])

    first = keep(descriptor, entry.size, CHUNK, good, advance)
    if first * CHUNK >= entry.size:
        return
    opened = _named(_opened(chunks, one, keys, first), entry.path)
    with contextlib.closing(opened):
        for index, plain in opened:
            if not good(index, plain):
                raise _wrong("is not what was published", entry.path, index)
            write_all(descriptor, plain)
            advance(len(plain))


def _opened(chunks: _Give, one: SealedObject, keys: aead.Keys, first: int = 0) -> Chunks:
    """Yield the plaintext of an object's chunks, views of one buffer."""
    buffer = memoryview(bytearray(min(CHUNK, max(1, one.size))))
    name, last = one.object_id.encode(), one.chunks - 1
    with contextlib.closing(chunks(one, first)) as found:
        for index, sealed in found:
            leaf = keys.leaf(index)
            try:
                plain = aead.open_chunk(leaf, name, index, index == last, sealed, buffer)
            except VerificationError as error:
                raise _Chunk(index, error.message) from None
            yield index, plain


@contextlib.contextmanager
def _stashed(source: Source, part: Partial, one: SealedObject) -> Iterator[_Give]:
    """Give where an object's sealed chunks are read: the stash if it is whole, else the node."""
    place = part.stash / one.object_id
    if not place.is_file() or place.lstat().st_size != one.sealed_size:
        yield source.chunks
        return
    step = aead.SEALED_CHUNK_SIZE
    with part.sealed(one.object_id) as descriptor:

        def chunks(which: SealedObject, first: int) -> Chunks:
            buffer = memoryview(bytearray(step))
            for index in range(first, which.chunks):
                got = os.preadv(descriptor, [buffer], index * step)
                yield index, buffer[:got]

        yield chunks


def _listed(one: SealedObject) -> Callable[[int, memoryview], bool]:
    hasher = _HASHES[one.algorithm]

    def good(index: int, chunk: memoryview) -> bool:
        return bool(hasher(chunk).digest() == one.digests[32 * index : 32 * index + 32])

    return good


class _Chunk(VerificationError):
    """A chunk that does not open, before anybody knows the name of its file."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def _named(found: Chunks, name: str) -> Chunks:
    """Pass chunks on; errors on the way get the file's name and the chunk's number."""
    at = -1
    try:
        for at, chunk in found:
            yield at, chunk
    except _Chunk as error:
        raise _wrong(error.message, name, error.index) from None
    except VerificationError as error:
        raise _wrong(error.message, name, at + 1) from None
    except Unavailable as error:
        raise Unavailable(
            f"'{printable(name)}', after chunk {at}: {error.message}",
            hint="repeat the command: what was loaded is kept",
        ) from error
    finally:
        found.close()


def _wrong(why: str, name: str, chunk: int | None = None) -> VerificationError:
    where = f"'{printable(name)}'" + ("" if chunk is None else f", chunk {chunk}")
    return VerificationError(
        f"the node gives wrong bytes for {where}: {why}",
        mismatches=(Mismatch("changed", file=name, chunk=chunk, detail=why),),
        hint="what was good is kept; ask the publisher, and repeat the command",
    )
