"""A peer's contracts on our engine: deployed and called by the ABI that came with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from tests.contracts.evm import Evm

from usufruct.crypto.hash import keccak256
from usufruct.ledger.account import Account

GAS = 20_000_000  # templates near the 24,576-byte limit of EIP-170 take up to 5.4 million
ETHER = 10**18


@dataclass(frozen=True)
class Mined:
    """A transaction that succeeded."""

    gas: int
    contract: str | None
    digest: bytes
    logs: list[dict[str, Any]]


class Chain:
    """Sends raw transactions, each in its own block, through an engine's unlocked accounts."""

    def __init__(self, evm: Evm) -> None:
        self._evm = evm
        self.accounts: list[str] = list(evm.accounts)
        self.chain_id = int(evm.rpc("eth_chainId"), 16)
        self._time = int(evm.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def send(self, sender: str, data: bytes, to: str | None = None) -> Mined:
        """Mine a transaction; a revert is raised with its reason."""
        request = {"from": sender, "data": "0x" + data.hex(), "gas": hex(GAS)}
        if to is not None:
            request["to"] = to
        digest = self._evm.rpc("eth_sendTransaction", request)
        self._time += 1
        self._evm.rpc("evm_mine", {"timestamp": self._time})
        receipt = self._evm.rpc("eth_getTransactionReceipt", digest)
        if receipt["status"] != "0x1":
            self._evm.rpc("eth_call", request, "latest")  # raises the reason
            raise AssertionError(f"refused: {request['data'][:10]}")
        return Mined(
            gas=int(receipt["gasUsed"], 16),
            contract=receipt["contractAddress"],
            digest=bytes.fromhex(digest[2:]),
            logs=receipt["logs"],
        )

    def wait(self, seconds: int) -> None:
        """Let the next block come so much later."""
        self._time += seconds

    def ask(self, to: str, data: bytes) -> bytes:
        """Return what a view answers."""
        request = {"to": to, "data": "0x" + data.hex(), "from": self.accounts[0]}
        return bytes.fromhex(self._evm.rpc("eth_call", request, "latest")[2:])

    def newcomer(self, name: str) -> Account:
        """Return an account made from a name, with gas money, that the engine lets send."""
        account = Account(keccak256(name.encode()))
        self._evm.rpc("anvil_setBalance", account.address, hex(1000 * ETHER))
        self._evm.rpc("anvil_impersonateAccount", account.address)
        return account


class Contract:
    """One contract at an address, called by the names in its ABI."""

    def __init__(self, chain: Chain, abi: list[dict[str, Any]], address: str) -> None:
        self._chain = chain
        self._abi = abi
        self.address = address

    @classmethod
    def deploy(cls, chain: Chain, artefact: Path, *args: Any) -> Contract:
        """Deploy a Hardhat artefact from the first account."""
        document = json.loads(artefact.read_text("utf-8"))
        return cls.create(chain, document["abi"], document["bytecode"], *args)

    @classmethod
    def create(cls, chain: Chain, abi: list[dict[str, Any]], code_hex: str, *args: Any) -> Contract:
        """Deploy creation code from the first account."""
        types = _types(next((e for e in abi if e["type"] == "constructor"), {"inputs": []}))
        code = bytes.fromhex(code_hex.removeprefix("0x"))
        address = chain.send(chain.accounts[0], code + encode(types, args)).contract
        assert address is not None
        return cls(chain, abi, address)

    def at(self, address: str) -> Contract:
        """Return the same ABI at another address, as for a clone of a template."""
        return Contract(self._chain, self._abi, address)

    def send(self, sender: str, name: str, *args: Any) -> Mined:
        """Call a function by a transaction."""
        return self._chain.send(sender, self._encode(name, args), self.address)

    def ask(self, name: str, *args: Any) -> Any:
        """Ask a view; one output comes bare."""
        outputs = [_type(field) for field in self._entry("function", name)["outputs"]]
        values = decode(outputs, self._chain.ask(self.address, self._encode(name, args)))
        return values[0] if len(values) == 1 else values

    def event(self, mined: Mined, name: str) -> dict[str, Any]:
        """Return the values of the first such event of a transaction, by name."""
        entry = self._entry("event", name)
        topic = "0x" + keccak256(_signature(entry).encode()).hex()
        log = next(log for log in mined.logs if log["topics"][0] == topic)
        indexed = [field for field in entry["inputs"] if field["indexed"]]
        plain = [field for field in entry["inputs"] if not field["indexed"]]
        values = {
            field["name"]: decode([_type(field)], bytes.fromhex(word[2:]))[0]
            for field, word in zip(indexed, log["topics"][1:], strict=True)
        }
        data = decode([_type(field) for field in plain], bytes.fromhex(log["data"][2:]))
        return values | {field["name"]: value for field, value in zip(plain, data, strict=True)}

    def _encode(self, name: str, args: tuple[Any, ...]) -> bytes:
        entry = self._entry("function", name)
        return keccak256(_signature(entry).encode())[:4] + encode(_types(entry), args)

    def _entry(self, kind: str, name: str) -> dict[str, Any]:
        found = [e for e in self._abi if e["type"] == kind and e["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind}s are called {name}"
        return found[0]


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(_types(entry))})"


def _types(entry: dict[str, Any]) -> list[str]:
    return [_type(field) for field in entry["inputs"]]


def _type(field: dict[str, Any]) -> str:
    kind: str = field["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in field['components'])}){kind[5:]}"
