"""JSON-RPC over HTTP in front of the embedded ledger, so that others join it by URL.

A raw ASGI application under uvicorn in a thread of its own. Only reads, signed transactions,
``usufruct_fund`` and ``usufruct_network`` pass; what drives the engine (``anvil_``, ``evm_``,
``hardhat_``, ``debug_``), signs on the server (``eth_sendTransaction``, ``personal_``) or keeps
state on it (filters) does not. Web pages are kept out: the content type must be JSON, no CORS
header is sent, a request that names a web origin is refused whatever host it asks for, and on
loopback the host asked for must be loopback.

Source: JSON-RPC 2.0 specification.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from usufruct.errors import BadInput, MissingExtra, Unavailable, UsageError, UsufructError
from usufruct.ledger.connections import patient_protocol
from usufruct.ledger.listening import await_started, is_loopback, listen_on
from usufruct.ledger.transport import RpcError, Transport, read_json
from usufruct.ledger.treasury import Treasury

MAX_BODY = 1024 * 1024
"""Largest request body, in bytes."""

MAX_BATCH = 500
"""Most requests in one body."""

MAX_ANSWER = 64 * 1024 * 1024
"""Largest answer, in bytes."""

_BODY_SECONDS = 15.0
_IDLE_SECONDS = 15.0
_ANSWER_SECONDS = 60.0
_START_SECONDS = 10.0
_THREADS = 32
_CONNECTIONS = 256
_BACKLOG = 128
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_log = logging.getLogger(__name__)

_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gateway:
    """Serves a ledger over HTTP from a thread.

    Parameters
    ----------
    engine
        The ledger; its own list of methods decides which requests pass.
    host, port
        Where to listen; port 0 is one of the system's choice.
    treasury
        Pays gas money to new parties; None switches ``usufruct_fund`` off.
    network
        The signed network file that ``usufruct_network`` gives out.

    Raises
    ------
    MissingExtra
        The part ``ledger`` is not installed.
    """

    def __init__(
        self,
        engine: Transport,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        treasury: Treasury | None = None,
        network: bytes | None = None,
    ) -> None:
        try:
            import uvicorn
        except ImportError:
            raise MissingExtra("ledger", "serving a ledger") from None
        self._uvicorn = uvicorn
        self._engine = engine
        self._host = host
        self._port = port
        self._treasury = treasury
        self._network = network
        self._loopback = is_loopback(host)
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def url(self) -> str:
        """Where the ledger can be reached, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> Gateway:
        """Listen and return when requests are answered.

        Raises
        ------
        Unavailable
            The address cannot be listened on, or the server does not start.
        """
        self._socket = listen_on(self._host, self._port, backlog=_BACKLOG)
        self._port = self._socket.getsockname()[1]
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="usufruct-gateway")
        config = self._uvicorn.Config(
            self._application,
            interface="asgi3",
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http=patient_protocol(_IDLE_SECONDS),
            loop="asyncio",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
        self._server = self._uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="usufruct-gateway", daemon=True
        )
        self._thread.start()
        if not await_started(self._server, self._thread, _START_SECONDS):
            self.stop()
            raise Unavailable("the gateway does not start")
        return self

    def stop(self) -> None:
        """Finish what is under way and stop listening; may be called twice."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=20)
            self._thread = None
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Gateway:
        return self.start() if self._thread is None else self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def answer(self, body: bytes) -> bytes:
        """Return the JSON-RPC answer to a request body; never raises for what callers send."""
        try:
            message = read_json(body)
        except ValueError:
            return _encoded(_error(None, -32700, "the request is not JSON"))
        if not isinstance(message, list):
            return _encoded(self._answer_all([message])[0])
        if not 0 < len(message) <= MAX_BATCH:
            return _encoded(_error(None, -32600, f"a batch has 1 to {MAX_BATCH} requests"))
        return _encoded(self._answer_all(message))

    def _answer_all(self, messages: list[Any]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = [{}] * len(messages)
        forwarded: list[int] = []
        for place, message in enumerate(messages):
            fault = _fault(message)
            if fault:
                answers[place] = _error(_number(message), -32600, fault)
            elif message["method"].startswith("usufruct_"):
                answers[place] = self._own(message)
            else:
                forwarded.append(place)
        for place, result in zip(
            forwarded, self._forward([messages[place] for place in forwarded]), strict=True
        ):
            answers[place] = _result(messages[place]["id"], result)
        return answers

    def _forward(self, messages: list[Any]) -> list[Any]:
        calls = [(message["method"], message.get("params", [])) for message in messages]
        if not calls:
            return []
        try:
            return self._engine.request_many(calls)
        except UsufructError as error:
            _log.warning("%d requests failed: %s", len(calls), type(error).__name__)
            return [error] * len(calls)

    def _own(self, message: dict[str, Any]) -> dict[str, Any]:
        method, params = message["method"], message.get("params", [])
        result: Any
        try:
            if method == "usufruct_network" and self._network is not None and not params:
                result = self._network.decode("utf-8")
            elif method == "usufruct_fund" and self._treasury is not None:
                if len(params) != 1 or not isinstance(params[0], str):
                    raise BadInput("usufruct_fund takes one address")
                result = self._treasury.fund(params[0])
            else:
                raise RpcError(-32601, f"the method {method[:64]} is not available")
        except UsufructError as error:
            result = error
        return _result(message["id"], result)

    async def _application(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        status, body = await self._respond(scope, receive)
        headers = [*_JSON, (b"content-length", str(len(body)).encode("ascii"))]
        if status in (408, 413):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, scope: dict[str, Any], receive: _Receive) -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        if scope["method"] != "POST":
            return 405, _encoded(_error(None, -32600, "requests are sent by POST"))
        if self._loopback and not is_loopback(_host(headers.get(b"host", b""))):
            return 403, _encoded(_error(None, -32600, "this host name is not served"))
        if not _is_extension(headers.get(b"origin")):
            return 403, _encoded(_error(None, -32600, "web pages are not served"))
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            return 415, _encoded(_error(None, -32600, "the content type must be application/json"))
        try:
            body = await asyncio.wait_for(_read(receive), _BODY_SECONDS)
        except TimeoutError:
            return 408, _encoded(_error(None, -32600, "the request did not arrive in time"))
        if body is None:
            return 413, _encoded(_error(None, -32600, f"a request has at most {MAX_BODY} bytes"))
        loop = asyncio.get_running_loop()
        try:
            work = loop.run_in_executor(self._pool, self.answer, body)
            return 200, await asyncio.wait_for(work, _ANSWER_SECONDS)
        except TimeoutError:
            return 200, _encoded(_error(None, -32002, "the ledger did not answer in time"))
        except Exception as error:  # noqa: BLE001 a fault of ours must not show its inside
            _log.error("a request failed: %s", type(error).__name__)
            return 200, _encoded(_error(None, -32603, "internal error"))


async def _read(receive: _Receive) -> bytes | None:
    """Return the request's body, or None if it is too long."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return bytes(body)
        body += event.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not event.get("more_body"):
            return bytes(body)


