"""Digests of bytes and of files in chunks."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256 as _sha256
from threading import Event
from typing import Any, Final, Literal

from blake3 import blake3 as _blake3

from usufruct.errors import BadInput
from usufruct.units import KIB, MIB

Algorithm = Literal["blake3", "sha256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("blake3", "sha256")
CHUNK_SIZE: Final = MIB
DIGEST_SIZE: Final = 32

_SMALL: Final = 64 * KIB
_PIECE: Final = MIB
_STRIDE: Final = 16
_MAX_THREADS: Final = 16


def sha256(data: bytes) -> bytes:
    """Return SHA-256 of `data`, 32 bytes (FIPS 180-4)."""
    return _sha256(data).digest()


def blake3(data: bytes) -> bytes:
    """Return BLAKE3 of `data`, 32 bytes."""
    return _blake3(data).digest()


def keccak256(data: bytes) -> bytes:
    """Return Keccak-256 of `data` as Ethereum uses it, 32 bytes (not SHA3-256)."""
    from Crypto.Hash import keccak

    return bytes(keccak.new(digest_bits=256, data=data).digest())


def digest_chunk(data: bytes | memoryview, algorithm: Algorithm = "blake3") -> bytes:
    """Return the digest of one chunk, 32 bytes (BadInput: unknown algorithm)."""
    return bytes(_constructor(algorithm)(data).digest())


def digest_file_chunks(
    source: str | os.PathLike[str] | int,
    *,
    algorithm: Algorithm = "blake3",
    chunk_size: int = CHUNK_SIZE,
    progress: Callable[[int], object] | None = None,
    threads: int | None = None,
) -> tuple[int, bytes]:
    """Hash a file chunk by chunk.

    Parameters
    ----------
    source
        A path, or an open descriptor of a regular file (read from its beginning with `pread`;
        its position does not move).
    algorithm
        ``blake3`` or ``sha256``.
    chunk_size
        Bytes a chunk; the last may be shorter.
    progress
        Called with each number of bytes just hashed, perhaps from another thread.
    threads
        At most so many at once for large files; the machine's processors when left out.

    Returns
    -------
    tuple[int, bytes]
        The size read and the chunk digests one after the other, 32 bytes each; none for an
        empty file.

    Raises
    ------
    BadInput
        It cannot be read, changes its size meanwhile, or an argument makes no sense.

    Notes
    -----
    Chunks are read into reused buffers by several threads, one hash each: more bytes a
    CPU-second than memory mapping with threads inside BLAKE3, and a file cut short meanwhile is
    an error here, not a SIGBUS.
    """
    new = _constructor(algorithm)
    if chunk_size < 1:
        raise BadInput(f"a chunk has at least one byte, not {chunk_size}")
    try:
        if isinstance(source, int):
            return _digest(source, new, chunk_size, progress, threads)
        # without O_NONBLOCK a named pipe would wait for a writer; files do not mind it
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _digest(descriptor, new, chunk_size, progress, threads)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        name = f"descriptor {source}" if isinstance(source, int) else os.fspath(source)
        raise BadInput(f"cannot read {name}: {getattr(error, 'strerror', error)}") from error


def _constructor(algorithm: str) -> Callable[..., Any]:
    if algorithm == "blake3":
        return _blake3
    if algorithm == "sha256":
        return _sha256
    raise BadInput(f"there is no hash '{algorithm}' here", hint="blake3 or sha256")


def _digest(
    descriptor: int,
    new: Callable[..., Any],
    chunk_size: int,
    progress: Callable[[int], object] | None,
    threads: int | None,
) -> tuple[int, bytes]:
    # a small file costs two system calls and one hash
    head = os.pread(descriptor, _SMALL, 0)
    size = len(head)
    if size < _SMALL and size <= chunk_size and not os.pread(descriptor, 1, size):
        if progress is not None:
            progress(size)
        return size, new(head).digest() if size else b""
    size = os.fstat(descriptor).st_size
    count = -(-size // chunk_size)
    workers = min(threads or os.cpu_count() or 1, _MAX_THREADS, -(-count // _STRIDE))
    digests = bytearray(count * DIGEST_SIZE)

    abandoned = Event()

    def work(first: int) -> None:
        buffer = memoryview(bytearray(min(chunk_size, _PIECE)))
        for stride in range(first * _STRIDE, count, workers * _STRIDE):
            for index in range(stride, min(stride + _STRIDE, count)):
                if abandoned.is_set():
                    return
                offset = index * chunk_size
                length = min(chunk_size, size - offset)
                at = index * DIGEST_SIZE
                digests[at : at + DIGEST_SIZE] = _chunk(descriptor, new, offset, length, buffer)
                if progress is not None:
                    progress(length)

    if workers <= 1:
        work(0)
    else:
        with ThreadPoolExecutor(workers) as pool:
            try:
                for task in as_completed([pool.submit(work, first) for first in range(workers)]):
                    task.result()
            finally:
                # after an error or Ctrl-C nobody waits for the rest of a large file
                abandoned.set()
    if os.pread(descriptor, 1, size):
        raise BadInput("the file grew while it was read", hint="try again when nobody writes to it")
    return size, bytes(digests)


def _chunk(
    descriptor: int, new: Callable[..., Any], offset: int, length: int, buffer: memoryview
) -> bytes:
    got = os.preadv(descriptor, [buffer[:length]], offset)
    state = new(buffer[:got])
    left = length - got
    # more than one read: chunks above 1 MiB, or a file system that gives less than was asked
    while left:
        got = os.preadv(descriptor, [buffer[:left]], offset + length - left)
        if not got:
            raise BadInput("the file shrank while it was read", hint="try again")
        state.update(buffer[:got])
        left -= got
    return bytes(state.digest())
