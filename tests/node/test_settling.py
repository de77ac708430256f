"""What the node owes the ledger, against a scripted one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.stub import ASSET, CHAIN, CONTRACT, HOLDER, NOW, OPERATOR, StubIndex, offer

from usufruct.errors import LedgerUnreachable, TransactionReverted
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import licences
from usufruct.ledger.bindings.offers import split_licence
from usufruct.market.licences import sign_acknowledgement, sign_use
from usufruct.node.memory import Acknowledgement, Memory, SignedUse
from usufruct.node.settling import Settler
from usufruct.types import LicenceId

WHERE = licences.domain(CHAIN, CONTRACT)
ROOT = b"\7" * 32


class StubLedger:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.refuses: set[bytes] = set()
        self.away = False

    def call_bytes(self, call: Any, *, sender: str) -> bytes:
        if call.data in self.refuses:
            raise TransactionReverted("no", name="BadSignature")
        return b""

    def transact_many(self, account: Account, calls: list[Any]) -> list[Any]:
        if self.away:
            raise LedgerUnreachable("away")
        self.sent += [call.data for call in calls]
        return []


class Parts:
    def __init__(self, folder: Path) -> None:
        self.index = StubIndex()
        self.index.add(ASSET)
        self.ledger: Any = StubLedger()
        self.memory = Memory(folder / "node.sqlite")
        self.told: list[tuple[str, str]] = []

    def settler(self, **options: Any) -> Settler:
        return Settler(
            self.index,
            self.ledger,
            self.memory,
            Account(OPERATOR.account_secret),
            contract=CONTRACT,
            owner=OPERATOR.address,
            clock=lambda: NOW,
            posted=lambda what, outcome: self.told.append((what, outcome)),
            **options,
        )

    def used(self, licence: LicenceId, total: int) -> bytes:
        """Keep a use and return the data of the call that posts it."""
        for number in range(self.memory.total(licence) + 1, total + 1):
            signature = sign_use(HOLDER, WHERE, licence, number)
            use = SignedUse(licence, number, signature, number.to_bytes(32, "big"))
            self.memory.take_use(use, self.index.sold[licence], NOW)
        return licences.record_use(CONTRACT, licence, total, signature).data

    def acknowledged(self, licence: LicenceId) -> bytes:
        signature = sign_acknowledgement(HOLDER, WHERE, licence, ROOT)
        self.memory.keep_acknowledgement(Acknowledgement(licence, ROOT, signature), NOW)
        terms = self.index.terms[self.index.sold[licence].offer_id].offer
        serial = split_licence(licence)[1]
        return licences.acknowledge(CONTRACT, terms, serial, root=ROOT, signature=signature).data


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    yield made
    made.memory.close()


def test_totals_are_posted_once(parts: Parts) -> None:
    first, second = (parts.index.sell(offer(uses=9, salt=n)) for n in (1, 2))
    parts.used(first, 1)
    expected = {parts.used(first, 3), parts.used(second, 1)}
    settler = parts.settler()
    assert settler.step() == 2
    assert set(parts.ledger.sent) == expected
    parts.index.change(first, used=3)
    parts.index.change(second, used=1)
    assert settler.step() == 0
    assert parts.memory.open_uses() == []
    newer = parts.used(second, 2)
    settler.step()
    assert parts.ledger.sent[2:] == [newer]


def test_what_fails_is_tried_again(parts: Parts) -> None:
    licence = parts.index.sell(offer(uses=9))
    data = parts.used(licence, 1)
    settler = parts.settler()
    parts.ledger.away = True
    with pytest.raises(LedgerUnreachable):
        settler.step()
    parts.ledger.away = False
    assert settler.step() == 1
    assert parts.ledger.sent == [data]


def test_one_that_is_refused_holds_nothing_up(parts: Parts) -> None:
    bad, good = (parts.index.sell(offer(uses=9, salt=n)) for n in (1, 2))
    parts.ledger.refuses.add(parts.used(bad, 1))
    expected = parts.used(good, 1)
    settler = parts.settler()
    for _ in range(30):
        settler.step()
        parts.index.change(good, used=1)
    assert set(parts.ledger.sent) == {expected}
    # what the ledger never takes is put aside in the end
    assert parts.memory.open_uses() == []
    assert ("use", "dropped") in parts.told


def test_an_ended_licence_is_put_aside(parts: Parts) -> None:
    licence = parts.index.sell(offer(uses=9))
    parts.used(licence, 1)
    parts.index.change(licence, expiry=NOW)
    assert parts.settler().step() == 0
    assert parts.memory.open_uses() == []


def test_challenges_are_answered_by_what_is_kept(parts: Parts) -> None:
    terms = offer(refund_window=600)
    about = {"state": "challenged", "refund_deadline": NOW + 600}
    known, unknown = (parts.index.sell(terms, **about) for _ in range(2))
    data = parts.acknowledged(known)
    assert parts.settler().step() == 1
    assert parts.ledger.sent == [data]
    assert parts.memory.acknowledgement(unknown) is None


def test_only_if_enabled_prices_are_released(parts: Parts) -> None:
    terms = offer(refund_window=600)
    over = [parts.index.sell(terms, state="window", refund_deadline=NOW - 600) for _ in range(3)]
    parts.index.sell(terms, state="window", refund_deadline=NOW + 600)
    parts.index.sell(terms, state="challenged", refund_deadline=NOW - 600)
    assert parts.settler().step() == 0
    assert parts.settler(release=True).step() == 1
    serials = [split_licence(licence)[1] for licence in over]
    assert parts.ledger.sent == [licences.release(CONTRACT, terms, serials).data]


def test_a_last_round_when_it_stops(parts: Parts) -> None:
    licence = parts.index.sell(offer(uses=9))
    settler = parts.settler(every=1000.0)
    settler.start()
    data = parts.used(licence, 1)
    settler.stop()
    assert parts.ledger.sent == [data]
