"""Objects sealed chunk by chunk: what lies in storage says nothing without the caller's keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from blake3 import blake3

from usufruct.crypto import aead
from usufruct.errors import AlreadyExists, BadInput, Mismatch, VerificationError
from usufruct.vault.places import FolderPlace, Place, RemotePlace, Source

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}\Z")
_SUFFIX = ".sealed"
_HASHES: dict[str, Callable[[memoryview], Any]] = {"blake3": blake3, "sha256": sha256}


@dataclass(frozen=True, slots=True)
class SealedObject:
    """What is known of an object without its keys.

    Parameters
    ----------
    object_id
        Its name in the vault.
    size
        Bytes before sealing.
    sealed_size
        Bytes as stored.
    algorithm
        ``blake3`` or ``sha256``.
    digests
        Digest of each sealed chunk, 32 bytes each, joined.
    """

    object_id: str
    size: int
    sealed_size: int
    algorithm: str
    digests: bytes

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self.digests) // 32


class Vault:
    """Sealed objects in one place. Keys are handed in a call and never kept.

    Parameters
    ----------
    location
        A local folder (made if missing), or a URL that fsspec knows.

    Raises
    ------
    BadInput
        The folder cannot be made.
    Unavailable
        Here and in every method: the storage fails or is full.
    """

    def __init__(self, location: str | Path) -> None:
        text = str(location)
        scheme, found, rest = text.partition("://")
        remote = isinstance(location, str) and found and scheme not in ("file", "local")
        self._place: Place = (
            RemotePlace(text) if remote else FolderPlace(Path(rest if found else text))
        )

    def put(
        self,
        object_id: str,
        reader: aead.Reader,
        key_tree: aead.Keys,
        *,
        algorithm: str = "blake3",
        replace: bool = False,
    ) -> SealedObject:
        """Seal all that `reader` gives; the object is there whole when this returns, or not at all.

        Parameters
        ----------
        object_id
            1 to 128 of ``a-z 0-9 . _ -``, the first a letter or digit. It is bound into every
            chunk.
        key_tree
            Chunk `i` is sealed under its leaf `i`.
        algorithm
            Of the sealed chunks' digests.
        replace
            Allow another object of this name to be replaced.

        Raises
        ------
        BadInput
            A bad id or algorithm, or `reader` fails.
        AlreadyExists
            There is an object of this name.
        """
        name = _name(object_id)
        if algorithm not in _HASHES:
            raise BadInput(f"there is no digest algorithm {algorithm!r}")
        if not replace and self._place.exists(name):
            raise AlreadyExists(f"the vault holds {object_id} already")
        hasher = _HASHES[algorithm]
        digests: list[bytes] = []
        total = 0

        def parts() -> Iterator[memoryview]:
            nonlocal total
            for chunk in aead.seal(key_tree, object_id.encode(), reader):
                digests.append(hasher(chunk).digest())
                total += len(chunk)
                yield chunk

        self._place.write(name, parts())
        size = aead.opened_size(total)
        return SealedObject(object_id, size, total, algorithm, b"".join(digests))

    def get(
        self, object_id: str, key_tree: aead.Keys, *, expected: SealedObject | None = None
    ) -> Iterator[memoryview]:
        """Yield an object's chunks in order, each verified before it is yielded.

        Parameters
        ----------
        key_tree
            A key tree, or the cover that was granted.
        expected
            What it was when sealed: another object under the same keys is refused too.

        Yields
        ------
        memoryview
            At most 1 MiB; a view of one reused buffer.

        Raises
        ------
        NotFound
            There is no such object.
        NotAllowed
            A chunk's key is not among those handed in.
        VerificationError
            A chunk is not what was sealed; its mismatch names the chunk.
        """
        plain = memoryview(bytearray(aead.CHUNK_SIZE))
        with self._open(object_id, expected) as (source, count):
            name = object_id.encode()
            for index, sealed in _chunks(object_id, source, count, expected):
                leaf = key_tree.leaf(index)
                with _naming(object_id, index):
                    chunk = aead.open_chunk(leaf, name, index, index == count - 1, sealed, plain)
                yield chunk

    def get_chunk(self, object_id: str, index: int, key_tree: aead.Keys) -> bytes:
        """Return one chunk of an object, verified; errors as for :meth:`get`, BadInput: no chunk.

        Notes
        -----
        A chunk that verifies is at its place; only :meth:`get` says that the others are, too.
        """
        with self._open(object_id, None) as (source, count):
            if not 0 <= index < count:
                raise BadInput(f"{object_id} has {count} chunks, so no chunk {index}")
            source.seek(index * aead.SEALED_CHUNK_SIZE)
            buffer = memoryview(bytearray(aead.SEALED_CHUNK_SIZE))
            sealed = buffer[: source.fill(buffer)]
            leaf = key_tree.leaf(index)
            with _naming(object_id, index):
                last = index == count - 1
                return bytes(aead.open_chunk(leaf, object_id.encode(), index, last, sealed))

    def sealed_chunks(self, object_id: str) -> Iterator[memoryview]:
        """Yield an object's chunks as stored, for who holds the keys; views of one buffer."""
        with self._open(object_id, None) as (source, count):
            for _, sealed in _chunks(object_id, source, count, None):
                yield sealed

    def check(self, expected: SealedObject) -> None:
        """Check, without keys, that an object is stored as it was sealed.

        Raises
        ------
        NotFound
            There is no such object.
        VerificationError
            It differs; the mismatch names the first chunk that does.
        """
        with self._open(expected.object_id, expected) as (source, count):
            for _ in _chunks(expected.object_id, source, count, expected):
                pass

    def exists(self, object_id: str) -> bool:
        """Say whether there is an object of this name."""
        return self._place.exists(_name(object_id))

    def delete(self, object_id: str) -> None:
        """Delete an object (NotFound: there is none). Forgetting its keys is what erases it."""
        self._place.delete(_name(object_id))

    def ids(self) -> tuple[str, ...]:
        """Return the names of all objects, sorted."""
        names = (n.removesuffix(_SUFFIX) for n in self._place.names() if n.endswith(_SUFFIX))
        return tuple(sorted(name for name in names if _ID.match(name)))

    @contextmanager
    def _open(self, object_id: str, expected: SealedObject | None) -> Iterator[tuple[Source, int]]:
        with self._place.open(_name(object_id)) as source:
            if expected is not None and expected.sealed_size != source.size:
                _refuse(object_id, None, f"has {source.size} bytes, not {expected.sealed_size}")
            with _naming(object_id, None):
                count = aead.chunk_count(aead.opened_size(source.size))
            if expected is not None and expected.chunks != count:
                _refuse(object_id, None, f"has {count} chunks, not {expected.chunks}")
            yield source, count


