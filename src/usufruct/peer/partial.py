"""A download that is not whole yet: a hidden folder beside its target, taken up where it ended.

Nothing is believed of what lies there: files are read again chunk by chunk and cut at the first
that is not good. No link is followed on the way to a file, whoever made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from usufruct.assets.walk import printable
from usufruct.crypto import canonical
from usufruct.errors import AlreadyExists, BadInput, NotFound, Unavailable
from usufruct.store import HomeLock, fsync_folder, make_folder, read_bytes, write_atomic
from usufruct.types import AssetId, Digest, LicenceId

FORMAT = "usufruct/download/v1"
MANY = 256
"""Above so many files the disk is told once to write all, not for each file."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


class Partial:
    """The folder ``.NAME.part`` beside `target`, one process at a time.

    Parameters
    ----------
    target
        The folder that stands there in the end.
    asset, number, licence, root
        What is downloaded; what was begun for anything else is thrown away.

    Raises
    ------
    AlreadyExists
        There is something at `target`.
    HomeBusy
        Another process downloads to it.
    BadInput
        The folder cannot be made.
    """

    def __init__(
        self, target: Path, *, asset: AssetId, number: int, licence: LicenceId, root: Digest
    ) -> None:
        self.target = check_free(target)
        self.path = self.target.with_name(f".{self.target.name}.part")
        if self.path.is_symlink():
            raise BadInput(f"{printable(str(self.path))} is a link", hint="remove it")
        with translated(self.path):
            make_folder(self.path)
        self._lock = HomeLock(self.path / "lock").acquire()
        try:
            about = canonical.dumps(
                {
                    "format": FORMAT,
                    "asset": asset,
                    "version": number,
                    "licence": licence,
                    "root": root,
                }
            )
            if self._read("about.json") != about:
                self._clear()
                write_atomic(self.path / "about.json", about)
            self.data = self.path / "data"
            self.stash = self.path / "sealed"
            for folder in (self.data, self.stash):
                if folder.is_symlink():
                    raise BadInput(f"{printable(str(folder))} is a link", hint="remove it")
                make_folder(folder)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    @property
    def message(self) -> bytes | None:
        """The grant that was kept, None if there is none yet."""
        return self._read("grant")

    @message.setter
    def message(self, grant: bytes) -> None:
        # a counted licence pays for each grant
        write_atomic(self.path / "grant", grant)

    @property
    def acknowledgement(self) -> bytes | None:
        """The holder's signature that it was served, None if it was not made yet."""
        return self._read("acknowledgement")

    @acknowledgement.setter
    def acknowledgement(self, signature: bytes) -> None:
        # a node gives few probes, and none is needed once this was signed
        write_atomic(self.path / "acknowledgement", signature)

    def check_space(self, needed: int) -> None:
        """Raise Unavailable unless `needed` more bytes fit on the disk."""
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise Unavailable(
                f"the download needs {needed} bytes and the disk has {free}",
                hint="make room, or give a target on another disk; what was loaded is kept",
            )

    def size(self) -> int:
        """Return how many bytes lie here already."""
        return sum(path.lstat().st_size for path in self.path.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[int]:
        """Give the descriptor of the data's file `name`, made with its folders when missing.

        Parameters
        ----------
        name
            Relative POSIX path of a manifest.

        Raises
        ------
        BadInput
            A link or something else is in its way, or the name leads out of the data.
        Unavailable
            The disk is full or fails.
        """
        *folders, last = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in (*folders, last)):
            raise BadInput(f"the name '{printable(name)}' leads out of the data")
        with translated(self.data / name), contextlib.ExitStack() as stack:
            at = _open(stack, str(self.data), _FOLDER, None)
            for folder in folders:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=at)
                at = _open(stack, folder, _FOLDER, at)
            yield _regular(_open(stack, last, _FILE, at))

    @contextlib.contextmanager
    def sealed(self, object_id: str) -> Iterator[int]:
        """Give the descriptor of the stashed ciphertext of an object, made when missing."""
        with translated(self.stash / object_id), contextlib.ExitStack() as stack:
            yield _regular(_open(stack, str(self.stash / object_id), _FILE, None))

    def finish(self, count: int) -> Path:
        """Make all files durable, put the data at its target, remove the rest; return where.

        Parameters
        ----------
        count
            How many files it has.

        Raises
        ------
        AlreadyExists
            Something was put at the target meanwhile.
        Unavailable
            The disk fails.
        """
        with translated(self.target):
            if count > MANY:
                os.sync()
            for folder, _, _ in os.walk(self.data, topdown=False):
                fsync_folder(Path(folder))
            check_free(self.target)
            self.data.rename(self.target)
            fsync_folder(self.target.parent)
        shutil.rmtree(self.path, ignore_errors=True)
        return self.target

    def _read(self, name: str) -> bytes | None:
        try:
            return read_bytes(self.path / name, limit=1 << 20)
        except NotFound:
            return None

    def _clear(self) -> None:
        with translated(self.path):
            for path in self.path.iterdir():
                if path.name == "lock":
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def check_free(target: Path) -> Path:
    """Return where a download goes, as an absolute path.

    Raises
    ------
    AlreadyExists
        There is something already.
    BadInput
        Nothing can be there.
    """
    full = Path(os.path.abspath(target))  # noqa: PTH100 resolve() would follow links
    if "\0" in str(target) or not full.name:
        raise BadInput(f"nothing can be downloaded to {printable(str(target))}")
    if os.path.lexists(full):
        raise AlreadyExists(
            f"there is something at {printable(str(full))} already",
            hint="give another target, or move it away",
        )
    return full


def keep(
    descriptor: int,
    size: int,
    step: int,
    good: Callable[[int, memoryview], bool],
    progress: Callable[[int], object],
) -> int:
    """Cut a file behind its last good chunk; return how many chunks are good.

    Parameters
    ----------
    size
        How large it is when it is whole.
    step
        Bytes a chunk.
    good
        Says whether a chunk with this number is right.
    """
    buffer = memoryview(bytearray(min(step, max(size, 1))))
    index = 0
    while index * step < size:
        length = min(step, size - index * step)
        got = 0
        while got < length:
            more = os.preadv(descriptor, [buffer[got:length]], index * step + got)
            if not more:
                break
            got += more
        if got < length or not good(index, buffer[:length]):
            break
        progress(length)
        index += 1
    whole = min(index * step, size)
    if os.fstat(descriptor).st_size != whole:
        os.ftruncate(descriptor, whole)
    os.lseek(descriptor, whole, os.SEEK_SET)
    return index


def write_all(descriptor: int, data: memoryview) -> None:
    """Write all of `data`; short writes are gone on with."""
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into our errors."""
    try:
        yield
    except OSError as error:
        said = f"cannot write {printable(str(path))}: {error.strerror}"
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
            raise BadInput(
                f"{said}: a link or something else is in the way", hint="remove it"
            ) from error
        hint = "check permissions, and whether the disk takes such names"
        if error.errno in _FULL:
            hint = "make room and repeat the command: what was loaded is kept"
        raise Unavailable(said, hint=hint) from error


def _open(stack: contextlib.ExitStack, name: str, flags: int, at: int | None) -> int:
    descriptor = os.open(name, flags, 0o666, dir_fd=at)
    stack.callback(os.close, descriptor)
    return descriptor


def _regular(descriptor: int) -> int:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise BadInput("something else is in the way of a downloaded file", hint="remove it")
    return descriptor
