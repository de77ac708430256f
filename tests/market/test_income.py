"""Income: a simulated ledger is the judge, down to the last unit."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import ASSET, TOKEN, address, split_of, wallet

from usufruct.ledger.bindings.offers import licence_id
from usufruct.ledger.bindings.splits import Split
from usufruct.market.income import COLUMNS, income, safe_cell, to_csv, totals
from usufruct.market.money import Part, Payment, Sale, State
from usufruct.types import PPM, ZERO_ADDRESS, Address, AssetId, OfferId, Use

PEOPLE = [address(n) for n in range(1, 6)]
BUYER = address(0xB0)
COIN = ZERO_ADDRESS


def sale(at: int, gross: int, pay_to: Address, token: Address = TOKEN, **fields: Any) -> Sale:
    licence = licence_id(OfferId("0f" * 24), at + 1)
    plain: dict[str, Any] = {"at": (at, 0), "time": 1000 + at, "asset": ASSET, "licence": licence}
    plain |= {"use": Use.DOWNLOAD, "payer": BUYER, "token": token, "gross": gross}
    return Sale(**{**plain, "pay_to": pay_to, **fields})


class Chain:
    """What the contracts Licences and Splits do with money, written down once more."""

    def __init__(self, splits: dict[Address, Split]) -> None:
        self.splits = splits
        self.balance: defaultdict[tuple[Address, Address], int] = defaultdict(int)
        self.owed: defaultdict[tuple[Address, Address, Address], int] = defaultdict(int)
        self.sales: list[Sale] = []
        self.payments: list[Payment] = []
        self.clock = 0

    def sell(self, gross: int, pay_to: Address, token: Address) -> None:
        self.clock += 1
        self.balance[pay_to, token] += gross
        self.sales.append(sale(self.clock, gross, pay_to, token))

    def available(self, place: Address, token: Address) -> int:
        kept = sum(v for (w, t, _), v in self.owed.items() if (w, t) == (place, token))
        return self.balance[place, token] - kept

    def divide(self, place: Address, token: Address, failing: set[Address]) -> None:
        split, held = self.splits[place], self.available(place, token)
        parts = [(p, held * s // PPM) for p, s in zip(split.payees, split.shares, strict=True)]
        if not any(part for _, part in parts):
            return
        self.clock += 1
        for index, (payee, part) in enumerate(parts):
            if not part:
                continue
            if payee in failing:
                self.owed[place, token, payee] += part
                self._paid(index, place, token, payee, part, None)
            else:
                self.balance[place, token] -= part
                self.balance[payee, token] += part
                self._paid(index, place, token, payee, part, payee)

    def claim(self, place: Address, token: Address, payee: Address, to: Address) -> None:
        amount = self.owed.pop((place, token, payee), 0)
        if not amount:
            return
        self.clock += 1
        self.balance[place, token] -= amount
        self.balance[to, token] += amount
        self._paid(0, place, token, payee, amount, to, claimed=True)

    def _paid(
        self,
        index: int,
        place: Address,
        token: Address,
        payee: Address,
        amount: int,
        to: Any,
        claimed: bool = False,
    ) -> None:
        at, name = (self.clock, index), f"0x{self.clock:064x}"
        made = Payment(at, name, place, token, payee, amount, to, 1000 + self.clock, claimed)
        self.payments.append(made)


@st.composite
def worlds(draw: st.DrawFn) -> dict[Address, Split]:
    splits: dict[Address, Split] = {}
    for version in range(1, draw(st.integers(1, 4)) + 1):
        payees = draw(
            st.lists(st.sampled_from([*PEOPLE, *splits]), min_size=2, max_size=5, unique=True)
        )
        shares = {payee: draw(st.integers(10_000, 200_000)) for payee in payees}
        made = split_of(shares, version=version)
        splits[wallet(made)] = made
    return splits


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    chain = Chain(draw(worlds()))
    places, tokens = list(chain.splits), [TOKEN, COIN]
    for _ in range(draw(st.integers(0, 25))):
        place, token = draw(st.sampled_from(places)), draw(st.sampled_from(tokens))
        match draw(st.sampled_from(["sell", "sell", "direct", "withdraw", "credit", "claim"])):
            case "sell":
                chain.sell(draw(st.integers(1_000_000, 10**20)), place, token)
            case "direct":
                chain.sell(draw(st.integers(0, 10**20)), draw(st.sampled_from(PEOPLE)), token)
            case "withdraw":
                failing = draw(st.sets(st.sampled_from(PEOPLE), max_size=2))
                chain.divide(place, token, failing)
            case "credit":
                chain.divide(place, token, set(chain.splits[place].payees))
            case _:
                payee = draw(st.sampled_from(chain.splits[place].payees))
                # only the payee itself sends elsewhere, and a wallet cannot
                elsewhere = [payee] if payee in chain.splits else [payee, address(0xE1), places[0]]
                chain.claim(place, token, payee, draw(st.sampled_from(elsewhere)))
    return chain


def sums(parts: list[Part], *states: State) -> dict[tuple[Address, Address], int]:
    found: dict[tuple[Address, Address], int] = {}
    for (payee, token), by_state in totals(parts).items():
        if amount := sum(by_state.get(state, 0) for state in states):
            found[payee, token] = amount
    return found


@settings(deadline=None, max_examples=150)
@given(chains())
def test_every_unit_is_where_the_ledger_has_it(chain: Chain) -> None:
    parts = income(chain.sales, reversed(chain.payments), chain.splits)
    assert all(part.amount > 0 for part in parts)
    for token in (TOKEN, COIN):
        gross = sum(one.gross for one in chain.sales if one.token == token)
        assert sum(part.amount for part in parts if part.sale.token == token) == gross
    # paid: by who was paid, but a claim sent elsewhere counts for its payee
    paid: defaultdict[tuple[Address, Address], int] = defaultdict(int)
    for one in chain.sales:
        if one.pay_to not in chain.splits:
            paid[one.pay_to, one.token] += one.gross
    for payment in chain.payments:
        if payment.to is not None and payment.to not in chain.splits:
            paid[payment.payee, payment.token] += payment.amount
    assert sums(parts, State.PAID) == {key: value for key, value in paid.items() if value}
    owed: defaultdict[tuple[Address, Address], int] = defaultdict(int)
    for (_, token, payee), amount in chain.owed.items():
        owed[payee, token] += amount
    assert sums(parts, State.OWED) == dict(owed)
    # due: what a withdrawal of every wallet, newest first, would bring
    due: defaultdict[tuple[Address, Address], int] = defaultdict(int)
    for token in (TOKEN, COIN):
        held = {place: chain.available(place, token) for place in chain.splits}
        for place in reversed(list(chain.splits)):
            split, amount = chain.splits[place], held[place]
            for payee, share in zip(split.payees, split.shares, strict=True):
                part = amount * share // PPM
                held[place] -= part
                if payee in held:
                    held[payee] += part
                else:
                    due[payee, token] += part
        for place, amount in held.items():
            due[place, token] += amount
    found = sums(parts, State.DUE)
    for key in set(found) | {key for key, value in due.items() if value}:
        # a wallet that has nothing but dust does not divide it in our books
        assert abs(found.get(key, 0) - due[key]) <= 64 * len(chain.splits)
    for token in (TOKEN, COIN):
        assert sum(v for (_, t), v in found.items() if t == token) == sum(
            v for (_, t), v in due.items() if t == token
        )


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=12), st.data())
def test_parts_of_one_withdrawal_sum_to_each_payment(
    amounts: list[int], data: st.DataObject
) -> None:
    shares = data.draw(
        st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 199_999), min_size=1, max_size=5)
    )
    made = split_of(shares)
    chain = Chain({wallet(made): made})
    for amount in amounts:
        chain.sell(amount, wallet(made), TOKEN)
    chain.divide(wallet(made), TOKEN, set())
    parts = income(chain.sales, chain.payments, chain.splits)
    for payment in chain.payments:
        mine = [p for p in parts if p.payee == payment.payee and p.state is State.PAID]
        assert sum(part.amount for part in mine) == payment.amount
        share = dict(zip(made.payees, made.shares, strict=True))[payment.payee]
        for part in mine:
            assert part.share == share
            assert part.path == (wallet(made),)
            # no sale's part is off by more than rounding
            assert abs(part.amount - part.sale.gross * share // PPM) <= 1


def test_the_demo_in_small() -> None:
    """A model pays 20 % to a dataset's split of two hospitals."""
    north, south, maker = PEOPLE[0], PEOPLE[1], PEOPLE[2]
    data = split_of({north: 500_000, south: 500_000}, AssetId("d0" * 32))
    model = split_of({wallet(data): 200_000, maker: 800_000})
    chain = Chain({wallet(data): data, wallet(model): model})
    chain.sell(5_000_001, wallet(model), TOKEN)
    parts = income(chain.sales, [], chain.splits)
    assert {(p.payee, p.amount, p.state) for p in parts} == {
        (maker, 4_000_000, State.DUE), (north, 500_000, State.DUE), (south, 500_000, State.DUE),
        (wallet(model), 1, State.DUE),
    }  # fmt: skip
    chain.divide(wallet(model), TOKEN, set())
    chain.divide(wallet(data), TOKEN, {south})
    parts = income(chain.sales, chain.payments, chain.splits)
    assert {(p.payee, p.amount, p.state) for p in parts} == {
        (maker, 4_000_000, State.PAID), (north, 500_000, State.PAID), (south, 500_000, State.OWED),
        (wallet(model), 1, State.DUE),
    }  # fmt: skip
    found = next(p for p in parts if p.payee == south)
    assert found.path == (wallet(model), wallet(data))
    assert found.sale.payer == BUYER
    chain.claim(wallet(data), TOKEN, south, south)
    parts = income(chain.sales, chain.payments, chain.splits)
    assert sums(parts, State.OWED) == {}
    assert sums(parts, State.PAID)[south, TOKEN] == 500_000


