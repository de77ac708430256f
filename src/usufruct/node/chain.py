"""What the node knows of the ledger: its own index, kept new by a thread, read by many.

Two connections to one file: while one waits for the ledger, the other answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.errors import LedgerUnreachable, Unavailable, UsufructError
from usufruct.ledger.index import Index

if TYPE_CHECKING:
    from usufruct.ledger.client import Ledger

EVERY: float = 1.0
"""Seconds between two looks at the ledger."""

_PAUSE = 0.1
_FAILED_PAUSE = 1.0
_log = logging.getLogger(__name__)


class Chain:
    """The index of a node, and how old what it says is.

    Parameters
    ----------
    path
        Its own file: two processes must not write one index.
    changed
        Called in the thread that reads the ledger after something happened on it.
    """

    def __init__(
        self, path: Path, ledger: Ledger, *, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.ledger = ledger
        self._writer = Index(path)
        self.index = Index(path)
        self._changed = changed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = float("-inf")
        self._failed = float("-inf")
        self._final = -1
        self._thread: threading.Thread | None = None

    @property
    def lag(self) -> float:
        """Seconds since the ledger was last read to its end; infinite before the first time."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Read the ledger once, then keep reading in a thread.

        Raises
        ------
        LedgerUnreachable
            It does not answer.
        """
        self._sync()
        self._thread = threading.Thread(target=self._run, name="usufruct-chain", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading and close; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            self._writer.close()
            self.index.close()

    def newer_than(self, moment: float) -> bool:
        """Read the ledger unless it was read after `moment` (of ``time.monotonic``).

        A refusal asks for this first, so that what was bought a moment ago counts. Callers who
        ask together share one reading; the ledger is asked at most ten times a second.

        Returns
        -------
        bool
            False if it was new enough already.

        Raises
        ------
        Unavailable
            The ledger does not answer.
        """
        if self._began > moment:
            return False
        with self._lock:
            if self._began > moment:
                return True
            now = time.monotonic()
            if now - self._failed < _FAILED_PAUSE:
                raise LedgerUnreachable("the node cannot reach its ledger", hint="try again")
            self._stop.wait(max(0.0, self._began + _PAUSE - now))
            self._sync_locked()
        return True

    def is_final(self, block: int) -> bool:
        """Say whether a block is final by the rule of the network."""
        return block <= self._final

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self._sync()
            except UsufructError as error:
                _log.warning("the ledger cannot be read: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001 the thread outlives every fault
                _log.error("reading the ledger failed: %s", type(error).__name__)

    def _sync(self) -> None:
        with self._lock:
            self._sync_locked()

    def _sync_locked(self) -> None:
        if self._stop.is_set():
            raise Unavailable("the node is stopping", hint="try again in a moment")
        began = time.monotonic()
        try:
            synced = self._writer.sync(self.ledger)
            latest = self.ledger.network.finality["mode"] == "latest"
            self._final = synced.block if latest else self.ledger.finalized_block()
        except UsufructError:
            self._failed = time.monotonic()
            raise
        first, self._began = self._began < 0, began
        if first or synced.events or synced.undone:
            self._changed()
