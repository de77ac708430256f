"""Chunk digests of many files, fast, each of them still while it is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

import blake3

from usufruct.assets.walk import printable
from usufruct.crypto.hash import digest_file_chunks
from usufruct.errors import BadInput
from usufruct.evidence.content import CHUNK

_SMALL = 128 * 1024
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

Hash = Callable[..., Any]
Key = tuple[int, int, int, int]
"""What tells whether a file is as it was: size, mtime_ns, ctime_ns, inode."""


class Hashed(NamedTuple):
    """One file's bytes as digests.

    Parameters
    ----------
    number
        The file's place in the list that was handed in.
    size
        Its bytes.
    digests
        32 bytes a chunk, in order; empty for an empty file.
    key
        The file's state while it was read.
    fresh
        False if the digests come from the cache.
    """

    number: int
    size: int
    digests: bytes
    key: Key
    fresh: bool


def hash_function(algorithm: str) -> Hash:
    """Return the hash constructor for ``blake3`` or ``sha256``.

    Raises
    ------
    BadInput
        Another algorithm.
    """
    if algorithm == "blake3":
        return blake3.blake3
    if algorithm == "sha256":
        return hashlib.sha256
    raise BadInput(f"'{algorithm}' is no hash algorithm known here", hint="blake3 or sha256")


def open_file(full: str, *, follow_links: bool) -> int:
    """Open a regular file for reading and return its descriptor; never blocks on a pipe.

    Raises
    ------
    BadInput
        It cannot be read, is a link (unless followed) or no regular file.
    """
    flags = _FLAGS if follow_links else _FLAGS | os.O_NOFOLLOW
    try:
        descriptor = os.open(full, flags)
    except OSError as error:
        raise unreadable(full, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"{printable(full)} is no regular file")
    return descriptor


def key_of(found: os.stat_result) -> Key:
    """Return the state of a file that the cache goes by."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def unreadable(full: str, error: OSError) -> BadInput:
    """Return the error that names a file which cannot be read."""
    hint = "check its permissions" if isinstance(error, PermissionError) else None
    return BadInput(f"cannot read {printable(full)}: {error.strerror}", hint=hint)


def changing(full: str) -> BadInput:
    """Return the error that names a file which changed under the reader."""
    return BadInput(
        f"{printable(full)} changed while it was read",
        hint="wait until nothing writes to it, or take a copy",
    )


def hash_files(
    prefix: str,
    paths: list[str],
    *,
    algorithm: str,
    follow_links: bool,
    known: Mapping[str, tuple[Key, bytes, bytes | None]] | None = None,
    progress: Callable[[int], object] | None = None,
    failed: Callable[[int, BadInput], None] | None = None,
) -> Iterator[Hashed]:
    """Hash each of `paths` in turn.

    Parameters
    ----------
    known
        By path: the state a file had, its digests then, and what the caller keeps beside.
    progress
        Called with the bytes of large files as they are read.
    failed
        Called with a file that cannot be used, which is then left out. Without it the first
        such file raises.

    Raises
    ------
    BadInput
        A file cannot be read, is no regular file, or changes while it is read.
    """
    new_hash = hash_function(algorithm)
    flags = _FLAGS if follow_links else _FLAGS | os.O_NOFOLLOW
    # looked up once: at 50,000 files each global lookup counts
    open_, read, close, fstat = os.open, os.read, os.close, os.fstat
    small = _SMALL
    regular = stat.S_IFREG
    for index, path in enumerate(paths):
        full = prefix + path
        try:
            if known is not None and (entry := known.get(path)) is not None:
                # not Path.stat: it would double the time of a file
                key = key_of(os.stat(full, follow_symlinks=follow_links))  # noqa: PTH116
                if key == entry[0]:
                    yield Hashed(index, key[0], entry[1], key, False)
                    continue
            descriptor = open_(full, flags)
            try:
                before = fstat(descriptor)
                size = before.st_size
                if before.st_mode & 0o170000 != regular:
                    raise BadInput(f"{printable(full)} is no regular file")
                if size < small:
                    data = read(descriptor, size + 1)
                    digests = new_hash(data).digest() if data else b""
                    complete = len(data) == size
                else:
                    digests = _large(descriptor, full, algorithm, progress)
                    complete = True
                after = fstat(descriptor)
            finally:
                close(descriptor)
            key = (size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino)
            if (
                not complete
                or after.st_size != size
                or after.st_mtime_ns != key[1]
                or after.st_ctime_ns != key[2]
            ):
                raise changing(full)
        except OSError as error:
            _fail(failed, index, unreadable(full, error))
        except BadInput as error:
            _fail(failed, index, error)
        else:
            yield Hashed(index, size, digests, key, True)


def _large(
    descriptor: int, full: str, algorithm: str, progress: Callable[[int], object] | None
) -> bytes:
    word = cast(Literal["blake3", "sha256"], algorithm)
    try:
        return digest_file_chunks(descriptor, algorithm=word, progress=progress)[1]
    except BadInput as error:
        if isinstance(error.__cause__, OSError):
            raise unreadable(full, error.__cause__) from None
        raise changing(full) from None


def _fail(failed: Callable[[int, BadInput], None] | None, index: int, error: BadInput) -> None:
    if failed is None:
        raise error
    failed(index, error)


def read_blocks(descriptor: int) -> Iterator[bytes]:
    """Read a file from its start in blocks of a chunk."""
    offset = 0
    while block := os.pread(descriptor, CHUNK, offset):
        offset += len(block)
        yield block
