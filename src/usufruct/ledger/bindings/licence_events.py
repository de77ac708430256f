"""What the contract Licences tells: offers made, licences sold, moved, used and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.errors import BadInput
from usufruct.ledger.bindings.calls import EventLayout, by_topic, decode_with
from usufruct.ledger.bindings.layout import Layout
from usufruct.ledger.bindings.offers import OFFER_TYPES, Offer
from usufruct.types import Address, AssetId, LicenceId, OfferId

_ADDRESS = Layout("address")
_ASSET = Layout("asset")
_LICENCE = Layout("licence")
_OFFER = Layout("offer")


@dataclass(frozen=True, slots=True)
class OfferMade:
    """An offer was made."""

    offer_id: OfferId
    offer: Offer


@dataclass(frozen=True, slots=True)
class OfferClosed:
    """An offer sells no more."""

    offer_id: OfferId


@dataclass(frozen=True, slots=True)
class LicenceMoved:
    """A licence was sold (`sender` zero), changed hands, or was refunded (`receiver` zero).

    `operator` paid for it, moved it, or refunded it; `amount` is always 1.
    """

    operator: Address
    sender: Address
    receiver: Address
    licence: LicenceId
    amount: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """A licence was renewed and has this end and these uses now; see :class:`Licence`."""

    licence: LicenceId
    expiry: int
    uses: int


@dataclass(frozen=True, slots=True)
class Used:
    """The uses of a licence have come to `total`."""

    licence: LicenceId
    total: int


@dataclass(frozen=True, slots=True)
class Challenged:
    """The holder or the payer objected within the window."""

    licence: LicenceId
    by: Address


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The holder signed that it has the content with this root; the price was paid out."""

    licence: LicenceId
    root: bytes


@dataclass(frozen=True, slots=True)
class Released:
    """The window ended unchallenged; the price was paid out."""

    licence: LicenceId


@dataclass(frozen=True, slots=True)
class Refunded:
    """The price went back to `to` and the licence is no more."""

    licence: LicenceId
    to: Address


@dataclass(frozen=True, slots=True)
class PayerNoted:
    """A licence with a window was bought by another than its holder."""

    licence: LicenceId
    payer: Address


Event = (
    OfferMade
    | OfferClosed
    | LicenceMoved
    | tuple[LicenceMoved, ...]
    | Renewed
    | Used
    | Challenged
    | Acknowledged
    | Released
    | Refunded
    | PayerNoted
)


def _offer_made(offer_id: OfferId, asset: AssetId, *terms: Any) -> OfferMade:
    offer = Offer.of(*terms)
    if offer.offer_id != offer_id or offer.asset != asset:
        raise BadInput("the ledger names an offer by another id or asset than its own")
    return OfferMade(offer_id, offer)


def _moved_many(
    operator: Address,
    sender: Address,
    receiver: Address,
    licences: tuple[LicenceId, ...],
    amounts: tuple[int, ...],
) -> tuple[LicenceMoved, ...]:
    if len(licences) != len(amounts):
        raise BadInput("the ledger moves licences without as many amounts")
    pairs = zip(licences, amounts, strict=True)
    return tuple(LicenceMoved(operator, sender, receiver, *pair) for pair in pairs)


OFFER_MADE: Final = EventLayout(
    _offer_made,
    bytes.fromhex("886e0d91dbd8bbad8e304a30170b55e9a01b076c9b6595066e2f6b679f619b71"),
    (_OFFER, _ASSET),
    Layout(*OFFER_TYPES),
)
OFFER_CLOSED: Final = EventLayout(
    OfferClosed,
    bytes.fromhex("cd3a8aaa6a7526080bde0a35e882131bf1a406a3b1a2d9b6bb3e088dc16724cd"),
    (_OFFER,),
    Layout(),
)
TRANSFER_SINGLE: Final = EventLayout(
    LicenceMoved,
    bytes.fromhex("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"),
    (_ADDRESS, _ADDRESS, _ADDRESS),
    Layout("licence", "uint256"),
)
TRANSFER_BATCH: Final = EventLayout(
    _moved_many,
    bytes.fromhex("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"),
    (_ADDRESS, _ADDRESS, _ADDRESS),
    Layout("licence[]", "uint256[]"),
)
RENEWED: Final = EventLayout(
    Renewed,
    bytes.fromhex("a432aeae56119633aadedbdde76ad3733e747564bd360c7e87b1f55104fc0dd8"),
    (_LICENCE,),
    Layout("uint32", "uint32"),
)
USED: Final = EventLayout(
    Used,
    bytes.fromhex("f25ebee9b9d549da45f481def0c197bd14b2291cf179490058c2b5bf2dd5b62a"),
    (_LICENCE,),
    Layout("uint32"),
)
CHALLENGED: Final = EventLayout(
    Challenged,
    bytes.fromhex("cfe09ca25f55d949baba5e280f5750c9ba4b9048fca5532f916067d433afe4d7"),
    (_LICENCE,),
    _ADDRESS,
)
ACKNOWLEDGED: Final = EventLayout(
    Acknowledged,
    bytes.fromhex("3198385668d889d699bb97af170a77c8787713661267243d549c0d3cf408c398"),
    (_LICENCE,),
    Layout("bytes32"),
)
RELEASED: Final = EventLayout(
    Released,
    bytes.fromhex("fb81f9b30d73d830c3544b34d827c08142579ee75710b490bab0b3995468c565"),
    (_LICENCE,),
    Layout(),
)
REFUNDED: Final = EventLayout(
    Refunded,
    bytes.fromhex("16e7a7a8fd7c51d6b4d059d6d7eea946bff398eee64dd1894af645edd23d502b"),
    (_LICENCE,),
    _ADDRESS,
)
PAYER_NOTED: Final = EventLayout(
    PayerNoted,
    bytes.fromhex("de15cfb1092e14f02d842522c64af0697277bdd10124948d567eb09507370a53"),
    (_LICENCE,),
    _ADDRESS,
)
EVENTS: Final = by_topic(
    *(OFFER_MADE, OFFER_CLOSED, TRANSFER_SINGLE, TRANSFER_BATCH, RENEWED, USED, CHALLENGED),
    *(ACKNOWLEDGED, RELEASED, REFUNDED, PAYER_NOTED),
)


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event of a log, None if it is none of those here (approvals).

    A batch of licences that moved is a tuple, one :class:`LicenceMoved` each.
    """
    return decode_with(EVENTS, topics, data)
