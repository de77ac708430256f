"""Making an offer of what a seller says, refusing what makes no sense; offers as documents."""

from __future__ import annotations

import secrets
from typing import Any, Final

from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.ledger.bindings.offers import MAX_REFUND_WINDOW, Offer
from usufruct.market.allowlist import ANYONE, AllowList
from usufruct.market.pricing import (
    MAX_PRICE,
    MAX_SECONDS,
    MAX_USES,
    describe_period,
    parse_percent,
    parse_period,
    parse_price,
    parse_uses,
)
from usufruct.market.terms import NO_TERMS, TermsText
from usufruct.types import PPM, ZERO_ADDRESS, Address, AssetId, Use, parse_address, parse_digest

MAX_PERIOD: Final = 50 * 365 * 86400
"""Longest period that is offered: the ledger counts seconds in 32 bits, which end in 2106."""

_FIELDS: Final = (
    *("asset", "use", "price", "token", "period", "uses", "cap", "refund_window"),
    *("royalty", "transferable", "allow_root", "terms", "salt"),
)
_MAX_SALT: Final = 2**64 - 1


def make_offer(
    asset: AssetId,
    use: Use | str,
    *,
    price: str | int,
    token: Address = ZERO_ADDRESS,
    decimals: int = 18,
    period: str | int | None = None,
    uses: str | int | None = None,
    cap: int | None = None,
    refund_window: str | int | None = None,
    royalty: str | int = 0,
    transferable: bool = False,
    allow: AllowList | None = None,
    terms: TermsText | None = None,
    salt: int | None = None,
) -> Offer:
    """Return a new offer for an asset.

    Parameters
    ----------
    price
        Text such as ``0.25`` in units of the token, or its smallest unit as a whole number.
    token, decimals
        The zero address is the chain's own coin, with 18 decimals.
    period, refund_window
        Text such as ``30d``, or seconds; None and 0 are for ever, or no window.
    uses, cap
        None and 0 are not counted, or no limit.
    royalty
        Text such as ``20%``, or parts per million.
    salt
        Fresh and random when left out, so that the same terms can be offered again.

    Raises
    ------
    BadInput
        A value of another form, or a combination that makes no sense; the message says why.
    """
    amount = parse_price(price, decimals) if isinstance(price, str) else price
    offer = Offer(
        asset=AssetId(parse_digest(asset)),
        use=_use(use),
        price=_within(amount, MAX_PRICE, "price"),
        token=parse_address(token),
        period=_period(period, MAX_PERIOD, "period"),
        uses=_within(parse_uses(uses) if isinstance(uses, str) else uses or 0, MAX_USES, "uses"),
        cap=_within(cap or 0, MAX_SECONDS, "cap"),
        refund_window=_period(refund_window, MAX_REFUND_WINDOW, "refund window"),
        royalty=_within(
            parse_percent(royalty) if isinstance(royalty, str) else royalty, PPM, "royalty"
        ),
        transferable=transferable,
        allow_root=ANYONE if allow is None else allow.root,
        terms=NO_TERMS if terms is None else terms.digest,
        salt=secrets.randbits(64) if salt is None else _within(salt, _MAX_SALT, "salt"),
    )
    check_sense(offer)
    return offer


def check_sense(offer: Offer) -> None:
    """Refuse an offer that the contract would take but that no seller means.

    Raises
    ------
    BadInput
        The message says which two of its terms contradict each other, and why.
    """
    if offer.royalty and offer.use is Use.CALL:
        raise BadInput(
            "an offer to call has a royalty, but nobody makes another asset from answers",
            hint="leave the royalty out, or offer it for download, compute or learn",
        )
    if offer.refund_window and not offer.price:
        raise BadInput(
            "the offer has a refund window but no price, so there is nothing to refund",
            hint="leave the window out",
        )
    if offer.refund_window and offer.period and offer.refund_window >= offer.period:
        raise BadInput(
            f"the refund window of {describe_period(offer.refund_window)} does not end before the "
            f"licence does after {describe_period(offer.period)}, so all of it could be used and "
            "paid back",
            hint="make the window shorter",
        )
    if offer.use is Use.CALL and not (offer.period or offer.uses):
        raise BadInput(
            "an offer to call a service for ever without counting would never earn again",
            hint="say for how long (period) or how often (uses)",
        )
    if offer.transferable and offer.uses:
        raise BadInput(
            "licences that may be passed on cannot be counted: what the old holder signed and no "
            "node has posted yet would be missing to the new one",
            hint="leave one of the two out",
        )
    if offer.transferable and offer.allow_root != ANYONE:
        raise BadInput(
            "licences that may be passed on get around the allow list, which only buyers are "
            "compared with",
            hint="leave one of the two out",
        )


def offer_to_dict(offer: Offer) -> dict[str, Any]:
    """Return an offer as plain data for a canonical document.

    Price and salt are decimal text, for they pass 2^53; times are seconds, the royalty is in parts
    per million, hashes are hexadecimal.
    """
    document = {name: getattr(offer, name) for name in _FIELDS}
    return document | {
        "use": str(offer.use),
        "price": str(offer.price),
        "salt": str(offer.salt),
        "allow_root": offer.allow_root.hex(),
        "terms": offer.terms.hex(),
    }


def offer_from_dict(value: Any) -> Offer:
    """Return the offer that :func:`offer_to_dict` gave, strictly.

    Any offer the contract takes is read, sensible or not: strangers make offers too.

    Raises
    ------
    BadInput
        Anything else.
    """
    data = fields.record(value, set(_FIELDS), "an offer")
    if not isinstance(data["transferable"], bool):
        raise BadInput("an offer's 'transferable' is true or false")
    return Offer(
        asset=AssetId(fields.digest(data["asset"], "offer's asset")),
        use=_use(data["use"]),
        price=read_amount(data["price"], MAX_PRICE, "an offer's price"),
        token=fields.address(data["token"], "offer's token"),
        period=_within(data["period"], MAX_SECONDS, "period"),
        uses=_within(data["uses"], MAX_USES, "uses"),
        cap=_within(data["cap"], MAX_SECONDS, "cap"),
        refund_window=_within(data["refund_window"], MAX_REFUND_WINDOW, "refund window"),
        royalty=_within(data["royalty"], PPM, "royalty"),
        transferable=data["transferable"],
        allow_root=fields.unhex(data["allow_root"], "offer's allow list"),
        terms=fields.unhex(data["terms"], "offer's terms"),
        salt=read_amount(data["salt"], _MAX_SALT, "an offer's salt"),
    )


def read_amount(value: Any, most: int, what: str) -> int:
    """Return a whole number from its only decimal text (BadInput: another form, or too much)."""
    text = fields.text(value, what, 78)
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text or int(text) > most:
        raise BadInput(f"{what} is not a whole number up to {most}, as text")
    return int(text)


def _use(value: Any) -> Use:
    if value not in list(Use):
        raise BadInput(
            f"there is no use '{str(value)[:40]}'", hint=f"one of {', '.join(map(str, Use))}"
        )
    return Use(value)


def _period(value: str | int | None, most: int, what: str) -> int:
    given = parse_period(value) if isinstance(value, str) else value or 0
    seconds = _within(given, MAX_SECONDS, what)
    if seconds > most:
        raise BadInput(
            f"a {what} of {describe_period(seconds)} is longer than {describe_period(most)}",
            hint="leave the period out for ever" if what == "period" else None,
        )
    return seconds


def _within(value: Any, most: int, what: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise BadInput(f"an offer's {what} is a whole number from 0 to {most}")
    return value
