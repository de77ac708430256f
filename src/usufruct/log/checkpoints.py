"""A reader's memory: the last head seen of each log, so that no log can tell two stories."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from usufruct.crypto.merkle import verify_consistency
from usufruct.crypto.notes import Checkpoint
from usufruct.errors import BadInput, Damaged, Mismatch, UsufructError, VerificationError
from usufruct.store import connect, transaction

FetchProof = Callable[[int, int], Sequence[bytes]]
"""``fetch(old size, new size)`` gives an RFC 6962 consistency proof."""

_SCHEMA = ("CREATE TABLE heads (origin TEXT PRIMARY KEY, size INTEGER, root BLOB)",)


class CheckpointMemory:
    """The last checkpoint of each foreign log, in a file; checkpoints given are already verified.

    Parameters
    ----------
    path
        A SQLite file, made if missing.

    Raises
    ------
    Damaged
        The file is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        connect(path, schema=_SCHEMA, application="checkpoints").close()

    def last(self, origin: str) -> Checkpoint | None:
        """Return the newest checkpoint seen of a log, or None."""
        connection = self._connect()
        try:
            return self._read(connection, origin)
        finally:
            connection.close()

    def remember(self, origin: str, checkpoint: Checkpoint, proof: FetchProof) -> None:
        """Take a checkpoint as the newest of its log; the first one is taken on trust.

        Parameters
        ----------
        proof
            Asked for the way from the one remembered to this one, if they differ in size.

        Raises
        ------
        VerificationError
            It is smaller, has another root at the same size, or does not extend the one
            remembered; nothing is remembered then.
        """
        if checkpoint.origin != origin:
            _refuse(origin, f"the checkpoint is of the log {checkpoint.origin!r}")
        before = self.last(origin)
        while True:
            if before is not None:
                if checkpoint.size < before.size:
                    _refuse(
                        origin,
                        f"it shows {checkpoint.size} entries but has shown {before.size} before",
                    )
                self._extends(before, checkpoint, proof)
            # The proof may have come over the network, so look again before writing.
            now = self._replace(origin, before, checkpoint)
            if now == before:
                return
            before = now

    def check(self, origin: str, checkpoint: Checkpoint, proof: FetchProof) -> None:
        """Check a checkpoint, older ones too, against the one remembered; remembers nothing.

        Raises
        ------
        VerificationError
            The two are not of one history.
        """
        if checkpoint.origin != origin:
            _refuse(origin, f"the checkpoint is of the log {checkpoint.origin!r}")
        known = self.last(origin)
        if known is not None:
            old, new = sorted((known, checkpoint), key=lambda c: c.size)
            self._extends(old, new, proof)

    @staticmethod
    def _extends(old: Checkpoint, new: Checkpoint, proof: FetchProof) -> None:
        if old.size == new.size:
            if old.root != new.root:
                _refuse(new.origin, f"it shows two different roots at {new.size} entries")
            return
        try:
            # Every log extends the empty one, so there is nothing to ask for.
            path = tuple(proof(old.size, new.size)) if old.size else ()
            verify_consistency(old.size, new.size, old.root, new.root, path)
        except (VerificationError, BadInput) as error:
            _refuse(new.origin, f"{new.size} entries do not extend its {old.size}: {error.message}")

    def _replace(
        self, origin: str, expected: Checkpoint | None, checkpoint: Checkpoint
    ) -> Checkpoint | None:
        connection = self._connect()
        try:
            with transaction(connection):
                found = self._read(connection, origin)
                if found == expected:
                    connection.execute(
                        "INSERT OR REPLACE INTO heads VALUES (?, ?, ?)",
                        (origin, checkpoint.size, checkpoint.root),
                    )
            return found
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        finally:
            connection.close()

    def _read(self, connection: sqlite3.Connection, origin: str) -> Checkpoint | None:
        try:
            row = connection.execute(
                "SELECT size, root FROM heads WHERE origin = ?", (origin,)
            ).fetchone()
            return Checkpoint(origin, row[0], row[1]) if row else None
        except (sqlite3.Error, ValueError, BadInput) as error:
            raise self._damaged(error) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return connect(self._path, schema=_SCHEMA, application="checkpoints")
        except (sqlite3.Error, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> UsufructError:
        return Damaged(f"the memory of foreign logs {self._path} is damaged: {error}")


def _refuse(origin: str, why: str) -> None:
    raise VerificationError(
        f"the log {origin!r} tells two stories: {why}",
        mismatches=(Mismatch("forked log", detail=why),),
        hint="keep both checkpoints: together they prove it",
    )