def test_a_waiting_price_is_nobodys_yet() -> None:
    made = split_of({PEOPLE[0]: 333_333, PEOPLE[1]: 666_667})
    waiting = sale(1, 10, wallet(made), waiting=True)
    parts = income([waiting], [], {wallet(made): made})
    assert {(p.payee, p.amount, p.state) for p in parts} == {
        (PEOPLE[0], 3, State.ESCROW), (PEOPLE[1], 6, State.ESCROW), (wallet(made), 1, State.ESCROW),
    }  # fmt: skip
    assert all(part.sale is waiting for part in parts)
    direct = income([sale(1, 10, PEOPLE[0], waiting=True)], [], {})
    assert [(p.payee, p.amount, p.state) for p in direct] == [(PEOPLE[0], 10, State.ESCROW)]


def test_money_that_nobody_sold_for() -> None:
    made = split_of({PEOPLE[0]: 400_000, PEOPLE[1]: 600_000})
    chain = Chain({wallet(made): made})
    chain.sell(1000, wallet(made), TOKEN)
    chain.balance[wallet(made), TOKEN] += 500
    chain.divide(wallet(made), TOKEN, set())
    parts = income(chain.sales, chain.payments, chain.splits)
    assert sums(parts, State.PAID) == {(PEOPLE[0], TOKEN): 600, (PEOPLE[1], TOKEN): 900}
    gifts = [part for part in parts if part.sale.licence is None]
    assert sum(part.amount for part in gifts) == 500
    assert all(part.sale.payer is None and part.sale.asset == ASSET for part in gifts)


