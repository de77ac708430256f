"""Around every request: an id, a line in the log, figures, and an answer whatever happens."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from usufruct.errors import BadInput
from usufruct.node.answers import Refusal, answer_of
from usufruct.node.state import NodeState

NOTES = "usufruct.notes"
"""Where a request's ``state`` holds what the log tells of it."""

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'"),
]
_HOST = re.compile(rb"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?\Z")

App = Callable[[Any, Any, Any], Awaitable[None]]


class Watch:
    """An ASGI middleware; the outermost one."""

    def __init__(self, app: App, state: NodeState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        number = secrets.token_hex(8)
        notes: dict[str, Any] = {}
        scope.setdefault("state", {})[NOTES] = notes
        status, size, whole = 0, 0, False

        async def watched(message: Any) -> None:
            nonlocal status, size, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = [*_HEADERS, (b"x-request-id", number.encode("ascii"))]
                message = message | {"headers": [*message.get("headers", []), *extra]}
            else:
                size += len(message.get("body", b""))
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            self._state.gate.check_address(scope)
            self._check_host(scope)
            await self._app(scope, receive, watched)
        except Exception as error:
            if not status:
                await self._failed(error, watched, number)
            elif not whole:
                # half an answer is out: the connection ends, so that it cannot pass for a whole
                self._state.log.fault(error, request=number)
                raise
        finally:
            route = _template(scope)
            took = time.perf_counter() - started
            self._state.metrics.requests.labels(route, str(status)).inc()
            self._state.metrics.seconds.labels(route).observe(took)
            self._state.log.write(
                "request",
                method=scope["method"][:16],
                path=route,
                status=status,
                bytes=size,
                ms=round(took * 1000, 1),
                account=notes.get("account"),
                request=number,
            )

    def _check_host(self, scope: Any) -> None:
        good = self._state.hosts
        if good is None:
            return
        named = [value for name, value in scope["headers"] if name == b"host"]
        found = _HOST.match(named[0]) if len(named) == 1 else None
        if found is None or not good((found[1] or found[2]).decode("ascii").lower()):
            raise Refusal(BadInput("this host name is not served"), 421)

    async def _failed(
        self, error: Exception, send: Callable[[Any], Awaitable[None]], number: str
    ) -> None:
        status, document, headers = answer_of(error)
        if status >= 500 and not isinstance(error, Refusal):
            self._state.log.fault(error, request=number)
        body = json.dumps(document, separators=(",", ":")).encode("ascii")
        lines = {"content-type": "application/json", "content-length": str(len(body))} | headers
        pairs = [(name.encode("ascii"), value.encode("ascii")) for name, value in lines.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


def _template(scope: Any) -> str:
    """Return the route's path with its variables' names; strangers' paths are one word."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"
