"""Offers, splits and wallets by eth_abi and the standards: the words that model and tests share."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from eth_abi import encode

from usufruct.crypto.hash import keccak256

ZERO = bytes(32)
NOBODY = "0x" + "00" * 20
COIN = NOBODY
WHOLE = 1_000_000
FOR_EVER = 0
UNCOUNTED = 2**32 - 1
DRAFT, ACTIVE, RETIRED, REVOKED = range(4)
CALL = 3
MOVES = {
    (DRAFT, REVOKED), (ACTIVE, RETIRED), (ACTIVE, REVOKED), (RETIRED, ACTIVE), (RETIRED, REVOKED)
}  # fmt: skip
OFFER = (
    "(uint256,uint8,uint128,address,uint32,uint32,uint32,uint32,uint32,bool,bytes32,bytes32,uint64)"
)
SPLIT = "(uint256,uint32,address[],uint32[])"
CLAIM = f"(uint64,{OFFER})"


class Offer(NamedTuple):
    asset: int
    use: int = 0
    price: int = 0
    token: str = COIN
    period: int = 0
    uses: int = 0
    cap: int = 0
    window: int = 0
    royalty: int = 0
    transferable: bool = False
    root: bytes = ZERO
    terms: bytes = ZERO
    salt: int = 0

    @property
    def id(self) -> int:
        return _offer_id(self)


@functools.lru_cache(50_000)
def _offer_id(offer: Offer) -> int:
    return int.from_bytes(keccak256(encode([OFFER], [tuple(offer)]))) % 2**192


class Split(NamedTuple):
    asset: int
    version: int
    payees: tuple[str, ...]
    shares: tuple[int, ...]

    @property
    def hash(self) -> bytes:
        return _split_hash(self)

    def share(self, payee: str) -> int:
        return dict(zip(self.payees, self.shares, strict=False)).get(payee, 0)


@functools.lru_cache(50_000)
def _split_hash(split: Split) -> bytes:
    return keccak256(encode(["uint256", "uint32", "address[]", "uint32[]"], split))


def opening(split: Split | None, claims: Sequence[tuple[int, Offer]] = ()) -> bytes:
    """Return the split's part of a blob; without a split but with claims an empty one."""
    if split is None and not claims:
        return b""
    return encode([SPLIT, f"{CLAIM}[]"], [split or (0, 0, [], []), list(claims)])


def blob(split: bytes, offers: Sequence[Offer] = ()) -> bytes:
    return encode(["bytes", f"{OFFER}[]"], [split, list(offers)]) if split or offers else b""


def leaf(holder: str) -> bytes:
    return keccak256(keccak256(bytes(12) + bytes.fromhex(holder[2:])))


def pair(a: bytes, b: bytes) -> bytes:
    return keccak256(min(a, b) + max(a, b))


def bad_split(split: Split) -> set[str]:
    numbers = [int(payee, 16) for payee in split.payees]
    good = (
        1 <= len(numbers) <= 64
        and len(numbers) == len(split.shares)
        and 0 not in numbers
        and all(a < b for a, b in itertools.pairwise(numbers))
        and all(share > 0 for share in split.shares)
        and sum(split.shares) == WHOLE
    )
    return set() if good else {"BadSplit"}


@functools.lru_cache(50_000)
def wallet(splits: str, implementation: str, split: bytes) -> str:
    """CREATE2 (EIP-1014) of the EIP-1167 clone that Splits makes with the hash as salt."""
    clone = bytes.fromhex(
        f"3d602d80600a3d3981f3363d3d373d3d3d363d73{implementation[2:]}5af43d82803e903d91602b57fd5bf3"
    )
    made = keccak256(b"\xff" + bytes.fromhex(splits[2:]) + split + keccak256(clone))
    return "0x" + made[12:].hex()
