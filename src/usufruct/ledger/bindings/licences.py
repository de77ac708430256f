"""The contract Licences: offers and what was bought of them, as ERC-1155 tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usufruct.crypto.hash import keccak256
from usufruct.crypto.typed_data import Domain, digest, struct_hash
from usufruct.errors import BadInput
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, View, one, wallet_signature
from usufruct.ledger.bindings.layout import Layout, licence_number
from usufruct.ledger.bindings.licence_events import EVENTS as EVENTS
from usufruct.ledger.bindings.licence_events import Acknowledged as Acknowledged
from usufruct.ledger.bindings.licence_events import Challenged as Challenged
from usufruct.ledger.bindings.licence_events import LicenceMoved as LicenceMoved
from usufruct.ledger.bindings.licence_events import OfferClosed as OfferClosed
from usufruct.ledger.bindings.licence_events import OfferMade as OfferMade
from usufruct.ledger.bindings.licence_events import PayerNoted as PayerNoted
from usufruct.ledger.bindings.licence_events import Refunded as Refunded
from usufruct.ledger.bindings.licence_events import Released as Released
from usufruct.ledger.bindings.licence_events import Renewed as Renewed
from usufruct.ledger.bindings.licence_events import Used as Used
from usufruct.ledger.bindings.licence_events import decode_event as decode_event
from usufruct.ledger.bindings.offers import OFFER_TYPES, Offer, encode_offers
from usufruct.ledger.bindings.splits import wallet_implementation
from usufruct.types import ZERO_ADDRESS, Address, AssetId, LicenceId, OfferId

UNCOUNTED: Final = 2**32 - 1
"""Uses granted by a licence whose uses are not counted."""

_MAKE_OFFERS = bytes.fromhex("7b54e64a")
_CLOSE_OFFER = bytes.fromhex("0a730150")
_BUY = bytes.fromhex("4ec9bb93")
_BUY_LAYOUT = Layout(*OFFER_TYPES, "address", "bytes32[]")
_PERMIT = bytes.fromhex("b20887bb")
_PERMIT_LAYOUT = Layout(
    *(*OFFER_TYPES, "address", "bytes32[]", "uint256", "uint8", "bytes32", "bytes32")
)
_AUTHORIZED = bytes.fromhex("6b40debf")
_AUTHORIZED_LAYOUT = Layout(
    *(*OFFER_TYPES, "address", "bytes32[]", "address", "uint256", "uint256", "bytes32", "bytes")
)
_RENEW = bytes.fromhex("447632ff")
_CHALLENGE = bytes.fromhex("e4d0615f")
_SERIAL_LAYOUT = Layout(*OFFER_TYPES, "uint64")
_RECORD_USE = bytes.fromhex("6d1e883a")
_RECORD_USE_LAYOUT = Layout("licence", "uint32", "bytes")
_ACKNOWLEDGE = bytes.fromhex("89a3c346")
_ACKNOWLEDGE_LAYOUT = Layout(*OFFER_TYPES, "uint64", "bytes32", "bytes")
_REFUND = bytes.fromhex("2a3c96d3")
_REFUND_LAYOUT = Layout(*OFFER_TYPES, "uint64", "address")
_RELEASE = bytes.fromhex("d111422c")
_RELEASE_LAYOUT = Layout(*OFFER_TYPES, "uint64[]")
_TRANSFER = bytes.fromhex("f242432a")
_TRANSFER_LAYOUT = Layout("address", "address", "licence", "uint256", "bytes")
_APPROVAL = bytes.fromhex("a22cb465")
_APPROVAL_LAYOUT = Layout("address", "bool")
_LICENCE_VIEW = bytes.fromhex("21059fe0")
_LICENCE_ANSWER = Layout("address", "uint32", "uint32", "uint32", "uint32")
_OFFER_STATE = bytes.fromhex("40b0606a")
_OFFER_STATE_ANSWER = Layout("uint64", "uint8", "bool")
_ROYALTY_OF = bytes.fromhex("d26509b1")
_PAY_TO = bytes.fromhex("ecbfcbc2")
_CHALLENGED_AT = bytes.fromhex("4a044932")
_PAYER_OF = bytes.fromhex("7edcf18f")
_ADDRESS = Layout("address")
_ASSET = Layout("asset")
_LICENCE = Layout("licence")
_OFFER = Layout("offer")
_TWO_ADDRESSES = Layout("address", "address")
_TERMS = Layout("bytes", "encoded")
_NONCE = Layout("offer", "address", "bytes32")
_USE = "Use(uint256 licence,uint32 total)"
_ACKNOWLEDGEMENT = "Acknowledgement(uint256 licence,bytes32 root)"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as the ledger holds it.

    Parameters
    ----------
    owner
        Who holds it.
    expiry
        From when it is not good any more, seconds since 1970, 0 for never.
    uses
        How many uses it has in all, :data:`UNCOUNTED` if they are not counted.
    refund_deadline
        Until when its price can be challenged, seconds since 1970; 0 once it is settled.
    used
        How many uses were recorded.
    """

    owner: Address
    expiry: int
    uses: int
    refund_deadline: int
    used: int


