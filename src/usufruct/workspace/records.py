"""What a home remembers beside its assets: others' evidence, anchors, unfinished work.

One SQLite file, durable: what other parties gave, the receipts of anchors and promised work cannot
be derived from anything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from usufruct.crypto import canonical
from usufruct.errors import BadInput, Damaged, UsageError, VerificationError
from usufruct.evidence.anchoring import AnchorProof
from usufruct.evidence.bundle import Bundle
from usufruct.store import connect, transaction

_SCHEMA = (
    """
    CREATE TABLE bundles (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        document BLOB NOT NULL
    );
    CREATE TABLE anchors (
        origin TEXT NOT NULL,
        size INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (origin, size)
    ) WITHOUT ROWID;
    CREATE TABLE work (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        document BLOB NOT NULL
    )
    """,
)


@dataclass(frozen=True, slots=True)
class Work:
    """Work that was promised durably and is finished or taken up again later."""

    id: int
    kind: str
    document: Mapping[str, Any]


class Records:
    """The records of one home; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, schema=_SCHEMA, application="records")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add_bundle(self, bundle: Bundle) -> None:
        """Keep a verified bundle of another party; the same one twice is kept once."""
        data = bundle.to_bytes()
        with transaction(self._connection) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO bundles (digest, document) VALUES (?, ?)",
                (sha256(data).digest(), data),
            )

    def bundles(self) -> list[Bundle]:
        """Return the kept bundles, newest first."""
        rows = self._rows("SELECT document FROM bundles ORDER BY id DESC")
        with self._reading():
            return [Bundle.from_bytes(row[0]) for row in rows]

    def add_anchor(self, origin: str, size: int, proof: AnchorProof) -> None:
        """Keep the receipt of an anchor of this home's own log."""
        with transaction(self._connection) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?)",
                (origin, size, canonical.dumps(proof.to_dict())),
            )

    def last_anchor(self, origin: str, size: int) -> tuple[int, AnchorProof] | None:
        """Return size and proof of the newest anchor of a log that is not above `size`."""
        rows = self._rows(
            "SELECT size, document FROM anchors WHERE origin = ? AND size <= ? "
            "ORDER BY size DESC LIMIT 1",
            origin,
            size,
        )
        with self._reading():
            return (rows[0][0], AnchorProof.from_dict(_document(rows[0][1]))) if rows else None

    def promise(self, kind: str, document: Mapping[str, Any]) -> Work:
        """Keep durably that something is to be done."""
        with transaction(self._connection) as connection:
            cursor = connection.execute(
                "INSERT INTO work (kind, document) VALUES (?, ?)", (kind, canonical.dumps(document))
            )
        return Work(int(cursor.lastrowid or 0), kind, document)

    def unfinished(self) -> list[Work]:
        """Return what was promised and not finished, oldest first."""
        rows = self._rows("SELECT id, kind, document FROM work ORDER BY id")
        with self._reading():
            return [Work(row[0], row[1], _document(row[2])) for row in rows]

    def finish(self, work: Work) -> None:
        """Forget work that is done, or that never began."""
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM work WHERE id = ?", (work.id,))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what makes no sense in the file into the damage that it is."""
        try:
            yield
        except (UsageError, VerificationError, TypeError) as error:
            raise Damaged(f"{self._path} is damaged: {error}") from error

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Damaged(f"{self._path} cannot be read: {error}") from error


def _document(data: bytes) -> dict[str, Any]:
    value = canonical.loads(data)
    if not isinstance(value, dict):
        raise BadInput("what is kept is no document")
    return value
