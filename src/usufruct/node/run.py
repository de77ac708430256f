"""Run a home's node until it is told to stop: everything opened, started, and closed in order."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO
from urllib.parse import urlsplit

from usufruct.clock import Clock, system_clock
from usufruct.errors import HomeBusy, MissingExtra, Unavailable
from usufruct.ledger.listening import is_loopback
from usufruct.store import HomeLock
from usufruct.types import Address
from usufruct.workspace.connection import Connection, load_network, reach
from usufruct.workspace.home import EMBEDDED, NO_LEDGER, Home, default_home
from usufruct.workspace.serving import stopping

if TYPE_CHECKING:
    from usufruct.crypto.identity import Identity
    from usufruct.node.limits import Limits
    from usufruct.node.state import NodeState

LOCK: Final = "node.lock"


def run_node(
    home: Path | None,
    *,
    passphrase: Callable[[], str],
    started: Callable[[dict[str, Any]], None],
    host: str = "127.0.0.1",
    port: int = 0,
    public_url: str | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    log: TextIO | None = None,
    stop: threading.Event | None = None,
    release: bool = True,
    limits: Limits | None = None,
    clock: Clock = system_clock,
) -> None:
    """Run a home's node until SIGINT, SIGTERM or `stop`.

    The home's lock is not taken, so other commands of the home go on working. A home with a
    ledger of its own serves that too, for its other commands and for others.

    Parameters
    ----------
    started
        Called once with name, address, URL, chain id and network, when requests are answered.
    public_url
        What others call this node, behind a proxy or by name. It is written to the ledger as
        the party's node address if another stands there. Without it the address listened on is
        written where the ledger, too, is on this machine alone.
    log
        Where the lines of the log go; by default stderr.
    release
        Also have prices paid out whose refund window ended unchallenged.

    Raises
    ------
    HomeBusy
        A node runs on this home already.
    Unavailable
        The home uses no ledger, or the address cannot be listened on.
    MissingExtra
        The part ``node`` is not installed.
    """
    _need_extra()
    from usufruct.node.app import create_app
    from usufruct.node.limits import Limits
    from usufruct.node.logs import LogHandler, RequestLog
    from usufruct.node.parts import open_state
    from usufruct.node.server import NodeServer, many_files

    opened = Home.open(home or default_home())
    if opened.ledger == NO_LEDGER:
        raise Unavailable(
            f"the home {opened.path} uses no ledger, and a node has nothing to serve without one",
            hint="join one: usufruct ledger join FILE",
        )
    said = _checked_url(public_url)
    if limits is None:
        limits = Limits(proxied=said is not None and is_loopback(host))
    done = stop or threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_node_lock(opened))
        stack.enter_context(stopping(done))
        stack.enter_context(many_files())
        identity = opened.unlock(passphrase)
        lines = RequestLog(sys.stderr if log is None else log, clock=clock)
        stack.callback(lines.close)
        stack.enter_context(_taking(LogHandler(lines)))
        connection = stack.enter_context(_ledger(opened, identity))
        url: list[str] = [said or ""]
        own = said is None and is_loopback(host)
        state = stack.enter_context(
            open_state(
                opened,
                identity,
                connection,
                lines,
                limits,
                url,
                hosts=is_loopback if own else None,
                release=release,
                clock=clock,
            )
        )
        server = NodeServer(
            create_app(state),
            host=host,
            port=port,
            limits=limits,
            tls_cert=tls_cert,
            tls_key=tls_key,
        )
        with server:
            url[0] = said or server.url
            if said is not None or _all_here(connection, server.url):
                _register(state, connection, identity, url[0])
            about = state.about()
            document = {
                "name": identity.name,
                "address": identity.address,
                "url": url[0],
                "listening": server.url,
                "chain_id": about.chain_id,
                "network": about.network,
            }
            lines.write("started", url=url[0])
            started(document)
            while not done.wait(0.5):
                if not server.alive:
                    raise Unavailable("the node stopped by itself", hint="see its log")
                _check_engine(connection)
            lines.write("stopping")


@contextmanager
def _ledger(home: Home, identity: Identity) -> Iterator[Connection]:
    """Open the ledger of a home; one of its own is served, so that other commands reach it."""
    path = home.path / "network.json"
    if home.ledger == EMBEDDED:
        from usufruct.ledger.serve import LedgerServer

        try:
            server = LedgerServer(home.path, operator=identity).start()
        except HomeBusy:
            # `usufruct ledger serve` has it, or a command that ends soon
            if not load_network(path)[0].rpc:
                raise
        else:
            with server:
                treasury = server.treasury

                def fund(address: Address) -> None:
                    treasury.fund(address)

                yield Connection(server.ledger, fund)
            return
    connection = reach(load_network(path)[0])
    with contextlib.closing(connection.ledger):
        yield connection


def _all_here(connection: Connection, url: str) -> bool:
    """Whether node and ledger both answer on this machine only, as when trying things out."""
    places = [url, *connection.network.rpc]
    return all(is_loopback(urlsplit(place).hostname or "") for place in places)


def _register(state: NodeState, connection: Connection, identity: Identity, url: str) -> None:
    """Write the node's address to the ledger unless it stands there."""
    from usufruct.ledger.account import Account
    from usufruct.ledger.bindings import parties

    public = identity.public
    known = state.index.party(public.address)
    if known is not None and known.node == url:
        return
    connection.afford(public.address)
    call = parties.register(
        connection.network.address("Parties"),
        signing_key=public.signing_key,
        encryption_key=public.encryption_key,
        name=public.name,
        node=url,
    )
    connection.ledger.transact(Account(identity.account_secret), call)


def _check_engine(connection: Connection) -> None:
    """Let an engine of our own that died end the node; one that is away may come back."""
    from usufruct.ledger.transport import HttpTransport

    transport = connection.ledger.transport
    if not isinstance(transport, HttpTransport):
        transport.request("eth_chainId", [])


def _checked_url(url: str | None) -> str | None:
    """Return the public URL as parties write it to the ledger (BadInput)."""
    if url is None:
        return None
    from usufruct.peer.directory import read_url

    return read_url(url).url


def _node_lock(home: Home) -> HomeLock:
    try:
        return HomeLock(home.path / LOCK).acquire()
    except HomeBusy as error:
        raise HomeBusy(
            f"a node runs on {home.path} already: {error.message}", hint="stop that one first"
        ) from None


def _need_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import httptools  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingExtra("node", "serving a node") from None


@contextmanager
def _taking(handler: logging.Handler) -> Iterator[None]:
    """Have warnings of this package written to the node's log for the time of the block."""
    logger = logging.getLogger("usufruct")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
