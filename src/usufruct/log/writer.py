"""What changes a log: commits, checkpoints, erasures; all on the one writing thread."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from usufruct.clock import Clock
from usufruct.crypto.notes import Checkpoint, open_checkpoint, sign_checkpoint
from usufruct.errors import BadInput, Damaged, UsufructError, VerificationError
from usufruct.log import selfcheck
from usufruct.log.database import Database
from usufruct.log.publisher import CHECKPOINT, Publisher
from usufruct.log.records import lookup_prefix, read_entries
from usufruct.log.sequencer import Row
from usufruct.log.tiles import encode_bundle
from usufruct.log.tree import FullTile, range_root
from usufruct.ports import Signer

_LAST = "SELECT size, root, note FROM published ORDER BY size DESC LIMIT 1"
_INDEX_STEP = 4096


class Writer:
    """The growing end of a log.

    Parameters
    ----------
    database
        A connection that nobody else uses.
    """

    def __init__(
        self, database: Database, publisher: Publisher, origin: str, signer: Signer, clock: Clock
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._origin = origin
        self._signer = signer
        self._clock = clock
        self._edge = database.edge()
        self._filled: list[FullTile] = []
        self._behind = False
        self.size = self._edge.size

    def recover(self) -> tuple[str, ...]:
        """Compare the files with the database and mend them; returns the paths mended.

        Raises
        ------
        Damaged
            The database has less, or other, than was published.
        """
        last = self._database.rows(_LAST)
        published = int(last[0][0]) if last else 0
        if last:
            self._check_extends(published, last[0][1], self.size)
        note = self._publisher.read_checkpoint()
        if note:
            self._check_file(note)
        repaired = self._publisher.repair(self.size, published)
        if last and note != last[0][2]:
            self._publisher.write_checkpoint(last[0][2])
            repaired.append(CHECKPOINT)
        return tuple(repaired)

    def commit(self, rows: Sequence[Row]) -> int:
        """Make rows durable in one transaction; returns the index of the first."""
        edge = self._edge
        after, filled = edge.extended([row[2] for row in rows])
        start = edge.size
        try:
            with self._database.write() as connection:
                connection.executemany(
                    "INSERT INTO entries (idx, salt, envelope, entry) VALUES (?, ?, ?, ?)",
                    [(index, *row) for index, row in enumerate(rows, start)],
                )
                connection.executemany(
                    "INSERT INTO tiles VALUES (?, ?, ?, ?, ?)", [_tile_row(t) for t in filled]
                )
        except UsufructError:
            # Whether a failed commit reached the disk only the database can tell.
            self._edge = self._database.edge()
            self.size = self._edge.size
            self._behind = True
            raise
        self._edge = after
        self.size = after.size
        self._filled += filled
        return start

    def settle(self) -> None:
        """Write tiles that have become full; what fails is mended before the next checkpoint."""
        filled, self._filled = self._filled, []
        try:
            self._publisher.write_full(filled)
        except (UsufructError, OSError):
            self._behind = True

    def publish(self) -> bytes:
        """Sign the head over all entries and write it: database first, then tiles, then the file.

        Raises
        ------
        Damaged
            It would contradict a checkpoint published before; nothing is signed.
        """
        with self._database.write() as connection:
            last = connection.execute(_LAST).fetchone()
            size, root = self.size, range_root(self._database.row, 0, self.size)
            if root != self._edge.root() or size != self._database.size():
                raise Damaged(f"the log {self._origin} has changed on disk since it was opened")
            if last is not None:
                self._check_extends(last[0], last[1], size)
            if last is not None and last[0] == size:
                note = bytes(last[2])
            else:
                checkpoint = Checkpoint(self._origin, size, root)
                note = sign_checkpoint(checkpoint, self._signer, self._origin)
                connection.execute(
                    "INSERT INTO published VALUES (?, ?, ?, ?)", (size, root, note, self._clock())
                )
        self._write_files(size, note)
        return note

    def erase(self, index: int) -> None:
        """Drop salt and envelope of an entry, also from free pages and the write-ahead log."""
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT envelope FROM entries WHERE idx = ?", (index,)
            ).fetchone()
            if row is not None and row[0] is not None:
                # The envelope's plain digest would let a guess of it be confirmed.
                connection.execute(
                    "DELETE FROM lookup WHERE prefix = ? AND idx = ?",
                    (lookup_prefix(sha256(row[0]).digest()), index),
                )
            connection.execute(
                "UPDATE entries SET salt = NULL, envelope = NULL WHERE idx = ?", (index,)
            )
        self._database.purge()

    def index_envelopes(self) -> None:
        """Bring the index from envelope digests to entries up to date; appends leave it behind."""
        start = indexed(self._database)
        while start < self.size:
            stop = min(start + _INDEX_STEP, self.size)
            found = [
                (lookup_prefix(sha256(entry.envelope).digest()), entry.index)
                for entry in read_entries(self._database, start, stop)
                if entry.envelope is not None
            ]
            with self._database.write() as connection:
                connection.executemany("INSERT OR IGNORE INTO lookup VALUES (?, ?)", sorted(found))
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('indexed', ?)", (str(stop),)
                )
            start = stop

    def check(self) -> None:
        """Check everything stored, files too."""
        key = self._signer.public_key
        published = selfcheck.check_database(self._database, self._origin, key)
        selfcheck.check_files(self._database, self._publisher, self.size, published)

    def _write_files(self, size: int, note: bytes) -> None:
        if self._publisher.read_checkpoint() == note and not self._behind:
            return
        if self._behind:
            self._publisher.repair(size, size)
            self._behind = False
        self._publisher.write_partial(size)
        self._publisher.write_checkpoint(note)

    def _check_extends(self, old_size: int, old_root: bytes, size: int) -> None:
        if old_size > size or range_root(self._database.row, 0, old_size) != old_root:
            raise Damaged(
                f"the log {self._origin} does not extend its own checkpoint of {old_size} entries",
                hint="restore the newest backup; signing now would show two histories",
            )

    def _check_file(self, note: bytes) -> None:
        try:
            shown = open_checkpoint(
                note, self._origin, self._signer.public_key, origin=self._origin
            )
        except (VerificationError, BadInput):
            # Not what this log wrote, so it proves nothing and is written again.
            return
        self._check_extends(shown.size, shown.root, self.size)
        if not self._database.rows("SELECT 1 FROM published WHERE size = ?", shown.size):
            raise Damaged(
                f"the log {self._origin} has no record of its checkpoint of {shown.size} entries",
                hint="the database is older than the files beside it; restore the newest backup",
            )


def indexed(database: Database) -> int:
    """Return how many entries, from the first, are in the index of envelope digests."""
    try:
        return int(database.meta().get("indexed", "0"))
    except ValueError:
        raise Damaged("the log's index of envelopes is damaged") from None


def _tile_row(tile: FullTile) -> tuple[int, int, bytes, bytes, bytes | None]:
    bundle = sha256(encode_bundle(tile.entries)).digest() if tile.entries else None
    return tile.level, tile.index, tile.root, sha256(b"".join(tile.hashes)).digest(), bundle