def _chunks(
    object_id: str, source: Source, count: int, expected: SealedObject | None
) -> Iterator[tuple[int, memoryview]]:
    buffer = memoryview(bytearray(aead.SEALED_CHUNK_SIZE))
    hasher = _HASHES.get(expected.algorithm) if expected else None
    if expected and hasher is None:
        raise BadInput(f"there is no digest algorithm {expected.algorithm!r}")
    for index in range(count):
        sealed = buffer[: source.fill(buffer)]
        if expected and hasher:
            wanted = expected.digests[32 * index : 32 * index + 32]
            if hasher(sealed).digest() != wanted:
                _refuse(object_id, index, "is not what was sealed")
        yield index, sealed


def _name(object_id: str) -> str:
    if not isinstance(object_id, str) or not _ID.match(object_id):
        raise BadInput(
            f"{str(object_id)[:60]!a} cannot be an object's id",
            hint="1 to 128 of a-z, 0-9, dot, underscore, dash; the first a letter or digit",
        )
    return object_id + _SUFFIX


@contextmanager
def _naming(object_id: str, chunk: int | None) -> Iterator[None]:
    try:
        yield
    except VerificationError as error:
        _refuse(object_id, chunk, error.message)


def _refuse(object_id: str, chunk: int | None, why: str) -> None:
    where = f"sealed object {object_id}" + ("" if chunk is None else f", chunk {chunk}")
    raise VerificationError(
        f"{where}: {why}",
        mismatches=(Mismatch("changed", file=object_id, chunk=chunk, detail=why),),
        hint="fetch it again, or restore it from a copy",
    )
