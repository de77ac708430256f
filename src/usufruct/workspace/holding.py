"""Licences this party holds, paid for or sold: list, renew, challenge, give back, pass on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from usufruct.errors import BadInput, NotAllowed, NotFound
from usufruct.types import ZERO_ADDRESS, Address, AssetId
from usufruct.workspace import buying, finding, paying
from usufruct.workspace.session import Session
from usufruct.workspace.trade import LicenceView

if TYPE_CHECKING:
    from usufruct.ledger.bindings.calls import Call
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.index import Index
    from usufruct.ledger.records import LicenceRecord

UNCOUNTED = 2**32 - 1


def listed(session: Session, *, sold: bool = False) -> list[LicenceView]:
    """Return the licences this party holds or paid for, oldest first, with their receipts.

    Parameters
    ----------
    sold
        Those of its own assets instead.
    """
    index, me = session.index, session.public.address
    titles = finding.titles(session)
    if sold:
        own = {one.asset for one in index.assets() if one.owner == me}
        return [_view(session, index, one, titles) for one in index.licences() if one.asset in own]
    found = [one for one in index.licences() if me in (one.holder, one.payer)]
    kept = buying.missing_receipts(session, index, found, titles)
    views = [_view(session, index, one, titles) for one in found]
    return [
        replace(view, receipt=str(kept[view.licence])) if view.licence in kept else view
        for view in views
    ]


def renew(session: Session, licence: str) -> LicenceView:
    """Pay for another period, or as many uses again, at the price of the licence's offer."""
    record, offer = _find(session, licence)
    session.connection.afford(session.public.address)
    paying.pay_for_renewal(session, offer, record.serial)
    return _again(session, record)


def challenge(session: Session, licence: str) -> LicenceView:
    """Object within the refund window: the seller shows the acknowledgement, or pays back."""
    from usufruct.ledger.bindings import licences

    record, offer = _find(session, licence)
    return _send(session, record, licences.challenge(_contract(session), offer, record.serial))


def refund(session: Session, licence: str) -> LicenceView:
    """Take the price back after an unanswered challenge; the asset's owner may give it back."""
    from usufruct.ledger.bindings import licences

    record, offer = _find(session, licence)
    to = record.payer
    return _send(session, record, licences.refund(_contract(session), offer, record.serial, to))


def release(session: Session, licence: str) -> LicenceView:
    """Settle a price whose refund window has passed unchallenged."""
    from usufruct.ledger.bindings import licences

    record, offer = _find(session, licence)
    return _send(session, record, licences.release(_contract(session), offer, [record.serial]))


def transfer(session: Session, licence: str, to: str) -> LicenceView:
    """Pass a licence on to another party, where its offer allows that."""
    from usufruct.ledger.bindings import licences

    record, offer = _find(session, licence)
    if not offer.transferable:
        raise NotAllowed(
            "licences of this offer are not passed on", hint="the other party buys its own"
        )
    receiver = finding.party(session, session.index, to)
    me = session.public.address
    if record.holder != me:
        raise NotAllowed(
            f"the licence is held by {record.holder}", hint="only its holder can pass it on"
        )
    if receiver in (me, ZERO_ADDRESS):
        raise BadInput(f"a licence is passed on to another party, not to {receiver}")
    call = licences.transfer(
        _contract(session), sender=me, receiver=receiver, licence=record.licence
    )
    return _send(session, record, call)


def usable(session: Session, index: Index, asset: AssetId, use: str) -> LicenceRecord:
    """Return a licence of an asset that this party may use now, the longest lasting.

    Raises
    ------
    NotFound
        This party holds none for this use.
    NotAllowed
        The only ones have ended, or are used up.
    """
    from usufruct.market.licences import check_use
    from usufruct.types import Use

    me, now = session.public.address, session.clock()
    good: list[LicenceRecord] = []
    refused: NotAllowed | None = None
    for one in index.licences(holder=me, asset=asset):
        offer = index.offer(one.offer_id)
        if offer is None or str(offer.offer.use) != use:
            continue
        try:
            check_use(one, offer.offer, asset=asset, use=Use(use), holder=me, now=now)
        except NotAllowed as error:
            refused = error
            continue
        good.append(one)
    if good:
        # what is not counted is not used up, and what is paid for needs no acknowledgement
        return max(
            good,
            key=lambda one: (one.uses == UNCOUNTED, not one.refund_deadline, one.expiry or 2**32),
        )
    if refused is not None:
        raise refused
    raise NotFound(
        f"this party holds no licence to {use} it",
        hint=f"see what is on offer: usufruct market show {asset[:12]}",
    )


def _find(session: Session, licence: str) -> tuple[LicenceRecord, Offer]:
    index = session.index
    record = finding.licence(index, licence, session.public.address)
    offer = index.offer(record.offer_id)
    if offer is None:
        raise NotFound(f"the offer {record.offer_id} of this licence is not on this ledger")
    return record, offer.offer


def _send(session: Session, record: LicenceRecord, call: Call) -> LicenceView:
    session.connection.afford(session.public.address)
    session.ledger.transact(session.account, call)
    return _again(session, record)


def _again(session: Session, record: LicenceRecord) -> LicenceView:
    index = session.index
    found = index.licence(record.licence)
    return _view(session, index, found or record, finding.titles(session))


def _view(
    session: Session, index: Index, record: LicenceRecord, titles: dict[AssetId, str]
) -> LicenceView:
    offer = index.offer(record.offer_id)
    if offer is None:
        raise NotFound(f"the offer {record.offer_id} of this licence is not on this ledger")
    state = record.state
    if state in ("settled", "window") and record.expiry and record.expiry <= session.clock():
        state = "expired"
    return LicenceView(
        record.licence,
        record.offer_id,
        record.asset,
        titles.get(record.asset, ""),
        offer.offer.use,
        record.holder,
        record.payer,
        state,
        record.expiry,
        None if record.uses == UNCOUNTED else record.uses,
        record.used,
        record.refund_deadline,
        record.holder == session.public.address,
        record.tx_hash,
    )


def _contract(session: Session) -> Address:
    return session.connection.network.address("Licences")
