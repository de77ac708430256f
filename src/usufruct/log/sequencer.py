"""Group commit: many threads append, one thread writes, each append returns after its fsync."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from usufruct.errors import NotAllowed, Unavailable, UsufructError

Result = TypeVar("Result")
Row = tuple[bytes, bytes, bytes]
"""Salt, envelope and the 32-byte entry over both."""

MAX_BATCH_ENTRIES = 8192
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Bounds of one transaction: well under 200 ms on a plain disk."""


@dataclass(slots=True)
class _Request:
    rows: Sequence[Row]
    work: Callable[[], Any] | None
    done: threading.Lock
    result: Any = None
    error: BaseException | None = None


class Sequencer:
    """The one thread that writes.

    Parameters
    ----------
    commit
        Makes rows durable and returns the index of the first.
    settle
        Runs after a commit was acknowledged: work that can be derived again.
    """

    def __init__(self, commit: Callable[[Sequence[Row]], int], settle: Callable[[], None]) -> None:
        self._commit = commit
        self._settle = settle
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="usufruct-log", daemon=True)
        self._thread.start()

    def append(self, rows: Sequence[Row]) -> int:
        """Append rows, one after another; returns the index of the first once all are durable.

        Raises
        ------
        Unavailable, Damaged
            They are not in the log; the disk or the file is at fault.
        """
        return int(self._wait(_Request(rows, None, threading.Lock())))

    def run(self, work: Callable[[], Result]) -> Result:
        """Run `work` on the writing thread, between two batches."""
        result: Result = self._wait(_Request((), work, threading.Lock()))
        return result

    def close(self) -> None:
        """Finish what was asked for, then stop; may be called twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _wait(self, request: _Request) -> Any:
        request.done.acquire()
        with self._gate:
            if self._closed:
                raise NotAllowed("the log is closed")
            self._queue.put(request)
        # The writing thread gives the lock back when the request is done.
        request.done.acquire()
        if request.error is None:
            return request.result
        if isinstance(request.error, UsufructError):
            raise type(request.error)(
                request.error.message, hint=request.error.hint
            ) from request.error
        raise Unavailable(f"the log could not write: {request.error}") from request.error

    def _run(self) -> None:
        waiting: _Request | None = None
        while True:
            request = waiting or self._queue.get()
            waiting = None
            if request is None:
                return
            if request.work is not None:
                self._do(request, request.work)
                continue
            batch, stop = [request], False
            entries, size = self._measure(request)
            while entries < MAX_BATCH_ENTRIES and size < MAX_BATCH_BYTES:
                try:
                    more = self._queue.get_nowait()
                except Empty:
                    break
                if more is None:
                    stop = True
                    break
                if more.work is not None:
                    waiting = more
                    break
                batch.append(more)
                added = self._measure(more)
                entries, size = entries + added[0], size + added[1]
            self._write(batch)
            if stop:
                return

    def _write(self, batch: list[_Request]) -> None:
        try:
            index = self._commit([row for request in batch for row in request.rows])
        except BaseException as error:  # noqa: BLE001 - each waiting thread gets it
            for request in batch:
                request.error = error
                request.done.release()
            return
        for request in batch:
            request.result = index
            index += len(request.rows)
            request.done.release()
        self._settle()

    @staticmethod
    def _do(request: _Request, work: Callable[[], Any]) -> None:
        try:
            request.result = work()
        except BaseException as error:  # noqa: BLE001 - the waiting thread gets it
            request.error = error
        request.done.release()

    @staticmethod
    def _measure(request: _Request) -> tuple[int, int]:
        return len(request.rows), sum([len(row[1]) for row in request.rows])
