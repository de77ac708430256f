"""SQLite opened one way: WAL, full fsync, foreign damage as our error, versioned schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from usufruct.errors import Damaged, HomeBusy, Unavailable


def connect(
    path: Path,
    *,
    schema: Sequence[str],
    application: str,
    durable: bool = True,
    shared_between_threads: bool = False,
) -> sqlite3.Connection:
    """Open the database at `path`, making or upgrading it.

    Parameters
    ----------
    schema
        One SQL script a version: a new file runs all, an older file the rest. Scripts are
        never edited once released; a change is a new entry.
    application
        What the file is (``journal``, ``log``); another kind of file is refused.
    durable
        ``synchronous=FULL``: a committed transaction survives loss of power. False only for
        what can be derived again.
    shared_between_threads
        The caller holds a lock of its own around each use.

    Raises
    ------
    Damaged
        Not a database, of another kind, or newer than this program.
    """
    try:
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            timeout=10.0,
            check_same_thread=not shared_between_threads,
        )
    except sqlite3.Error as error:
        raise Unavailable(f"cannot open {path}: {error}") from error
    try:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA foreign_keys=ON")
        _upgrade(connection, path, schema, application)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise _translated(error, path) from error
        if isinstance(error, OSError):
            raise Unavailable(
                f"cannot write the database {path}: {error.strerror}", hint="check permissions"
            ) from error
        raise
    return connection


def _upgrade(
    connection: sqlite3.Connection, path: Path, schema: Sequence[str], application: str
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")
        found = dict(connection.execute("SELECT key, value FROM meta"))
        if found.get("application", application) != application:
            raise Damaged(f"{path} is a {found['application']} file, not a {application} file")
        version = int(found.get("schema", "0"))
        if version > len(schema):
            raise Damaged(
                f"{path} was written by a newer version of usufruct (format {version})",
                hint="pip install -U usufruct",
            )
        for script in schema[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('application', ?), ('schema', ?)",
            (application, str(len(schema))),
        )
        connection.execute("COMMIT")
    except BaseException:
        # Ctrl-C may come between the commit and here
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block as one transaction: all of it is durable on exit, or nothing happened.

    Raises
    ------
    Damaged
        The database file is not what was written.
    Unavailable
        The disk is full.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise _translated(error, None) from error


def _translated(error: sqlite3.Error, path: Path | None) -> Exception:
    where = f" {path}" if path else ""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # extended codes begin with the primary
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return HomeBusy(f"the database{where} is in use by another process")
    if code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    ):
        return Unavailable(
            f"cannot write the database{where}: {error}", hint="check free space and permissions"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged(f"the database{where} is damaged: {error}")
    if path is not None and isinstance(error, sqlite3.OperationalError):
        # opening ran statements that always work on what was written
        return Damaged(f"the database{where} cannot be used: {error}")
    return error
