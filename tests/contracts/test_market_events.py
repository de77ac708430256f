"""Events suffice: logs and block times alone give back all that the chain holds of a market."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.contracts.evm import Log
from tests.contracts.market_engine import abi, running_chain
from tests.contracts.market_steps import Steps
from tests.contracts.market_terms import COIN, NOBODY, OFFER, UNCOUNTED, ZERO, Offer, Split, wallet
from tests.contracts.market_world import Dice
from tests.ledger.chain import OPERATOR

from usufruct.crypto.hash import keccak256
from usufruct.ledger.bindings.offers import Offer as BoundOffer
from usufruct.ledger.index import Index
from usufruct.ledger.network import Network
from usufruct.ledger.reader import Reader
from usufruct.ledger.transport import HttpTransport

pytestmark = pytest.mark.engine

STEPS = 700
LAST = 2**32 - 1


@dataclass
class Bought:
    owner: str
    expiry: int
    granted: int
    deadline: int
    payer: str
    used: int = 0
    challenged: int = 0


@dataclass
class Replay:
    """What is held, from events and nothing else; `names` says which contract stands where."""

    names: dict[str, str]
    licences: str
    splits: str
    implementation: str
    owners: dict[int, str] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)
    governing: dict[int, bytes] = field(default_factory=dict)
    shapes: dict[bytes, Split] = field(default_factory=dict)
    offers: dict[int, Offer] = field(default_factory=dict)
    sold: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    closed: set[int] = field(default_factory=set)
    royalty: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[int, Bought] = field(default_factory=dict)
    approved: set[tuple[str, str]] = field(default_factory=set)
    owed: defaultdict[tuple[bytes, str, str], int] = field(default_factory=lambda: defaultdict(int))
    money: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def read(self, logs: Iterable[Log]) -> None:
        for log in logs:
            contract = self.names[log.address]
            if log.topics[0] not in abi(contract).events:
                raise AssertionError(log)
            name, values = abi(contract).event(log)
            take = getattr(self, f"_{contract}_{name}", None) or getattr(self, f"_{name}", None)
            if take is not None:
                take(log, *values.values())

    def pay_to(self, asset: int) -> str:
        split = self.governing[asset]
        if split == ZERO:
            return self.owners[asset]
        return wallet(self.splits, self.implementation, split)

    def _coins(self, source: str, target: str, offer: Offer) -> None:
        if offer.token == COIN:
            self.money[COIN, source] -= offer.price
            self.money[COIN, target] += offer.price

    # Assets

    def _AssetRegistered(
        self, log: Log, asset: int, owner: str, salt: bytes, kind: int, split: bytes, *_: Any
    ) -> None:
        self.states[asset] = 0
        self.governing[asset] = split

    def _VersionPublished(self, log: Log, asset: int, version: int, *_: Any) -> None:
        if version == 1:
            self.states[asset] = 1

    def _StateChanged(self, log: Log, asset: int, state: int) -> None:
        self.states[asset] = state

    def _SplitFixed(self, log: Log, asset: int, split: bytes) -> None:
        self.governing[asset] = split

    def _Assets_Transfer(self, log: Log, source: str, target: str, asset: int) -> None:
        self.owners[asset] = target

    # tokens

    def _Transfer(self, log: Log, source: str, target: str, amount: int) -> None:
        if source != NOBODY:
            self.money[log.address, source] -= amount
        self.money[log.address, target] += amount

    # Splits

    def _SplitMade(
        self, log: Log, asset: int, split: bytes, version: int, payees: Any, shares: Any
    ) -> None:
        self.shapes[split] = Split(asset, version, tuple(payees), tuple(shares))
        assert self.shapes[split].hash == split

    def _paid(self, split: bytes, token: str, to: str, amount: int) -> None:
        if token == COIN:
            self.money[COIN, wallet(self.splits, self.implementation, split)] -= amount
            self.money[COIN, to] += amount

    def _Paid(self, log: Log, split: bytes, token: str, payee: str, to: str, amount: int) -> None:
        self._paid(split, token, to, amount)

    def _Claimed(
        self, log: Log, split: bytes, token: str, payee: str, to: str, amount: int
    ) -> None:
        self.owed[split, token, payee] -= amount
        self._paid(split, token, to, amount)

    def _Owed(self, log: Log, split: bytes, token: str, payee: str, amount: int) -> None:
        self.owed[split, token, payee] += amount

    # Licences

    def _OfferMade(self, log: Log, offer: int, asset: int, terms: Any) -> None:
        self.offers[offer] = Offer(*terms)
        assert self.offers[offer].id == offer
        assert self.offers[offer].asset == asset
        self.royalty[asset] = max(self.royalty[asset], self.offers[offer].royalty)

    def _OfferClosed(self, log: Log, offer: int) -> None:
        self.closed.add(offer)

    def _TransferSingle(
        self, log: Log, operator: str, source: str, target: str, licence: int, amount: int
    ) -> None:
        assert amount == 1
        offer = self.offers[licence >> 64]
        if source == NOBODY:
            self.sold[licence >> 64] += 1
            assert self.sold[licence >> 64] == licence % 2**64
            self.held[licence] = Bought(
                target,
                min(log.time + offer.period, LAST) if offer.period else 0,
                offer.uses or UNCOUNTED,
                log.time + offer.window if offer.window else 0,
                operator,
            )
            to = self.licences if offer.window else self.pay_to(offer.asset)
            self._coins(operator, to, offer)
        else:
            assert self.held[licence].owner == source
            self.held[licence].owner = target

    def _ApprovalForAll(self, log: Log, holder: str, operator: str, approved: bool) -> None:
        (self.approved.add if approved else self.approved.discard)((holder, operator))

    def _PayerNoted(self, log: Log, licence: int, payer: str) -> None:
        assert self.held[licence].payer == payer != self.held[licence].owner

    def _Renewed(self, log: Log, licence: int, expiry: int, uses: int) -> None:
        self.held[licence].expiry, self.held[licence].granted = expiry, uses
        offer = self.offers[licence >> 64]
        self._coins(NOBODY, self.pay_to(offer.asset), offer)

    def _Used(self, log: Log, licence: int, total: int) -> None:
        self.held[licence].used = total

    def _Challenged(self, log: Log, licence: int, by: str) -> None:
        self.held[licence].challenged = log.time

    def _Acknowledged(self, log: Log, licence: int, *_: Any) -> None:
        offer = self.offers[licence >> 64]
        self.held[licence].deadline = 0
        self._coins(self.licences, self.pay_to(offer.asset), offer)

    _Released = _Acknowledged

    def _Refunded(self, log: Log, licence: int, to: str) -> None:
        assert self.held.pop(licence).owner == NOBODY
        self._coins(self.licences, to, self.offers[licence >> 64])


@pytest.fixture(scope="module")
def world() -> Iterator[Steps]:
    with running_chain(history=True) as chain:
        made = Steps(chain, gifts=False)
        dice = Dice(7)
        while sum(made.done.values()) < STEPS:
            made.any_step(dice)
        yield made


@pytest.fixture(scope="module")
def replay(world: Steps) -> Replay:
    names = world.contracts | {
        world.on.assets: "Assets",
        world.on.licences: "Licences",
        world.on.splits: "Splits",
        world.dollar: "TestDollar",
    }
    splits = world.on.splits
    made = Replay(names, world.on.licences, splits, world.model.implementation)
    made.read(world.logs)
    return made


def test_the_run_was_of_everything(world: Steps) -> None:
    changing = {
        entry
        for contract in ("Licences", "Splits")
        for entry in abi(contract).functions
        if "(" not in entry
    } & set(world.done)
    assert changing >= {
        "buy", "buyWithPermit", "buyWithAuthorization", "renew", "recordUse", "challenge",
        "acknowledge", "refund", "release", "safeTransferFrom", "setApprovalForAll", "makeOffers",
        "closeOffer", "withdraw", "credit", "claim", "succeed",
    }  # fmt: skip
    assert max(world.model.depth(split) for split in world.model.shapes) >= 3


def test_events_give_every_balance(world: Steps, replay: Replay) -> None:
    wallets = [wallet(world.on.splits, world.model.implementation, s) for s in replay.shapes]
    contracts = [world.on.licences, *wallets]
    accounts = [*world.everyone, *contracts]
    pairs = [(token, one) for token in world.tokens if token != COIN for one in accounts]
    pairs += [(COIN, one) for one in contracts]
    answers = world.chain.ask_many([world._balance(token, one) for token, one in pairs])
    for pair, answer in zip(pairs, answers, strict=True):
        assert replay.money[pair] == int.from_bytes(answer), pair
    assert any(replay.money[COIN, one] for one in contracts)


def test_events_give_every_asset_offer_and_split(world: Steps, replay: Replay) -> None:
    asked: list[tuple[str, str, tuple[Any, ...], Any]] = []
    for asset, split in replay.governing.items():
        owner = replay.owners[asset] if split == ZERO else NOBODY
        asked.append(("Assets", "sale", (asset,), (replay.states[asset], split, owner)))
        asked.append(("Licences", "payTo", (asset,), (replay.pay_to(asset),)))
        asked.append(("Licences", "royaltyOf", (asset,), (replay.royalty[asset],)))
        asked.append(("Assets", "ownerOf", (asset,), (replay.owners[asset],)))
    for number, offer in replay.offers.items():
        status = 2 if number in replay.closed else 1
        state = (replay.sold[number], status, offer.transferable)
        asked.append(("Licences", "offerState", (number,), state))
    for split, shape in replay.shapes.items():
        for token in world.tokens:
            dues = [replay.owed[split, token, payee] for payee in shape.payees]
            asked.append(("Splits", "reserved", (split, token), (sum(dues),)))
            for payee, due in zip(shape.payees, dues, strict=True):
                asked.append(("Splits", "owed", (split, token, payee), (due,)))
    world._check(asked)
    assert any(replay.owed.values())
    assert set(replay.governing) == set(world.model.assets)
    assert set(replay.shapes) == set(world.model.shapes)


def test_events_give_every_licence(world: Steps, replay: Replay) -> None:
    asked: list[tuple[str, str, tuple[Any, ...], Any]] = []
    for offer, sold in replay.sold.items():
        for number in (offer << 64 | serial for serial in range(1, sold + 1)):
            found = replay.held.get(number)
            word: tuple[Any, ...] = (NOBODY, 0, 0, 0, 0)
            waits: tuple[Any, ...] = (NOBODY, 0)
            if found is not None:
                word = (found.owner, found.expiry, found.granted, found.deadline, found.used)
                if found.deadline:
                    waits = (found.payer, found.challenged)
            asked.append(("Licences", "licence", (number,), word))
            asked.append(("Licences", "payerOf", (number,), waits[:1]))
            asked.append(("Licences", "challengedAt", (number,), waits[1:]))
            for one in world.everyone:
                mine = int(found is not None and found.owner == one)
                asked.append(("Licences", "balanceOf", (one, number), (mine,)))
    world._check(asked)
    for one in world.people:
        for other in world.people:
            approved = (one, other) in replay.approved
            view = ("isApprovedForAll", one, other)
            assert world.chain.view("Licences", world.on.licences, *view) is approved


@pytest.fixture(scope="module")
def index(world: Steps, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    transport = HttpTransport(world.chain.url)
    on = world.on
    places = {
        "Parties": on.parties, "Anchors": on.anchors, "Assets": on.assets,
        "Splits": on.splits, "Licences": on.licences, "TestDollar": on.dollar,
    }  # fmt: skip
    contracts = {}
    for name, place in places.items():
        code = bytes.fromhex(world.chain.rpc("eth_getCode", place, "latest")[2:])
        contracts[name] = {"address": place, "code_hash": "0x" + keccak256(code).hex()}
    network = Network(
        name="test",
        chain_id=31337,
        rpc=(),
        genesis_hash=world.chain.rpc("eth_getBlockByNumber", "0x0", False)["hash"],
        contracts=contracts,
        finality={"mode": "latest", "confirmations": 0},
        operator=OPERATOR.public,
        created="2026-11-22T12:00:00Z",
    )
    made = Index(tmp_path_factory.mktemp("index") / "index.sqlite")
    made.sync(Reader(transport, network))
    yield made
    made.close()
    transport.close()


def test_the_index_says_what_events_say(world: Steps, replay: Replay, index: Index) -> None:
    for asset, split in replay.governing.items():
        found = index.asset(f"{asset:064x}")
        assert found is not None
        assert (found.owner, found.split_hash) == (replay.owners[asset], split)
        assert found.state.number == replay.states[asset]
        if split != ZERO:
            assert index.splits(found.asset)[-1].digest == split
    for number, offer in replay.offers.items():
        record = index.offer(f"{number:048x}")
        assert record is not None
        assert (record.sold, record.open) == (replay.sold[number], number not in replay.closed)
        assert record.offer.encode() == _encoded(offer)
        assert BoundOffer.decode(_encoded(offer)) == record.offer
    assert len(index.offers()) == len(replay.offers)
    for digest, shape in replay.shapes.items():
        known = index.split(digest)
        assert known is not None
        assert (known.split.payees, known.split.shares) == (shape.payees, shape.shares)
    for one in world.everyone:
        assert index.token_balance(world.dollar, one) == replay.money[world.dollar, one]


def _encoded(offer: Offer) -> bytes:
    from eth_abi import encode

    return encode([OFFER], [tuple(offer)])


def test_the_index_has_every_licence(replay: Replay, index: Index) -> None:
    records = {int(record.licence, 16): record for record in index.licences()}
    assert len(records) == sum(replay.sold.values())
    for number, record in records.items():
        found = replay.held.get(number)
        if found is None:
            assert record.state == "refunded"
            continue
        assert (record.holder, record.payer) == (found.owner, found.payer)
        assert (record.expiry, record.uses, record.used) == (
            found.expiry, found.granted, found.used
        )  # fmt: skip
        assert record.refund_deadline == found.deadline
        waiting = "challenged" if found.challenged else "window"
        assert record.state == (waiting if found.deadline else "settled")


def test_the_index_has_all_money(replay: Replay, index: Index) -> None:
    owed: defaultdict[tuple[bytes, str, str], int] = defaultdict(int)
    coins: defaultdict[str, int] = defaultdict(int)
    for payment in index.payments():
        signs = {"owed": 1, "claimed": -1, "paid": 0}
        owed[payment.digest, payment.token, payment.payee] += signs[payment.kind] * payment.amount
        if payment.kind != "owed" and payment.token == COIN:
            coins[wallet(replay.splits, replay.implementation, payment.digest)] -= payment.amount
            coins[payment.to] += payment.amount
    assert {k: v for k, v in owed.items() if v} == {k: v for k, v in replay.owed.items() if v}
    for purchase in index.purchases():
        if purchase.token == COIN:
            coins[purchase.pay_to] += purchase.price
            if purchase.kind in ("release", "refund"):
                coins[replay.licences] -= purchase.price
    for split in replay.shapes:
        at = wallet(replay.splits, replay.implementation, split)
        assert coins[at] == replay.money[COIN, at]
    assert coins[replay.licences] == replay.money[COIN, replay.licences]
