"""A ledger of one's own, shared with others: engine, contracts, network file and gateway.

A key derived from the operator's account is the treasury of the genesis and deploys the contracts
with its first nonces. So everything here follows from the genesis and the operator: a server that
was killed half-way through setting up goes on at the next start, and a lost network file is
written again. The treasury has a key of its own so that paying new parties and the operator's own
transactions never compete for a nonce.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from usufruct.clock import Clock, iso, system_clock
from usufruct.crypto.identity import Identity
from usufruct.errors import (
    BadInput,
    Damaged,
    NotFound,
    Unavailable,
    VerificationError,
    WrongNetwork,
)
from usufruct.ledger.account import Account
from usufruct.ledger.binary import find_engine
from usufruct.ledger.client import Ledger
from usufruct.ledger.deploy import code_hashes, deploy
from usufruct.ledger.embedded import EmbeddedEngine, stored_genesis
from usufruct.ledger.gateway import Gateway
from usufruct.ledger.genesis import contracts_of, make_genesis
from usufruct.ledger.network import MAX_BYTES, Network, read_network, sign_network
from usufruct.ledger.treasury import Treasury
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import Address

ENGINE_FOLDER: Final = "ledger"
NETWORK_FILE: Final = "network.json"
_TREASURY_LABEL: Final = b"usufruct/treasury/v1"

T = TypeVar("T")


def treasury_account(operator: Identity) -> Account:
    """Return the account that holds a ledger's gas money, derived from its operator's account."""
    return Account(hmac.digest(operator.account_secret, _TREASURY_LABEL, "sha256"))


class LedgerServer:
    """An embedded ledger in a home, with a gateway that others join by URL.

    Parameters
    ----------
    folder
        The home; the engine's folder and ``network.json`` are made in it.
    operator
        Signs the network file; the treasury's key comes from its account.
    name
        What the network is called; by default as before, or ``<operator>'s ledger``.
    host, port
        Where the gateway listens. Port 0 takes the one of the network file, else a free one.
    url
        What the network file tells others, when that is not ``http://host:port``.
    chain_id
        For a new ledger; random by default.
    listen
        False for a ledger that only this process uses: no gateway, no URL.
    binary
        The engine; by default the one that is found.
    clock
        Tells the time to blocks and to a new genesis.
    """

    def __init__(
        self,
        folder: Path,
        *,
        operator: Identity,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        url: str | None = None,
        chain_id: int | None = None,
        listen: bool = True,
        binary: Path | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._folder = folder
        self._operator = operator
        self._account = treasury_account(operator)
        self._name = name
        self._host = host
        self._port = port
        self._shown_url = url
        self._chain_id = chain_id
        self._listen = listen
        self._binary = binary
        self._clock = clock
        self._open = contextlib.ExitStack()
        self._engine: EmbeddedEngine | None = None
        self._treasury: Treasury | None = None
        self._gateway: Gateway | None = None
        self._network: Network | None = None
        self._genesis_contracts: dict[str, Address] = {}

    @property
    def engine(self) -> EmbeddedEngine:
        """The running engine (BadInput: not started)."""
        return _started(self._engine)

    @property
    def treasury(self) -> Treasury:
        """Pays gas money to new parties (BadInput: not started)."""
        return _started(self._treasury)

    @property
    def network(self) -> Network:
        """What the network file says (BadInput: not started)."""
        return _started(self._network)

    @property
    def network_path(self) -> Path:
        """Where the network file is."""
        return self._folder / NETWORK_FILE

    @property
    def url(self) -> str:
        """Where the gateway answers (BadInput: not started, or it does not listen)."""
        return _started(self._gateway).url

    @property
    def ledger(self) -> Ledger:
        """A client of this ledger within the process; the server closes it."""
        return Ledger(self.engine, self.network)

    def start(self) -> LedgerServer:
        """Open the ledger, deploy what is missing, listen, and write the network file.

        Raises
        ------
        WrongNetwork
            The home's ledger is another operator's or has another chain id.
        Damaged
            The network file or the ledger is not what was written.
        EngineMissing, EngineDied, HomeBusy
            As the engine raises them.
        """
        if self._engine is not None:
            return self
        binary = self._binary or find_engine()
        make_folder(self._folder)
        before = self._read_file()
        try:
            engine = self._start_engine(binary)
            contracts = self._standing(engine, before) or self._deploy(engine)
            port = self._free_port(before)
            network = self._describe(engine, contracts, before, port)
            if network == before:
                data = read_bytes(self.network_path, limit=MAX_BYTES)
            else:
                data = sign_network(network, self._operator)
            secret = hmac.digest(self._operator.account_secret, _TREASURY_LABEL, "sha256")
            self._treasury = Treasury(engine, secret)
            if self._listen:
                self._gateway = Gateway(
                    engine, self._host, port, treasury=self._treasury, network=data
                )
                self._gateway.start()
                self._open.callback(self._gateway.stop)
            if network != before:
                write_atomic(self.network_path, data, mode=0o644)
            self._network = network
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop listening, then close the engine; may be called twice."""
        self._open.close()
        self._engine = self._treasury = self._gateway = self._network = None

    def __enter__(self) -> LedgerServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_engine(self, binary: Path) -> EmbeddedEngine:
        folder = self._folder / ENGINE_FOLDER
        genesis = stored_genesis(folder)
        if genesis is None:
            chain_id = self._chain_id or 2**31 + secrets.randbelow(2**31)
            genesis = make_genesis(chain_id, self._account.address, self._clock())
        if self._account.address not in genesis["alloc"]:
            raise WrongNetwork(
                f"the ledger in {folder} was not made by '{self._operator.name}'",
                hint="use the identity that set it up, or choose an empty home",
            )
        if self._chain_id not in (None, genesis["config"]["chainId"]):
            raise WrongNetwork(
                f"the ledger in {folder} has the chain id {genesis['config']['chainId']}",
                hint="leave the chain id out, or choose an empty home",
            )
        self._genesis_contracts = contracts_of(genesis)
        self._engine = EmbeddedEngine(folder, genesis=genesis, binary=binary, clock=self._clock)
        self._open.callback(self._engine.close)
        return self._engine

    def _standing(
        self, engine: EmbeddedEngine, before: Network | None
    ) -> dict[str, dict[str, str]] | None:
        """Return the contracts of the network file if they stand on this ledger as it says.

        So a ledger that an earlier version set up keeps the contracts it began with.
        """
        if before is None or before.genesis_hash != _first_block(engine)["hash"]:
            return None
        contracts = {name: dict(entry) for name, entry in before.contracts.items()}
        found = code_hashes(engine, [before.address(name) for name in contracts])
        if found != [entry["code_hash"] for entry in contracts.values()]:
            return None
        return contracts

    def _deploy(self, engine: EmbeddedEngine) -> dict[str, dict[str, str]]:
        made = deploy(engine, self._account, engine.chain_id, first_nonce=0, test_dollar=True)
        born = self._genesis_contracts
        hashes = code_hashes(engine, list(born.values()))
        return made.contracts | {
            name: {"address": str(place), "code_hash": code_hash}
            for (name, place), code_hash in zip(born.items(), hashes, strict=True)
        }

    def _free_port(self, before: Network | None) -> int:
        """Return the port to listen on: the one asked for, the one before, or a free one."""
        if not self._listen or self._port:
            return self._port
        if before is not None and before.rpc and self._shown_url is None:
            return urlsplit(before.rpc[0]).port or 0
        try:
            with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as probe:
                probe.bind((self._host, 0))
                return int(probe.getsockname()[1])
        except OSError as error:
            raise Unavailable(f"cannot listen on {self._host}: {error.strerror}") from error

    def _describe(
        self,
        engine: EmbeddedEngine,
        contracts: dict[str, dict[str, str]],
        before: Network | None,
        port: int,
    ) -> Network:
        operator = self._operator.public
        first = _first_block(engine)
        host = f"[{self._host}]" if ":" in self._host else self._host
        url = self._shown_url or f"http://{host}:{port}"
        return Network(
            name=self._name or (before.name if before else f"{operator.name}'s ledger"[:64]),
            chain_id=engine.chain_id,
            rpc=(url,) if self._listen else (),
            genesis_hash=first["hash"],
            contracts=contracts,
            finality={"mode": "latest", "confirmations": 0},
            operator=operator,
            created=iso(int(first["timestamp"], 16)),
        )

    def _read_file(self) -> Network | None:
        try:
            data = read_bytes(self.network_path, limit=MAX_BYTES)
        except NotFound:
            return None
        try:
            return read_network(data, operator=self._operator.address)
        except (BadInput, VerificationError) as error:
            raise Damaged(
                f"{self.network_path} is damaged or another operator's: {error.message}",
                hint="delete it if this ledger is yours: it is written again",
            ) from error


def _first_block(engine: EmbeddedEngine) -> dict[str, Any]:
    block: dict[str, Any] = engine.request("eth_getBlockByNumber", ["0x0", False])
    return block


def _started(part: T | None) -> T:
    if part is None:
        raise BadInput("the ledger server is not started")
    return part
