"""Prices, periods and parts: exact both ways, and nothing that can be read in two ways."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.errors import BadInput
from usufruct.market import pricing
from usufruct.market.pricing import (
    describe,
    format_percent,
    format_period,
    format_price,
    parse_percent,
    parse_period,
    parse_price,
    parse_uses,
)
from usufruct.types import ZERO_ADDRESS, Use

DAY = 86400


@settings(deadline=None)
@given(st.integers(0, 2**128 - 1), st.integers(0, 255))
def test_prices_round_trip(price: int, decimals: int) -> None:
    text = format_price(price, decimals)
    if len(text) <= 100:
        assert parse_price(text, decimals) == price


@settings(deadline=None)
@given(st.integers(0, 10**12), st.integers(0, 8), st.integers(0, 18))
def test_prices_are_exact_or_refused(number: int, places: int, decimals: int) -> None:
    text = f"{Decimal(number).scaleb(-places):f}"
    exact = Fraction(number, 10**places) * 10**decimals
    if exact.denominator == 1:
        assert parse_price(text, decimals) == exact
    else:
        with pytest.raises(BadInput, match="finer"):
            parse_price(text, decimals)


@settings(deadline=None)
@given(st.integers(1, 2**32 - 1))
def test_periods_round_trip_in_the_shortest_text(seconds: int) -> None:
    text = format_period(seconds)
    assert parse_period(text) == seconds
    units = {"y": 365 * DAY, "d": DAY, "h": 3600, "m": 60, "s": 1}
    other = [f"{seconds // n}{u}" for u, n in units.items() if seconds % n == 0]
    assert len(text) == min(map(len, other))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * DAY),
        ("12h", 43200),
        ("1y", 365 * DAY),
        ("90m", 5400),
        ("45s", 45),
        ("2 h", 7200),
    ],
)
def test_periods(text: str, seconds: int) -> None:
    assert parse_period(text) == seconds


@settings(deadline=None)
@given(st.integers(0, 1_000_000))
def test_percents_round_trip(ppm: int) -> None:
    assert parse_percent(format_percent(ppm)) == ppm
    assert parse_percent(f"{ppm // 10**6}.{ppm % 10**6:06d}") == ppm


@pytest.mark.parametrize(
    ("text", "ppm"),
    [("20%", 200_000), ("12.5%", 125_000), ("0.2", 200_000), ("0", 0), ("0.0001%", 1),
     ("100%", 1_000_000), ("1.0", 1_000_000), ("33.3333%", 333_333), ("5 %", 50_000)],
)  # fmt: skip
def test_percents(text: str, ppm: int) -> None:
    assert parse_percent(text) == ppm


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_period, t) for t in ("", "0", "0d", "30", "d", "-1d", "1.5h", "30D", "1w", "137y",
                                      "1d1h", "١d", "9" * 90 + "s", "1e3s", " 1d", "1d\n", 30)),
        *((parse_percent, t) for t in ("", "%", "20", "1", "-1%", "101%", "1.1", "1/3", "0.00001%",
                                       "0.0000001", "1e-2", "nan", ".5", "5.", "²%", "5%%", 0.2)),
        *((parse_uses, t) for t in ("", "0", "-1", "1.0", "4294967295", "9" * 11, "١", "1 ", 5)),
        *((lambda t: parse_price(t, 6), t)
          for t in ("", "-1", "1e3", "inf", "nan", "1_000", "1,5", ".5", "5.", "0x5", "٥", "+1",
                    "0.0000001", "9" * 101, str(2**128), 5, None, "1\n")),
    ],
)  # fmt: skip
def test_what_is_no_number_here(parse: Callable[[Any], int], text: Any) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert len(caught.value.message) < 200


def test_whole_numbers_without_a_sign_are_asked_about() -> None:
    with pytest.raises(BadInput, match="two ways") as caught:
        parse_percent("20")
    assert "20%" in str(caught.value.hint)


def test_decimals_of_a_hostile_token() -> None:
    for decimals in (-1, 256, 10**9):
        with pytest.raises(BadInput):
            parse_price("1", decimals)
        with pytest.raises(BadInput):
            format_price(1, decimals)


def offer(**fields: Any) -> Any:
    plain = {
        "use": Use.DOWNLOAD, "price": 0, "token": ZERO_ADDRESS, "period": 0, "uses": 0, "cap": 0,
        "refund_window": 0, "royalty": 0, "transferable": False, "allow_root": bytes(32),
        "terms": bytes(32),
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **fields})


def test_an_offer_in_one_line() -> None:
    full = offer(price=5_000_000, period=30 * DAY, cap=10, royalty=200_000, refund_window=7200)
    assert describe(full, "TUSD", 6, sold=3) == (
        "download, 5 TUSD, for 30 days, 3 of 10 sold, "
        "20 % royalty on what is made from it, refundable for 2 h"
    )
    assert describe(offer(), "TUSD", 6) == "download, free, for ever"
    assert describe(offer(use=Use.CALL, price=1, uses=1), "ETH", 18, sold=0) == (
        "call, 0.000000000000000001 ETH, 1 use, 0 sold"
    )
    assert describe(
        offer(cap=2, transferable=True, allow_root=b"\1" * 32, terms=b"\2" * 32, period=DAY), "T", 0
    ) == (
        "download, free, for 1 day, at most 2 sold, may be passed on, "
        "for listed buyers only, under terms"
    )


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_tokens_name_cannot_play_with_the_screen(symbol: str) -> None:
    line = describe(offer(price=5), symbol, 0)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 60
    assert pricing.symbol_of(ZERO_ADDRESS, symbol) == "ETH"
