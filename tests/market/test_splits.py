"""Splits: exact sums, royalties by the contract's rule, consent of who loses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import ASSET, address, split_of

from usufruct.errors import BadInput
from usufruct.market.splits import (
    ParentRoyalty,
    due_royalties,
    falling,
    fit_shares,
    make_split,
    with_royalties,
)
from usufruct.types import PPM, ZERO_ADDRESS, Address, AssetId

A, B, C = address(0xA), address(0xB), address(0xC)
SHARES = st.dictionaries(
    st.integers(1, 9).map(address), st.integers(1, 100_000), min_size=1, max_size=6
)


def test_shares_as_people_write_them() -> None:
    made = make_split(ASSET, {C.upper().replace("0X", "0x"): "20%", A: "0.3", B: 500_000})
    assert (made.payees, made.shares) == ((A, B, C), (300_000, 500_000, 200_000))
    assert made.version == 1


@pytest.mark.parametrize(
    ("shares", "says"),
    [
        ({}, "from 1 to 64"),
        ({address(n): 1 for n in range(1, 66)}, "from 1 to 64"),
        ({A: "33%", B: "33%", C: "33%"}, "sum to 99%"),
        ({A: "60%", B: "60%"}, "sum to 120%"),
        ({A: "100%", B: 0}, "nothing"),
        ({A: "50", B: "50"}, "two ways"),
        ({A: "50%", A.upper().replace("0X", "0x"): "50%"}, "twice"),
        ({ZERO_ADDRESS: "100%"}, "zero address"),
        ({"bob": "100%"}, "not an address"),
        ({A: True}, "parts per million"),
        ({A: -1}, "parts per million"),
        ({A: 1.0}, "parts per million"),
    ],
)
def test_splits_that_are_none(shares: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        make_split(ASSET, shares)


def test_the_gap_is_said() -> None:
    with pytest.raises(BadInput) as caught:
        make_split(ASSET, {A: "33.3%", B: "33.3%", C: "33.3%"})
    assert "0.1% are missing" in str(caught.value.hint)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 99).map(address),
        st.fractions(min_value=0, max_value=1000, max_denominator=10**6),
        min_size=1,
        max_size=64,
    )
)
def test_fitted_shares_are_the_closest_that_sum_up(weights: dict[str, Fraction]) -> None:
    total = sum(weights.values())
    if not total:
        with pytest.raises(BadInput):
            fit_shares(weights)
        return
    shares = fit_shares(weights)
    assert sum(shares.values()) == PPM
    exact = {payee: weight * PPM / total for payee, weight in weights.items()}
    assert all(abs(shares[Address(p)] - value) < 1 for p, value in exact.items())
    # largest remainder: who was rounded up had no smaller a remainder than who was not
    up = [value % 1 for p, value in exact.items() if shares[Address(p)] > value]
    down = [value % 1 for p, value in exact.items() if shares[Address(p)] < value]
    assert not up or not down or min(up) >= max(down)
    assert fit_shares(dict(reversed(weights.items()))) == shares


def test_fitting_a_split() -> None:
    thirds = make_split(ASSET, {A: "1/3", B: "1/3", C: "1/3"}, fit=True)
    assert thirds.shares == (333_334, 333_333, 333_333)
    assert make_split(ASSET, {A: 1, B: 3}, fit=True).shares == (250_000, 750_000)
    with pytest.raises(BadInput, match="nothing"):
        make_split(ASSET, {A: 1, B: 10**9}, fit=True)


@pytest.mark.parametrize(
    "weight", ["", "x", "1e9", "1/0", "-1", "nan", "٥", "1" * 99, True, 0.5, -1]
)
def test_weights_that_are_none(weight: Any) -> None:
    with pytest.raises(BadInput):
        fit_shares({A: weight, B: 1})


def parent(number: int, **fields: Any) -> ParentRoyalty:
    plain: dict[str, Any] = {"owner": address(0x99), "pay_to": address(0x100 + number)}
    plain |= {"royalty": 200_000, **fields}
    return ParentRoyalty(AssetId(f"{number:064x}"), **plain)


def test_dues_by_the_contracts_rule() -> None:
    dues = due_royalties(
        [
            parent(1),
            parent(2, owner=A),
            parent(3, claimed=50_000),
            parent(4, claimed=0),
            parent(5, royalty=0),
            parent(6, claimed=300_000),
            parent(7, pay_to=address(0x101), royalty=1),
            parent(8, pay_to=A, royalty=10),
        ],
        A,
    )
    assert dues == {
        address(0x101): 200_001, address(0x103): 50_000, address(0x106): 200_000, A: 10,
    }  # fmt: skip


def test_royalties_are_taken_from_the_maker() -> None:
    assert with_royalties({A: PPM}, {B: 200_000, C: 50_000}, A) == {
        A: 750_000, B: 200_000, C: 50_000,
    }  # fmt: skip
    given_ = {A: 600_000, B: 400_000}
    assert with_royalties(given_, {B: 200_000}, A) == given_
    assert with_royalties(given_, {}, A) == given_
    assert with_royalties({A: PPM}, {B: PPM}, A) == {B: PPM}
    assert with_royalties({A: PPM}, {B: 200_000, A: 800_000}, A) == {A: 800_000, B: 200_000}
    for shares, dues in (
        ({A: 100_000, B: 900_000}, {C: 200_000}),
        ({B: PPM}, {C: 1}),
        ({A: PPM}, {B: 600_000, C: 600_000}),
        ({A: PPM}, {B: 300_000, A: 800_000}),
        ({A: 100_000, B: 900_000}, {A: 200_000}),
    ):
        with pytest.raises(BadInput, match="due"):
            with_royalties(shares, dues, A)


@settings(deadline=None)
@given(
    SHARES, st.dictionaries(st.integers(1, 12).map(address), st.integers(1, 300_000), max_size=4)
)
def test_what_is_made_satisfies_the_contract(
    shares: dict[Address, int], dues: dict[Address, int]
) -> None:
    base = split_of(shares)
    before = dict(zip(base.payees, base.shares, strict=True))
    maker = base.payees[-1]
    try:
        after = with_royalties(before, dues, maker)
    except BadInput:
        missing = sum(max(0, due - before.get(to, 0)) for to, due in dues.items())
        assert before[maker] - missing < dues.get(maker, 0)
        return
    made = make_split(ASSET, after)
    got = dict(zip(made.payees, made.shares, strict=True))
    assert all(got.get(to, 0) >= due for to, due in dues.items())
    assert all(got.get(p, 0) >= s for p, s in before.items() if p != maker)


@settings(deadline=None)
@given(SHARES, SHARES)
def test_who_must_consent(old: dict[Address, int], new: dict[Address, int]) -> None:
    first, second = split_of(old), split_of(new, version=2)
    before = dict(zip(first.payees, first.shares, strict=True))
    after = dict(zip(second.payees, second.shares, strict=True))
    found = falling(first, second)
    assert list(found) == sorted(p for p in before if after.get(p, 0) < before[p])
    assert found or before == after
