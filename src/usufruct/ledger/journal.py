"""The embedded ledger's memory: every block's raw transactions, durable before they are mined.

SQLite with WAL and full fsync. Each block's digest covers the block before it, so a changed,
missing or swapped row is found on opening; the engine's own block hash is a second witness.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from usufruct.errors import Damaged, UsufructError
from usufruct.store import connect, transaction

_SCHEMA = (
    """
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE blocks (
        number INTEGER PRIMARY KEY,
        timestamp INTEGER NOT NULL,
        count INTEGER NOT NULL,
        digest BLOB NOT NULL,
        hash BLOB
    );
    CREATE TABLE transactions (
        block INTEGER NOT NULL,
        position INTEGER NOT NULL,
        hash BLOB NOT NULL UNIQUE,
        raw BLOB NOT NULL,
        dropped TEXT,
        PRIMARY KEY (block, position)
    ) WITHOUT ROWID;
    CREATE TABLE fundings (address TEXT PRIMARY KEY, wei TEXT NOT NULL, hash BLOB NOT NULL)
    """,
)
_HINT = (
    "stop, keep a copy of the folder, and restore it from a backup; without one the ledger "
    "must be set up anew and its members join it again"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction of a block: its hash (32 bytes), its bytes, why the engine refused it."""

    hash: bytes
    raw: bytes
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class JournalBlock:
    """One block as journaled; `hash` is None until the engine has mined it."""

    number: int
    timestamp: int
    hash: bytes | None
    entries: tuple[Entry, ...]


