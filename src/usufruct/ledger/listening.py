"""Sockets that servers listen on, and waiting until one answers."""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Any

from usufruct.errors import BadInput, Unavailable


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen_on(host: str, port: int, *, backlog: int | None = None) -> socket.socket:
    """Return a socket bound to an address, fit to be given to asyncio.

    Parameters
    ----------
    port
        0 takes a free one.
    backlog
        Listen at once, with so many waiting; None leaves that to the server.

    Raises
    ------
    BadInput
        No address of this machine can be meant.
    Unavailable
        The address is in use, or not for this user.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sets TCP_NODELAY only where the protocol is named; else 40 ms a call
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError, UnicodeError):
        raise BadInput(f"'{host}' is not an address to listen on") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        if backlog is not None:
            listening.listen(backlog)
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise Unavailable(
            f"cannot listen on {host} port {port}: {reason}",
            hint="choose another port; 0 takes any free one",
        ) from error
    return listening


def await_started(server: Any, thread: threading.Thread, seconds: float) -> bool:
    """Wait until a uvicorn server in `thread` answers; False if it ended or took too long."""
    waited = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if server.started or not thread.is_alive():
            break
        waited.wait(0.01)
    return bool(server.started)
