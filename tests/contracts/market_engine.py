"""A fast chain for market tests: any sender, coins that cost no gas, one round trip for many views.

Calls, events and errors are read through the ABI in the artefacts and eth_abi, not through our
bindings, so that a fault in the bindings cannot hide one in the contracts.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coincurve
from eth_abi import decode, encode
from tests.contracts.evm import GAS, START, Evm, Log, _address

from usufruct.crypto.hash import keccak256
from usufruct.ledger.binary import find_engine
from usufruct.types import Address

HOSTILE = json.loads((Path(__file__).parent / "hostile" / "hostile.json").read_text("utf-8"))
COIN = "0x" + "00" * 20
MARKET = ("Assets", "Splits", "Licences", "TestDollar")


class Abi:
    """A contract's functions, events and errors."""

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self.functions: dict[str, tuple[bytes, list[str], list[str]]] = {}
        self.events: dict[bytes, tuple[str, list[tuple[str, str, bool]]]] = {}
        self.errors: dict[bytes, tuple[str, list[str]]] = {}
        for entry in entries:
            inputs = [_type(field) for field in entry.get("inputs", [])]
            signature = f"{entry.get('name')}({','.join(inputs)})"
            digest = keccak256(signature.encode())
            if entry["type"] == "function":
                found = (digest[:4], inputs, [_type(field) for field in entry["outputs"]])
                self.functions[signature] = found
                self.functions[entry["name"]] = found
            elif entry["type"] == "event":
                fields = [(f["name"], _type(f), f["indexed"]) for f in entry["inputs"]]
                self.events[digest] = (entry["name"], fields)
            elif entry["type"] == "error":
                self.errors[digest[:4]] = (entry["name"], inputs)

    def encode(self, function: str, *args: Any) -> bytes:
        selector, inputs, _ = self.functions[function]
        return selector + encode(inputs, args)

    def decode(self, function: str, data: bytes) -> Any:
        answer = decode(self.functions[function][2], data)
        return answer[0] if len(answer) == 1 else answer

    def event(self, log: Log) -> tuple[str, dict[str, Any]]:
        name, fields = self.events[log.topics[0]]
        values: dict[str, Any] = {}
        plain = [field for field in fields if not field[2]]
        indexed = [field for field in fields if field[2]]
        for (key, kind, _), topic in zip(indexed, log.topics[1:], strict=True):
            values[key] = decode([kind], topic)[0]
        found = decode([kind for _, kind, _ in plain], log.data)
        values |= {key: value for (key, _, _), value in zip(plain, found, strict=True)}
        return name, values


def _type(field: dict[str, Any]) -> str:
    kind = field["type"]
    if kind.startswith("tuple"):
        inner = ",".join(_type(part) for part in field["components"])
        return f"({inner}){kind.removeprefix('tuple')}"
    return kind


@functools.cache
def abi(contract: str) -> Abi:
    """Return the ABI of one of our contracts or of a hostile one."""
    if contract in HOSTILE["contracts"]:
        return Abi(HOSTILE["contracts"][contract]["abi"])
    return Abi(_artefact(contract)["abi"])


def _artefact(contract: str) -> dict[str, Any]:
    import usufruct.ledger.artefacts as package

    path = Path(next(iter(package.__path__))) / f"{contract}.json"
    return json.loads(path.read_text("utf-8"))


@functools.cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    found: dict[bytes, tuple[str, list[str]]] = {}
    for name in (*MARKET, "Account"):
        found |= abi(name).errors
    for name in ("FailedCall()", "SafeERC20FailedOperation(address)", "Error(string)"):
        kinds = [k for k in name.partition("(")[2].removesuffix(")").split(",") if k]
        found[keccak256(name.encode())[:4]] = (name.partition("(")[0], kinds)
    found[keccak256(b"Panic(uint256)")[:4]] = ("Panic", ["uint256"])
    return found


class Refused(Exception):
    """What a contract refused a call with; `name` is empty for a revert without data."""

    def __init__(self, data: bytes, message: str = "") -> None:
        self.data = data
        self.name, kinds = _errors().get(data[:4], (message if not data else data[:4].hex(), []))
        self.values = decode(kinds, data[4:]) if kinds else ()
        super().__init__(f"{self.name}{self.values}")


@dataclass(frozen=True)
class Done:
    gas: int
    logs: tuple[Log, ...]
    time: int


@dataclass(frozen=True)
class Key:
    """An account whose private key we hold."""

    secret: bytes

    @functools.cached_property
    def address(self) -> Address:
        point = coincurve.PrivateKey(self.secret).public_key.format(compressed=False)[1:]
        return Address("0x" + keccak256(point)[12:].hex())

    def sign(self, digest: bytes) -> bytes:
        signed = coincurve.PrivateKey(self.secret).sign_recoverable(digest, hasher=None)
        return signed[:64] + bytes([27 + signed[64]])


