"""List the files of an asset: nothing but regular files, each under its own name."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from usufruct.errors import BadInput, Mismatch, NotFound
from usufruct.store.atomic import TEMPORARY

EVIDENCE_FOLDER = ".usufruct"
"""Folder at the top of a published folder that holds its evidence and is no part of it."""

EVIDENCE_NAME = "evidence.json"
"""The only thing that may lie in an evidence folder: nothing else in it is hashed or checked."""

EVIDENCE_SUFFIX = ".usufruct"
"""What follows the name of a published file in the name of its evidence."""

_LINK_HINT = "replace the link by the file, or follow links on purpose (--follow-links)"
_TYPES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of an asset.

    Parameters
    ----------
    root
        The file or folder as an absolute path.
    prefix
        What stands before each of `paths` in an absolute path; ends in ``/``.
    paths
        POSIX paths relative to the asset, ascending by code point, which is the order of
        their UTF-8 bytes. A file asset has one: its name.
    is_folder
        Whether `root` is a folder.
    follow_links
        Whether files are to be opened through links. A file that the caller named himself is.
    """

    root: Path
    prefix: str
    paths: list[str]
    is_folder: bool
    follow_links: bool


def list_files(
    path: Path,
    *,
    follow_links: bool = False,
    problems: list[Mismatch] | None = None,
) -> Tree:
    """List the files below `path`, or `path` itself if it is a file.

    `path` may itself be a link, since the caller named it; links below it are refused unless
    `follow_links`. The evidence at the top is left out; anything else beside it is refused.

    Parameters
    ----------
    problems
        Where to put what cannot be used, so that a check can go on and name it. Without it,
        the first such thing raises.

    Raises
    ------
    NotFound
        There is nothing at `path`.
    BadInput
        A link, link loop, special file, unreadable folder, a name that is not UTF-8, or
        (only without `problems`) a folder without any file.
    """
    root = Path(os.path.abspath(path))  # noqa: PTH100 resolve() would follow links
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        raise _absent(root) from None
    except OSError as error:
        raise _unusable(str(root), error) from None
    if stat.S_ISREG(mode):
        _check_names([root.name], None)
        return Tree(root, f"{str(root.parent).rstrip('/')}/", [root.name], False, True)
    if not stat.S_ISDIR(mode):
        raise BadInput(f"{root} is {_TYPES.get(stat.S_IFMT(mode), 'no regular file')}")
    prefix = f"{str(root).rstrip('/')}/"
    paths = _Walk(prefix, follow_links, problems).run()
    if not paths and problems is None:
        raise BadInput(f"the folder {root} holds no file", hint="an asset has at least one file")
    paths = _check_names(paths, problems)
    paths.sort()
    return Tree(root, prefix, paths, True, follow_links)


