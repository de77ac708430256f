"""One HTTP/1.1 connection to one node, on which every wait and every answer has an end.

The standard library's client parses; what is added here is an end to each answer as a whole (a
drip of bytes would outlast any timeout of single reads), reading into the caller's buffer, and
refusing whatever a node has no need to send: redirects are answers like others and never followed.
Source: RFC 9112.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from usufruct.errors import BadInput, Unavailable
from usufruct.peer.directory import Endpoint

LEAST_SPEED: Final = 16 * 1024
"""Bytes a second that an answer must make, after the time that any answer may take."""

_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Connection:
    """Asks one node, one request at a time; not for several threads.

    Parameters
    ----------
    endpoint
        Where.
    timeout
        Seconds that connecting, each silence, and any answer may take; a long answer may take
        longer as long as it comes at :data:`LEAST_SPEED`.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float) -> None:
        self.endpoint = endpoint
        self._timeout = timeout
        self._http: _Http | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None

    @contextlib.contextmanager
    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Iterator[Answer]:
        """Send a request and give its answer, whose body is read in the block.

        Raises
        ------
        Unavailable
            The node does not answer, not in time, or not by HTTP.
        ConnectionAgain
            A kept connection was closed by the node before it answered: ask once more.
        """
        answer = self._answer(method, path, headers, body)
        try:
            yield answer
        finally:
            if not answer.is_read:
                # what is left of this answer must not be taken for the next one
                self.close()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        kept = self._http is not None
        try:
            if self._http is None:
                self._http = _Http(self.endpoint, self._timeout)
            self._http.start()
            self._http.request(method, path, body or None, dict(headers))
            return Answer(self._http.getresponse(), self.endpoint)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if kept and isinstance(error, _STALE):
                raise ConnectionAgain("the node closed the connection") from error
            raise _unreachable(self.endpoint, error) from error
        except BaseException:
            self.close()
            raise


class ConnectionAgain(Unavailable):
    """A kept connection turned out to be closed; nothing was answered."""


class Answer:
    """The head of an answer, and its body as it is read."""

    def __init__(self, response: http.client.HTTPResponse, endpoint: Endpoint) -> None:
        self._response = response
        self._endpoint = endpoint
        self.status = response.status
        self.length: int | None = response.length
        """Bytes of the body, None when only its end will tell."""

    def header(self, name: str) -> str:
        """Return a header, empty if there is none, cut at 200 characters."""
        return (self._response.getheader(name) or "")[:200]

    @property
    def is_read(self) -> bool:
        """True when nothing of the body is left."""
        return self._response.isclosed() or self._response.length == 0

    def fill(self, buffer: memoryview) -> int:
        """Read until `buffer` is full or the body ends; return how many bytes."""
        got = 0
        try:
            while got < len(buffer):
                more = self._response.readinto(buffer[got:])
                if not more:
                    break
                got += more
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._endpoint, error) from error
        return got

    def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises
        ------
        Unavailable
            It has more than `limit` bytes, is cut short, packed, or does not come in time.
        """
        if self.header("Content-Encoding") not in ("", "identity"):
            raise nonsense(self._endpoint, "it is packed, which was not asked for")
        if self.length is not None and self.length > limit:
            raise nonsense(self._endpoint, f"it is longer than {limit} bytes")
        wanted, data = self.length, bytearray()
        piece = memoryview(bytearray(min(limit + 1, 65536, wanted or 65536)))
        while len(data) <= limit:
            got = self.fill(piece[: min(len(piece), limit + 1 - len(data))])
            if not got:
                break
            data += piece[:got]
        if len(data) > limit:
            raise nonsense(self._endpoint, f"it is longer than {limit} bytes")
        if wanted is not None and len(data) != wanted:
            raise nonsense(self._endpoint, "it is cut short")
        return bytes(data)


def nonsense(endpoint: Endpoint, what: str) -> Unavailable:
    """Return the error for an answer that no node gives."""
    return Unavailable(
        f"the node at {endpoint.url} gives an answer that cannot be used: {what}",
        hint="check that the URL is a usufruct node's; tell its operator",
    )


def _unreachable(endpoint: Endpoint, error: Exception) -> Unavailable:
    why, hint = type(error).__name__, "check that it runs, its URL, and the network between"
    if isinstance(error, ssl.SSLCertVerificationError):
        why, hint = f"its certificate is not good: {error.verify_message}", "check its URL"
    elif isinstance(error, TimeoutError):
        why = "not in time"
    elif isinstance(error, ConnectionRefusedError):
        why = "nothing listens there"
    elif isinstance(error, socket.gaierror):
        why = "there is no such host"
    return Unavailable(f"the node at {endpoint.url} does not answer ({why})", hint=hint)


class _Http(http.client.HTTPConnection):
    """The standard client over a socket whose reads and writes end in time."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=timeout)
        self._endpoint = endpoint
        self._seconds = timeout

    def connect(self) -> None:
        plain = socket.create_connection(
            (self._endpoint.host, self._endpoint.port), timeout=self._seconds
        )
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._endpoint.secure:
                context = ssl.create_default_context()
                plain = context.wrap_socket(plain, server_hostname=self._endpoint.host)
        except BaseException:
            plain.close()
            raise
        self.sock: Any = _Wire(plain, self._seconds)

    def start(self) -> None:
        """Count the time of an answer from now."""
        if self.sock is None:
            self.connect()
        self.sock.start()


class _Wire:
    """What http.client needs of a socket."""

    def __init__(self, plain: socket.socket, timeout: float) -> None:
        self._socket = plain
        self._timeout = timeout
        self.start()

    def start(self) -> None:
        self._began = time.monotonic()
        self.received = 0

    def arm(self) -> None:
        """Set how long the next read or write may take; raise when the time is over."""
        allowed = self._timeout + self.received / LEAST_SPEED
        left = self._began + allowed - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._socket.settimeout(min(left, self._timeout))

    def sendall(self, data: Any) -> None:
        self.arm()
        self._socket.sendall(data)

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:
        if mode != "rb":
            raise BadInput("a node is only read from")
        return io.BufferedReader(_Raw(self, self._socket.makefile("rb", buffering=0)), 65536)

    def close(self) -> None:
        self._socket.close()


class _Raw(io.RawIOBase):
    def __init__(self, wire: _Wire, raw: Any) -> None:
        self._wire = wire
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._wire.arm()
        got: int | None = self._raw.readinto(buffer)
        self._wire.received += got or 0
        return got

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
