"""A plain EVM for contract tests: anvil as a child, its own unlocked accounts, a block a call."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import httpx
from eth_abi import decode, encode

from usufruct.crypto.hash import keccak256
from usufruct.errors import TransactionReverted
from usufruct.ledger.account import contract_address
from usufruct.ledger.binary import find_engine
from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, View
from usufruct.ledger.bindings.errors import decode_revert
from usufruct.types import ZERO_ADDRESS, Address

T = TypeVar("T")
START = 1_700_000_000
GAS = 5_000_000


@dataclass(frozen=True)
class Log:
    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    time: int


@dataclass(frozen=True)
class Receipt:
    ok: bool
    gas: int
    logs: tuple[Log, ...]
    contract: Address | None
    time: int


@dataclass(frozen=True)
class Contracts:
    parties: Address
    anchors: Address
    assets: Address


@dataclass(frozen=True)
class Market(Contracts):
    splits: Address
    licences: Address
    dollar: Address


class Evm:
    """One chain; every transaction is its own block, one second after the last."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._time = START
        self.accounts: list[Address] = self.rpc("eth_accounts")

    def close(self) -> None:
        self._client.close()

    def rpc(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._client.post("/", json=request).json()
        if error := answer.get("error"):
            if error["code"] == 3:
                raise decode_revert(bytes.fromhex(error["data"][2:]))
            raise AssertionError(error)
        return answer["result"]

    def ask(self, view: View[T]) -> T:
        return view.decode(self._call(view, self.accounts[0]))

    def ask_abi(self, to: Address, signature: str, args: Sequence[Any], *outputs: str) -> Any:
        """Ask by a signature as text, through eth_abi: for what the bindings leave out."""
        answer = decode(outputs, self._call(call(to, signature, *args), self.accounts[0]))
        return answer[0] if len(answer) == 1 else answer

    def send(self, call: Call, sender: Address) -> Receipt:
        """Mine the call, or raise what the contract refuses it with."""
        self._call(call, sender)
        receipt = self.mine({"to": call.to, "data": "0x" + call.data.hex()}, sender)
        assert receipt.ok
        return receipt

    def force(self, call: Call, sender: Address) -> Receipt:
        """Mine the call though the contract refuses it."""
        return self.mine({"to": call.to, "data": "0x" + call.data.hex()}, sender)

    def deploy(self, data: bytes) -> Address:
        receipt = self.mine({"data": "0x" + data.hex()}, self.accounts[0])
        assert receipt.ok
        assert receipt.contract is not None
        return receipt.contract

    def deploy_all(
        self, licences: Address = ZERO_ADDRESS, splits: Address = ZERO_ADDRESS
    ) -> Contracts:
        return Contracts(
            self.deploy(parties.deploy_data()),
            self.deploy(anchors.deploy_data()),
            self.deploy(assets.deploy_data(licences, splits)),
        )

    def deploy_market(self) -> Market:
        """Deploy all contracts; those that know each other by where they will stand."""
        count = int(self.rpc("eth_getTransactionCount", self.accounts[0], "latest"), 16)
        splits, licences = (contract_address(self.accounts[0], count + n) for n in (3, 4))
        common = self.deploy_all(licences, splits)
        both = encode(["address"] * 2, [common.assets, licences])
        made = (
            self.deploy(load_artefact("Splits").bytecode + both),
            self.deploy(
                load_artefact("Licences").bytecode
                + encode(["address"] * 2, [common.assets, splits])
            ),
            self.deploy(load_artefact("TestDollar").bytecode),
        )
        assert made[:2] == (splits, licences)
        return Market(common.parties, common.anchors, common.assets, *made)

    @property
    def time(self) -> int:
        """The time of the newest block."""
        return self._time

    def set_time(self, when: int) -> None:
        """Let the next block, and until then every call, have this time."""
        assert when > self._time
        self._time = when - 1

    def mine(self, transaction: dict[str, Any], sender: Address) -> Receipt:
        fields = {"gas": hex(GAS)} | transaction | {"from": sender}
        digest = self.rpc("eth_sendTransaction", fields)
        self._time += 1
        self.rpc("evm_mine", {"timestamp": self._time})
        got = self.rpc("eth_getTransactionReceipt", digest)
        return Receipt(
            ok=got["status"] == "0x1",
            gas=int(got["gasUsed"], 16),
            logs=tuple(
                Log(
                    log["address"],
                    tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
                    bytes.fromhex(log["data"][2:]),
                    self._time,
                )
                for log in got["logs"]
            ),
            contract=got["contractAddress"],
            time=self._time,
        )

    def _call(self, call: Call, sender: Address) -> bytes:
        request = {"to": call.to, "data": "0x" + call.data.hex(), "from": sender, "gas": hex(GAS)}
        at = {"time": hex(self._time + 1)}  # the next block's, which a transaction would be in
        return bytes.fromhex(self.rpc("eth_call", request, "latest", None, at)[2:])


def call(to: Address, signature: str, *args: Any) -> Call:
    """Return a call by a signature as text, through eth_abi."""
    inner = signature.partition("(")[2].removesuffix(")")
    return Call(to, keccak256(signature.encode())[:4] + encode(_split_types(inner), args))


def _split_types(text: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    types, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            types.append("")
        else:
            types[-1] += letter
    return types if text else []


def events(module: Any, receipt: Receipt) -> list[Any]:
    """Return the receipt's logs as the events of a bindings module."""
    return [module.decode_event(log.topics, log.data) for log in receipt.logs]


@contextlib.contextmanager
def refused(name: str, /, **arguments: Any) -> Iterator[None]:
    """Expect the custom error `name` with exactly these values."""
    try:
        yield
    except TransactionReverted as error:
        assert error.name == name, error
        assert error.arguments == arguments
        assert "{" not in str(error)
    else:
        raise AssertionError(f"{name} was expected")


@contextlib.contextmanager
def running_evm() -> Iterator[Evm]:
    """Start an engine on a free port and stop it afterwards."""
    flags = ["--port", "0", "--hardfork", "cancun", "--no-mining", "--accounts", "4"]
    command = [str(find_engine()), *flags, "--timestamp", str(START)]
    with tempfile.TemporaryFile("w+") as output:  # a pipe that nobody reads would stop the engine
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        try:
            evm = Evm(f"http://{_address(child, output)}")
            try:
                yield evm
            finally:
                evm.close()
        finally:
            child.kill()
            child.wait()


def _address(child: subprocess.Popen[bytes], output: IO[str]) -> str:
    for _ in range(3000):
        # read by position, because the child moves the offset that both share
        text = os.pread(output.fileno(), 65536, 0).decode()
        if found := re.search(r"Listening on (\S+:\d+)\s", text):
            return found[1]
        if child.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError("the engine did not start")
