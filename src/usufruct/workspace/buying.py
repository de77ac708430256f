"""Buying a licence: terms read and agreed to first, one transaction, a receipt kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.clock import iso
from usufruct.errors import BadInput, NotAllowed, UsufructError, VerificationError
from usufruct.market.terms import check_terms
from usufruct.types import ZERO_ADDRESS, Address, LicenceId
from usufruct.workspace import finding, nodes, offering, receipts
from usufruct.workspace.money import Token, Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Bought, OfferView

if TYPE_CHECKING:
    from usufruct.ledger.bindings.calls import Call
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.records import LicenceRecord, OfferRecord
    from usufruct.ledger.views import Receipt as TxReceipt
    from usufruct.market.receipts import Receipt
    from usufruct.market.terms import TermsText

Agree = Callable[[OfferView, "str | None"], None]
"""Shows an offer with the text of its terms, and raises unless somebody agrees to it."""

_PERMIT_SECONDS = 1_200


def buy(
    session: Session,
    offer: str,
    *,
    for_: str | None = None,
    node: str | None = None,
    allow: Path | None = None,
    terms: bytes | None = None,
    agree: Agree,
) -> Bought:
    """Buy a licence of an offer, for this party or for another one.

    Parameters
    ----------
    offer
        Its id, or the start of it.
    for_
        Address or name of who gets the licence.
    node
        Where the terms are read, else the owner's node.
    allow
        The offer's allow list, where it has one.
    terms
        The text of the terms, where it was had by another way than from the owner's node.
    agree
        Called with the offer and its terms before anything is signed.

    Raises
    ------
    NotAllowed
        The offer is closed or sold out, or the account has too little.
    VerificationError
        The text of the terms is not the one the offer names.
    TransactionReverted
        The contract refuses; decoded.
    """
    index = session.index
    found = finding.offer(index, offer)
    asset = index.asset(found.offer.asset)
    if asset is None:
        raise VerificationError("the ledger has this offer, but not its asset")
    tokens = Tokens(session.ledger)
    coin = tokens.shown(found.offer.token)
    title = _title(session, found, asset.owner, node)
    seen = offering.of_record(found, tokens, title)
    me = session.public.address
    holder = me if for_ is None else finding.party(session, index, for_)
    _check(session, found, tokens, coin, me)
    proof: tuple[bytes, ...] = ()
    if any(found.offer.allow_root):
        proof = offering.allow_list(session, found.offer.allow_root, allow).proof(holder)
    if terms is not None:
        text = check_terms(terms, found.offer.terms)
    else:
        text = nodes.terms(session, index, found.offer, asset.owner, node)
    agree(seen, None if text is None else text.text)
    if text is not None:
        receipts.keep_terms(session, text)
    session.connection.afford(me)
    sent = _pay(session, found.offer, tokens, holder, proof)
    licence = _minted(sent, found.offer)
    record = session.index.licence(licence)
    if record is None:
        raise VerificationError(
            f"the licence {licence} was bought, but the ledger does not show it"
        )
    path = receipts.keep(session, receipt_of(session, record, found.offer, title, text))
    return Bought(
        licence,
        found.offer_id,
        found.offer.asset,
        title,
        found.offer.use,
        record.holder,
        record.payer,
        found.offer.price,
        found.offer.token,
        seen.price_text,
        seen.terms,
        record.expiry,
        record.refund_deadline,
        sent.tx_hash,
        sent.block_number,
        sent.gas_used,
        str(path),
    )


def pay_for_renewal(session: Session, offer: Offer, serial: int) -> TxReceipt:
    """Renew a licence at its offer's price, payable from an allowance or in coin."""
    from usufruct.ledger.bindings import licences

    contract = session.connection.network.address("Licences")
    tokens = Tokens(session.ledger)
    if offer.token != ZERO_ADDRESS and offer.price:
        _allow(session, offer, tokens, contract)
    value = offer.price if offer.token == ZERO_ADDRESS else 0
    return session.ledger.transact(session.account, licences.renew(contract, offer, serial), value)


def _check(
    session: Session, found: OfferRecord, tokens: Tokens, coin: Token, payer: Address
) -> None:
    """Refuse before anything is signed what the contract would refuse with less of a reason."""
    offer = found.offer
    if not found.open:
        raise NotAllowed("the offer is closed", hint="usufruct market list")
    if offer.cap and found.sold >= offer.cap:
        raise NotAllowed(f"all {offer.cap} licences of this offer are sold")
    has = tokens.balance(offer.token, payer)
    if has < offer.price:
        hint = "usufruct faucet" if coin.symbol == "TUSD" else "have somebody send you some"
        raise NotAllowed(
            f"the price is {coin.text(offer.price)}, and {payer} has {coin.text(has)}", hint=hint
        )


