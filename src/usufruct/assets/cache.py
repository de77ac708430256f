"""Digests of files that have not changed since they were last read.

A file counts as unchanged while size, mtime, ctime and inode are. That trusts the kernel's
clock and everybody who can set it, so ``--full`` and samples never ask here. A file touched so
shortly before it was read that a later write could carry the same time stamp is not kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from usufruct.assets.hashing import Key
from usufruct.store import connect, transaction

_SCHEMA = (
    """
    CREATE TABLE digests (
        path BLOB NOT NULL,
        algorithm TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        digests BLOB NOT NULL,
        rows BLOB,
        PRIMARY KEY (path, algorithm)
    ) WITHOUT ROWID
    """,
)
_TICK_NS = 50_000_000
_COARSE_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000

Remembered = tuple[str, Key, bytes, bytes | None]
"""A path below the root, its state, its chunk digests, and a digest of the row leaves that its
rows were found to have, if they were looked at."""


class DigestCache:
    """Chunk digests by absolute path, in one SQLite file that may be deleted at any time.

    Parameters
    ----------
    path
        The database; made when missing.
    now_ns
        The time in nanoseconds since 1970, for tests.
    """

    def __init__(self, path: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._now_ns = now_ns
        self._connection = connect(path, schema=_SCHEMA, application="digest cache", durable=False)

    def now_ns(self) -> int:
        """Return the time that :meth:`remember` wants: taken before any file was read."""
        return self._now_ns()

    def recall(self, prefix: str, algorithm: str) -> dict[str, tuple[Key, bytes, bytes | None]]:
        """Return all that is known of files whose absolute path starts with `prefix`.

        Parameters
        ----------
        prefix
            A folder, ending in ``/``.
        """
        low = os.fsencode(prefix)
        known: dict[str, tuple[Key, bytes, bytes | None]] = {}
        skip = len(low)
        with transaction(self._connection) as connection:
            rows = connection.execute(
                "SELECT path, size, mtime_ns, ctime_ns, inode, digests, rows FROM digests"
                " WHERE path >= ? AND path < ? AND algorithm = ?",
                (low, low[:-1] + b"0", algorithm),
            )
            for path, size, mtime, ctime, inode, digests, leaves in rows:
                key = (size, mtime, ctime, inode if inode >= 0 else inode + (1 << 64))
                known[os.fsdecode(path[skip:])] = (key, digests, leaves)
        return known

    def remember(
        self, prefix: str, algorithm: str, entries: Iterable[Remembered], *, since_ns: int
    ) -> int:
        """Keep digests; return how many files were old enough to be trusted later.

        Parameters
        ----------
        since_ns
            :meth:`now_ns` before the first of these files was read.
        """
        low = os.fsencode(prefix)
        trusted = [
            (low + os.fsencode(path), algorithm, *_signed(key), digests, leaves)
            for path, key, digests, leaves in entries
            if _settled(key, since_ns)
        ]
        with transaction(self._connection) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", trusted
            )
        return len(trusted)

    def forget(self, prefix: str) -> None:
        """Drop all that is known of files below `prefix`, a folder ending in ``/``."""
        low = os.fsencode(prefix)
        with transaction(self._connection) as connection:
            connection.execute(
                "DELETE FROM digests WHERE path >= ? AND path < ?", (low, low[:-1] + b"0")
            )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> DigestCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _settled(key: Key, since_ns: int) -> bool:
    _, mtime, ctime, _ = key
    # whole seconds in ctime, which nobody can set: the file system keeps no finer time
    tick = _TICK_NS if ctime % _SECOND_NS else _COARSE_NS
    return max(mtime, ctime) + tick < since_ns


def _signed(key: Key) -> Key:
    size, mtime, ctime, inode = key
    # SQLite integers are signed 64 bit, inodes may use the top bit
    return (size, mtime, ctime, inode - (1 << 64) if inode >= 1 << 63 else inode)
