"""The catalogue: what there is on the ledger, found by words (SQLite FTS5); a throw-away cache."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usufruct.crypto import canonical
from usufruct.crypto.hash import sha256
from usufruct.errors import BadInput, Damaged
from usufruct.store import connect, transaction
from usufruct.types import Address, AssetId, AssetKind, AssetState, Use

MAX_LIMIT: Final = 100
MAX_QUERY: Final = 200
MAX_WORDS: Final = 12

_FORMAT = "catalogue"
_WORD = re.compile(r"\w+")
_CURSOR = re.compile(r"[0-9a-f]{16}-[0-9a-f]{1,16}-[0-9a-f]{1,16}\Z")
_SCHEMA = (
    """
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL,
        owner TEXT NOT NULL, uses TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
        owner_name TEXT NOT NULL, served INTEGER NOT NULL);
    CREATE VIRTUAL TABLE words USING fts5(
        title, description, owner_name, kind, id,
        tokenize = "unicode61 remove_diacritics 2", prefix = "2 3")
    """,
)
_COLUMNS = "seq, id, kind, state, owner, uses, title, description, owner_name, served"
_CHANNEL = 2**52


@dataclass(frozen=True, slots=True)
class Entry:
    """One asset in the catalogue.

    Parameters
    ----------
    seq
        Its place in the order of registration, from 1.
    uses
        What open offers allow.
    title, description
        As its owner's statement says; empty if that is not known here.
    served
        This node has a sealed copy of its newest version.
    """

    seq: int
    asset: AssetId
    kind: AssetKind
    state: AssetState
    owner: Address
    uses: tuple[Use, ...]
    title: str
    description: str
    owner_name: str
    served: bool

    def row(self) -> tuple[int | str, ...]:
        """Return the columns of the entry."""
        uses = " ".join(sorted({str(use) for use in self.uses}))
        owned = (str(self.owner), uses, self.title, self.description, self.owner_name)
        return (self.seq, self.asset, str(self.kind), str(self.state), *owned, int(self.served))


@dataclass(frozen=True, slots=True)
class Found:
    """One page: entries, and the cursor of the next page (None: no more)."""

    entries: tuple[Entry, ...]
    after: str | None


class Catalogue:
    """Entries and their words; safe to use from many threads.

    Parameters
    ----------
    path
        The SQLite file. One that is damaged or of another version is made anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = _open(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def fill(self, entries: Iterable[Entry]) -> int:
        """Make the catalogue hold these and no others; returns how many entries changed."""
        wanted = {entry.seq: entry.row() for entry in entries}
        try:
            with self._lock, transaction(self._connection) as connection:
                query = f"SELECT {_COLUMNS} FROM entries"  # noqa: S608 - our own names
                known = {row[0]: row for row in connection.execute(query)}
                gone = [seq for seq, row in known.items() if wanted.get(seq) != row]
                new = [row for seq, row in wanted.items() if known.get(seq) != row]
                for table, key in (("entries", "seq"), ("words", "rowid")):
                    connection.executemany(
                        f"DELETE FROM {table} WHERE {key} = ?",  # noqa: S608 - our own names
                        [(seq,) for seq in gone],
                    )
                connection.executemany("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?,?)", new)
                connection.executemany(
                    "INSERT INTO words (rowid, title, description, owner_name, kind, id) "
                    "VALUES (?,?,?,?,?,?)",
                    [(row[0], row[6], row[7], row[8], row[2], row[1]) for row in new],
                )
        except (Damaged, sqlite3.Error):
            self._start_anew()
            raise Damaged("the catalogue was damaged and is made anew", hint="try again") from None
        return len({*gone, *(row[0] for row in new)})

    def search(
        self,
        text: str = "",
        *,
        kind: AssetKind | None = None,
        use: Use | None = None,
        owner: Address | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Found:
        """Return one page, best first where `text` is given, else newest first.

        Parameters
        ----------
        text
            Words; an entry has all of them, or words that begin so. Nothing in it is syntax.
        after
            The cursor of the page before, of the same question.

        Raises
        ------
        BadInput
            A limit outside 1 to :data:`MAX_LIMIT`, too long a text, or a foreign cursor.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise BadInput(f"a page has 1 to {MAX_LIMIT} entries")
        if len(text) > MAX_QUERY:
            raise BadInput(f"a search has at most {MAX_QUERY} characters")
        mark = sha256(
            canonical.dumps([text.encode("utf-8", "surrogatepass").hex(), kind, use, owner])
        ).hex()[:16]
        rank, seq = _place(after, mark)
        words = _WORD.findall(text)[:MAX_WORDS]
        if text.strip() and not words:
            return Found((), None)
        tests, values = ["1"], []
        for column, value in (("e.kind", kind), ("e.owner", owner)):
            if value is not None:
                tests.append(f"{column} = ?")
                values.append(str(value))
        if use is not None:
            tests.append("(' ' || e.uses || ' ') LIKE ?")
            values.append(f"% {use} %")
        query, first = _query(words, " AND ".join(tests))
        rows = self._rows(query, (*first, *values, rank, rank, seq, limit + 1))
        page = rows[:limit]
        after = None
        if len(rows) > limit:
            after = f"{mark}-{int(page[-1][0]) + _CHANNEL:x}-{int(page[-1][1]):x}"
        return Found(tuple(_entry(row[1:]) for row in page), after)

    def entry(self, asset: AssetId) -> Entry | None:
        """Return an asset's entry, None if there is none."""
        query = f"SELECT {_COLUMNS} FROM entries WHERE id = ?"  # noqa: S608 - our own names
        rows = self._rows(query, (asset,))
        return _entry(rows[0]) if rows else None

    def __len__(self) -> int:
        return int(self._rows("SELECT COUNT(*) FROM entries", ())[0][0])

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[int | str, ...]]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._start_anew()
            raise Damaged("the catalogue was damaged and is made anew", hint="try again") from error

    def _start_anew(self) -> None:
        with self._lock:
            self._connection.close()
            _delete(self._path)
            self._connection = _open(self._path)


def _query(words: list[str], tests: str) -> tuple[str, tuple[str, ...]]:
    """Return the SQL of a page and the values before its tests."""
    if words:
        # quoted, a word is a word; the star after it lets longer ones match
        match = " ".join(f'"{word}"*' for word in words)
        ranked = (
            "SELECT CAST(bm25(words, 10, 3, 5, 1, 5) * 1000000 AS INTEGER) AS rank, e.* "
            "FROM words JOIN entries e ON e.seq = words.rowid WHERE words MATCH ? AND "
        )
        given: tuple[str, ...] = (match,)
    else:
        ranked, given = "SELECT 0 AS rank, e.* FROM entries e WHERE ", ()
    return (
        f"SELECT rank, {_COLUMNS} FROM ({ranked}{tests}) "  # noqa: S608 - our own names
        "WHERE rank > ? OR (rank = ? AND seq < ?) ORDER BY rank, seq DESC LIMIT ?",
        given,
    )


def _place(after: str | None, mark: str) -> tuple[int, int]:
    if after is None:
        return -_CHANNEL, _CHANNEL
    if not _CURSOR.match(after) or not after.startswith(mark):
        raise BadInput(
            "this cursor is not of this search",
            hint="give 'after' as the page before had it in 'next'",
        )
    _, rank, seq = after.split("-")
    place = int(rank, 16) - _CHANNEL, int(seq, 16)
    if abs(place[0]) > _CHANNEL or place[1] > _CHANNEL:
        raise BadInput("this cursor is not of this search")
    return place


def _entry(row: Sequence[int | str]) -> Entry:
    seq, asset, kind, state, owner, uses, title, description, owner_name, served = row
    return Entry(
        int(seq),
        AssetId(str(asset)),
        AssetKind(str(kind)),
        AssetState(str(state)),
        Address(str(owner)),
        tuple(Use(use) for use in str(uses).split()),
        str(title),
        str(description),
        str(owner_name),
        bool(served),
    )


def _open(path: Path) -> sqlite3.Connection:
    for attempt in range(2):
        try:
            connection = connect(
                path,
                schema=_SCHEMA,
                application=_FORMAT,
                durable=False,
                shared_between_threads=True,
            )
            connection.execute("SELECT COUNT(*) FROM words").fetchone()
            return connection
        except (Damaged, sqlite3.Error) as error:
            if attempt:
                raise Damaged(f"{path} cannot be made: {error}") from error
            _delete(path)
    raise AssertionError("unreachable")


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
