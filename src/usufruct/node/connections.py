"""Connections under limits: large heads, idle ones, slow ones and too many of one peer are cut.

uvicorn's fast HTTP parser has no limit on a request's head, none on the time a head or body
takes, and none on who holds connections. A connection here is always in one of four states:
``idle`` (no request), ``head`` (one is arriving), ``work`` (an answer is made or sent) and
``rest`` (the answer is out, the body still comes). A look once a second cuts what stays too
long; where places run out, the one that has been idle longest goes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from usufruct.node.limits import Limits, peer_key

CONNECTION = "usufruct.connection"
"""Where a request's ``state`` holds its connection."""

_REST_SECONDS = 2.0
_QUIET = logging.Logger("usufruct.node.quiet", logging.CRITICAL + 1)
_JSON = b"content-type: application/json\r\nconnection: close\r\n"


class Places:
    """Who holds connections; used by the event loop's thread only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: set[Guarded] = set()
        # dicts keep the order of entry, so the first is the one that has waited longest
        self._waiting: dict[Guarded, None] = {}
        self._peers: dict[str, dict[Guarded, None]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Guarded) -> None:
        """Give a new connection a place, if need be that of an idle one; else cut it."""
        peer = connection.peer
        self._open.add(connection)
        self._counts[peer] = self._counts.get(peer, 0) + 1
        limit = self._limits.connections_per_peer
        if not self._limits.proxied and self._counts[peer] > limit:
            (next(iter(self._peers.get(peer, ())), None) or connection).abort()
        elif len(self._open) > self._limits.connections:
            (next(iter(self._waiting), None) or connection).abort()
        if connection in self._open:
            self.wait(connection)

    def leave(self, connection: Guarded) -> None:
        """Forget a connection; may be called twice."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self.work(connection)
        peer = connection.peer
        self._counts[peer] -= 1
        if not self._counts[peer]:
            del self._counts[peer]

    def wait(self, connection: Guarded) -> None:
        """Note that a connection waits for a request from now on."""
        if connection in self._open:
            self._waiting[connection] = None
            self._peers.setdefault(connection.peer, {})[connection] = None

    def work(self, connection: Guarded) -> None:
        """Note that a connection has a request under way."""
        self._waiting.pop(connection, None)
        mine = self._peers.get(connection.peer)
        if mine is not None:
            mine.pop(connection, None)
            if not mine:
                del self._peers[connection.peer]

    def look(self, now: float) -> None:
        """Cut what has stood still for too long."""
        for connection in list(self._open):
            connection.look(now)


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol with the limits; :func:`guarded_protocol` binds them."""

    limits: Limits
    places: Places

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # what strangers send wrong is theirs to know, and would fill the operator's log
        self.logger = _QUIET
        self.peer = "?"
        self._state = "idle"
        self._since = self.loop.time()
        self._head = 0
        self._cut = False
        self._complete = True
        self._unsent = 0
        self._surplus = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        self.peer = peer_key(self.client[0]) if self.client else "?"
        self.places.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.places.leave(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Drop the connection at once; closing would wait for a peer who does not read."""
        self.places.leave(self)
        self._cut = True
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as the limits allow."""
        if self._cut or self.transport.is_closing():
            return
        if self._state == "idle":
            self._enter("head")
        elif self._state == "rest":
            self._surplus += len(data)
            if self._surplus > self.limits.body_bytes:
                self.abort()
                return
        if self._complete:
            self._head += len(data)
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 whatever a stranger's bytes do to the parser
            self._refuse(400, "BadInput", "this is not an HTTP request")
        if self._complete and self._head > self.limits.head_bytes:
            self._refuse(431, "BadInput", "the head of the request is too large")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "BadInput", "this is not an HTTP request")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["state"][CONNECTION] = self
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._grow(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if self._cut:
            return
        self._complete = False
        self._head = 0
        self._enter("work")
        try:
            super().on_headers_complete()
        except (httptools.HttpParserError, UnicodeError):
            self._refuse(400, "BadInput", "the target of the request is malformed")

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        if not self._cut:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that nothing more of this request comes."""
        self._complete = True
        self._head = 0
        if self._cut:
            return
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete and not self.pipeline:
            self._enter("idle")

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        super().on_response_complete()
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            self._enter("work")
        else:
            self._enter("idle" if self._complete else "rest")

    def shutdown(self) -> None:
        """Finish the answer under way, then close."""
        if self._state in ("idle", "head", "rest"):
            self.abort() if self._state != "idle" else self.transport.close()
        else:
            super().shutdown()

    def look(self, now: float) -> None:
        """Cut this connection if it has stood still for too long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            # its reader is taking the answer
            self._unsent, self._since = unsent, now
            return
        limits = self.limits
        waited = now - self._since
        allowed = {
            "idle": limits.idle_seconds,
            "head": limits.head_seconds,
            "rest": _REST_SECONDS,
            "work": limits.stall_seconds if unsent else None,
        }[self._state]
        if self.transport.is_closing():
            allowed = limits.idle_seconds
        if allowed is not None and waited > allowed:
            self.abort()

    def _enter(self, state: str) -> None:
        before, self._state = self._state, state
        self._since = self.loop.time()
        if state == "idle":
            self.places.wait(self)
        elif (before == "idle" and state == "work") or state == "work":
            self.places.work(self)

    def _grow(self, size: int) -> None:
        if self._cut:
            return
        self._size += size
        if self._size > self.limits.head_bytes:
            self._refuse(431, "BadInput", "the head of the request is too large")
            raise _TooLarge

    def _refuse(self, status: int, error: str, message: str) -> None:
        """Answer a request that never reaches the application, and close."""
        if self._cut:
            return
        self._cut = True
        if self.cycle is not None and not self.cycle.response_complete:
            # an answer is under way on this connection: another would be taken for its part
            self.transport.close()
            return
        body = f'{{"error":"{error}","hint":null,"message":"{message}"}}'.encode("ascii")
        reason = b"Bad Request" if status == 400 else b"Request Header Fields Too Large"
        head = b"HTTP/1.1 %d %s\r\ncontent-length: %d\r\n" % (status, reason, len(body))
        self.transport.write(head + _JSON + b"\r\n" + body)
        self.transport.close()


class _TooLarge(Exception):
    """Ends the parsing of a head."""


def guarded_protocol(limits: Limits, places: Places) -> type[Guarded]:
    """Return the protocol class of one server."""
    return type("Bound", (Guarded,), {"limits": limits, "places": places})
