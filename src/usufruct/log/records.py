"""The values a log gives out, and the check of an entry against its hash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from usufruct.errors import Damaged
from usufruct.log.database import Database

_PAGE = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an envelope stands in the log.

    Parameters
    ----------
    index
        From 0.
    salt
        32 random bytes, without which the entry's hash says nothing of the envelope.
    entry_hash
        SHA-256(salt ‖ envelope), the 32 bytes that the log's tree holds.
    """

    index: int
    salt: bytes
    entry_hash: bytes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as stored; an erased one has neither salt nor envelope."""

    index: int
    salt: bytes | None
    envelope: bytes | None
    entry_hash: bytes


def read_entries(database: Database, start: int, stop: int) -> Iterator[LogEntry]:
    """Yield stored entries in order, each checked against its hash.

    Raises
    ------
    Damaged
        One is missing or not what was written.
    """
    query = "SELECT idx, salt, envelope, entry FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx"
    for first in range(start, stop, _PAGE):
        last = min(first + _PAGE, stop)
        rows = database.rows(query, first, last)
        if [row[0] for row in rows] != list(range(first, last)):
            raise Damaged(f"the log has lost an entry between {first} and {last}")
        for row in rows:
            entry = LogEntry(*row)
            _check(entry)
            yield entry


def lookup_prefix(digest: bytes) -> int:
    """Return the first 64 bits of an envelope's digest as SQLite stores integers."""
    return int.from_bytes(digest[:8], "big", signed=True)


def _check(entry: LogEntry) -> None:
    salt, envelope = entry.salt, entry.envelope
    if not isinstance(entry.entry_hash, bytes) or len(entry.entry_hash) != 32:
        raise Damaged(f"entry {entry.index} of the log has a broken hash")
    if salt is None and envelope is None:
        return
    if (
        not isinstance(salt, bytes)
        or not isinstance(envelope, bytes)
        or sha256(salt + envelope).digest() != entry.entry_hash
    ):
        raise Damaged(
            f"entry {entry.index} of the log is not what was written",
            hint="restore the log from a backup",
        )
