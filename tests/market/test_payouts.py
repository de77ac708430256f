"""Payouts: nothing appears, nothing vanishes, and hostile nesting ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import address, split_of, wallet

from usufruct.errors import BadInput
from usufruct.ledger.bindings.splits import Split
from usufruct.market import payouts
from usufruct.market.payouts import opening_order, payout, spread
from usufruct.types import PPM, Address

PEOPLE = [address(n) for n in range(1, 6)]
AMOUNT = st.integers(0, 2**128)


@st.composite
def nested(draw: st.DrawFn, most: int = 6) -> dict[Address, Split]:
    """Splits whose payees are people or wallets of splits made before, as on the ledger."""
    splits: dict[Address, Split] = {}
    for version in range(1, draw(st.integers(1, most)) + 1):
        payees = draw(
            st.lists(st.sampled_from([*PEOPLE, *splits]), min_size=1, max_size=5, unique=True)
        )
        shares = {payee: draw(st.integers(1, 200_000)) for payee in payees}
        made = split_of(shares, version=version)
        splits[wallet(made)] = made
    return splits


@settings(deadline=None)
@given(nested(), AMOUNT)
def test_one_payout(splits: dict[Address, Split], amount: int) -> None:
    for split in splits.values():
        paid = payout(split, amount)
        assert sum(part for _, part in paid.parts) + paid.dust == amount
        assert 0 <= paid.dust < len(split.payees)
        assert [part for _, part in paid.parts] == [amount * s // PPM for s in split.shares]


def test_debts_are_not_paid_out() -> None:
    with pytest.raises(BadInput):
        payout(split_of({PEOPLE[0]: 1}), -1)


@settings(deadline=None)
@given(nested(), AMOUNT)
def test_nested_payout_is_what_withdrawals_do(splits: dict[Address, Split], amount: int) -> None:
    top = list(splits)[-1]
    balances = {top: amount}
    # newest first: a split can only name older ones, so each wallet is complete when it pays
    for place in reversed(list(splits)):
        held = balances.get(place, 0)
        for payee, share in zip(splits[place].payees, splits[place].shares, strict=True):
            part = held * share // PPM
            if part:
                balances[place] -= part
                balances[payee] = balances.get(payee, 0) + part
    found = spread(top, amount, splits)
    assert found.parts == {p: b for p, b in balances.items() if b and p not in splits}
    assert found.waiting == {p: b for p, b in balances.items() if b and p in splits}


def test_a_payee_is_no_wallet() -> None:
    found = spread(PEOPLE[0], 5, {})
    assert (found.parts, found.waiting) == ({PEOPLE[0]: 5}, {})


@settings(deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 12).map(address),
        st.dictionaries(
            st.integers(1, 14).map(address), st.integers(1, 150_000), min_size=1, max_size=6
        ),
        min_size=1,
    ),
    AMOUNT,
)
def test_rings_of_a_lying_ledger_end(raw: dict[Address, dict[Address, int]], amount: int) -> None:
    splits = {place: split_of(shares) for place, shares in raw.items()}
    root = min(splits)
    found = spread(root, amount, splits)
    assert sum(found.parts.values()) + sum(found.waiting.values()) == amount
    assert all(payee not in splits for payee in found.parts)
    assert all(place in splits for place in found.waiting)
    order = opening_order(splits, splits)
    places = order.places()
    assert sorted(places) == sorted(splits)
    for place, split in splits.items():
        for payee in split.payees:
            if order.opens(place, payee, places):
                assert places[place] < places[payee]


def chain(length: int, width: int) -> dict[Address, Split]:
    """Layers of wallets, each paying all of the next: width ** length ways."""
    splits: dict[Address, Split] = {}
    below = PEOPLE[:width]
    for layer in range(length):
        made = [
            split_of(dict.fromkeys(below, PPM // width), version=layer * width + i + 1)
            for i in range(width)
        ]
        splits |= {wallet(split): split for split in made}
        below = [wallet(split) for split in made]
    return splits


def test_ways_beyond_counting_and_nesting_beyond_recursion() -> None:
    wide = chain(60, 3)
    found = spread(list(wide)[-1], 10**30, wide)
    assert sum(found.parts.values()) + sum(found.waiting.values()) == 10**30
    deep = chain(3000, 1)
    assert spread(list(deep)[-1], 12345, deep).parts == {PEOPLE[0]: 12345}


def test_no_more_wallets_are_opened_than_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = chain(30, 1)
    monkeypatch.setattr(payouts, "MAX_WALLETS", 10)
    found = spread(list(deep)[-1], 777, deep)
    assert not found.parts
    assert found.waiting == {list(deep)[19]: 777}
    assert len(opening_order(deep, deep).wallets) == 10