def test_a_token_that_takes_a_fee() -> None:
    made = split_of({PEOPLE[0]: 400_000, PEOPLE[1]: 600_000})
    chain = Chain({wallet(made): made})
    chain.sell(1000, wallet(made), TOKEN)
    chain.balance[wallet(made), TOKEN] -= 100
    chain.divide(wallet(made), TOKEN, set())
    parts = income(chain.sales, chain.payments, chain.splits)
    assert sums(parts, State.PAID) == {(PEOPLE[0], TOKEN): 360, (PEOPLE[1], TOKEN): 540}
    assert sum(part.amount for part in parts if part.state is State.DUE) <= 1


def test_a_claim_that_looks_like_a_withdrawal() -> None:
    made = split_of({PEOPLE[0]: PPM})
    chain = Chain({wallet(made): made})
    chain.sell(1000, wallet(made), TOKEN)
    chain.divide(wallet(made), TOKEN, {PEOPLE[0]})
    chain.sell(1000, wallet(made), TOKEN)
    chain.claim(wallet(made), TOKEN, PEOPLE[0], PEOPLE[0])
    parts = income(chain.sales, chain.payments, chain.splits)
    assert sorted((part.sale.at, part.state) for part in parts) == [
        ((1, 0), State.PAID), ((3, 0), State.DUE),
    ]  # fmt: skip


