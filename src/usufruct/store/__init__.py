"""Files and SQLite that survive ``kill -9`` and loss of power: written once, used everywhere."""

from usufruct.store.atomic import fsync_folder, make_folder, read_bytes, remove, write_atomic
from usufruct.store.lock import HomeLock
from usufruct.store.sqlite import connect, transaction

__all__ = [
    "HomeLock",
    "connect",
    "fsync_folder",
    "make_folder",
    "read_bytes",
    "remove",
    "transaction",
    "write_atomic",
]
