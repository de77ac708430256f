"""Where sealed objects lie: a local folder, or a file system that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from usufruct.errors import NotFound, Unavailable, UsufructError
from usufruct.store import fsync_folder, make_folder
from usufruct.store.atomic import TEMPORARY


class Source:
    """A file opened for reading, whose errors are ours.

    Parameters
    ----------
    file
        Has ``readinto`` and ``seek``.
    name
        For messages.
    size
        Bytes in it.
    """

    def __init__(self, file: Any, name: str, size: int) -> None:
        self._file = file
        self._name = name
        self.size = size

    def seek(self, position: int) -> None:
        """Go to a byte."""
        with _translated(self._name):
            self._file.seek(position)

    def fill(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as the file goes; returns how many bytes."""
        got = 0
        with _translated(self._name):
            while got < len(buffer):
                more = self._file.readinto(buffer[got:])
                if not more:
                    break
                got += more
        return got


class Place(Protocol):
    """Keeps whole files by name; a name is safe to use as a file's name."""

    def write(self, name: str, parts: Iterable[bytes | memoryview]) -> None:
        """Store all parts under `name`, replacing what was there, or nothing."""
        ...

    def open(self, name: str) -> contextlib.AbstractContextManager[Source]:
        """Open a file for reading (NotFound: there is none)."""
        ...

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file (NotFound: there is none)."""
        ...

    def names(self) -> list[str]:
        """Return the names of all files."""
        ...


class FolderPlace:
    """A local folder: written beside, fsynced, renamed."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def write(self, name: str, parts: Iterable[bytes | memoryview]) -> None:
        """See :class:`Place`."""
        temporary = self._folder / (TEMPORARY + secrets.token_hex(8))
        with _translated(str(self._folder)):
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    for part in parts:
                        view = memoryview(part)
                        while view:
                            view = view[file.write(view) :]
                    os.fsync(file.fileno())
                temporary.replace(self._folder / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            fsync_folder(self._folder)

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        """See :class:`Place`."""
        with _translated(name):
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            # Unbuffered: chunks are read whole into a buffer of their own.
            file = os.fdopen(descriptor, "rb", buffering=0)
        with file:
            yield Source(file, name, os.fstat(file.fileno()).st_size)

    def exists(self, name: str) -> bool:
        """See :class:`Place`."""
        return (self._folder / name).is_file()

    def delete(self, name: str) -> None:
        """See :class:`Place`."""
        with _translated(name):
            (self._folder / name).unlink()
            fsync_folder(self._folder)

    def names(self) -> list[str]:
        """See :class:`Place`."""
        with _translated(str(self._folder)):
            return sorted(p.name for p in self._folder.iterdir() if p.is_file())


class RemotePlace:
    """A URL such as ``memory://x`` or ``s3://bucket/x``; written under another name, then moved.

    Raises
    ------
    Unavailable
        fsspec does not know the URL's scheme or lacks the package for it.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
            self._files.makedirs(self._root, exist_ok=True)
        except (ValueError, ImportError) as error:
            raise Unavailable(
                f"cannot use the storage {url}: {error}",
                hint="install the fsspec package for it, such as s3fs or gcsfs",
            ) from error
        except Exception as error:
            raise Unavailable(f"cannot use the storage {url}: {error}") from error

    def write(self, name: str, parts: Iterable[bytes | memoryview]) -> None:
        """See :class:`Place`."""
        temporary = self._path(TEMPORARY + secrets.token_hex(8))
        with _translated(name):
            try:
                with self._files.open(temporary, "wb") as file:
                    for part in parts:
                        file.write(part)
                if self._files.exists(self._path(name)):
                    self._files.rm_file(self._path(name))
                self._files.mv(temporary, self._path(name))
            except BaseException:
                with contextlib.suppress(Exception):
                    self._files.rm_file(temporary)
                raise

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        """See :class:`Place`."""
        with _translated(name):
            size = int(self._files.info(self._path(name))["size"])
            file = self._files.open(self._path(name), "rb")
        with file:
            yield Source(file, name, size)

    def exists(self, name: str) -> bool:
        """See :class:`Place`."""
        with _translated(name):
            return bool(self._files.isfile(self._path(name)))

    def delete(self, name: str) -> None:
        """See :class:`Place`."""
        with _translated(name):
            if not self._files.isfile(self._path(name)):
                raise FileNotFoundError(name)
            self._files.rm_file(self._path(name))

    def names(self) -> list[str]:
        """See :class:`Place`."""
        with _translated(self._root):
            found = self._files.ls(self._root, detail=False)
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except UsufructError:
        raise
    except FileNotFoundError:
        raise NotFound(f"the vault has no {what}") from None
    except Exception as error:
        # Storage packages raise errors of their own kinds.
        raise Unavailable(
            f"the vault's storage failed on {what}: {error}",
            hint="check free space, permissions and the connection",
        ) from error
