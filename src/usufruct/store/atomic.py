"""Whole files or none: write beside, fsync, rename, fsync the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from usufruct.errors import BadInput, Damaged, NotFound, Unavailable

TEMPORARY = ".usufruct-tmp-"
"""Prefix of files that a crash may leave behind; anybody may delete them."""


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make `folder` and its parents durably; it may exist already.

    Raises
    ------
    BadInput
        Something that is not a folder stands there, or it cannot be made.
    Unavailable
        The disk is full or fails.
    """
    missing = []
    probe = folder
    while not probe.exists():
        missing.append(probe)
        probe = probe.parent
    try:
        for path in reversed(missing):
            path.mkdir(mode=mode, exist_ok=True)
            fsync_folder(path.parent)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise Unavailable(message, hint="check free space") from error
        raise BadInput(message) from error
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    Parameters
    ----------
    durable
        Fsync file and folder before returning. False only for what can be derived again.

    Raises
    ------
    Unavailable
        The disk is full or the folder cannot be written.
    """
    temporary = path.with_name(TEMPORARY + secrets.token_hex(8))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            fsync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"cannot write {path}: {error.strerror}", hint="check free space and permissions"
        ) from error


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Return the whole of a small file.

    Raises
    ------
    NotFound
        There is no such file.
    Damaged
        It is larger than `limit` bytes, which this file never is.
    BadInput
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise Damaged(f"{path} is larger than the {limit} bytes it can have")
    return data


def remove(path: Path) -> None:
    """Delete a file durably; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        fsync_folder(path.parent)
