"""uvicorn under limits, in a thread of its own; stops gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from usufruct.errors import BadInput, MissingExtra, Unavailable
from usufruct.ledger.listening import await_started, listen_on
from usufruct.node.limits import Limits

_START_SECONDS = 15.0
_HANDSHAKE_SECONDS = 10.0
_SPARE = 128


class NodeServer:
    """Serves an ASGI application over HTTP/1.1.

    Parameters
    ----------
    application
        Called for each request.
    host, port
        Where to listen; port 0 takes a free one.
    tls_cert, tls_key
        PEM files; both or none.

    Raises
    ------
    MissingExtra
        The part ``node`` is not installed.
    BadInput
        The certificate or key cannot be used.
    """

    def __init__(
        self,
        application: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
    ) -> None:
        try:
            import httptools  # noqa: F401
            import uvicorn
        except ImportError:
            raise MissingExtra("node", "serving a node") from None
        self._uvicorn = uvicorn
        self._application = application
        self._host = host
        self._port = port
        self._limits = limits or Limits()
        self._tls = _tls(tls_cert, tls_key)
        self._server: Any = None
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    @property
    def url(self) -> str:
        """Where it answers, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    @property
    def alive(self) -> bool:
        """True while it answers."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> NodeServer:
        """Listen and return when requests are answered.

        Raises
        ------
        BadInput, Unavailable
            The address cannot be listened on, or the server does not start.
        """
        from usufruct.node.connections import Places, guarded_protocol

        self._socket = listen_on(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        limits, backlog = _fitting(self._limits)
        config = self._uvicorn.Config(
            self._application,
            interface="asgi3",
            http=guarded_protocol(limits, places := Places(limits)),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=backlog,
            timeout_keep_alive=int(limits.idle_seconds) + 5,
            timeout_graceful_shutdown=max(1, int(limits.stop_seconds)),
        )
        config.load()
        config.ssl = self._tls
        self._server = self._uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, args=(places,), name="usufruct-node", daemon=True
        )
        self._thread.start()
        if not await_started(self._server, self._thread, _START_SECONDS):
            self.stop()
            raise Unavailable("the node does not start") from self._failed
        return self

    def stop(self) -> None:
        """Finish what is under way, as long as the limits say, and stop; may be called twice."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=self._limits.stop_seconds + 10)
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> NodeServer:
        return self.start() if self._thread is None else self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, places: Any) -> None:
        async def serve() -> None:
            looking = asyncio.ensure_future(_look(places))
            try:
                await self._server.serve(sockets=[self._socket])
            finally:
                looking.cancel()

        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(serve())
        except (Exception, SystemExit) as error:  # noqa: BLE001 a thread has nobody to raise to
            self._failed = error


class _Loop(asyncio.SelectorEventLoop):
    async def create_server(self, *arguments: Any, **named: Any) -> Any:
        """Listen; a TLS handshake that does not come to its end is cut early."""
        if named.get("ssl") is not None:
            named["ssl_handshake_timeout"] = _HANDSHAKE_SECONDS
        return await super().create_server(*arguments, **named)


async def _look(places: Any) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        places.look(loop.time())


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Let this process open as many files as it may, for the time of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    try:
        if soft < most:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        yield
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _fitting(limits: Limits) -> tuple[Limits, int]:
    """Return limits that this process's file descriptors allow, and the backlog."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 65_536
    # the loop takes as many connections at once as the backlog, before one of them is looked at
    backlog = max(16, min(1024, soft // 8))
    most = max(16, soft - 2 * backlog - limits.downloads - _SPARE)
    return replace(limits, connections=min(limits.connections, most)), backlog


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise BadInput("TLS needs a certificate and its key", hint="give both, or none")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # a password would be asked for on the terminal, where nobody is
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise BadInput(
            f"the certificate {cert} and the key {key} cannot be used: "
            f"{getattr(error, 'reason', None) or getattr(error, 'strerror', None) or 'unreadable'}",
            hint="a PEM chain and its unencrypted PEM key",
        ) from None
    return context
