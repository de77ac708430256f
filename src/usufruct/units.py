"""Money, sizes and times as people write them, exact integers inside."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from usufruct.errors import BadInput

WEI_PER_ETHER = 10**18
WEI_PER_GWEI = 10**9
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def parse_amount(text: str, decimals: int = 18) -> int:
    """Return a decimal amount as an integer of its smallest unit (wei for ether).

    Raises
    ------
    BadInput
        Not a number, negative, or finer than the smallest unit.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadInput(f"'{text}' is not an amount", hint="write it like 1.25") from None
    if not value.is_finite() or value < 0 or len(text) > 80:
        raise BadInput(f"'{text}' is not an amount", hint="amounts are zero or more")
    _, digits, exponent = value.as_tuple()
    shift = int(exponent) + decimals
    whole = int("".join(map(str, digits)) or "0")
    if shift > 60:
        raise BadInput(f"'{text}' is too large an amount")
    if shift >= 0:
        return int(whole * 10**shift)
    quotient, rest = divmod(whole, 10**-shift)
    if rest:
        raise BadInput(f"'{text}' is finer than the smallest unit, which has {decimals} decimals")
    return int(quotient)


def format_amount(amount: int, decimals: int = 18) -> str:
    """Return an integer amount as an exact decimal without trailing zeros."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 10**decimals)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:0{decimals}d}".rstrip("0")


def format_bytes(size: int) -> str:
    """Return a byte count for people, in binary units."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")
