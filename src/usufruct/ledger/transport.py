"""How a ledger is reached: one method, so that an engine, a URL and a mock look alike.

Source: JSON-RPC 2.0 specification.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from usufruct.errors import BadInput, LedgerUnreachable, MissingExtra, UsufructError
from usufruct.ledger.listening import is_loopback

MAX_RESPONSE = 256 * 1024 * 1024
"""Largest answer read, in bytes: the receipts of a full block fit many times."""

MAX_BATCH = 500
"""Requests sent in one HTTP body; longer lists are sent in turns."""

MAX_BATCH_BYTES = 512 * 1024
"""A body of several requests is kept below this, because endpoints refuse large ones."""

_MAX_DEPTH = 64
# a string without its end is matched too, or hostile bytes would make this quadratic
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)

Call = tuple[str, list[Any]]
"""A method's name and its parameters."""


class RpcError(UsufructError):
    """The ledger answered a request with a JSON-RPC error.

    Parameters
    ----------
    code
        JSON-RPC 2.0 error code; -32000 and below are the ledger's own (EIP-1474).
    message
        The ledger's words.
    data
        What it sent along: for a revert, the ABI-encoded error as hexadecimal.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Transport(Protocol):
    """Anything that answers Ethereum JSON-RPC requests; calls may come from many threads."""

    def request(self, method: str, params: list[Any]) -> Any:
        """Return the result of one request.

        Raises
        ------
        RpcError
            The ledger refused.
        Unavailable
            It does not answer (:class:`LedgerUnreachable`, :class:`EngineDied`).
        """
        ...

    def request_many(self, calls: Sequence[Call]) -> list[Any]:
        """Return one result a call, in order; a refused one is an :class:`RpcError` in its place.

        Raises
        ------
        Unavailable
            The ledger does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...


class HttpTransport:
    """Any JSON-RPC endpoint by URL.

    Parameters
    ----------
    url
        ``http://`` or ``https://``. A user name, password or path in it is never shown.
    timeout
        Seconds until an endpoint that does not answer counts as unreachable.

    Raises
    ------
    BadInput
        Not such a URL.
    MissingExtra
        The part ``ledger`` is not installed.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("ledger", "reaching a ledger by URL") from None
        self._httpx = httpx
        self._shown, local = _endpoint(url)
        self._url = url
        self._numbers = itertools.count(1)
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            trust_env=not local,  # a proxy for the outside has no business on loopback
            headers={"Content-Type": "application/json"},
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
        )

    def __repr__(self) -> str:
        return f"HttpTransport({self._shown!r})"

    def request(self, method: str, params: list[Any]) -> Any:
        """Return the result of one request; see :meth:`Transport.request`."""
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        result = self._result(self._post(_encoded(message)), number)
        if isinstance(result, RpcError):
            raise result
        return result

    def request_many(self, calls: Sequence[Call]) -> list[Any]:
        """Return one result a call, in order; see :meth:`Transport.request_many`."""
        results: list[Any] = []
        turn: dict[int, bytes] = {}
        size = 0
        for method, params in calls:
            number = next(self._numbers)
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            encoded = _encoded(message)
            size += len(encoded)
            if turn and (len(turn) == MAX_BATCH or size > MAX_BATCH_BYTES):
                results += self._batch(turn)
                turn, size = {}, len(encoded)
            turn[number] = encoded
        return results + self._batch(turn) if turn else results

    def _batch(self, turn: dict[int, bytes]) -> list[Any]:
        answers = self._post(b"[" + b",".join(turn.values()) + b"]")
        if isinstance(answers, dict):  # a whole batch may be refused with one error
            refusal = self._result(answers, None)
            if isinstance(refusal, RpcError):
                raise refusal
        if not isinstance(answers, list) or len(answers) != len(turn):
            raise self._nonsense("a batch was answered in part")
        found = {
            answer["id"]: answer
            for answer in answers
            if isinstance(answer, dict) and isinstance(answer.get("id"), int)
        }
        if found.keys() != turn.keys():
            raise self._nonsense("a batch was answered with other numbers")
        return [self._result(found[number], number) for number in turn]

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _post(self, content: bytes) -> Any:
        httpx = self._httpx
        data = bytearray()
        try:
            with self._client.stream("POST", self._url, content=content) as response:
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MAX_RESPONSE:
                        raise self._nonsense(f"it is longer than {MAX_RESPONSE} bytes")
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            raise LedgerUnreachable(
                f"the ledger at {self._shown} does not answer ({type(error).__name__})",
                hint="check that it runs, its URL, and the network between",
            ) from error
        try:
            return read_json(bytes(data))
        except ValueError:
            if status != 200:
                raise LedgerUnreachable(
                    f"the ledger at {self._shown} answers with HTTP status {status}",
                    hint="check the URL, and whether the endpoint asks for a key",
                ) from None
            raise self._nonsense("it is not JSON") from None

    def _result(self, answer: Any, number: int | None) -> Any:
        """Return the result in a JSON-RPC answer, or the error as an object."""
        if not isinstance(answer, dict):
            raise self._nonsense("it is not a JSON-RPC answer")
        error = answer.get("error")
        if error is not None:
            if not isinstance(error, dict):
                raise self._nonsense("its error is not an object")
            code, message = error.get("code"), error.get("message")
            if not isinstance(code, int) or isinstance(code, bool) or not isinstance(message, str):
                raise self._nonsense("its error has no code and message")
            return RpcError(code, message[:2000], error.get("data"))
        if "result" not in answer or answer.get("id") != number:
            raise self._nonsense("it has no result for the request's number")
        return answer["result"]

    def _nonsense(self, what: str) -> LedgerUnreachable:
        return LedgerUnreachable(
            f"the ledger at {self._shown} gives an answer that cannot be used: {what}",
            hint="check that the URL is an Ethereum JSON-RPC endpoint",
        )


def _encoded(message: Any) -> bytes:
    try:
        return json.dumps(message, allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"the request cannot be written as JSON: {error}") from None


def read_json(data: bytes) -> Any:
    """Return parsed JSON of another party; anything else, however odd, is a ValueError.

    Depth is counted first: Python's parser recurses in C, and where a library has raised the
    recursion limit (eth-account's dependencies do) deep nesting would end the process.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    depth = 0
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH:
        for token in _BRACKETS.finditer(data):
            first = token.group()[0]
            if first in b"[{":
                depth += 1
                if depth > _MAX_DEPTH:
                    raise ValueError("too deep")
            elif first in b"]}":
                depth -= 1
    return json.loads(data, parse_constant=refuse)


def _endpoint(url: str) -> tuple[str, bool]:
    """Return the URL without secrets, and whether it is on this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError):
        raise BadInput("the ledger's URL cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(
            "the ledger's URL is not of the form http://host:port",
            hint="write it like http://127.0.0.1:8545",
        )
    shown = f"[{host}]" if ":" in host else host
    if port is not None:
        shown += f":{port}"
    return f"{parts.scheme}://{shown}", is_loopback(host)
