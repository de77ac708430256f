"""What people write about an offer, as exact integers, and back: price, period, percent, uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from usufruct.errors import BadInput
from usufruct.types import PPM, ZERO_ADDRESS
from usufruct.units import format_amount

if TYPE_CHECKING:
    from usufruct.ledger.bindings.offers import Offer

MAX_PRICE: Final = 2**128 - 1
"""Largest price, in the token's smallest unit."""

MAX_SECONDS: Final = 2**32 - 1
MAX_USES: Final = 2**32 - 2
"""Most uses a licence counts; the number above says that they are not counted."""

MAX_DECIMALS: Final = 255
_SYMBOL: Final = 16
_DIGITS: Final = 100
_DECIMAL: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?\Z")
_PERIOD: Final = re.compile(r"([0-9]+) ?([a-z])\Z")
_UNITS: Final = {"y": 365 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WORDS: Final = {"y": ("year", "years"), "d": ("day", "days"), "m": ("min", "min")}


def parse_price(text: str, decimals: int) -> int:
    """Return a price such as ``5`` or ``0.25`` in the token's smallest unit.

    Parameters
    ----------
    decimals
        How many the token has: 18 for ether, 6 for most dollars.

    Raises
    ------
    BadInput
        Not a plain decimal, finer than the token's smallest unit, or 2^128 and more.
    """
    _check_decimals(decimals)
    wrong = f"'{str(text)[:80]}' is not a price"
    number, places = _decimal(text, wrong, "write it like 5 or 0.25")
    price = _scaled(number, places, decimals)
    if price is None:
        raise BadInput(
            f"the price {text[:80]} is finer than the token's smallest unit",
            hint=f"the token has {decimals} decimals",
        )
    if price > MAX_PRICE:
        raise BadInput(f"the price {text[:80]} is too large to be stored")
    return price


def format_price(price: int, decimals: int) -> str:
    """Return a price as an exact decimal, the inverse of :func:`parse_price`."""
    _check_decimals(decimals)
    return format_amount(price, decimals)


def parse_period(text: str) -> int:
    """Return a period such as ``30d``, ``12h``, ``1y``, ``90m`` or ``45s`` in seconds.

    A year has 365 days.

    Raises
    ------
    BadInput
        Another form, zero, or 2^32 seconds (136 years) and more.
    """
    hint = "write a number and y, d, h, m or s, such as 30d; leave it out for ever"
    match = _PERIOD.match(text) if isinstance(text, str) and len(text) <= _DIGITS else None
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        raise BadInput(f"'{str(text)[:80]}' is not a period", hint=hint)
    seconds = int(match[1]) * unit
    if not 1 <= seconds <= MAX_SECONDS:
        raise BadInput(f"a period of {text} is not from 1 second to 136 years", hint=hint)
    return seconds


def format_period(seconds: int) -> str:
    """Return the shortest text that :func:`parse_period` reads as `seconds`."""
    count, unit = _in_units(seconds)
    return f"{count}{unit}"


def parse_percent(text: str) -> int:
    """Return a part of a whole in parts per million: ``20%``, ``12.5%`` or ``0.2``.

    Raises
    ------
    BadInput
        Another form, above the whole, or finer than one part per million. A whole number without
        the sign is refused too: nobody can tell whether ``1`` is one percent or all.
    """
    hint = "write it like 20%, 12.5% or 0.2"
    wrong = f"'{str(text)[:80]}' is not a part of a whole"
    percent = isinstance(text, str) and text.endswith("%")
    number, places = _decimal(text[:-1].rstrip(" ") if percent else text, wrong, hint)
    if not percent and not places and number:
        raise BadInput(f"'{text}' can be read in two ways", hint=f"write {text}% or a decimal")
    ppm = _scaled(number, places, 4 if percent else 6)
    if ppm is None:
        raise BadInput(f"{text[:80]} is finer than one part per million (0.0001%)", hint=hint)
    if ppm > PPM:
        raise BadInput(f"{text[:80]} is more than the whole", hint=hint)
    return ppm


def format_percent(ppm: int) -> str:
    """Return parts per million as an exact percentage, such as ``12.5%``."""
    return f"{format_amount(ppm, 4)}%"


def parse_uses(text: str) -> int:
    """Return a number of uses (BadInput: not a whole number from 1 to 2^32 - 2)."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,10}", text):
        raise BadInput(f"'{str(text)[:80]}' is not a number of uses", hint="write it like 100")
    if not 1 <= int(text) <= MAX_USES:
        raise BadInput(f"{text} uses cannot be counted", hint=f"from 1 to {MAX_USES}")
    return int(text)


def describe_price(price: int, symbol: str, decimals: int) -> str:
    """Return a price with its token's symbol for people, or ``free``."""
    return f"{format_price(price, decimals)} {safe_symbol(symbol)}" if price else "free"


def describe_period(seconds: int) -> str:
    """Return a period for people, such as ``30 days`` or ``2 h``; 0 is ``ever``."""
    if not seconds:
        return "ever"
    count, unit = _in_units(seconds)
    one, many = _WORDS.get(unit, (unit, unit))
    return f"{count} {one if count == 1 else many}"


def describe(offer: Offer, symbol: str, decimals: int, *, sold: int | None = None) -> str:
    """Return an offer as one line for people.

    Parameters
    ----------
    symbol, decimals
        Of the offer's token; the symbol is a stranger's word and is made safe to print.
    sold
        How many licences were sold, if known.
    """
    parts = [str(offer.use), describe_price(offer.price, symbol, decimals)]
    if offer.period or not offer.uses:
        parts.append(f"for {describe_period(offer.period)}")
    if offer.uses:
        parts.append(f"{offer.uses} use{'s' if offer.uses > 1 else ''}")
    if offer.cap:
        parts.append(f"{'at most' if sold is None else f'{sold} of'} {offer.cap} sold")
    elif sold is not None:
        parts.append(f"{sold} sold")
    if offer.royalty:
        percent = format_amount(offer.royalty, 4)
        parts.append(f"{percent} % royalty on what is made from it")
    if offer.refund_window:
        parts.append(f"refundable for {describe_period(offer.refund_window)}")
    if offer.transferable:
        parts.append("may be passed on")
    if any(offer.allow_root):
        parts.append("for listed buyers only")
    if any(offer.terms):
        parts.append("under terms")
    return ", ".join(parts)


def safe_symbol(symbol: str) -> str:
    """Return a token's symbol as it may be printed: at most 16 visible characters of ASCII."""
    visible = "".join(c for c in symbol[:64] if c.isascii() and c.isprintable() and c != " ")
    return visible[:_SYMBOL] or "?"


def symbol_of(token: str, symbol: str, coin: str = "ETH") -> str:
    """Return what to call a token; the zero address is the chain's own coin."""
    return coin if token == ZERO_ADDRESS else safe_symbol(symbol)


def _in_units(seconds: int) -> tuple[int, str]:
    if not 1 <= seconds <= MAX_SECONDS:
        raise BadInput(f"a period of {seconds} seconds is not from 1 second to 136 years")
    # the largest unit that divides gives the smallest number, so the shortest text
    unit = next(name for name, size in _UNITS.items() if seconds % size == 0)
    return seconds // _UNITS[unit], unit


def _decimal(text: str, wrong: str, hint: str) -> tuple[int, int]:
    """Return the digits as a whole number and how many of them stand after the point."""
    match = _DECIMAL.match(text) if isinstance(text, str) and len(text) <= _DIGITS else None
    if match is None:
        raise BadInput(wrong, hint=hint)
    fraction = match[2] or ""
    return int(match[1] + fraction), len(fraction)


def _scaled(number: int, places: int, decimals: int) -> int | None:
    """Return number / 10^places in units of 10^-decimals, or None if it is finer."""
    if places <= decimals:
        return int(number * 10 ** (decimals - places))
    whole, rest = divmod(number, 10 ** (places - decimals))
    return None if rest else int(whole)


def _check_decimals(decimals: int) -> None:
    if not 0 <= decimals <= MAX_DECIMALS:
        raise BadInput(f"a token has from 0 to {MAX_DECIMALS} decimals, not {decimals}")