def test_payments_of_unknown_wallets_and_payees() -> None:
    made = split_of({PEOPLE[0]: PPM})
    stray = [
        Payment((1, 0), "0x1", address(0x77), TOKEN, PEOPLE[0], 5, PEOPLE[0]),
        Payment((2, 0), "0x2", wallet(made), TOKEN, PEOPLE[4], 5, PEOPLE[4]),
        Payment((3, 0), "0x3", wallet(made), TOKEN, PEOPLE[4], 0, PEOPLE[4]),
    ]
    parts = income([], stray, {wallet(made): made})
    assert [(p.payee, p.amount, p.share) for p in parts] == [(PEOPLE[4], 5, 0)]


def test_wallets_that_pay_each_other_in_a_ring_and_ways_beyond_counting() -> None:
    ring = {
        PEOPLE[n]: split_of({PEOPLE[(n + 1) % 3]: 900_000, PEOPLE[4]: 100_000}) for n in range(3)
    }
    parts = income([sale(1, 10**6, PEOPLE[0])], [], ring)
    assert sum(part.amount for part in parts) == 10**6
    below, splits = PEOPLE[:3], {}
    for layer in range(40):
        made = [
            split_of(dict.fromkeys(below, 333_333), version=layer * 3 + i + 1) for i in range(3)
        ]
        splits |= {wallet(split): split for split in made}
        below = [wallet(split) for split in made]
    sales = [sale(n, 10**18, below[0]) for n in range(10)]
    parts = income(sales, [], splits)
    assert sum(part.amount for part in parts) == 10**19
    assert len(parts) < 1000
    chain = Chain(splits)
    for one in range(10):
        chain.sell(10**18 + one, below[0], TOKEN)
    for place in reversed(list(splits)):
        chain.divide(place, TOKEN, set())
    parts = income(chain.sales, chain.payments, splits)
    assert sum(part.amount for part in parts) == sum(one.gross for one in chain.sales)
    assert len(parts) < 2000


def test_the_table_for_spreadsheets() -> None:
    made = split_of({PEOPLE[0]: 125_000, PEOPLE[1]: 875_000})
    parts = income([sale(1, 2**90, wallet(made))], [], {wallet(made): made})
    title = '=HYPERLINK("http://evil","a,b")\nnext'
    rows = list(csv.reader(io.StringIO(to_csv(parts, titles={ASSET: title}))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 1 + len(parts)
    first = dict(zip(COLUMNS, rows[1], strict=True))
    assert first["title"] == '\'=HYPERLINK("http://evil","a,b") next'
    assert first["time"] == "1970-01-01T00:16:41Z"
    assert (first["gross"], first["share"]) == (str(2**90), "12.5%")
    assert first["payee"] == PEOPLE[0]
    assert first["from"] == BUYER
    assert sum(int(dict(zip(COLUMNS, row, strict=True))["amount"]) for row in rows[1:]) == 2**90
    odd = income([sale(1, 5, PEOPLE[0], time=10**18, licence=None, use=None, payer=None)], [], {})
    assert str(10**18) in to_csv(odd)


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t=", " =", "\r", "\n+", "\u00a0@", "\u3000-"]
)
def test_no_cell_begins_a_formula(start: str) -> None:
    assert safe_cell(start + "1").startswith("'")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_cell(text: str) -> None:
    cell = safe_cell(text)
    assert cell.isprintable()
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cell.removeprefix("'") == "".join(c if c.isprintable() else " " for c in text) or (
        text.startswith("'")
    )