def typed(name: str, contract: str, struct: str, *values: Any) -> bytes:
    """Return the EIP-712 digest of a flat struct, given as its type text."""
    kinds = [field.split()[0] for field in struct.partition("(")[2].removesuffix(")").split(",")]
    domain = keccak256(
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    separator = keccak256(
        domain
        + keccak256(name.encode())
        + keccak256(b"1")
        + encode(["uint256", "address"], [31337, contract])
    )
    body = keccak256(keccak256(struct.encode()) + encode(kinds, values))
    return keccak256(b"\x19\x01" + separator + body)


class Chain(Evm):
    """`Evm`, faster: one kept connection, every sender unlocked, gas free."""

    def __init__(self, url: str) -> None:
        self._http = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        super().__init__(url)
        self.url = url
        self.rpc("anvil_autoImpersonateAccount", True)
        self.probe = self.deploy(bytes.fromhex(HOSTILE["contracts"]["Probe"]["bytecode"]))

    def close(self) -> None:
        self._http.close()
        super().close()

    @property
    def time(self) -> int:
        """Time of the last block; the next is a second later, unless `wait` was called."""
        return self._time

    def wait(self, seconds: int) -> None:
        self._time += seconds

    def rpc(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"content-type": "application/json"}
        self._http.request("POST", "/", json.dumps(request), headers)
        answer = json.loads(self._http.getresponse().read())
        if error := answer.get("error"):
            if error["code"] == 3:
                raise Refused(bytes.fromhex(error.get("data", "0x")[2:]), error["message"])
            raise Refused(b"", error["message"])
        return answer["result"]

    def snapshot(self) -> tuple[str, int]:
        return self.rpc("evm_snapshot"), self._time

    def revert(self, kept: tuple[str, int]) -> tuple[str, int]:
        """Go back, and keep that point for another time."""
        assert self.rpc("evm_revert", kept[0])
        self._time = kept[1]
        return self.snapshot()

    def fund(self, account: str, coins: int) -> None:
        self.rpc("anvil_setBalance", account, hex(coins))

    def create(self, contract: str, *args: Any, sender: str | None = None) -> Address:
        """Deploy a hostile contract."""
        made = HOSTILE["contracts"][contract]
        kinds = [_type(f) for e in made["abi"] if e["type"] == "constructor" for f in e["inputs"]]
        data = bytes.fromhex(made["bytecode"]) + encode(kinds, args)
        return self.deploy(data)

    def do(
        self,
        sender: str,
        to: str,
        data: bytes,
        *,
        value: int = 0,
        gas: int = GAS,
        try_: bool = True,
    ) -> Done:
        """Mine a transaction or raise `Refused`; with `try_`, see first whether it is refused."""
        request = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(gas)}
        request |= {"value": hex(value), "gasPrice": "0x0"}
        if try_:
            self.dry(request)
        digest = self.rpc("eth_sendTransaction", request)
        self._time += 1
        self.rpc("evm_mine", {"timestamp": self._time})
        got = self.rpc("eth_getTransactionReceipt", digest)
        if got["status"] != "0x1":
            self._time -= 1
            try:
                self.dry(request)
            finally:
                self._time += 1
            raise Refused(b"", "failed when mined, not when tried")
        logs = tuple(
            Log(
                log["address"],
                tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
                bytes.fromhex(log["data"][2:]),
                self._time,
            )
            for log in got["logs"]
        )
        return Done(int(got["gasUsed"], 16), logs, self._time)

    def dry(self, request: dict[str, Any]) -> bytes:
        """Make a call at the time the next block will have."""
        block = {"time": hex(self._time + 1)}
        return bytes.fromhex(self.rpc("eth_call", request, "latest", {}, block)[2:])

    def view(self, contract: str, to: str, function: str, *args: Any) -> Any:
        data = abi(contract).encode(function, *args)
        answer = self.rpc("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
        return abi(contract).decode(function, bytes.fromhex(answer[2:]))

    def ask_many(self, questions: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Answer (contract, call data) each; empty call data asks for the account's coins."""
        packed = b"".join(
            bytes.fromhex(to[2:]) + bytes([len(data)]) + data for to, data in questions
        )
        request = {"to": self.probe, "data": "0x" + packed.hex(), "gas": hex(29_000_000)}
        answer = bytes.fromhex(self.rpc("eth_call", request, "latest")[2:])
        answers, at = [], 0
        for _ in questions:
            size = int.from_bytes(answer[at : at + 2])
            answers.append(answer[at + 2 : at + 2 + size])
            at += 2 + size
        assert at == len(answer)
        return answers


@contextlib.contextmanager
def running_chain(*, history: bool = False) -> Iterator[Chain]:
    """Start an engine whose gas is free and, unless asked, whose history is not kept."""
    flags = ["--port", "0", "--hardfork", "cancun", "--no-mining", "--accounts", "4"]
    flags += ["--base-fee", "0", "--gas-price", "0", *([] if history else ["--prune-history"])]
    command = [str(find_engine()), *flags, "--timestamp", str(START)]
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        try:
            chain = Chain(f"http://{_address(child, output)}")
            try:
                yield chain
            finally:
                chain.close()
        finally:
            child.kill()
            child.wait()
