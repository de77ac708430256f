"""Putting an asset up for sale: a sealed copy to deliver, the terms, the offer on the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.errors import AlreadyExists, NotAllowed, NotFound, UsufructError
from usufruct.market.allowlist import MAX_FILE, AllowList
from usufruct.market.pricing import describe, describe_price
from usufruct.market.terms import MAX_TERMS, TermsText
from usufruct.store import read_bytes
from usufruct.types import AssetId, AssetState, Digest, Use
from usufruct.workspace import delivering, finding, finishing, receipts, registering, splitting
from usufruct.workspace.given import read_given
from usufruct.workspace.money import Token, Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import OfferView

if TYPE_CHECKING:
    from usufruct.assets.versions import AssetRecord
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.records import OfferRecord


def offer(
    session: Session,
    asset: str,
    *,
    use: Use,
    price: str,
    token: str | None = None,
    period: str | None = None,
    uses: int | None = None,
    cap: int | None = None,
    allow: Path | None = None,
    royalty: str = "0%",
    terms: Path | None = None,
    refund: str | None = None,
    transferable: bool = False,
) -> OfferView:
    """Offer licences of an own asset; see the command ``usufruct offer`` for the parameters.

    What is offered for download is sealed into the vault first, so that it can be delivered.

    Raises
    ------
    NotFound, BadInput
        There is no such asset here, or terms that make no sense.
    NotAllowed
        The asset is another party's, or not active.
    AlreadyExists
        The same terms are on offer already.
    """
    from usufruct.ledger.bindings import licences
    from usufruct.market.offers import make_offer

    record = _own(session, asset)
    if record.owner != session.public.address:
        raise NotAllowed(
            f"'{record.title}' belongs to {record.owner}", hint="only its owner can offer it"
        )
    if record.state is not AssetState.ACTIVE:
        raise NotAllowed(
            f"'{record.title}' is {record.state}; only an active asset is offered",
            hint="publish a version of it first"
            if record.state is AssetState.DRAFT
            else "publish it anew as another asset",
        )
    contract = session.connection.network.address("Licences")
    coin = Tokens(session.ledger).named(token)
    words = None if terms is None else read_given(terms, "terms", limit=MAX_TERMS)
    text = None if words is None else TermsText.from_bytes(words)
    listed = None if allow is None else read_given(allow, "an allow list", limit=MAX_FILE)
    list_ = None if listed is None else AllowList.from_bytes(listed)
    made = make_offer(
        record.id,
        use,
        price=price,
        token=coin.address,
        decimals=coin.decimals,
        period=period or 0,
        uses=uses or 0,
        cap=cap or 0,
        refund_window=refund or 0,
        royalty=royalty,
        transferable=transferable,
        allow=list_,
        terms=text,
    )
    finishing.resume(session)
    registering.register_party(session)
    registering.catch_up(session, record.id)
    # all this is done for an offer that there is, too: of a newer version, after a crash, or with
    # a text that was lost
    if use is Use.DOWNLOAD:
        delivering.prepare(session, record.id, progress=session.progress)
    if text is not None:
        receipts.keep_terms(session, text)
    if list_ is not None and listed is not None:
        receipts.keep_allowed(session, list_.root, listed)
    for known in session.index.offers(asset=record.id, open_only=True):
        if replace(known.offer, salt=made.salt) == made:
            raise AlreadyExists(
                f"'{record.title}' is offered under the same terms already",
                hint=f"the offer is {known.offer_id}; to end it: "
                f"usufruct market close {known.offer_id[:12]}",
            )
    session.connection.afford(session.public.address)
    receipt = session.ledger.transact(session.account, licences.make_offers(contract, [made]))
    return view(made, coin, record.title, opened=True, sold=0, transaction=receipt.tx_hash)


def keep_deliverable(session: Session, asset: AssetId) -> None:
    """Seal the newest version of an asset that is on offer for download, or was sold so."""
    if not splitting.has_market(session):
        return
    index = session.index
    sold = {one.offer_id for one in index.licences(asset=asset)}
    for one in index.offers(asset=asset):
        if one.offer.use is Use.DOWNLOAD and (one.open or one.offer_id in sold):
            delivering.prepare(session, asset, progress=session.progress)
            return


def close(session: Session, offer: str) -> OfferView:
    """Sell no more licences under an offer (NotAllowed: not the owner's to close)."""
    from usufruct.ledger.bindings import licences

    index = session.index
    found = finding.offer(index, offer)
    title = finding.titles(session).get(found.offer.asset, "")
    coin = Tokens(session.ledger).shown(found.offer.token)
    sold = index.asset(found.offer.asset)
    if sold is None or sold.owner != session.public.address:
        raise NotAllowed(
            f"the asset of the offer {found.offer_id} belongs to another party",
            hint="only its owner can close the offer",
        )
    transaction = None
    if found.open:
        contract = session.connection.network.address("Licences")
        session.connection.afford(session.public.address)
        call = licences.close_offer(contract, found.offer)
        transaction = session.ledger.transact(session.account, call).tx_hash
    return view(found.offer, coin, title, opened=False, sold=found.sold, transaction=transaction)


def _own(session: Session, asset: str) -> AssetRecord:
    """Return an asset of this home (NotFound; NotAllowed: it is another party's)."""
    try:
        return session.assets_store.find(asset)
    except NotFound:
        try:
            other = finding.asset(session, session.index, asset)
        except UsufructError:
            other = None
        if other is None:
            raise
        raise NotAllowed(
            f"the asset {other.asset[:16]} belongs to {other.owner}",
            hint="only its owner can offer it",
        ) from None


def of_record(record: OfferRecord, tokens: Tokens, title: str) -> OfferView:
    """Return an indexed offer for showing."""
    coin = tokens.shown(record.offer.token)
    opened = record.open
    return view(record.offer, coin, title, opened=opened, sold=record.sold, transaction=None)


def view(
    offer: Offer, coin: Token, title: str, *, opened: bool, sold: int, transaction: str | None
) -> OfferView:
    """Return an offer for showing."""
    return OfferView(
        offer.offer_id,
        offer.asset,
        title,
        offer.use,
        describe(offer, coin.symbol, coin.decimals, sold=sold),
        offer.price,
        offer.token,
        describe_price(offer.price, coin.symbol, coin.decimals),
        Digest(offer.terms.hex()) if any(offer.terms) else None,
        opened,
        sold,
        transaction,
    )


def allow_list(session: Session, root: bytes, file: Path | None) -> AllowList:
    """Return the list behind a root, from a file or from what this home keeps.

    Raises
    ------
    NotFound
        It is in neither.
    NotAllowed
        The file is another list.
    """
    if file is not None:
        found = AllowList.from_bytes(read_given(file, "an allow list", limit=MAX_FILE))
        if found.root != root:
            raise NotAllowed(
                f"{file} is not the list of this offer", hint="ask the seller for the list"
            )
        return found
    path = session.home.path / receipts.ALLOWED / f"{root.hex()}.txt"
    try:
        return AllowList.from_bytes(read_bytes(path, limit=MAX_FILE))
    except NotFound:
        raise NotFound(
            "the offer is for listed buyers, and its list is not here",
            hint="ask the seller for it, then add --allow FILE",
        ) from None
