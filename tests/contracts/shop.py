"""A market with one seller, for the tests of Licences and Splits; encodes through eth_abi alone."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from eth_abi import decode, encode
from eth_account import Account
from tests.contracts.evm import Evm, Market, Receipt, call

from usufruct.crypto.hash import keccak256
from usufruct.ledger.bindings import assets
from usufruct.ledger.bindings.artefact import NAMES, load_artefact
from usufruct.ledger.bindings.calls import Call
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetKind

OFFER = (
    "(uint256,uint8,uint128,address,uint32,uint32,uint32,uint32,uint32,bool,bytes32,bytes32,uint64)"
)
FIELDS = (
    *("asset", "use", "price", "token", "period", "uses", "cap", "refund_window", "royalty"),
    *("transferable", "allow_root", "terms", "salt"),
)
SPLIT = "(uint256,uint32,address[],uint32[])"
CLAIM = f"(uint64,{OFFER})"
DAY = 86_400
UNCOUNTED = 2**32 - 1

# The engine's accounts come from the mnemonic "test test ... junk", whose keys everybody knows.
Account.enable_unaudited_hdwallet_features()
_WORDS = "test test test test test test test test test test test junk"
KEYS = [Account.from_mnemonic(_WORDS, account_path=f"m/44'/60'/0'/0/{n}").key for n in range(4)]


@dataclass
class Shop:
    """The contracts, an asset of account 1, and offers of it that are good unless changed."""

    evm: Evm
    on: Market
    salts: int = 0
    asset: AssetId = field(init=False)

    def __post_init__(self) -> None:
        self.asset = self.publish()

    @property
    def seller(self) -> Address:
        return self.evm.accounts[1]

    @property
    def buyer(self) -> Address:
        return self.evm.accounts[2]

    @property
    def other(self) -> Address:
        return self.evm.accounts[3]

    # assets

    def new_id(self, owner: Address | None = None) -> tuple[AssetId, bytes]:
        self.salts += 1
        salt = self.salts.to_bytes(16, "big")
        return assets.asset_id(owner or self.seller, salt), salt

    def publish(self, owner: Address | None = None, **changes: Any) -> AssetId:
        asset, salt = self.new_id(owner)
        self.evm.send(self.publish_call(asset, salt, **changes), owner or self.seller)
        return asset

    def publish_call(self, asset: AssetId, salt: bytes = bytes(16), **changes: Any) -> Call:
        good: dict[str, Any] = {"kind": AssetKind.MODEL, "root": b"\1" * 32, "metadata": b"\2" * 32}
        return assets.publish(
            self.on.assets, asset=asset, salt=salt, **(good | {"uri": "https://node"} | changes)
        )

    # offers

    def offer(self, **changes: Any) -> tuple[Any, ...]:
        self.salts += 1
        values: dict[str, Any] = dict.fromkeys(FIELDS, 0) | {
            "asset": int(self.asset, 16),
            "token": ZERO_ADDRESS,
            "transferable": True,
            "allow_root": bytes(32),
            "terms": b"\7" * 32,
            "salt": self.salts,
        }
        assert not set(changes) - set(values)
        return tuple((values | changes).values())

    def make(self, **changes: Any) -> tuple[Any, ...]:
        offer = self.offer(**changes)
        self.send("makeOffers(" + OFFER + "[])", [offer], by=self.seller)
        return offer

    def id(self, offer: tuple[Any, ...], serial: int = 1) -> int:
        return (offer_id(offer) << 64) | serial

    # calls to Licences and Splits

    def send(
        self, signature: str, *args: Any, by: Address | None = None, value: int = 0, to: Any = None
    ) -> Receipt:
        """Check by a call that it is not refused, then mine it."""
        made = call(to or self.on.licences, signature, *args)
        fields = {"to": made.to, "data": "0x" + made.data.hex(), "value": hex(value)}
        sender = by or self.buyer
        self.check(fields | {"from": sender, "gas": hex(5_000_000)})
        receipt = self.evm.mine(fields, sender)
        assert receipt.ok
        return receipt

    def check(self, request: dict[str, str]) -> None:
        """Raise Refused with what the next block would refuse this with."""
        params = [request, "latest", None, {"time": hex(self.evm.time + 1)}]
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params}
        error = self.evm._client.post("/", json=body).json().get("error")
        if error:
            raise Refused(bytes.fromhex(error.get("data", "0x")[2:]))

    def buy(self, offer: tuple[Any, ...], **options: Any) -> Receipt:
        holder = options.pop("holder", None) or options.get("by") or self.buyer
        proof = options.pop("proof", [])
        if "value" not in options:
            options["value"] = offer[2] if offer[3] == ZERO_ADDRESS else 0
        return self.send(f"buy({OFFER},address,bytes32[])", offer, holder, proof, **options)

    def ask(self, signature: str, args: list[Any], *outputs: str, to: Any = None) -> Any:
        return self.evm.ask_abi(to or self.on.licences, signature, args, *outputs)

    def licence(self, licence: int) -> tuple[str, int, int, int, int]:
        kinds = ("address", "uint32", "uint32", "uint32", "uint32")
        return self.ask("licence(uint256)", [licence], *kinds)  # type: ignore[no-any-return]

    # money

    def fund(self, *accounts: Address, allow: int = 2**255) -> None:
        """Give each account a thousand dollars, and Licences its allowance."""
        for account in accounts or (self.buyer,):
            self.send("faucet(address)", account, by=account, to=self.on.dollar)
            self.send(
                "approve(address,uint256)", self.on.licences, allow, by=account, to=self.on.dollar
            )

    def dollars(self, account: Address) -> int:
        return int(self.ask("balanceOf(address)", [account], "uint256", to=self.on.dollar))

    def coins(self, account: Address) -> int:
        return int(self.evm.rpc("eth_getBalance", account, "latest"), 16)

    # splits

    def split(
        self, asset: AssetId, shares: dict[Address, int], version: int = 1
    ) -> tuple[int, int, list[Address], list[int]]:
        payees = sorted(shares, key=str.lower)
        return (int(asset, 16), version, payees, [shares[payee] for payee in payees])

    def wallet(self, split: tuple[Any, ...]) -> Address:
        found = self.ask("walletOf(bytes32)", [split_hash(split)], "address", to=self.on.splits)
        return Address(found)

    def publish_split(
        self,
        shares: dict[Address, int],
        owner: Address | None = None,
        claims: tuple[Any, ...] = (),
        parents: tuple[AssetId, ...] = (),
    ) -> tuple[AssetId, tuple[Any, ...]]:
        asset, salt = self.new_id(owner)
        split = self.split(asset, shares)
        made = self.publish_call(
            asset,
            salt,
            split_hash=split_hash(split),
            parents=parents,
            offers=blob(opening(split, claims)),
        )
        self.post(made, owner or self.seller)
        return asset, split

    def post(self, made: Call, by: Address) -> Receipt:
        fields = {"to": made.to, "data": "0x" + made.data.hex()}
        self.check(fields | {"from": by, "gas": hex(5_000_000)})
        receipt = self.evm.mine(fields, by)
        assert receipt.ok
        return receipt

    # signatures

    def sign(self, number: int, contract: str, kind: str, fields: str, **message: Any) -> bytes:
        """Sign typed data with the key of an engine's account, through eth_account."""
        names = {"licences": "Usufruct Licences", "splits": "Usufruct Splits"}
        domain = {
            "name": names.get(contract, "Test Dollar"),
            "version": "1",
            "chainId": int(self.evm.rpc("eth_chainId"), 16),
            "verifyingContract": getattr(self.on, contract),
        }
        types = {
            kind: [
                dict(zip(("type", "name"), one.split(), strict=True)) for one in fields.split(",")
            ]
        }
        signed = Account.sign_typed_data(
            KEYS[number], domain_data=domain, message_types=types, message_data=message
        )
        return bytes(signed.signature)


