"""The log of one home: what its party signed, in order, never changed, provably so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from usufruct.clock import Clock, system_clock
from usufruct.errors import BadInput, Damaged, NotAllowed, NotFound
from usufruct.log import selfcheck, tree
from usufruct.log.database import Database
from usufruct.log.publisher import Publisher
from usufruct.log.records import Entry, LogEntry, lookup_prefix, read_entries
from usufruct.log.sequencer import MAX_BATCH_ENTRIES, Sequencer
from usufruct.log.writer import Writer, indexed
from usufruct.ports import Signer
from usufruct.store import HomeLock, make_folder

MAX_ENVELOPE = 16 * 1024 * 1024
_SALT = 32


class Log:
    """An append-only log; open one with :meth:`open`. Methods may be called from any thread.

    Every method may raise ``Damaged`` (a stored file is not what was written) and ``Unavailable``
    (the disk is full or fails).
    """

    def __init__(self, folder: Path, origin: str, signer: Signer | None, clock: Clock) -> None:
        self._folder = folder
        self._origin = origin
        self._lock: HomeLock | None = None
        self._writer: Writer | None = None
        self._databases: list[Database] = []
        self.repaired: tuple[str, ...] = ()
        """Files that opening found missing or wrong, and made again."""
        try:
            if signer is not None:
                make_folder(folder)
                self._lock = HomeLock(folder / "lock").acquire()
            self._database = self._connect()
            self._public_key = self._identify(signer)
            self._publisher = Publisher(self.static_folder, self._database)
            if signer is None:
                self._database.edge()
                return
            own = self._connect()
            publisher = Publisher(self.static_folder, own)
            self._writer = Writer(own, publisher, origin, signer, clock)
            self.repaired = self._writer.recover()
            self._sequencer = Sequencer(self._writer.commit, self._writer.settle)
        except BaseException:
            self._release()
            raise

    @classmethod
    def open(
        cls, folder: Path, *, origin: str, signer: Signer | None, clock: Clock = system_clock
    ) -> Log:
        """Open the log in `folder`, making it if a signer is given; repairs its derived files.

        Parameters
        ----------
        origin
            The log's name, in its checkpoints and for its key; no spaces, no plus sign.
        signer
            The log's key; None opens for reading only.

        Raises
        ------
        NotFound
            There is no log, and no signer to make one.
        BadInput
            Another origin or key than the log was made with.
        HomeBusy
            Another process writes to it.
        Damaged
            The database lacks what its checkpoint shows, or is no database.
        """
        if not origin.isprintable() or not 0 < len(origin) <= 255 or set(" +") & set(origin):
            raise BadInput(f"{origin!r} cannot be a log's name", hint="no spaces, no plus sign")
        if signer is None and not (folder / "log.sqlite").is_file():
            raise NotFound(f"there is no log in {folder}")
        return cls(folder, origin, signer, clock)

    def close(self) -> None:
        """Finish appends under way and let go of the files; may be called twice."""
        if self._writer is not None:
            self._sequencer.close()
        self._release()

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    @property
    def public_key(self) -> bytes:
        """The key that signs its checkpoints, 32 bytes."""
        return self._public_key

    @property
    def static_folder(self) -> Path:
        """What C2SP readers need: tiles, entry bundles, checkpoint; no envelope is in it."""
        return self._folder / "static"

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._writer.size if self._writer is not None else self._database.size()

    @property
    def root(self) -> bytes:
        """RFC 6962 root over all durable entries, 32 bytes."""
        return self.root_at(self.size)

    def root_at(self, size: int) -> bytes:
        """Return the root over the first `size` entries (BadInput: there are fewer)."""
        self._check_size(size)
        return tree.range_root(self._database.row, 0, size)

    def append(self, envelope: bytes) -> Entry:
        """Append one envelope; returns when it survives loss of power.

        Raises
        ------
        BadInput
            Not bytes, empty, or larger than 16 MiB.
        NotAllowed
            The log was opened for reading, or is closed.
        """
        return self.append_many((envelope,))[0]

    def append_many(self, envelopes: Sequence[bytes]) -> list[Entry]:
        """Append envelopes in order; returns when all survive loss of power.

        Others' appends may stand between two groups of 8192; a crash before the return may
        leave a first part in the log. Errors as for :meth:`append`.
        """
        self._writable()
        for envelope in envelopes:
            if not isinstance(envelope, bytes) or not 0 < len(envelope) <= MAX_ENVELOPE:
                raise BadInput(f"an envelope is 1 to {MAX_ENVELOPE} bytes")
        done: list[Entry] = []
        for start in range(0, len(envelopes), MAX_BATCH_ENTRIES):
            part = envelopes[start : start + MAX_BATCH_ENTRIES]
            random = os.urandom(_SALT * len(part))
            salts = [random[at : at + _SALT] for at in range(0, len(random), _SALT)]
            rows = [
                (salt, envelope, sha256(salt + envelope).digest())
                for salt, envelope in zip(salts, part, strict=True)
            ]
            first = self._sequencer.append(rows)
            done += [Entry(first + at, row[0], row[2]) for at, row in enumerate(rows)]
        return done

    def get(self, index: int) -> LogEntry:
        """Return one entry, checked against its hash (NotFound: there is none)."""
        for entry in self.entries(index, index + 1):
            return entry
        raise NotFound(f"the log {self._origin} has no entry {index}")

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[LogEntry]:
        """Yield entries `start` to `stop` (or the end) in order, each checked against its hash."""
        size = self.size
        stop = size if stop is None else min(stop, size)
        return read_entries(self._database, max(start, 0), stop)

    def find(self, digest: bytes) -> int | None:
        """Return the index of the first entry whose envelope has this SHA-256, or None."""
        if not isinstance(digest, bytes) or len(digest) != 32:
            raise BadInput("an envelope's digest has 32 bytes")
        if self._writer is not None:
            self._sequencer.run(self._writer.index_envelopes)
        query = "SELECT idx FROM lookup WHERE prefix = ? ORDER BY idx"
        for (index,) in self._database.rows(query, lookup_prefix(digest)):
            envelope = self.get(index).envelope
            if envelope is not None and sha256(envelope).digest() == digest:
                return int(index)
        # A reader may not extend the index, so it looks through what is not in it yet.
        for entry in self.entries(indexed(self._database)) if self._writer is None else ():
            if entry.envelope is not None and sha256(entry.envelope).digest() == digest:
                return entry.index
        return None

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the RFC 6962 proof that entry `index` is in the log of `size` (default: all).

        Raises
        ------
        BadInput
            The log has not so many entries, or the entry is not among them.
        """
        size = self.size if size is None else size
        self._check_size(size)
        if not 0 <= index < size:
            raise BadInput(f"entry {index} is not among the first {size}")
        return tree.inclusion(self._database.row, index, size)

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """Return the RFC 6962 proof that the log of `new` begins with the log of `old`.

        Raises
        ------
        BadInput
            Not 0 <= old <= new <= size.
        """
        new = self.size if new is None else new
        self._check_size(new)
        if not 0 <= old <= new:
            raise BadInput(f"a log of {new} entries does not begin with {old}")
        return tree.consistency(self._database.row, old, new)

    def checkpoint(self) -> bytes:
        """Return the signed head over all entries, published first; reading: the last published.

        Raises
        ------
        Damaged
            The log is smaller than, or not an extension of, what it has published: signing would
            prove its owner a liar.
        NotFound
            Nothing was published, and this log was opened for reading.
        """
        if self._writer is not None:
            return self._sequencer.run(self._writer.publish)
        sizes = self.published_sizes()
        if not sizes:
            raise NotFound(f"the log {self._origin} has published no checkpoint")
        return self.checkpoint_at_size(sizes[-1])

    def checkpoint_at_size(self, size: int) -> bytes:
        """Return the checkpoint that was published at `size` (NotFound: none was)."""
        rows = self._database.rows("SELECT note FROM published WHERE size = ?", size)
        if not rows:
            raise NotFound(f"the log {self._origin} has published no checkpoint at {size} entries")
        return bytes(rows[0][0])

    def published_sizes(self) -> tuple[int, ...]:
        """Return the sizes of all published checkpoints, smallest first."""
        return tuple(
            row[0] for row in self._database.rows("SELECT size FROM published ORDER BY size")
        )

    def erase(self, index: int) -> None:
        """Drop salt and envelope of an entry for good; its hash and all proofs stay.

        Raises
        ------
        NotFound
            There is no such entry.
        HomeBusy
            Done, but another reader keeps the old bytes on disk until it has finished.
        """
        writer = self._writable()
        self.get(index)
        self._sequencer.run(lambda: writer.erase(index))

    def check(self) -> None:
        """Check everything stored against everything else; ``Damaged`` names what is wrong.

        Opened for reading, tile files are left out: their writer may be at work on them.
        """
        if self._writer is not None:
            self._sequencer.run(self._writer.check)
        else:
            selfcheck.check_database(self._database, self._origin, self._public_key)

    def _connect(self) -> Database:
        self._databases.append(Database(self._folder / "log.sqlite"))
        return self._databases[-1]

    def _release(self) -> None:
        for database in self._databases:
            database.close()
        if self._lock is not None:
            self._lock.release()

    def _identify(self, signer: Signer | None) -> bytes:
        facts = self._database.meta()
        if "origin" not in facts and signer is not None:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO meta VALUES ('origin', ?), ('public key', ?)",
                    (self._origin, signer.public_key.hex()),
                )
            return signer.public_key
        try:
            origin, key = facts["origin"], bytes.fromhex(facts["public key"])
        except (KeyError, ValueError):
            raise Damaged(f"the log in {self._folder} does not say whose it is") from None
        if origin != self._origin:
            raise BadInput(f"the log in {self._folder} is called {origin!r}, not {self._origin!r}")
        if signer is not None and key != signer.public_key:
            raise BadInput(f"the log in {self._folder} was made with another key")
        return key

    def _writable(self) -> Writer:
        if self._writer is None:
            raise NotAllowed("the log was opened for reading only")
        return self._writer

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise BadInput(f"the log {self._origin} has {self.size} entries, not {size}")