@dataclass(frozen=True, slots=True)
class OfferState:
    """An offer as the ledger holds it; `sold` is the last licence's serial number."""

    sold: int
    open: bool
    transferable: bool


def deploy_data(assets: Address, splits: Address) -> bytes:
    """Return the data of the transaction that deploys the contract, which knows the others."""
    return load_artefact("Licences").bytecode + _TWO_ADDRESSES.encode(assets, splits)


def runtime_code(assets: Address, splits: Address) -> bytes:
    """Return the code the contract has once deployed."""
    return load_artefact("Licences").runtime_code(
        assets=_ADDRESS.encode(assets),
        splits=_ADDRESS.encode(splits),
        implementation=_ADDRESS.encode(wallet_implementation(splits)),
    )


def domain(chain_id: int, contract: Address) -> Domain:
    """Return the EIP-712 domain of the contract."""
    return Domain("Usufruct Licences", "1", chain_id, contract)


def use_digest(where: Domain, licence: LicenceId, total: int) -> bytes:
    """Return what a holder signs to have used a licence `total` times in all, 32 bytes."""
    return digest(where, struct_hash(_USE, licence_number(licence), total))


def acknowledgement_digest(where: Domain, licence: LicenceId, root: bytes) -> bytes:
    """Return what a holder signs to have the content with this 32-byte `root`, 32 bytes."""
    return digest(where, struct_hash(_ACKNOWLEDGEMENT, licence_number(licence), root))


def authorization_nonce(offer_id: OfferId, holder: Address, salt: bytes) -> bytes:
    """Return the EIP-3009 nonce that ties a payment to an offer and a holder, 32 bytes.

    Parameters
    ----------
    salt
        32 bytes the payer never used before for this offer and holder.
    """
    return keccak256(_NONCE.encode(offer_id, holder, salt))


def encode_terms(split: bytes, offers: Sequence[Offer]) -> bytes:
    """Return what ``publish`` and ``register`` carry as terms; empty if there is nothing.

    Parameters
    ----------
    split
        :func:`usufruct.ledger.bindings.splits.encode_opening`, or empty.
    offers
        Offers of the asset; none for a draft.
    """
    return _TERMS.encode(split, encode_offers(offers)) if split or offers else b""


def make_offers(contract: Address, offers: Sequence[Offer]) -> Call:
    """Make offers of active assets that the sender owns."""
    data = Layout("encoded").encode(encode_offers(offers))
    return Call(contract, _MAKE_OFFERS + data)


def close_offer(contract: Address, offer: Offer) -> Call:
    """Sell no more of an offer; what was sold stays good."""
    return Call(contract, _CLOSE_OFFER + offer.encode())


def buy(contract: Address, offer: Offer, holder: Address, proof: Sequence[bytes] = ()) -> Call:
    """Buy a licence for `holder`; the sender pays.

    Parameters
    ----------
    contract
        Where Licences is.
    offer
        Its price goes as the transaction's value if its token is zero, else by allowance.
    holder
        Who shall hold the licence.
    proof
        Merkle proof of the holder, 32 bytes each, where the offer has an allow list.
    """
    return Call(contract, _BUY + _BUY_LAYOUT.encode(*offer.values(), holder, proof))


def buy_with_permit(
    contract: Address,
    offer: Offer,
    holder: Address,
    proof: Sequence[bytes] = (),
    *,
    deadline: int,
    signature: bytes,
) -> Call:
    """Buy with an EIP-2612 permit over the price, signed by the sender.

    Parameters
    ----------
    deadline
        As signed, seconds since 1970.
    signature
        65 bytes, the last 0, 1, 27 or 28.
    """
    if len(signature) != 65:
        raise BadInput("an account's signature has 65 bytes")
    signed = wallet_signature(signature)
    r, s, v = signed[:32], signed[32:64], signed[64]
    encoded = _PERMIT_LAYOUT.encode(*offer.values(), holder, proof, deadline, v, r, s)
    return Call(contract, _PERMIT + encoded)


def buy_with_authorization(
    contract: Address,
    offer: Offer,
    holder: Address,
    proof: Sequence[bytes] = (),
    *,
    payer: Address,
    valid_after: int,
    valid_before: int,
    salt: bytes,
    signature: bytes,
) -> Call:
    """Buy with an EIP-3009 payment that `payer` signed; anyone may send it.

    Parameters
    ----------
    payer
        Whose tokens pay.
    valid_after, valid_before
        As signed, seconds since 1970.
    salt
        What :func:`authorization_nonce` made the signed nonce of, 32 bytes.
    signature
        Over :func:`usufruct.ledger.bindings.tokens.receive_digest`; of an account 65 bytes, of
        a contract what its EIP-1271 takes.
    """
    signed = wallet_signature(signature)
    encoded = _AUTHORIZED_LAYOUT.encode(
        *offer.values(), holder, proof, payer, valid_after, valid_before, salt, signed
    )
    return Call(contract, _AUTHORIZED + encoded)


