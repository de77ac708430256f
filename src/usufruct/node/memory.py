"""What a node must not forget: nonces of requests, uses, acknowledgements and probes.

One durable SQLite file. All writes go through one thread that commits whatever waits as one
transaction, so that many callers share one fsync; a method returns when its part is durable.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from usufruct.errors import Damaged, Unavailable, UsufructError
from usufruct.market.licences import LicenceState, UseMeter
from usufruct.store import connect, transaction
from usufruct.types import Address, AssetId, LicenceId

T = TypeVar("T")
_Work = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]

MAX_NONCES: Final = 2_000_000
"""Nonces kept at once; a node that is asked more often than that refuses for a while."""

_LAST_USE = "SELECT total, request FROM uses WHERE licence = ?"
_BATCH = 256
_GRACE = 60
"""Seconds that a nonce is kept longer, for a clock that is set back a little."""

_SCHEMA = (
    """
    CREATE TABLE nonces (
        account TEXT NOT NULL, nonce BLOB NOT NULL, deadline INTEGER NOT NULL,
        PRIMARY KEY (account, nonce)) WITHOUT ROWID;
    CREATE INDEX nonces_by_deadline ON nonces (deadline);
    CREATE TABLE uses (
        licence TEXT PRIMARY KEY, total INTEGER NOT NULL, signature BLOB NOT NULL,
        request BLOB NOT NULL, at INTEGER NOT NULL, posted INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE acknowledgements (
        licence TEXT PRIMARY KEY, root BLOB NOT NULL, signature BLOB NOT NULL,
        at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE probes (
        licence TEXT NOT NULL, asset TEXT NOT NULL, version INTEGER NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (licence, asset, version)) WITHOUT ROWID
    """,
)


@dataclass(frozen=True, slots=True)
class SignedUse:
    """The holder's word that a licence was used `total` times in all.

    Parameters
    ----------
    request
        Stands for what was given for it: the same can be given again, nothing else.
    """

    licence: LicenceId
    total: int
    signature: bytes
    request: bytes


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The holder's word that sealed bytes and a probe of a version were good."""

    licence: LicenceId
    root: bytes
    signature: bytes


class Memory:
    """A node's durable memory; safe to use from many threads.

    Raises
    ------
    Damaged
        The file is not what was written. It is not made anew by itself: it holds the proofs
        against challenges.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(
            path, schema=_SCHEMA, application="node", shared_between_threads=True
        )
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        (self._nonces,) = self._connection.execute("SELECT COUNT(*) FROM nonces").fetchone()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="usufruct-memory", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what waits and close the file; may be called twice."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._writer.join()
            while not self._queue.empty():
                # came in between: its caller hears that nothing was kept
                late = self._queue.get()
                if late is not None:
                    late[1].set_exception(_stopping())
            self._connection.close()

    def use_nonce(self, account: Address, nonce: bytes, deadline: int, now: int) -> bool:
        """Remember a request until its deadline; False if it was seen before.

        Raises
        ------
        Unavailable
            More requests are remembered than there is room for, or the disk is full.
        """

        def work(connection: sqlite3.Connection) -> bool:
            if self._nonces >= MAX_NONCES:
                raise Unavailable("the node is asked too often", hint="try again in a few minutes")
            gone = _forget(connection, now)
            added = connection.execute(
                "INSERT OR IGNORE INTO nonces VALUES (?,?,?)", (account, nonce, deadline)
            ).rowcount
            self._nonces += added - gone
            return added == 1

        return self._durably(work)

    def prune(self, now: int) -> None:
        """Forget the nonces of requests whose deadline has passed."""

        def work(connection: sqlite3.Connection) -> None:
            _forget(connection, now)
            (self._nonces,) = connection.execute("SELECT COUNT(*) FROM nonces").fetchone()

        self._durably(work)

    def total(self, licence: LicenceId) -> int:
        """Return the largest total that was signed here for a licence, 0 without one."""
        rows = self._rows("SELECT total FROM uses WHERE licence = ?", licence)
        return int(rows[0][0]) if rows else 0

    def check_use(self, use: SignedUse, record: LicenceState) -> None:
        """Raise what :meth:`take_use` would raise, before any work is done for it."""
        rows = self._rows(_LAST_USE, use.licence)
        _is_next(use, rows[0] if rows else None, record)

    def take_use(self, use: SignedUse, record: LicenceState, now: int) -> bool:
        """Take a use whose signature was checked: the next one, or the last one once more.

        Returns
        -------
        bool
            True for a new use, False for the last one again with the same request.

        Raises
        ------
        NotAllowed
            Another total, the last one for another request, or more than was bought.
        """

        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute(_LAST_USE, (use.licence,)).fetchone()
            if not _is_next(use, row, record):
                return False
            connection.execute(
                "INSERT INTO uses VALUES (?,?,?,?,?,?) ON CONFLICT (licence) DO UPDATE SET "
                "total = excluded.total, signature = excluded.signature, "
                "request = excluded.request, at = excluded.at",
                (use.licence, use.total, use.signature, use.request, now, record.used),
            )
            return True

        return self._durably(work)

    def open_uses(self, limit: int = 1000) -> list[SignedUse]:
        """Return the newest use of each licence that is not on the ledger yet, oldest first."""
        rows = self._rows(
            "SELECT licence, total, signature, request FROM uses WHERE posted < total "
            "ORDER BY at, licence LIMIT ?",
            limit,
        )
        return [SignedUse(*row) for row in rows]

    def settle_use(self, licence: LicenceId, total: int) -> None:
        """Note that uses up to `total` are on the ledger, or that it will never take them."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE uses SET posted = MAX(posted, ?) WHERE licence = ?", (total, licence)
            )

        self._durably(work)

    def acknowledgement(self, licence: LicenceId) -> Acknowledgement | None:
        """Return the acknowledgement that is kept for a licence, None without one."""
        query = "SELECT licence, root, signature FROM acknowledgements WHERE licence = ?"
        rows = self._rows(query, licence)
        return Acknowledgement(*rows[0]) if rows else None

    def keep_acknowledgement(self, said: Acknowledgement, now: int) -> None:
        """Keep the first acknowledgement of a licence; later ones say no more."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO acknowledgements VALUES (?,?,?,?)",
                (said.licence, said.root, said.signature, now),
            )

        self._durably(work)

    def count_probe(self, licence: LicenceId, asset: AssetId, version: int) -> int:
        """Count a probe and return how many there were of this version, this one included."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "INSERT INTO probes VALUES (?,?,?,1) "
                "ON CONFLICT DO UPDATE SET count = MIN(count + 1, 1000000)",
                (licence, asset, version),
            )
            query = "SELECT count FROM probes WHERE licence = ? AND asset = ? AND version = ?"
            return int(connection.execute(query, (licence, asset, version)).fetchone()[0])

        return self._durably(work)

    def _durably(self, work: Callable[[sqlite3.Connection], T]) -> T:
        done: Future[T] = Future()
        if self._closed:
            raise _stopping()
        self._queue.put((work, done))
        try:
            return done.result(timeout=60)
        except TimeoutError:
            raise Unavailable("the node's memory does not answer", hint="try again") from None

    def _write(self) -> None:
        stop = False
        while not stop:
            batch: list[_Work] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) >= _BATCH or self._queue.empty():
                    break
                item = self._queue.get()
            stop = item is None
            self._commit(batch)

    def _commit(self, batch: list[_Work]) -> None:
        results: list[tuple[Future[Any], Any, UsufructError | None]] = []
        try:
            with self._lock, transaction(self._connection) as connection:
                for work, done in batch:
                    # one that fails takes nothing of the others with it
                    connection.execute("SAVEPOINT one")
                    try:
                        results.append((done, work(connection), None))
                    except UsufructError as error:
                        connection.execute("ROLLBACK TO one")
                        results.append((done, None, error))
                    connection.execute("RELEASE one")
        except Exception as error:  # noqa: BLE001 the callers must hear of it, whatever it is
            failed = error if isinstance(error, UsufructError) else _damaged(error)
            for _, done in batch:
                done.set_exception(failed)
            return
        for done, value, refused in results:
            if refused is None:
                done.set_result(value)
            else:
                done.set_exception(refused)

    def _rows(self, query: str, *values: object) -> list[Any]:
        if self._closed:
            raise _stopping()
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _damaged(error) from error


def _is_next(use: SignedUse, last: Any, record: LicenceState) -> bool:
    """Say whether a use is the next one, False for the last one again (NotAllowed: another)."""
    if last == (use.total, use.request):
        return False
    UseMeter.of(record, signed=last[0] if last else 0).take(use.total)
    return True


def _forget(connection: sqlite3.Connection, now: int) -> int:
    query = "DELETE FROM nonces WHERE deadline < ?"
    return connection.execute(query, (now - _GRACE,)).rowcount


def _stopping() -> Unavailable:
    return Unavailable("the node is stopping", hint="try again in a moment")


def _damaged(error: Exception) -> Damaged:
    return Damaged(
        f"the node's memory cannot be used: {type(error).__name__}", hint="see node.sqlite"
    )
