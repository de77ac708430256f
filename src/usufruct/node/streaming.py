"""Sending files: read in threads, one piece ahead, never faster than the reader takes them."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from usufruct.errors import NotFound, Unavailable
from usufruct.node.connections import CONNECTION

PIECE = 512 * 1024
"""Bytes read and sent at once: with one piece ahead, a download holds at most three."""

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for sending; whoever holds it closes it."""

    descriptor: int
    size: int
    etag: str

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes (Unavailable: the file is cut short or unreadable)."""
        parts = []
        while length:
            try:
                part = os.pread(self.descriptor, length, offset)
            except OSError as error:
                raise Unavailable(f"a file cannot be read: {error.strerror}") from error
            if not part:
                raise Unavailable("a file became shorter while it was sent")
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def open_file(path: Path) -> Opened:
    """Open a regular file, never through a link at its end.

    Raises
    ------
    NotFound
        There is none.
    Unavailable
        It cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFound("the sealed object is gone from the vault") from None
    except OSError as error:
        raise Unavailable(f"the sealed object cannot be read: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise NotFound("there is no such sealed object here")
    return Opened(descriptor, found.st_size, f'"{found.st_size:x}-{found.st_mtime_ns:x}"')


class Streamed(Response):
    """An ASGI answer that sends a part of a file.

    Parameters
    ----------
    file
        Closed when the answer is over.
    start, stop
        Which bytes, `stop` exclusive.
    readers
        Threads that read.
    stall
        Seconds in which one piece must have been taken, else the connection is cut.
    slot
        Held while the answer is sent.
    sent
        Told how many bytes were handed to the connection.
    """

    def __init__(
        self,
        file: Opened,
        start: int,
        stop: int,
        *,
        status: int,
        headers: Mapping[str, str],
        readers: Executor,
        stall: float,
        slot: AbstractContextManager[None],
        sent: Callable[[int], None],
    ) -> None:
        # not the parent's: it wants the whole body
        self.status_code = status
        self.background = None
        self._file = file
        self._start = start
        self._stop = stop
        self._lines = dict(headers) | {"content-length": str(stop - start)}
        self._readers = readers
        self._stall = stall
        self._slot = slot
        self._sent = sent

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Send the answer."""
        gone = asyncio.ensure_future(_gone(receive))
        try:
            with self._slot:
                await self._send(scope, gone, send)
        finally:
            gone.cancel()
            self._file.close()

    async def _send(self, scope: Any, gone: asyncio.Future[None], send: Send) -> None:
        headers = [(k.encode("ascii"), v.encode("latin-1")) for k, v in self._lines.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        at = self._start
        ahead = self._read(at)
        try:
            while True:
                piece = await ahead
                at += len(piece)
                more = at < self._stop
                if gone.done():
                    return
                if more:
                    ahead = self._read(at)
                message = {"type": "http.response.body", "body": piece, "more_body": more}
                try:
                    await asyncio.wait_for(send(message), self._stall)
                except TimeoutError:
                    connection = scope.get("state", {}).get(CONNECTION)
                    if connection is not None:
                        connection.abort()
                    return
                self._sent(len(piece))
                if not more:
                    return
        finally:
            if not ahead.done():
                # the file stays open until the thread has let go of it
                await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()

    def _read(self, at: int) -> asyncio.Future[bytes]:
        length = min(PIECE, self._stop - at)
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._readers, self._file.read, at, length)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