class _Walk:
    def __init__(self, prefix: str, follow: bool, problems: list[Mismatch] | None) -> None:
        self.prefix = prefix
        self.follow = follow
        self.problems = problems
        self.files: list[str] = []

    def run(self) -> list[str]:
        # folders still to read, each with the (device, inode) of the folders above it
        stack: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", self._identity("", ()))]
        files = self.files
        while stack:
            inside, above = stack.pop()
            try:
                with os.scandir(self.prefix + inside) as entries:
                    for entry in entries:
                        if entry.is_file(follow_symlinks=False):
                            files.append(inside + entry.name)
                        elif entry.is_dir(follow_symlinks=False):
                            if not inside and entry.name == EVIDENCE_FOLDER:
                                self._evidence()
                                continue
                            below = f"{inside}{entry.name}/"
                            stack.append((below, self._identity(below, above)))
                        else:
                            self._other(entry, inside + entry.name, above, stack)
            except OSError as error:
                self._problem(inside.rstrip("/"), _unusable(self.prefix + inside, error))
        return files

    def _identity(
        self, inside: str, above: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        if not self.follow:
            return above
        found = Path(self.prefix + inside).stat()
        return (*above, (found.st_dev, found.st_ino))

    def _other(
        self,
        entry: os.DirEntry[str],
        name: str,
        above: tuple[tuple[int, int], ...],
        stack: list[tuple[str, tuple[tuple[int, int], ...]]],
    ) -> None:
        full = self.prefix + name
        if not entry.is_symlink():
            mode = entry.stat(follow_symlinks=False).st_mode
            kind = _TYPES.get(stat.S_IFMT(mode), "no regular file")
            self._problem(name, BadInput(f"{full} is {kind}", hint="remove it from the folder"))
            return
        try:
            found = Path(full).stat()
        except OSError as error:
            self._problem(name, _unusable(full, error, link=True))
            return
        identity = (found.st_dev, found.st_ino)
        if not self.follow:
            loop = stat.S_ISDIR(found.st_mode) and self._is_above(name, identity)
            what = "a link to a folder it lies in, a loop" if loop else "a link"
            self._problem(name, BadInput(f"{full} is {what}", hint=_LINK_HINT))
        elif stat.S_ISREG(found.st_mode):
            self.files.append(name)
        elif not stat.S_ISDIR(found.st_mode):
            kind = _TYPES.get(stat.S_IFMT(found.st_mode), "no regular file")
            self._problem(name, BadInput(f"{full} links to {kind}", hint="remove the link"))
        elif identity in above:
            self._problem(
                name,
                BadInput(
                    f"the link {full} points to a folder it lies in, a loop",
                    hint="remove the link",
                ),
            )
        else:
            stack.append((f"{name}/", (*above, identity)))

    def _evidence(self) -> None:
        """Refuse what hides beside the evidence, where no digest would cover it."""
        try:
            with os.scandir(self.prefix + EVIDENCE_FOLDER) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._problem(EVIDENCE_FOLDER, _unusable(self.prefix + EVIDENCE_FOLDER, error))
            return
        for entry in found:
            plain = not entry.is_dir(follow_symlinks=False)
            # a publisher that was killed leaves such files, and the next one removes them
            left = self.problems is None and entry.name.startswith(TEMPORARY)
            if plain and (entry.name == EVIDENCE_NAME or left):
                continue
            name = printable(f"{EVIDENCE_FOLDER}/{entry.name}")
            why = f"only {EVIDENCE_NAME} belongs in {EVIDENCE_FOLDER}, which no digest covers"
            if self.problems is None:
                raise BadInput(f"{name} cannot stay there: {why}", hint="move it away")
            self.problems.append(Mismatch("added", file=name, detail=why))

    def _is_above(self, name: str, identity: tuple[int, int]) -> bool:
        parts = name.split("/")[:-1]
        for depth in range(len(parts) + 1):
            found = Path(self.prefix, *parts[:depth]).stat()
            if (found.st_dev, found.st_ino) == identity:
                return True
        return False

    def _problem(self, name: str, error: BadInput) -> None:
        if self.problems is None:
            raise error
        detail = error.message.encode("utf-8", "backslashreplace").decode()
        self.problems.append(Mismatch("unreadable", file=printable(name) or ".", detail=detail))


def printable(name: str) -> str:
    """Return a file name that can be written out: bytes that are not UTF-8 as ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_names(paths: list[str], problems: list[Mismatch] | None) -> list[str]:
    try:
        "/".join(paths).encode()
    except UnicodeEncodeError:
        pass
    else:
        return paths
    good = []
    for path in paths:
        try:
            path.encode()
            good.append(path)
        except UnicodeEncodeError:
            message = f"the file name '{printable(path)}' is not UTF-8"
            if problems is None:
                raise BadInput(message, hint="rename the file") from None
            problems.append(Mismatch("unreadable", file=printable(path), detail=message))
    return good


def _absent(root: Path) -> NotFound | BadInput:
    if root.is_symlink():
        return BadInput(f"{printable(str(root))} is a link to nothing")
    return NotFound(f"there is nothing at {printable(str(root))}")


def _unusable(full: str, error: OSError, *, link: bool = False) -> BadInput:
    name = printable(full)
    if error.errno == errno.ELOOP:
        return BadInput(f"{name} is a loop of links", hint="remove the link")
    if link and isinstance(error, FileNotFoundError):
        return BadInput(f"{name} is a link to nothing", hint="remove the link")
    return BadInput(
        f"cannot read {name}: {error.strerror}",
        hint="check its permissions" if isinstance(error, PermissionError) else None,
    )
