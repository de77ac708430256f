"""One line of JSON a request, and one a fault; never a signature, a key or a body."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from types import TracebackType
from typing import Any, Final, TextIO

from usufruct.clock import Clock, iso, system_clock

MAX_WAITING: Final = 10_000
"""Lines that wait for a slow reader of the log; more are dropped and counted."""


class RequestLog:
    """Writes lines from a thread, so that a full pipe never stops the node.

    Parameters
    ----------
    stream
        Where lines go; None writes none.
    """

    def __init__(self, stream: TextIO | None, *, clock: Clock = system_clock) -> None:
        self._stream = stream
        self._clock = clock
        self._queue: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread: threading.Thread | None = None
        if stream is not None:
            self._thread = threading.Thread(target=self._write, name="usufruct-log", daemon=True)
            self._thread.start()

    def write(self, event: str, **fields: Any) -> None:
        """Write one line; never waits, never raises."""
        if self._thread is None:
            return
        document = {"time": iso(self._clock()), "event": event} | fields
        try:
            # ASCII only: no text of a stranger drives a terminal
            self._queue.put_nowait(json.dumps(document, separators=(",", ":"), default=str))
        except queue.Full:
            self._dropped += 1

    def fault(self, error: BaseException, **fields: Any) -> None:
        """Write that something unforeseen happened, and where; not its text, which may tell."""
        self.write("fault", error=type(error).__name__, at=_places(error.__traceback__), **fields)

    def close(self) -> None:
        """Write what waits, as far as a second allows; may be called twice."""
        if self._thread is not None:
            if self._dropped:
                self.write("dropped", lines=self._dropped)
            try:
                self._queue.put(None, timeout=1)
            except queue.Full:
                pass
            self._thread.join(timeout=1)
            self._thread = None

    def _write(self) -> None:
        assert self._stream is not None
        while (line := self._queue.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._queue.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # a reader that went away: the node goes on
                continue
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class LogHandler(logging.Handler):
    """Takes warnings of the package's own loggers into the log."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._log.write(
            "warning", logger=record.name, level=record.levelname, message=record.getMessage()[:500]
        )


def _places(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[-8:]