def _fault(message: Any) -> str | None:
    """Say why this is not a JSON-RPC request, or None."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return "this is not a JSON-RPC 2.0 request"
    if _number(message) is None:
        return "a request has an id, a number or a short text"
    if not isinstance(message.get("method"), str) or not isinstance(
        message.get("params", []), list
    ):
        return "a request has a method and a list of params"
    return None


def _number(message: Any) -> Any:
    number = message.get("id") if isinstance(message, dict) else None
    if isinstance(number, str):
        return number if len(number) <= 64 else None
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 2**63:
        return None
    return number


def _result(number: Any, result: Any) -> dict[str, Any]:
    if not isinstance(result, UsufructError):
        return {"jsonrpc": "2.0", "id": number, "result": result}
    if isinstance(result, RpcError):
        return _error(number, result.code, result.message, result.data)
    if isinstance(result, UsageError):
        return _error(number, -32602, result.message)
    # messages of our own faults name files of this machine, which are nobody's business
    return _error(number, -32603, f"the ledger is out of order ({type(result).__name__})")


def _error(number: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": number, "error": error}


def _encoded(answer: Any) -> bytes:
    data = json.dumps(answer, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_ANSWER:
        return _encoded(_error(None, -32005, "the answer is too large; ask for less"))
    return data


def _host(header: bytes) -> str:
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _is_extension(origin: bytes | None) -> bool:
    """Say whether no page of the web asks; a wallet in a browser has an origin of its own kind."""
    return origin is None or origin.partition(b"://")[0].endswith(b"-extension")
