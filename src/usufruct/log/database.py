"""The log's SQLite file, from which everything else is derived."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from usufruct.errors import Damaged, HomeBusy, Unavailable, UsufructError
from usufruct.log.tiles import HASH, WIDTH, leaves, row_root
from usufruct.log.tree import Edge
from usufruct.store import connect, transaction

SCHEMA = (
    """
    CREATE TABLE entries (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, salt BLOB, envelope BLOB);
    CREATE TABLE tiles (
        level INTEGER NOT NULL, idx INTEGER NOT NULL, root BLOB NOT NULL,
        digest BLOB NOT NULL, bundle BLOB, PRIMARY KEY (level, idx)
    ) WITHOUT ROWID;
    CREATE TABLE published (
        size INTEGER PRIMARY KEY, root BLOB NOT NULL, note BLOB NOT NULL, time INTEGER NOT NULL
    );
    CREATE TABLE lookup (
        prefix INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (prefix, idx)
    ) WITHOUT ROWID
    """,
)
_UNAVAILABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
_CACHED_ROWS = 256


class Database:
    """One connection behind a lock; foreign errors leave it as ours.

    Raises
    ------
    Damaged
        Here and in every method: the file is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._rows: dict[tuple[int, int], tuple[bytes, ...]] = {}
        with self._guarded():
            self._connection = connect(
                path, schema=SCHEMA, application="log", shared_between_threads=True
            )
            # Longer between checkpoints, since each rewrites pages that group commits share.
            self._connection.execute("PRAGMA wal_autocheckpoint=4000")
            self._connection.execute("PRAGMA cache_size=-16000")
            # What is erased shall be overwritten, not only unlinked.
            self._connection.execute("PRAGMA secure_delete=ON")

    def close(self) -> None:
        """Close the connection."""
        with self._guarded():
            self._connection.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one durable transaction."""
        with self._guarded(), transaction(self._connection) as connection:
            yield connection

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._guarded():
            return self._connection.execute(query, values).fetchall()

    def purge(self) -> None:
        """Write the write-ahead log back and empty it, so that deleted bytes are gone from it."""
        with self._guarded():
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise HomeBusy(
                "another reader still holds the erased bytes",
                hint="erase again when it has finished",
            )

    def meta(self) -> dict[str, str]:
        """Return the table of facts about the file."""
        return {str(key): str(value) for key, value in self.rows("SELECT key, value FROM meta")}

    def size(self) -> int:
        """Return the number of entries."""
        return int(self.rows("SELECT coalesce(max(idx) + 1, 0) FROM entries")[0][0])

    def entries(self, start: int, stop: int) -> list[bytes]:
        """Return the 32-byte entries of a range."""
        query = "SELECT entry FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx"
        return self._hashes(query, start, stop, what="entry")

    def tile_roots(self, level: int, start: int, stop: int) -> list[bytes]:
        """Return the roots of a range of full tiles of one level."""
        query = "SELECT root FROM tiles WHERE idx >= ? AND idx < ? AND level = ? ORDER BY idx"
        return self._hashes(query, start, stop, level, what=f"tile of level {level}")

    def row(self, level: int, index: int, start: int, stop: int) -> Sequence[bytes]:
        """Return hashes `start` to `stop` of a tile; full tiles are checked and kept a while."""
        known = self._rows.get((level, index))
        if known is not None:
            return known[start:stop]
        full = self.rows("SELECT root FROM tiles WHERE level = ? AND idx = ?", level, index)
        if not full:
            return self.read_row(level, index, start, stop)
        row = tuple(self.read_row(level, index, 0, WIDTH))
        if row_root(row) != full[0][0]:
            raise Damaged(f"the log {self._path} has a wrong hash in tile {index} of level {level}")
        with self._lock:
            while len(self._rows) >= _CACHED_ROWS:
                self._rows.pop(next(iter(self._rows)))
            self._rows[level, index] = row
        return row[start:stop]

    def edge(self) -> Edge:
        """Return the growing edge of all that is durable."""
        with self._guarded():
            size = self.size()
            above, rows, level = size // WIDTH, [], 0
            while above:
                if self._count_tiles(level) != above:
                    raise Damaged(f"the log {self._path} has lost tiles of level {level}")
                rows.append(self.tile_roots(level, above // WIDTH * WIDTH, above))
                above //= WIDTH
                level += 1
            if self.rows("SELECT 1 FROM tiles WHERE level >= ? LIMIT 1", level):
                raise Damaged(f"the log {self._path} has lost its last entries")
            return Edge(size, self.entries(size // WIDTH * WIDTH, size), rows)

    def _count_tiles(self, level: int) -> int:
        query = "SELECT coalesce(max(idx) + 1, 0) FROM tiles WHERE level = ?"
        return int(self.rows(query, level)[0][0])

    def read_row(self, level: int, index: int, start: int, stop: int) -> list[bytes]:
        """Return hashes `start` to `stop` of a tile, always from the file."""
        first = index * WIDTH
        if level == 0:
            return leaves(self.entries(first + start, first + stop))
        return self.tile_roots(level - 1, first + start, first + stop)

    def _hashes(self, query: str, start: int, stop: int, *more: int, what: str) -> list[bytes]:
        found = [row[0] for row in self.rows(query, start, stop, *more)]
        if len(found) != stop - start:
            raise Damaged(f"the log {self._path} has lost an {what} between {start} and {stop}")
        if not all(isinstance(value, bytes) and len(value) == HASH for value in found):
            raise Damaged(f"the log {self._path} has a broken {what} between {start} and {stop}")
        return found

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise self._translated(error) from error
            except (ValueError, TypeError, OverflowError) as error:
                # A damaged page can give values of any type.
                raise Damaged(f"the log {self._path} is damaged: {error}") from error

    def _translated(self, error: sqlite3.Error) -> UsufructError:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return HomeBusy(f"the log {self._path} is in use by another process")
        # A read beyond the end of a file cut short is an I/O error to SQLite, damage to us.
        short = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
        if code in _UNAVAILABLE and not short:
            return Unavailable(
                f"cannot use the log {self._path}: {error}", hint="check free space and permissions"
            )
        return Damaged(f"the log {self._path} is damaged: {error}")