def renew(contract: Address, offer: Offer, serial: int) -> Call:
    """Buy another period and the offer's uses once more for a licence; anyone may pay."""
    return Call(contract, _RENEW + _SERIAL_LAYOUT.encode(*offer.values(), serial))


def record_use(contract: Address, licence: LicenceId, total: int, signature: bytes) -> Call:
    """Record how many uses the holder signed for; see :func:`use_digest`."""
    encoded = _RECORD_USE_LAYOUT.encode(licence, total, wallet_signature(signature))
    return Call(contract, _RECORD_USE + encoded)


def challenge(contract: Address, offer: Offer, serial: int) -> Call:
    """Object to a purchase within its window; by the holder or the payer."""
    return Call(contract, _CHALLENGE + _SERIAL_LAYOUT.encode(*offer.values(), serial))


def acknowledge(
    contract: Address, offer: Offer, serial: int, *, root: bytes, signature: bytes
) -> Call:
    """Have a price paid out by the holder's word; see :func:`acknowledgement_digest`."""
    encoded = _ACKNOWLEDGE_LAYOUT.encode(*offer.values(), serial, root, wallet_signature(signature))
    return Call(contract, _ACKNOWLEDGE + encoded)


def refund(contract: Address, offer: Offer, serial: int, to: Address) -> Call:
    """Give a price back and end the licence.

    Parameters
    ----------
    contract, offer, serial
        Which licence.
    to
        The payer, if the asset's owner refunds; anyone, if the payer takes it back.
    """
    return Call(contract, _REFUND + _REFUND_LAYOUT.encode(*offer.values(), serial, to))


def release(contract: Address, offer: Offer, serials: Sequence[int]) -> Call:
    """Have the prices paid out of licences whose windows ended unchallenged; anyone may."""
    return Call(contract, _RELEASE + _RELEASE_LAYOUT.encode(*offer.values(), tuple(serials)))


def transfer(contract: Address, *, sender: Address, receiver: Address, licence: LicenceId) -> Call:
    """Give a licence to another account (ERC-1155 ``safeTransferFrom``)."""
    encoded = _TRANSFER_LAYOUT.encode(sender, receiver, licence, 1, b"")
    return Call(contract, _TRANSFER + encoded)


def set_approval(contract: Address, operator: Address, approved: bool) -> Call:
    """Let an operator move all of the sender's licences, or no longer."""
    return Call(contract, _APPROVAL + _APPROVAL_LAYOUT.encode(operator, approved))


def licence(contract: Address, licence: LicenceId) -> View[Licence | None]:
    """Ask for a licence as it stands; the answer is None if there is none."""
    return View(contract, _LICENCE_VIEW + _LICENCE.encode(licence), _decode_licence)


def offer_state(contract: Address, offer_id: OfferId) -> View[OfferState | None]:
    """Ask for an offer as it stands; the answer is None if there is none."""
    return View(contract, _OFFER_STATE + _OFFER.encode(offer_id), _decode_state)


def royalty_of(contract: Address, asset: AssetId) -> View[int]:
    """Ask for the highest royalty ever asked for an asset, in parts per million."""
    return View(contract, _ROYALTY_OF + _ASSET.encode(asset), one(Layout("uint32")))


def pay_to(contract: Address, asset: AssetId) -> View[Address]:
    """Ask where an asset's income goes now: its split's wallet, else its owner."""
    return View(contract, _PAY_TO + _ASSET.encode(asset), one(_ADDRESS))


def challenged_at(contract: Address, licence: LicenceId) -> View[int]:
    """Ask when an unsettled licence was challenged, seconds since 1970; 0 if it is not."""
    return View(contract, _CHALLENGED_AT + _LICENCE.encode(licence), one(Layout("uint64")))


def payer_of(contract: Address, licence: LicenceId) -> View[Address]:
    """Ask who paid for an unsettled licence; the zero address once it is settled."""
    return View(contract, _PAYER_OF + _LICENCE.encode(licence), one(_ADDRESS))


def _decode_licence(data: bytes) -> Licence | None:
    found = Licence(*_LICENCE_ANSWER.decode(data))
    return None if found.owner == ZERO_ADDRESS else found


def _decode_state(data: bytes) -> OfferState | None:
    sold, status, transferable = _OFFER_STATE_ANSWER.decode(data)
    if status > 2:
        raise BadInput(f"the ledger names a state of offers that is unknown here: {status}")
    return OfferState(sold, status == 1, transferable) if status else None
