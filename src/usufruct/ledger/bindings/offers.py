"""Offers: the terms under which rights to an asset are sold, and the ids that follow from them.

An offer is one static struct of 13 words. The ledger stores a hash of it only, so whoever buys
shows the whole of it, and its id is the low 192 bits of keccak256 over the 416 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput
from usufruct.ledger.bindings.layout import Layout, licence_number, offer_number
from usufruct.types import PPM, Address, AssetId, LicenceId, OfferId, Use, parse_address

OFFER_SIZE: Final = 416
MAX_REFUND_WINDOW: Final = 30 * 86_400
"""The longest time in which a purchase can be taken back, in seconds."""

OFFER_TYPES: Final = (
    *("asset", "uint8", "uint128", "address", "uint32", "uint32", "uint32", "uint32", "uint32"),
    *("bool", "bytes32", "bytes32", "uint64"),
)
"""An offer's fields as :class:`Layout` names them; static, so they lie in line."""

_LAYOUT = Layout(*OFFER_TYPES)
_USES = tuple(Use)


@dataclass(frozen=True, slots=True)
class Offer:
    """The terms of a licence; immutable once made.

    Parameters
    ----------
    asset
        What is sold.
    use
        What the licence allows.
    price
        In the token's smallest unit, below 2^128; 0 for free.
    token
        The ERC-20 token to pay in, the zero address for the chain's own coin.
    period
        Seconds a licence lasts, 0 for ever.
    uses
        How many uses a licence has, 0 for uncounted.
    cap
        How many licences there are at most, 0 for no limit.
    refund_window
        Seconds in which a purchase can be challenged, 0 for none, at most 30 days.
    royalty
        Parts per million of derived assets' income that are due to this asset.
    transferable
        Whether a licence may change hands.
    allow_root
        Merkle root of who may hold a licence, 32 bytes, zeros for anyone.
    terms
        SHA-256 of the text of the terms, 32 bytes, zeros for none.
    salt
        Makes two offers of the same terms two offers; 64 bits.

    Raises
    ------
    BadInput
        A value that the contract refuses too.
    """

    asset: AssetId
    use: Use
    price: int
    token: Address
    period: int
    uses: int
    cap: int
    refund_window: int
    royalty: int
    transferable: bool
    allow_root: bytes
    terms: bytes
    salt: int

    def __post_init__(self) -> None:
        if not isinstance(self.use, Use):
            raise BadInput(f"{self.use!r} is not a use", hint=f"one of {', '.join(_USES)}")
        if parse_address(self.token) != self.token:
            raise BadInput("an offer's token is an address in lower case")
        _ = self.encode()  # the ranges
        if self.refund_window > MAX_REFUND_WINDOW:
            raise BadInput(
                f"a refund window of {self.refund_window} seconds is too long",
                hint=f"at most {MAX_REFUND_WINDOW} seconds, 30 days",
            )
        if self.uses == 2**32 - 1:
            raise BadInput("an offer's uses are fewer than that", hint="0 leaves them uncounted")
        if self.royalty > PPM:
            raise BadInput(f"a royalty of {self.royalty} parts per million is more than the whole")

    @property
    def offer_id(self) -> OfferId:
        """The offer's id."""
        return OfferId(keccak256(self.encode())[8:].hex())

    def encode(self) -> bytes:
        """Return the offer as the contracts hash it, 416 bytes."""
        return _LAYOUT.encode(*self.values())

    def values(self) -> tuple[Any, ...]:
        """Return the fields in order, for a layout with :data:`OFFER_TYPES`."""
        return (
            *(self.asset, self.use.number, self.price, self.token, self.period, self.uses),
            *(self.cap, self.refund_window, self.royalty, self.transferable),
            *(self.allow_root, self.terms, self.salt),
        )

    @classmethod
    def of(cls, *values: Any) -> Offer:
        """Return the offer of fields that a layout with :data:`OFFER_TYPES` decoded."""
        asset, number, *rest = values
        if number >= len(_USES):
            raise BadInput(f"the ledger names a use that is unknown here: {number}")
        return cls(asset, _USES[number], *rest)

    @classmethod
    def decode(cls, data: bytes) -> Offer:
        """Return the offer that :meth:`encode` gave (BadInput: anything else)."""
        return cls.of(*_LAYOUT.decode(data))


def encode_offers(offers: Sequence[Offer]) -> bytes:
    """Return a list of offers as the tail of ``Offer[]``: its length, then each."""
    return len(offers).to_bytes(32, "big") + b"".join(offer.encode() for offer in offers)


def licence_id(offer_id: OfferId, serial: int) -> LicenceId:
    """Return the id of an offer's licence number `serial`, which begins at 1.

    Raises
    ------
    BadInput
        Not an offer's id, or a serial number out of range.
    """
    offer_number(offer_id)
    if type(serial) is not int or not 0 < serial < 2**64:
        raise BadInput(f"{serial!r} is not a licence's serial number")
    return LicenceId(f"{offer_id}{serial:016x}")


def split_licence(licence: LicenceId) -> tuple[OfferId, int]:
    """Return the offer and serial number that a licence's id is made of (BadInput: no id)."""
    licence_number(licence)
    return OfferId(licence[:48]), int(licence[48:], 16)
