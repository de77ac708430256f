"""Accounts that this node does not serve: a file the operator edits, read again when it changes."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from usufruct.errors import BadInput, UsufructError
from usufruct.store import read_bytes
from usufruct.types import Address, parse_address

MAX_BYTES = 8 * 1024 * 1024
_log = logging.getLogger(__name__)


class DenyList:
    """One address a line; what follows a ``#`` is for people.

    A file that cannot be read leaves the list as it was: an operator's slip opens no door.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._denied: frozenset[Address] = frozenset()

    def __contains__(self, account: object) -> bool:
        return account in self._present()

    def _present(self) -> frozenset[Address]:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = (0, 0, 0)
        with self._lock:
            if seen != self._seen:
                self._seen = seen
                try:
                    self._denied = _read(self._path) if seen != (0, 0, 0) else frozenset()
                except UsufructError as error:
                    _log.error("the deny list stays as it was: %s", error.message)
            return self._denied


def _read(path: Path) -> frozenset[Address]:
    denied = set()
    text = read_bytes(path, limit=MAX_BYTES).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if entry:
            try:
                denied.add(parse_address(entry))
            except BadInput:
                raise BadInput(f"line {number} of {path.name} is not an address") from None
    return frozenset(denied)