class Journal:
    """Blocks from 1 on, appended only; calls may come from many threads.

    Raises
    ------
    Damaged
        The file is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._db = connect(
            path, schema=_SCHEMA, application="ledger-journal", shared_between_threads=True
        )
        try:
            self.height, self.transactions, self._digest, self.timestamp = self._check()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    def fact(self, key: str) -> str | None:
        """Return a remembered fact, such as the digest of the genesis."""
        with self._guarded():
            row = self._db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Remember a fact durably."""
        with self._guarded(), transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))

    def append(self, timestamp: int, entries: Sequence[tuple[bytes, bytes]]) -> int:
        """Store the next block's (hash, raw) pairs durably and return its number.

        When this returns, the transactions survive ``kill -9`` and loss of power.
        """
        with self._guarded():
            number = self.height + 1
            digest = _digest(self._digest, number, timestamp, [raw for _, raw in entries])
            with transaction(self._db):
                self._db.execute(
                    "INSERT INTO blocks VALUES (?, ?, ?, ?, NULL)",
                    (number, timestamp, len(entries), digest),
                )
                self._db.executemany(
                    "INSERT INTO transactions VALUES (?, ?, ?, ?, NULL)",
                    [(number, place, name, raw) for place, (name, raw) in enumerate(entries)],
                )
            self.height, self._digest, self.timestamp = number, digest, timestamp
            self.transactions += len(entries)
            return number

    def seal(self, number: int, block_hash: bytes, dropped: dict[bytes, str]) -> None:
        """Store the mined block's hash, and by transaction hash why the engine refused some."""
        with self._guarded(), transaction(self._db):
            self._db.execute("UPDATE blocks SET hash = ? WHERE number = ?", (block_hash, number))
            self._db.executemany(
                "UPDATE transactions SET dropped = ? WHERE hash = ?",
                [(reason, name) for name, reason in dropped.items()],
            )

    def withdraw(self) -> None:
        """Remove the newest block, of which the engine refused every transaction."""
        with self._guarded():
            with transaction(self._db):
                self._db.execute("DELETE FROM transactions WHERE block = ?", (self.height,))
                self._db.execute("DELETE FROM blocks WHERE number = ?", (self.height,))
            self.height, self.transactions, self._digest, self.timestamp = self._check()

    def holds(self, name: bytes) -> bool:
        """Say whether a transaction with this hash is journaled and was not refused."""
        with self._guarded():
            row = self._db.execute(
                "SELECT dropped IS NULL FROM transactions WHERE hash = ?", (name,)
            ).fetchone()
        return row is not None and bool(row[0])

    def knows(self, name: bytes) -> bool:
        """Say whether a transaction with this hash is journaled, refused or not."""
        with self._guarded():
            query = "SELECT 1 FROM transactions WHERE hash = ?"
            return self._db.execute(query, (name,)).fetchone() is not None

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a mined block, 32 bytes."""
        with self._guarded():
            row = self._db.execute("SELECT hash FROM blocks WHERE number = ?", (number,)).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])

    def count(self, after: int) -> int:
        """Return how many transactions the blocks after number `after` hold."""
        with self._guarded():
            query = "SELECT coalesce(sum(count), 0) FROM blocks WHERE number > ?"
            return int(self._db.execute(query, (after,)).fetchone()[0])

    def blocks(self, start: int = 1) -> Iterator[JournalBlock]:
        """Yield the blocks from number `start` on."""
        for number in range(start, self.height + 1):
            with self._guarded():
                head = self._db.execute(
                    "SELECT timestamp, hash FROM blocks WHERE number = ?", (number,)
                ).fetchone()
                rows = self._db.execute(
                    "SELECT hash, raw, dropped FROM transactions WHERE block = ? ORDER BY position",
                    (number,),
                ).fetchall()
            if head is None:
                raise self._damaged(f"block {number} is missing")
            entries = tuple(Entry(bytes(name), bytes(raw), why) for name, raw, why in rows)
            yield JournalBlock(number, head[0], head[1], entries)

    def funding(self, address: str) -> tuple[int, bytes] | None:
        """Return the wei and transaction hash of what `address` got from the treasury."""
        with self._guarded():
            row = self._db.execute(
                "SELECT wei, hash FROM fundings WHERE address = ?", (address,)
            ).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def fund(self, address: str, wei: int, name: bytes) -> None:
        """Note, before it is sent, the transaction that funds `address`."""
        with self._guarded(), transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO fundings VALUES (?, ?, ?)", (address, str(wei), name)
            )

    def funded(self) -> int:
        """Return the wei that all journaled fundings add up to."""
        with self._guarded():
            rows = self._db.execute(
                "SELECT f.wei FROM fundings f JOIN transactions t ON t.hash = f.hash "
                "WHERE t.dropped IS NULL"
            ).fetchall()
        return sum(int(wei) for (wei,) in rows)

    def _check(self) -> tuple[int, int, bytes, int]:
        """Read every row; return height, transactions, last digest and last timestamp."""
        digest, expected, total, timestamp = b"", 0, 0, 0
        with self._guarded():
            blocks = self._db.execute(
                "SELECT number, timestamp, count, digest, hash FROM blocks ORDER BY number"
            )
            rows = self._db.execute(
                "SELECT block, position, raw FROM transactions ORDER BY block, position"
            )
            unsealed = False
            for number, time, count, stored, block_hash in blocks:
                expected += 1
                found = [row for _, row in zip(range(count), rows, strict=False)]
                if number != expected:
                    raise self._damaged(f"block {expected} is missing")
                if [row[:2] for row in found] != [(number, place) for place in range(count)]:
                    raise self._damaged(f"block {number} does not hold its {count} transactions")
                digest = _digest(digest, number, time, [bytes(row[2]) for row in found])
                if digest != stored or unsealed or time < timestamp:
                    raise self._damaged(f"block {number} is not what was written")
                unsealed, timestamp, total = block_hash is None, time, total + count
            if next(iter(rows), None) is not None:
                raise self._damaged("there are transactions of no block")
        return expected, total, digest, timestamp

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise self._damaged(str(error)) from error
            except Damaged as error:
                if error.hint is None:
                    error.hint = _HINT
                raise

    def _damaged(self, what: str) -> UsufructError:
        return Damaged(f"the ledger's journal {self._path} is damaged: {what}", hint=_HINT)


def _digest(before: bytes, number: int, timestamp: int, raws: Sequence[bytes]) -> bytes:
    """Return SHA-256 over the digest before, number, time and length-prefixed transactions."""
    state = hashlib.sha256(b"usufruct/journal/v1\0" + before)
    state.update(number.to_bytes(8, "big") + timestamp.to_bytes(8, "big"))
    for raw in raws:
        state.update(len(raw).to_bytes(4, "big"))
        state.update(raw)
    return state.digest()
