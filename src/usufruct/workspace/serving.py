"""A ledger for several parties: run by this home, deployed on a chain, or looked at."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from usufruct.clock import system_clock
from usufruct.errors import BadInput, NotFound
from usufruct.store import read_bytes, write_atomic
from usufruct.types import parse_digest
from usufruct.workspace.connection import load_network, reach
from usufruct.workspace.home import EMBEDDED, JOINED, Home, default_home
from usufruct.workspace.output import check_output
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.ledger.client import Ledger
    from usufruct.ledger.network import Network


def serve(
    home: Path | None,
    *,
    passphrase: Callable[[], str],
    started: Callable[[dict[str, Any]], None],
    network: Path | None = None,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    url: str | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a home's ledger until SIGINT, SIGTERM or `stop`.

    Parameters
    ----------
    network
        Where a copy of the network file goes.
    started
        Called once with name, chain id, URL and network file, when others can join.

    Raises
    ------
    NotAllowed
        The home has joined somebody else's ledger.
    HomeBusy, EngineMissing, Unavailable
        It cannot be run here or now.
    """
    from usufruct.ledger.serve import LedgerServer

    opened = Home.open(home or default_home())
    if opened.ledger == JOINED:
        raise BadInput(
            f"{opened.path} uses another ledger", hint="run a ledger from a home of its own"
        )
    if network is not None and network.exists() and network.is_dir():
        raise BadInput(f"{network} is a folder", hint="name a file for the network file")
    identity = opened.unlock(passphrase)
    done = stop or threading.Event()
    with (
        stopping(done),
        LedgerServer(
            opened.path, operator=identity, name=name, host=host, port=port, url=url
        ) as server,
    ):
        if opened.ledger != EMBEDDED:
            opened.ledger = EMBEDDED
            opened.save()
        if network is not None:
            write_atomic(network, read_bytes(server.network_path, limit=1 << 20), mode=0o644)
        started(
            {
                "name": server.network.name,
                "chain_id": server.network.chain_id,
                "url": server.url,
                "network": str((network or server.network_path).absolute()),
            }
        )
        while not done.wait(0.5):
            # a dead engine ends the command, rather than answering nothing for ever
            server.engine.request("eth_chainId", [])


def deploy(
    home: Path | None,
    rpc: str,
    network: Path,
    *,
    name: str,
    finality: str,
    passphrase: Callable[[], str],
) -> dict[str, Any]:
    """Deploy the contracts on any EVM chain and write its signed network file."""
    from usufruct.clock import iso
    from usufruct.ledger.account import Account
    from usufruct.ledger.deploy import deploy as deploy_contracts
    from usufruct.ledger.network import Network, sign_network
    from usufruct.ledger.transport import HttpTransport

    check_output(network, force=False)
    if finality.isdigit():
        rule: dict[str, Any] = {"mode": "confirmations", "confirmations": int(finality)}
    else:
        rule = {"mode": finality, "confirmations": 0}
    identity = Home.open(home or default_home()).unlock(passphrase)
    # what the file will say is checked before anything is paid for
    described = Network(
        name=name,
        chain_id=1,
        rpc=(rpc,),
        genesis_hash="0x" + "0" * 64,
        contracts={},
        finality=rule,
        operator=identity.public,
        created=iso(system_clock()),
    )
    with contextlib.closing(HttpTransport(rpc)) as transport:
        chain_id = int(str(transport.request("eth_chainId", [])), 16)
        first = transport.request("eth_getBlockByNumber", ["0x0", False])
        if not isinstance(first, dict) or not isinstance(first.get("hash"), str):
            raise BadInput(f"{rpc} does not show the first block of its chain")
        described = replace(described, chain_id=chain_id, genesis_hash=first["hash"])
        made = deploy_contracts(transport, Account(identity.account_secret), chain_id)
    described = replace(described, contracts=made.contracts, start_block=made.start_block)
    write_atomic(network, sign_network(described, identity), mode=0o644)
    return _describe(described) | {"network": str(network)}


def status(
    home: Path | None, network: Path | None, passphrase: Callable[[], str] | None = None
) -> dict[str, Any]:
    """Check a ledger against its network file and describe it."""
    with _ledger(home, network, passphrase) as ledger:
        ledger.check()
        block = ledger.block("latest")
        return _describe(ledger.network) | {
            "block": block.number,
            "block_hash": block.hash,
            "final_block": ledger.finalized_block(),
            "checked": "chain id, genesis and contract code are those of the network file",
        }


def transaction(
    home: Path | None,
    network: Path | None,
    tx_hash: str,
    *,
    passphrase: Callable[[], str] | None = None,
) -> dict[str, Any]:
    """Return what became of a transaction, with our contracts' events decoded."""
    from usufruct.ledger.bindings import anchors, assets, parties

    tx_hash = "0x" + parse_digest(tx_hash)
    with _ledger(home, network, passphrase) as ledger:
        receipt = ledger.receipt(tx_hash)
        if receipt is None:
            raise NotFound(f"the ledger '{ledger.network.name}' has no transaction {tx_hash}")
        events = []
        for log in receipt.logs:
            decoded = None
            for binding in (parties, assets, anchors):
                decoded = decoded or binding.decode_event(log.topics, log.data)
            events.append(_event(decoded) if decoded is not None else {"address": log.address})
        return {
            "transaction": receipt.tx_hash,
            "block": receipt.block_number,
            "succeeded": receipt.succeeded,
            "gas_used": receipt.gas_used,
            "fee_wei": str(receipt.gas_used * receipt.gas_price),
            "events": events,
        }


@contextmanager
def _ledger(
    home: Path | None, network: Path | None, passphrase: Callable[[], str] | None
) -> Iterator[Ledger]:
    if network is not None:
        with contextlib.closing(reach(load_network(network)[0]).ledger) as ledger:
            yield ledger
        return
    opened = Home.open(home or default_home())
    with Session(opened, write=False, passphrase=passphrase) as session:
        yield session.ledger


def _describe(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "chain_id": network.chain_id,
        "rpc": ", ".join(network.rpc),
        "operator": f"{network.operator.name} {network.operator.address}",
        "finality": network.finality["mode"],
        "contracts": {name: entry["address"] for name, entry in network.contracts.items()},
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _event(event: Any) -> dict[str, Any]:
    if not is_dataclass(event) or isinstance(event, type):
        return {"event": str(event)}
    fields = {key: _plain_value(value) for key, value in asdict(event).items()}
    return {"event": type(event).__name__} | fields


@contextmanager
def stopping(done: threading.Event) -> Iterator[None]:
    """Have SIGINT and SIGTERM set `done` for the time of the block, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        done.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
