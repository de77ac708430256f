"""The full check of a log: every stored thing against every other."""

from __future__ import annotations

from hashlib import sha256

from usufruct.crypto.notes import Checkpoint, open_checkpoint
from usufruct.errors import BadInput, Damaged, VerificationError
from usufruct.log.database import Database
from usufruct.log.publisher import CHECKPOINT, Publisher
from usufruct.log.records import read_entries
from usufruct.log.tiles import WIDTH, encode_bundle, full_tiles, row_root
from usufruct.log.tree import range_root


def check_database(database: Database, origin: str, public_key: bytes) -> Checkpoint | None:
    """Check entries, tiles' hashes and published checkpoints; returns the last checkpoint.

    Raises
    ------
    Damaged
        Naming the first thing that is wrong.
    """
    verdict = database.rows("PRAGMA integrity_check")
    if verdict != [("ok",)]:
        raise Damaged(f"the log's database is damaged: {verdict[0][0]}")
    size = database.size()
    for _ in read_entries(database, 0, size):
        pass
    level = 0
    while count := full_tiles(level, size):
        for index in range(count):
            _check_tile(database, level, index)
        level += 1
    last = None
    for published, root, note in database.rows("SELECT size, root, note FROM published"):
        if published > size or range_root(database.row, 0, published) != root:
            raise Damaged(f"the log is not what its checkpoint of {published} entries shows")
        expected = Checkpoint(origin, published, root)
        last = read_own(note, origin, public_key, f"checkpoint of {published} entries")
        if last != expected:
            raise Damaged(f"the log's checkpoint of {published} entries shows something else")
    return last


def check_files(
    database: Database, publisher: Publisher, size: int, published: Checkpoint | None
) -> None:
    """Check tile files and checkpoint file against the database.

    Raises
    ------
    Damaged
        Naming the first file that is wrong; opening the log for writing mends it.
    """
    wrong = publisher.differing(size, published.size if published else 0)
    query = "SELECT note FROM published ORDER BY size DESC LIMIT 1"
    note = [row[0] for row in database.rows(query)]
    if note and publisher.read_checkpoint() != note[0]:
        wrong.append(CHECKPOINT)
    if wrong:
        raise Damaged(
            f"the log's file {wrong[0]} is not what was written",
            hint="open the log for writing: it is made again from the database",
        )


def read_own(note: bytes, origin: str, public_key: bytes, what: str) -> Checkpoint:
    """Return a checkpoint this log has signed (Damaged: it has not)."""
    try:
        return open_checkpoint(note, origin, public_key, origin=origin)
    except (VerificationError, BadInput) as error:
        raise Damaged(f"the log's {what} is not what was written: {error.message}") from error


def _check_tile(database: Database, level: int, index: int) -> None:
    query = "SELECT root, digest, bundle FROM tiles WHERE level = ? AND idx = ?"
    found = database.rows(query, level, index)
    row = database.read_row(level, index, 0, WIDTH)
    wanted = (row_root(row), sha256(b"".join(row)).digest())
    if not found or found[0][:2] != wanted:
        raise Damaged(f"the log's tile {index} of level {level} is not what was written")
    if level == 0:
        entries = database.entries(index * WIDTH, (index + 1) * WIDTH)
        if found[0][2] != sha256(encode_bundle(entries)).digest():
            raise Damaged(f"the log's entry bundle {index} is not what was written")
