"""Short words for tests that sell, buy, divide and attack."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from tests.contracts.market_engine import Done, Key, Refused, abi, typed
from tests.contracts.market_terms import COIN, ZERO, Offer, Split, blob, opening, wallet
from tests.contracts.market_world import KEYS, RICH, World

from usufruct.crypto.hash import keccak256

OWNER, BUYER, OTHER, THIRD = (key.address for key in KEYS[:4])
DAY = 86_400


class Stage:
    """Short words for what these tests do over and over."""

    def __init__(self, world: World) -> None:
        self.world, self.chain, self.on = world, world.chain, world.on
        self.count = 0

    def call(self, who: str, contract: str, function: str, *args: Any, **more: Any) -> Done:
        to = more.pop("to", None) or getattr(self.on, contract.lower(), None)
        return self.chain.do(who, to, abi(contract).encode(function, *args), **more)

    def view(self, contract: str, function: str, *args: Any) -> Any:
        return self.chain.view(contract, getattr(self.on, contract.lower()), function, *args)

    def asset_id(self, owner: str, salt: int) -> int:
        return int.from_bytes(keccak256(bytes.fromhex(owner[2:]) + salt.to_bytes(16, "big")))

    def asset(self, shares: dict[str, int] | None = None, owner: str = OWNER) -> int:
        """Publish an asset whose income is divided so."""
        self.count += 1
        asset = self.asset_id(owner, self.count)
        split = self.split(asset, shares) if shares else None
        args = (
            asset, self.count.to_bytes(16, "big"), 0, b"\1" * 32, ZERO,
            split.hash if split else ZERO, [], "",
        )  # fmt: skip
        self.call(owner, "Assets", "publish", args, blob(opening(split)))
        return asset

    def split(self, asset: int, shares: dict[str, int], version: int = 1) -> Split:
        order = sorted(shares, key=lambda payee: int(payee, 16))
        return Split(asset, version, tuple(order), tuple(shares[payee] for payee in order))

    def wallet(self, split: Split) -> str:
        return wallet(self.on.splits, self.world.model.implementation, split.hash)

    def offer(self, asset: int, owner: str = OWNER, **terms: Any) -> Offer:
        self.count += 1
        made = Offer(asset, salt=self.count, **terms)
        self.call(owner, "Licences", "makeOffers", [tuple(made)])
        return made

    def buy(self, offer: Offer, who: str = BUYER, holder: str | None = None, **more: Any) -> int:
        """Buy and return the serial."""
        value = offer.price if offer.token == COIN else 0
        args = (tuple(offer), holder or who, [])
        self.call(who, "Licences", "buy", *args, value=value, **more)
        return self.view("Licences", "offerState", offer.id)[0]

    def token(self, kind: str, *holders: str, amount: int = RICH) -> str:
        token = self.chain.create(kind)
        for holder in holders or (BUYER,):
            data = abi("PlainToken").encode("mint", holder, amount)
            self.chain.do(holder, token, data)
            data = abi("PlainToken").encode("approve", self.on.licences, amount)
            self.chain.do(holder, token, data)
        return token

    def held(self, token: str, account: str) -> int:
        if token == COIN:
            return int(self.chain.rpc("eth_getBalance", account, "latest"), 16)
        return self.chain.view("PlainToken", token, "balanceOf", account)

    def account(self, key: Key = KEYS[0], coins: int = 0, licence: int = 0) -> str:
        made = self.chain.create("Account", key.address)
        self.chain.do(OWNER, made, abi("Account").encode("setMoods", coins, licence))
        return made

    def withdraw(self, split: Split, token: str, **more: Any) -> Done:
        return self.call(THIRD, "Splits", "withdraw", tuple(split), token, **more)

    def owed(self, split: Split, token: str, payee: str) -> int:
        return self.view("Splits", "owed", split.hash, token, payee)

    def acknowledge(self, offer: Offer, serial: int, key: Key) -> Done:
        struct = "Acknowledgement(uint256 licence,bytes32 root)"
        licence = offer.id << 64 | serial
        digest = typed("Usufruct Licences", self.on.licences, struct, licence, ZERO)
        args = (tuple(offer), serial, ZERO, key.sign(digest))
        return self.call(THIRD, "Licences", "acknowledge", *args)


def refused(*names: str) -> Any:
    return pytest.raises(Refused, match=f"^({'|'.join(names)})")


def authorization(stage: Stage, offer: Offer, holder: str, key: Key, salt: bytes) -> bytes:
    nonce = keccak256(encode(["uint256", "address", "bytes32"], [offer.id, holder, salt]))
    struct = (
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
        "uint256 validBefore,bytes32 nonce)"
    )
    values = (key.address, stage.on.licences, offer.price, 0, 2**255, nonce)
    return key.sign(typed("Test Dollar", stage.on.dollar, struct, *values))
