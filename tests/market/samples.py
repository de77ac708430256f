"""Values that the market's tests share."""

from __future__ import annotations

from typing import Any

from usufruct.ledger.bindings.offers import Offer
from usufruct.ledger.bindings.splits import Split, wallet_address
from usufruct.types import PPM, Address, AssetId, Use

ASSET = AssetId("a5" * 32)
TOKEN = Address("0x" + "70" * 20)
SPLITS = Address("0x" + "51" * 20)
MODEL = Address("0x" + "1e" * 20)


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


def wallet(split: Split) -> Address:
    return wallet_address(SPLITS, MODEL, split.digest)


def split_of(shares: dict[Address, int], asset: AssetId = ASSET, version: int = 1) -> Split:
    """A split with the last payee taking what is missing."""
    payees = sorted(shares)
    values = [shares[payee] for payee in payees]
    values[-1] += PPM - sum(values)
    return Split(asset, version, tuple(payees), tuple(values))


def offer(**fields: Any) -> Offer:
    plain: dict[str, Any] = {
        "asset": ASSET, "use": Use.DOWNLOAD, "price": 5_000_000, "token": TOKEN, "period": 0,
        "uses": 0, "cap": 0, "refund_window": 0, "royalty": 0, "transferable": False,
        "allow_root": bytes(32), "terms": bytes(32), "salt": 7,
    }  # fmt: skip
    return Offer(**{**plain, **fields})
