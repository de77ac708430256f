"""A ledger with a clock of its own, parties on it, nodes in threads, and tokens of strangers."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.workspace.homes import party, passphrase

from usufruct.crypto.hash import keccak256
from usufruct.crypto.identity import Identity
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import tokens
from usufruct.ledger.bindings.calls import Call
from usufruct.types import Address, Use
from usufruct.workspace import open_home
from usufruct.workspace.home import Home
from usufruct.workspace.trade import OfferView
from usufruct.workspace.workspace import Workspace

HOSTILE = json.loads(
    (Path(__file__).parent.parent / "contracts" / "hostile" / "hostile.json").read_text()
)
DAY = 86_400


@dataclass
class Clock:
    """The real time and what was jumped over."""

    ahead: int = 0

    def __call__(self) -> int:
        return int(time.time()) + self.ahead

    def jump(self, seconds: int) -> None:
        self.ahead += seconds


@dataclass
class Market:
    """The ledger, and the homes of parties by name."""

    server: Any
    folder: Path
    clock: Clock
    identities: dict[str, Identity] = field(default_factory=dict)

    def home(self, name: str) -> Path:
        """Return a party's home; it is made when it is first asked for."""
        path = self.folder / name
        if name not in self.identities:
            party(self.server, path, name)
            self.identities[name] = Home.open(path).unlock(passphrase)
        return path

    def named(self, path: Path, name: str) -> Identity:
        """Make a home that is none of those by name, for a second party of one name."""
        party(self.server, path, name)
        return Home.open(path).unlock(passphrase)

    @contextlib.contextmanager
    def as_(self, name: str) -> Iterator[Workspace]:
        """Open a party's home."""
        home = self.home(name)
        with open_home(home, identity=self.identities[name], clock=self.clock) as ws:
            yield ws

    def address(self, name: str) -> Address:
        self.home(name)
        return self.identities[name].address

    def account(self, name: str) -> Account:
        self.home(name)
        return Account(self.identities[name].account_secret)

    def asset(self, owner: str, title: str, **options: Any) -> str:
        """Publish a small table; return the asset's id."""
        path = self.folder / f"{title.replace(' ', '-')}.csv"
        path.write_text(f"a,b\n{title},2\n")
        with self.as_(owner) as ws:
            return ws.publish(path, title=title, **options).asset

    def offer(self, owner: str, asset: str, **terms: Any) -> OfferView:
        fields: dict[str, Any] = {"use": Use.COMPUTE, "price": "5"} | terms
        with self.as_(owner) as ws:
            return ws.market.offer(asset, **fields)

    def rich(self, *names: str) -> None:
        """Give parties test dollars."""
        for name in names:
            with self.as_(name) as ws:
                ws.market.faucet()

    def dollars(self, who: str) -> int:
        """Return the test dollars of a party or an address."""
        place = who if who.startswith("0x") else self.address(who)
        return int(self.server.ledger.call(tokens.balance_of(self.dollar, Address(place))))

    @property
    def dollar(self) -> Address:
        return Address(self.server.network.address("TestDollar"))

    @property
    def contract(self) -> Address:
        return Address(self.server.network.address("Licences"))

    def token(self, kind: str = "PlainToken") -> Address:
        """Deploy a token of a stranger that has 6 decimals and a word to say (`stranger`)."""
        account, ledger = self.account("Mallory"), self.server.ledger
        made = bytes.fromhex(HOSTILE["contracts"][kind]["bytecode"])
        plain = ledger.deploy(account, made).contract
        code = stranger(plain)
        return Address(ledger.deploy(account, creation(code)).contract)

    def named_token(self, symbol: str) -> Address:
        """Deploy what has 6 decimals and answers all else with its symbol."""
        text = symbol.encode().ljust(32, b"\0").hex()
        code = assemble(
            *("5f35", "60e01c", "63313ce567", "14", ">decimals", "57"),
            *("7f" + text, "5f52", "60205ff3", ":decimals", "60065f52", "60205ff3"),
        )
        return Address(self.server.ledger.deploy(self.account("Mallory"), creation(code)).contract)

    def send(self, name: str, to: str, signature: str, *words: int) -> None:
        data = keccak256(signature.encode())[:4] + b"".join(w.to_bytes(32, "big") for w in words)
        self.server.ledger.transact(self.account(name), Call(Address(to), data))


def creation(code: bytes) -> bytes:
    """Return what deploys this code: it copies what follows these ten bytes."""
    return b"\x61" + len(code).to_bytes(2, "big") + bytes.fromhex("80600a5f395ff3") + code


def stranger(plain: str) -> bytes:
    """Return a token's code: 6 decimals, all else as `plain`; a transfer tells of a licence.

    ``tell(uint256)`` says which one: then each transferFrom emits what Licences would.
    """
    tell = keccak256(b"tell(uint256)")[:4].hex()
    topic = keccak256(b"TransferSingle(address,address,address,uint256,uint256)").hex()
    return assemble(
        *("5f35", "60e01c"),
        *("80", "63313ce567", "14", ">decimals", "57"),
        *("80", f"63{tell}", "14", ">tell", "57"),
        *("80", "6323b872dd", "14", ">moved", "57"),
        *(":plain", "365f5f37", "5f5f365f", f"73{plain[2:]}", "5af4", "3d5f5f3e"),
        *(">good", "57", "3d5ffd", ":good", "3d5ff3"),
        *(":decimals", "60065f52", "60205ff3"),
        *(":tell", "600435", "7f" + "ff" * 32, "55", "00"),
        *(":moved", "7f" + "ff" * 32, "54", "80", "15", ">plain", "57"),
        *("5f52", "6001602052", "600435", "5f", "600435", f"7f{topic}", "6040", "5f", "a4"),
        *(">plain", "56"),
    )


def assemble(*codes: str) -> bytes:
    """Return EVM code of hexadecimal parts; ``:name`` is a place, ``>name`` pushes it."""
    code, marks, holes = bytearray(), {}, []
    for word in codes:
        if word.startswith(">"):
            holes.append((len(code) + 1, word[1:]))
            code += b"\x61\0\0"
        elif word.startswith(":"):
            marks[word[1:]] = len(code)
            code += b"\x5b"
        else:
            code += bytes.fromhex(word)
    for at, name in holes:
        code[at : at + 2] = marks[name].to_bytes(2, "big")
    return bytes(code)


@contextlib.contextmanager
def node(home: Path, **options: Any) -> Iterator[str]:
    """Run a party's node in a thread; gives its URL."""
    from tests.node.running import running

    with running(home, **options) as said:
        yield said["url"]


@contextlib.contextmanager
def liar(answer: Callable[[str], bytes]) -> Iterator[str]:
    """Run a node that answers every path as the test says; gives its URL."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A ledger whose blocks' time jumps when a test says so, and the homes on it."""
    from tests.ledger.chain import served as serve

    clock = Clock()
    with serve(tmp_path_factory.mktemp("market"), name="market", clock=clock) as server:
        yield Market(server, tmp_path_factory.mktemp("homes"), clock)