def _pay(
    session: Session, offer: Offer, tokens: Tokens, holder: Address, proof: tuple[bytes, ...]
) -> TxReceipt:
    from usufruct.ledger.bindings import licences

    contract = session.connection.network.address("Licences")
    call: Call = licences.buy(contract, offer, holder, proof)
    if offer.token == ZERO_ADDRESS or not offer.price:
        value = offer.price if offer.token == ZERO_ADDRESS else 0
        return session.ledger.transact(session.account, call, value)
    if not _allowed(session, offer, contract):
        permitted = _with_permit(session, offer, contract, holder, proof)
        if permitted is not None:
            return session.ledger.transact(session.account, permitted)
        _allow(session, offer, tokens, contract)
    return session.ledger.transact(session.account, call)


def _allowed(session: Session, offer: Offer, contract: Address) -> bool:
    from usufruct.ledger.bindings import tokens

    given = session.ledger.call(tokens.allowance(offer.token, session.public.address, contract))
    return given >= offer.price


def _allow(session: Session, offer: Offer, tokens_: Tokens, contract: Address) -> None:
    """Allow exactly the price: a standing allowance is for the holder to give, not for us."""
    from usufruct.ledger.bindings import tokens

    if _allowed(session, offer, contract):
        return
    call = tokens.approve(offer.token, contract, offer.price)
    session.ledger.transact(session.account, call)


def _with_permit(
    session: Session, offer: Offer, contract: Address, holder: Address, proof: tuple[bytes, ...]
) -> Call | None:
    """Return a purchase that carries a signed permit; None where the token takes none.

    The domain is guessed from what the token says of itself and compared with what it hashes.
    """
    from usufruct.crypto.typed_data import Domain
    from usufruct.ledger.bindings import licences, tokens

    ledger, me = session.ledger, session.public.address
    try:
        name = ledger.call(tokens.name(offer.token))
        separator = ledger.call(tokens.domain_separator(offer.token))
        nonce = ledger.call(tokens.nonces(offer.token, me))
        said = ledger.call(tokens.version(offer.token))
    except UsufructError:
        return None
    chain_id = session.connection.network.chain_id
    for version in dict.fromkeys([said, "1", "2"]):
        domain = Domain(name, version, chain_id, offer.token)
        if domain.separator != separator:
            continue
        deadline = session.clock() + _PERMIT_SECONDS
        digest = tokens.permit_digest(
            domain, owner=me, spender=contract, value=offer.price, nonce=nonce, deadline=deadline
        )
        signature = session.account.sign_digest(digest)
        return licences.buy_with_permit(
            contract, offer, holder, proof, deadline=deadline, signature=signature
        )
    return None


def _minted(sent: TxReceipt, offer: Offer) -> LicenceId:
    from usufruct.ledger.bindings import licences

    for log in sent.logs:
        event = licences.decode_event(log.topics, log.data)
        if not isinstance(event, licences.LicenceMoved) or event.sender != ZERO_ADDRESS:
            continue
        if event.licence.startswith(offer.offer_id):
            return event.licence
    raise VerificationError(
        f"the transaction {sent.tx_hash} went through, but no licence was given",
        hint="usufruct licences",
    )


def receipt_of(
    session: Session, record: LicenceRecord, offer: Offer, title: str, text: TermsText | None
) -> Receipt:
    """Return the receipt of a licence, from what the ledger says of it."""
    from usufruct.market import receipts as documents

    return documents.Receipt(
        chain_id=session.connection.network.chain_id,
        contract=session.connection.network.address("Licences"),
        transaction=record.tx_hash,
        offer=offer,
        licence=record.licence,
        holder=record.holder,
        payer=record.payer,
        terms=text,
        time=iso(record.timestamp),
        title=title,
    )


def _title(session: Session, found: OfferRecord, owner: Address, node: str | None) -> str:
    """Return the asset's title as this home knows it, else as its owner's node calls it."""
    known = finding.titles(session).get(found.offer.asset)
    if known is not None:
        return known
    try:
        return nodes.title(session, session.index, found.offer.asset, owner, node)
    except (UsufructError, BadInput):
        return found.offer.asset[:16]
