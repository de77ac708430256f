"""One party at work: its home, and the rooms opened when they are first needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from usufruct.clock import Clock, iso, system_clock
from usufruct.crypto.identity import Identity, PublicIdentity
from usufruct.errors import BadInput, Damaged, NotFound, Unavailable
from usufruct.evidence.anchoring import origin_of
from usufruct.evidence.predicates import Party
from usufruct.evidence.statements import sign_statement
from usufruct.log import Log
from usufruct.ports import SILENT, Progress
from usufruct.workspace.home import EMBEDDED, NO_LEDGER, Home
from usufruct.workspace.records import Records

if TYPE_CHECKING:
    from usufruct.assets.cache import DigestCache
    from usufruct.assets.versions import AssetStore
    from usufruct.ledger.account import Account
    from usufruct.ledger.client import Ledger
    from usufruct.ledger.index import Index
    from usufruct.workspace.connection import Connection


def _no_passphrase() -> str:
    raise BadInput("this needs the keys, and no passphrase was given")


class Session:
    """Opens and closes a home's rooms; what is done in them stands in the other modules.

    Parameters
    ----------
    passphrase
        Called once, when a signature is first needed.
    write
        Take the home's lock: one writer a home. Readers need none.

    Raises
    ------
    HomeBusy
        Another process writes to this home.
    """

    def __init__(
        self,
        home: Home,
        *,
        passphrase: Callable[[], str] | None = None,
        identity: Identity | None = None,
        progress: Progress = SILENT,
        clock: Clock = system_clock,
        write: bool = True,
    ) -> None:
        self.home = home
        self.progress = progress
        self.clock = clock
        self._passphrase = passphrase or _no_passphrase
        self._identity = identity
        self._write = write
        self._log: Log | None = None
        self._open = contextlib.ExitStack()
        if write:
            self._open.enter_context(home.lock())

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every room and give the lock back."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._open.close()

    def now(self) -> str:
        """Return the time as statements hold it."""
        return iso(self.clock())

    @cached_property
    def public(self) -> PublicIdentity:
        """Who this is; needs no passphrase."""
        return self.home.public() if self._identity is None else self._identity.public

    @property
    def identity(self) -> Identity:
        """The identity with its keys; asks for the passphrase the first time."""
        if self._identity is None:
            self._identity = self.home.unlock(self._passphrase)
        return self._identity

    @property
    def origin(self) -> str:
        """The name of this party's log."""
        return origin_of(self.public.address)

    @property
    def log(self) -> Log:
        """This party's log for reading."""
        if self._log is None:
            folder = self.home.log_folder(self.public.address)
            self._log = Log.open(folder, origin=self.origin, signer=None, clock=self.clock)
        return self._log

    @property
    def signed_log(self) -> Log:
        """This party's log for appending; its first entry is the party's key."""
        if self._log is None or not self._signs:
            signer = self.identity
            if self._log is not None:
                self._log.close()
                self._log = None
            folder = self.home.log_folder(self.public.address)
            self._log = Log.open(folder, origin=self.origin, signer=signer, clock=self.clock)
            self._signs = True
            if self._log.size == 0:
                payload = Party("add", self.public, self.now()).payload()
                self._log.append(sign_statement(payload, [signer]).to_bytes())
                self._log.checkpoint()
        return self._log

    _signs = False

    @cached_property
    def records(self) -> Records:
        """Statements by digest, others' evidence, anchors, unfinished work."""
        return self._open.enter_context(Records(self.home.path / "records.sqlite"))

    @cached_property
    def assets_store(self) -> AssetStore:
        """The assets and versions of this home."""
        from usufruct.assets.versions import AssetStore

        return self._open.enter_context(AssetStore(self.home.path / "assets.sqlite"))

    @cached_property
    def cache(self) -> DigestCache:
        """Digests of files that have not changed since they were read."""
        from usufruct.assets.cache import DigestCache

        path = self.home.path / "cache.sqlite"
        try:
            return self._open.enter_context(DigestCache(path))
        except Damaged:
            # nothing in it but what can be read from the files again
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return self._open.enter_context(DigestCache(path))

    @property
    def has_ledger(self) -> bool:
        """True if this home has joined a ledger, or has one of its own."""
        return self.home.ledger != NO_LEDGER

    @cached_property
    def connection(self) -> Connection:
        """The ledger this home uses.

        Raises
        ------
        Unavailable
            This home uses none.
        LedgerUnreachable, WrongNetwork, EngineMissing
            It does not answer, is another one, or cannot be started.
        """
        from usufruct.workspace.connection import connect

        if not self.has_ledger:
            raise Unavailable(
                f"the home {self.home.path} uses no ledger",
                hint="join one: usufruct ledger join FILE",
            )
        if self.home.ledger == EMBEDDED and not self._write:
            # The engine has one owner: even a reader of it is its writer.
            self._open.enter_context(self.home.lock())
            self._write = True
        return self._open.enter_context(connect(self.home, lambda: self.identity))

    @property
    def ledger(self) -> Ledger:
        """The client of the ledger."""
        return self.connection.ledger

    @cached_property
    def _index(self) -> Index:
        from usufruct.ledger.index import Index

        index = Index(self.home.path / "index.sqlite")
        self._open.callback(index.close)
        return index

    @property
    def index(self) -> Index:
        """The ledger's events, read up to the newest block.

        Raises
        ------
        Unavailable
            This home uses no ledger, or it does not answer.
        """
        self._index.sync(self.ledger)
        return self._index

    @cached_property
    def account(self) -> Account:
        """The account that signs transactions."""
        from usufruct.ledger.account import Account

        return Account(self.identity.account_secret)

    def own_log_or_none(self) -> Log | None:
        """Return the log for reading, None before it has an entry."""
        try:
            return self.log
        except NotFound:
            return None
