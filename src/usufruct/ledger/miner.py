"""The one thread that journals, mines, replays and saves; callers hand it transactions.

Group commit: while one block is journaled and mined the next ones' transactions gather. A lone
transaction does not wait; where several callers were at it a moment ago, a few milliseconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from usufruct.clock import Clock
from usufruct.errors import EngineDied, Unavailable, UsufructError
from usufruct.ledger.admission import MAX_BLOCK, REJECTED, Admission, Submission
from usufruct.ledger.journal import Journal
from usufruct.ledger.replica import Mined, Replica
from usufruct.ledger.supervisor import Supervisor
from usufruct.ledger.transport import Call, RpcError

_WINDOW_SECONDS = 0.005
_POLL_SECONDS = 0.1
_TAIL_AT_CLOSE = 200


class Miner:
    """Starts the engine and its thread; returns when the ledger is at the journal's height.

    Raises
    ------
    EngineDied, Damaged
        As :meth:`Replica.start`.
    """

    def __init__(
        self, journal: Journal, replica: Replica, genesis: dict[str, Any], clock: Clock
    ) -> None:
        self._journal = journal
        self._replica = replica
        self._clock = clock
        self._genesis_time = int(genesis["timestamp"], 16)
        self._admission = Admission(int(genesis["gasLimit"], 16), self._ask)
        self._changed = threading.Condition()
        self._queue: deque[Submission] = deque()
        self._failure: UsufructError | None = None
        self._generation = 0
        self._ready = False
        self._closing = False
        # Linux ties the child's life to the thread that starts it, so one thread does all
        self._thread = threading.Thread(target=self._run, name="usufruct-ledger", daemon=True)
        self._thread.start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._failure)
            self.check()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Raise the error for which the ledger has stopped, if it has."""
        if self._failure:
            raise _again(self._failure)

    def engine(self) -> tuple[Supervisor, int]:
        """Return the engine, filled, and its generation; waits while it is brought back."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._failure)
            self.check()
            engine = self._replica.engine
            if engine is None:
                raise _closed()
            return engine, self._generation

    def ask_restart(self, generation: int) -> None:
        """Have the engine of this generation, which did not answer, started again."""
        with self._changed:
            if self._generation == generation and self._ready:
                self._ready = False
                self._changed.notify_all()

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Queue transactions; each one's `done` is set when its fate is known."""
        with self._changed:
            self.check()
            if self._closing:
                raise _closed()
            self._queue.extend(submissions)
            self._changed.notify_all()

    def close(self) -> None:
        """Mine what is queued, save the state and stop the engine; may be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        error: UsufructError | None = None
        try:
            self._replica.start()
            self._publish()
            last = 1
            while self._wait(last):
                last = self._step()
            self._save(least=_TAIL_AT_CLOSE)
        except UsufructError as stopped:
            error = stopped
        except Exception as fault:  # noqa: BLE001 a fault of ours must not leave callers waiting
            error = EngineDied(f"the embedded ledger stopped: {fault!r}", hint="open it again")
        finally:
            self._replica.stop()
            with self._changed:
                self._failure = error or _closed()
                left = [*self._queue, *self._admission.recall()]
                self._queue.clear()
                self._changed.notify_all()
            for submission in left:
                submission.finish(_again(self._failure))

    def _publish(self) -> None:
        with self._changed:
            self._ready = True
            self._generation += 1
            self._changed.notify_all()

    def _recover(self) -> None:
        """Start the engine again and fill it from the journal."""
        with self._changed:
            self._ready = False
        self._replica.restart()
        self._publish()

    def _wait(self, last: int) -> bool:
        """Wait for work; False when closing and nothing is left to do."""

        def work() -> bool:
            return bool(self._queue or self._admission.ready)

        with self._changed:
            self._changed.wait_for(
                lambda: work() or self._closing or not self._ready,
                timeout=_POLL_SECONDS if self._admission.held else None,
            )
            if last > 1 and not self._closing:
                few = min(last, MAX_BLOCK)
                self._changed.wait_for(lambda: len(self._queue) >= few, timeout=_WINDOW_SECONDS)
            return work() or not self._closing

    def _step(self) -> int:
        """Make at most one block and return how many transactions it has."""
        if not self._ready:
            self._recover()
        with self._changed:
            count = min(len(self._queue), MAX_BLOCK)
            arrived = [self._queue.popleft() for _ in range(count)]
        if not arrived and not self._admission.held:
            return 1
        block = self._choose(arrived)
        if block:
            self._mine(block)
            self._save()
        return len(block) or 1

    def _choose(self, arrived: list[Submission]) -> list[Submission]:
        try:
            return self._admission.choose(arrived, self._replica.base_fee)
        except BaseException as error:
            undecided = dict.fromkeys([*arrived, *self._admission.recall()])
            open_ones = [one for one in undecided if not one.done.is_set()]
            with self._changed:  # back to the front, so that nobody is left waiting
                self._queue.extendleft(reversed(open_ones))
            if not isinstance(error, EngineDied):
                raise
            self._recover()
            return []

    def _mine(self, block: list[Submission]) -> None:
        entries = [(one.transaction.hash, one.transaction.raw) for one in block]
        moment = max(self._clock(), self._journal.timestamp, self._genesis_time)
        try:
            try:
                number = self._journal.append(moment, entries)
            except Unavailable as full:  # nothing was stored, so all may try again
                reason = _again(full)
                self._admission.forget(block)
                self._finish(block, lambda _: _again(reason))
                return
            mined = self._apply(number)
            if mined is not None and mined.hash is None:
                self._replica.settle(mined)
            self._admission.forget(one for one in block if self._refused(one, mined))
            self._finish(block, lambda one: self._refused(one, mined))
            if mined is not None and mined.hash is not None:
                self._replica.settle(mined)  # after the answer: opening would find it out again
        except BaseException as error:
            reason = error if isinstance(error, UsufructError) else EngineDied(repr(error))
            reason = _again(reason)
            self._finish(block, lambda _: _again(reason))
            raise

    def _apply(self, number: int) -> Mined | None:
        """Return what became of a block, or None if it was settled while recovering."""
        try:
            return self._replica.apply(next(iter(self._journal.blocks(number))))
        except EngineDied:
            self._recover()
            return None

    def _refused(self, one: Submission, mined: Mined | None) -> RpcError | None:
        name = one.transaction.hash
        if mined is None:
            why = None if self._journal.holds(name) else "the engine refused this transaction"
        else:
            why = mined.dropped.get(name)
        return None if why is None else RpcError(REJECTED, why)

    @staticmethod
    def _finish(block: list[Submission], error: Any) -> None:
        for one in block:
            if not one.done.is_set():
                one.finish(error(one))

    def _save(self, *, least: int | None = None) -> None:
        try:
            self._replica.save_if_due(least=least)
        except EngineDied:
            self._recover()
        except Unavailable:
            pass  # a full disk costs only a slower opening

    def _ask(self, calls: Sequence[Call]) -> list[Any]:
        engine = self._replica.engine
        if engine is None:
            raise _closed()
        return engine.request_many(calls)


def _again(error: UsufructError) -> UsufructError:
    """Return a fresh error of the same kind, because a raised one belongs to its thread."""
    return type(error)(error.message, hint=error.hint)


def _closed() -> EngineDied:
    return EngineDied("the embedded ledger is closed", hint="open it again")
