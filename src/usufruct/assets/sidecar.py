"""Where the evidence of a thing lives: beside it, so that it travels along.

``FILE`` has ``FILE.usufruct``, ``FOLDER`` has ``FOLDER/.usufruct/evidence.json``. It holds the
salts of the manifest, so whoever may read the data may read it, and nobody else.
"""

from __future__ import annotations

import os
from pathlib import Path

from usufruct.assets.walk import EVIDENCE_FOLDER, EVIDENCE_NAME, EVIDENCE_SUFFIX, printable
from usufruct.errors import BadInput, NotFound
from usufruct.store import make_folder, read_bytes, remove, write_atomic
from usufruct.store.atomic import TEMPORARY

MAX_EVIDENCE = 1 << 30
"""Largest evidence file in bytes that is read or written."""


def evidence_path(path: Path) -> Path:
    """Return where the evidence of the file or folder at `path` lives, or would."""
    root = Path(os.path.abspath(path))  # noqa: PTH100 resolve() would follow links
    if root.is_dir():
        return root / EVIDENCE_FOLDER / EVIDENCE_NAME
    return root.with_name(root.name + EVIDENCE_SUFFIX)


def check_writable(path: Path) -> Path:
    """Return where evidence for `path` will go, after making sure that it can; writes nothing.

    Raises
    ------
    BadInput
        The folder is read-only, or something else stands where the evidence would go.
    """
    target = evidence_path(path)
    folder = target.parent
    if folder.name == EVIDENCE_FOLDER and path.is_dir():
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise BadInput(
                f"{printable(str(folder))} is not a folder, and evidence belongs there",
                hint="move it away",
            )
        if not folder.exists():
            folder = folder.parent
    if target.is_dir():
        raise BadInput(f"{printable(str(target))} is a folder, and evidence belongs there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(
            f"cannot write evidence into {printable(str(folder))}: it is read-only",
            hint="make the folder writable, or publish a copy of the data",
        )
    return target


def write_evidence(path: Path, data: bytes) -> Path:
    """Write the evidence of `path`, whole or not at all, and return where.

    Raises
    ------
    BadInput
        As :func:`check_writable`, or `data` is larger than evidence may be.
    Unavailable
        The disk is full.
    """
    if len(data) > MAX_EVIDENCE:
        raise BadInput(
            f"evidence of {len(data)} bytes is larger than the {MAX_EVIDENCE} it can have",
            hint="publish without rows (--no-rows), or in parts",
        )
    target = check_writable(path)
    mode = path.stat().st_mode & 0o666
    if target.parent.name == EVIDENCE_FOLDER and path.is_dir():
        make_folder(target.parent, mode=path.stat().st_mode & 0o777 | 0o700)
        for left in target.parent.glob(f"{TEMPORARY}*"):
            remove(left)  # half-written by a publisher that was killed
    write_atomic(target, data, mode=mode | 0o600)
    return target


def read_evidence(path: Path) -> bytes:
    """Return the bytes of the evidence beside `path`.

    Raises
    ------
    NotFound
        Nothing at `path`, or no evidence beside it.
    Damaged
        It is larger than evidence can be.
    BadInput
        It cannot be read.
    """
    if not path.exists():
        raise NotFound(f"there is nothing at {printable(str(path))}")
    target = evidence_path(path)
    if target.exists() and not target.is_file():
        # a pipe would be waited for, a device read without end
        raise BadInput(f"{printable(str(target))} is no regular file", hint="remove it")
    try:
        return read_bytes(target, limit=MAX_EVIDENCE)
    except NotFound:
        raise NotFound(
            f"there is no evidence beside {printable(str(path))}",
            hint="its publisher makes it: usufruct publish PATH --title TITLE",
        ) from None
