"""Buying a licence: terms read and agreed to first, one transaction, a receipt kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.clock import iso
from usufruct.errors import (
    AlreadyExists,
    NotAllowed,
    UsufructError,
    VerificationError,
)
from usufruct.market.terms import check_terms
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetState, LicenceId
from usufruct.workspace import finding, nodes, offering, paying, receipts
from usufruct.workspace.money import Token, Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Bought, OfferView

if TYPE_CHECKING:
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.index import Index
    from usufruct.ledger.records import AssetRecord, LicenceRecord, OfferRecord
    from usufruct.ledger.views import Receipt as TxReceipt
    from usufruct.market.receipts import Receipt
    from usufruct.market.terms import TermsText

Agree = Callable[[OfferView, "str | None", Address], None]
"""Shows an offer, the text of its terms and who would hold the licence; raises unless somebody
agrees to it."""


def buy(
    session: Session,
    offer: str,
    *,
    for_: str | None = None,
    node: str | None = None,
    allow: Path | None = None,
    terms: bytes | None = None,
    again: bool = False,
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
    again
        Buy although the holder has a licence of this offer that is good.
    agree
        Called with the offer and its terms before anything is signed.

    Raises
    ------
    AlreadyExists
        The holder has such a licence: maybe a purchase whose end nobody saw.
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
    if not again:
        _check_not_held(session, index, found, holder)
    session.connection.afford(me)
    _check(found, asset, tokens, coin, me)
    proof: tuple[bytes, ...] = ()
    if any(found.offer.allow_root):
        proof = offering.allow_list(session, found.offer.allow_root, allow).proof(holder)
    if terms is not None:
        text = check_terms(terms, found.offer.terms)
    else:
        text = nodes.terms(session, index, found.offer, asset.owner, node)
    agree(seen, None if text is None else text.text, holder)
    if text is not None:
        receipts.keep_terms(session, text)
    sent = paying.pay(session, found.offer, holder, proof)
    licence = _minted(sent, found.offer, session.connection.network.address("Licences"))
    record = session.index.licence(licence)
    if record is None:
        raise VerificationError(
            f"the licence {licence} was bought, but the ledger does not show it"
        )
    path = receipts.keep(session, receipt_of(session, record, found.offer, holder, title, text))
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
        str(path.absolute()),
    )


def _check_not_held(session: Session, index: Index, found: OfferRecord, holder: Address) -> None:
    """Refuse to pay a second time for what is held already, for instance after a crash."""
    from usufruct.market.licences import check_use

    offer, now = found.offer, session.clock()
    for one in index.licences(holder=holder, offer=found.offer_id):
        try:
            check_use(one, offer, asset=offer.asset, use=offer.use, holder=holder, now=now)
        except NotAllowed:
            continue
        raise AlreadyExists(
            f"{'this party' if holder == session.public.address else holder} holds the licence "
            f"{one.licence} of this offer already",
            hint="see `usufruct licences`; to buy another one: --again",
        )


def _check(
    found: OfferRecord, asset: AssetRecord, tokens: Tokens, coin: Token, payer: Address
) -> None:
    """Refuse before anything is signed what the contract would refuse with less of a reason."""
    offer = found.offer
    if not found.open:
        raise NotAllowed("the offer is closed", hint="usufruct market list")
    if asset.state is not AssetState.ACTIVE:
        raise NotAllowed(
            f"the asset is {asset.state}, and only active ones are sold",
            hint="usufruct market list",
        )
    if offer.cap and found.sold >= offer.cap:
        raise NotAllowed(
            f"all {offer.cap} licences of this offer are sold", hint="usufruct market list"
        )
    has = tokens.balance(offer.token, payer)
    if has < offer.price:
        own = offer.token == tokens.test_dollar
        hint = "usufruct faucet" if own else f"have somebody send some to {payer}"
        raise NotAllowed(
            f"the price is {coin.text(offer.price)}, and {payer} has {coin.text(has)}", hint=hint
        )


def _minted(sent: TxReceipt, offer: Offer, contract: Address) -> LicenceId:
    from usufruct.ledger.bindings import licences

    for log in sent.logs:
        if log.address != contract:
            continue  # the token is a stranger's, and may say the same words
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
    session: Session,
    record: LicenceRecord,
    offer: Offer,
    holder: Address,
    title: str,
    text: TermsText | None,
) -> Receipt:
    """Return the receipt of a licence, from what the ledger says; `holder` is who got it."""
    from usufruct.market import receipts as documents

    return documents.Receipt(
        chain_id=session.connection.network.chain_id,
        contract=session.connection.network.address("Licences"),
        transaction=record.tx_hash,
        offer=offer,
        licence=record.licence,
        holder=holder,
        payer=record.payer,
        terms=text,
        time=iso(record.timestamp),
        title=title,
    )


def missing_receipts(
    session: Session, index: Index, records: Iterable[LicenceRecord], titles: Mapping[AssetId, str]
) -> dict[LicenceId, Path]:
    """Return where receipts are; made anew for licences whose purchase nobody saw the end of.

    A receipt holds the text that was agreed to, so none is made where that is not here.
    """
    me = session.public.address
    got = {one.licence: one.holder for one in index.purchases() if one.kind == "sale"}
    there = {one.licence for one in receipts.kept(session)}
    found: dict[LicenceId, Path] = {}
    for record in records:
        holder, sold = got.get(record.licence), index.offer(record.offer_id)
        if record.licence in there:
            found[record.licence] = receipts.place(session, record.licence)
        elif sold is not None and holder is not None and me in (holder, record.payer):
            terms = receipts.terms_text(session.home.path, sold.offer.terms)
            if terms is None and any(sold.offer.terms):
                continue
            title = titles.get(record.asset) or record.asset[:16]
            with contextlib.suppress(UsufructError):  # a list is shown from a full disk, too
                made = receipt_of(session, record, sold.offer, holder, title, terms)
                found[record.licence] = receipts.keep(session, made)
    return found


def _title(session: Session, found: OfferRecord, owner: Address, node: str | None) -> str:
    """Return the asset's title as this home knows it, else as its owner's node calls it."""
    known = finding.titles(session).get(found.offer.asset)
    if known is not None:
        return known
    try:
        return nodes.title(session, session.index, found.offer.asset, owner, node)
    except UsufructError:
        return found.offer.asset[:16]
