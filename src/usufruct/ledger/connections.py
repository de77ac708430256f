"""Connections that come to nothing are cut, so that idle ones cannot take all places.

uvicorn limits how long a connection may idle between requests, not before the first one, not in
the middle of a header, and not while a caller leaves its answer unread.
"""

from __future__ import annotations

import asyncio
from typing import Any


def patient_protocol(seconds: float) -> Any:
    """Return uvicorn's HTTP/1.1 protocol, made to cut a connection that stands still.

    Parameters
    ----------
    seconds
        A connection with no request under way, or whose answer is not being read, is cut when
        nothing has changed for so long.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        _watching: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._watching is not None:
                self._watching.cancel()
            super().connection_lost(exc)

        def _watch(self) -> None:
            state = (self.cycle, self.transport.get_write_buffer_size())
            self._watching = self.loop.call_later(seconds, self._look, state)

        def _look(self, before: tuple[Any, int]) -> None:
            cycle, unread = self.cycle, self.transport.get_write_buffer_size()
            at_work = cycle is not None and not cycle.response_complete and not unread
            if at_work or (cycle, unread) != before:
                self._watch()
            else:
                # not close(): that would wait for a caller who does not read
                self.transport.abort()

    return Patient
