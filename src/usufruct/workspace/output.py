"""Where a command's file goes: refused before any work is done for it."""

from __future__ import annotations

import os
from pathlib import Path

from usufruct.errors import AlreadyExists, BadInput, NotFound


def check_output(path: Path, *, force: bool) -> Path:
    """Return `path` if a file can be written there.

    Raises
    ------
    AlreadyExists
        There is one, and `force` was not given.
    BadInput, NotFound
        It is a folder, or its folder is missing or read-only.
    """
    folder = path.parent
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="make it, or name another file")
    if path.is_dir():
        raise BadInput(f"{path} is a folder", hint="name a file in it")
    if os.path.lexists(path) and not force:
        raise AlreadyExists(f"there is a file {path} already", hint="--force overwrites it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"the folder {folder} is read-only", hint="name a file in another one")
    return path