class Refused(Exception):
    """A custom error, read through the artefacts' ABI and not through our bindings."""

    def __init__(self, data: bytes) -> None:
        found = _errors().get(data[:4])
        self.name = found[0] if found else data.hex()
        self.values = list(decode(found[1], data[4:])) if found else []
        super().__init__(self.name, self.values)


@functools.cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    entries = [e for name in NAMES for e in load_artefact(name).abi if e["type"] == "error"]
    found = {}
    for entry in entries:
        types = [field["type"] for field in entry["inputs"]]
        selector = keccak256(f"{entry['name']}({','.join(types)})".encode())[:4]
        found[selector] = (entry["name"], types)
    return found


@contextlib.contextmanager
def refuses(name: str, *values: Any) -> Iterator[None]:
    """Expect the custom error `name` with these values; with any if none are given."""
    try:
        yield
    except Refused as error:
        assert error.name == name, error
        assert not values or error.values == list(values)
    else:
        raise AssertionError(f"{name} was expected")


def offer_id(offer: tuple[Any, ...]) -> int:
    return int.from_bytes(keccak256(encode([OFFER], [offer])), "big") % 2**192


def split_hash(split: tuple[Any, ...]) -> bytes:
    return keccak256(encode(["uint256", "uint32", "address[]", "uint32[]"], split))


def opening(split: tuple[Any, ...], claims: tuple[Any, ...] = ()) -> bytes:
    return encode([SPLIT, f"{CLAIM}[]"], [split, claims])


def blob(split: bytes = b"", *offers: tuple[Any, ...]) -> bytes:
    return encode(["bytes", f"{OFFER}[]"], [split, offers])


def install(evm: Evm, code: bytes) -> Address:
    """Deploy bare runtime code."""
    size = len(code).to_bytes(2, "big")
    return evm.deploy(bytes.fromhex("61") + size + bytes.fromhex("80600a3d393df3") + code)


# Contracts of a few bytes.
YES_1271 = bytes.fromhex("631626ba7e60e01b5f5260205ff3")  # good for every signature
RECEIVER = bytes.fromhex("63f23a6e6160e01b5f5260205ff3")  # takes single ERC-1155 tokens
REFUSER = bytes.fromhex("5f5ffd")
BURNER = bytes.fromhex("5b5f56")  # jumps for ever
