"""The index and the market: events alone must give what the contracts answer."""

import contextlib
import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.chain import ACCOUNTS, plain_anvil
from tests.ledger.test_index import NETWORK, PLACES, WHO, Chain, asset_of, content, event
from tests.ledger.test_index import registered as plainly_registered

from usufruct.errors import BadInput, TransactionReverted
from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.bindings import assets, licence_events, licences, splits, tokens
from usufruct.ledger.bindings.offers import Offer, licence_id
from usufruct.ledger.bindings.splits import Split
from usufruct.ledger.client import Ledger
from usufruct.ledger.deploy import deploy
from usufruct.ledger.index import Index
from usufruct.ledger.records import SCHEMA
from usufruct.ledger.transport import HttpTransport
from usufruct.store import connect
from usufruct.types import ZERO_ADDRESS, AssetKind, AssetState, Use

MARKET = dataclasses.replace(
    NETWORK,
    contracts={n: {"address": a, "code_hash": "0x" + "22" * 32} for n, a in PLACES.items()},
)
DOLLAR = PLACES["TestDollar"]
ASSET = asset_of(0, 1)


def an_offer(salt=0, **terms):
    fields = {
        "asset": ASSET,
        "use": Use.DOWNLOAD,
        "price": 5,
        "token": ZERO_ADDRESS,
        "period": 0,
        "uses": 0,
        "cap": 0,
        "refund_window": 0,
        "royalty": 0,
        "transferable": True,
        "allow_root": bytes(32),
        "terms": bytes(32),
        "salt": salt,
    }
    return Offer(**fields | terms)


FREE, WINDOW = an_offer(), an_offer(1, refund_window=100, period=50, uses=3)
SPLIT = Split(ASSET, 1, tuple(sorted(WHO[:2])), (400_000, 600_000))


def registered():
    moved = event("Assets", assets.TRANSFER, [ZERO_ADDRESS, WHO[0], ASSET])
    return [moved, plainly_registered(0, 1)]


def made(offer):
    return event(
        "Licences", licence_events.OFFER_MADE, [offer.offer_id, offer.asset], *offer.values()
    )


def closed(offer):
    return event("Licences", licence_events.OFFER_CLOSED, [offer.offer_id])


def moved(offer, serial, operator, sender, receiver, amount=1):
    licence = licence_id(offer.offer_id, serial)
    who = [ZERO_ADDRESS if one is None else WHO[one] for one in (operator, sender, receiver)]
    return event("Licences", licence_events.TRANSFER_SINGLE, who, licence, amount)


def told(layout, offer, serial, *plain):
    return event("Licences", layout, [licence_id(offer.offer_id, serial)], *plain)


def paid(sender, receiver, amount):
    who = [ZERO_ADDRESS if one is None else WHO[one] for one in (sender, receiver)]
    return event("TestDollar", tokens.TRANSFER, who, amount)


def split_made(split):
    plain = split.version, split.payees, split.shares
    return event("Splits", splits.SPLIT_MADE, [split.asset, split.digest], *plain)


def share(layout, token, payee, *plain):
    return event("Splits", layout, [SPLIT.digest, token, WHO[payee]], *plain)


@pytest.fixture
def index(tmp_path):
    found = Index(tmp_path / "index.sqlite")
    yield found
    found.close()


def sync(index, *events):
    chain = Chain()
    for one in events:
        chain.add(*one)
    index.sync(Ledger(chain, MARKET))
    return chain


def test_the_life_of_a_licence(index):
    """Blocks have the times 1001, 1002 and so on."""
    windowed = licence_id(WINDOW.offer_id, 1)
    chain = sync(index, [*registered(), made(FREE), made(WINDOW)], [moved(WINDOW, 1, 1, None, 2)])
    found = index.licence(windowed)
    assert (found.holder, found.payer, found.serial) == (WHO[2], WHO[1], 1)
    assert (found.expiry, found.uses, found.used) == (1052, 3, 0)
    assert (found.state, found.refund_deadline) == ("window", 1102)
    assert (found.asset, found.offer_id) == (ASSET, WINDOW.offer_id)
    (sale,) = index.purchases(ASSET)
    assert (sale.kind, sale.pay_to, sale.price) == ("sale", PLACES["Licences"], 5)
    assert (sale.payer, sale.holder, sale.timestamp) == (WHO[1], WHO[2], 1002)
    chain.add(told(licence_events.PAYER_NOTED, WINDOW, 1, WHO[1]))
    chain.add(told(licence_events.CHALLENGED, WINDOW, 1, WHO[1]))
    index.sync(Ledger(chain, MARKET))
    assert index.licence(windowed).state == "challenged"
    assert index.licence(windowed).refund_deadline == 1102
    # the owner fixes a split, so the price goes to its wallet
    chain.add(event("Assets", assets.SPLIT_FIXED, [ASSET], SPLIT.digest), split_made(SPLIT))
    chain.add(told(licence_events.ACKNOWLEDGED, WINDOW, 1, b"\7" * 32))
    index.sync(Ledger(chain, MARKET))
    assert index.licence(windowed).state == "settled"
    assert index.licence(windowed).refund_deadline == 0
    splits_at = PLACES["Splits"]
    wallet = splits.wallet_address(splits_at, splits.wallet_implementation(splits_at), SPLIT.digest)
    release = index.purchases()[1]
    assert (release.kind, release.pay_to, release.payer) == ("release", wallet, WHO[1])
    chain.add(told(licence_events.RENEWED, WINDOW, 1, 2000, 6))
    chain.add(told(licence_events.USED, WINDOW, 1, 2), told(licence_events.USED, WINDOW, 1, 4))
    chain.add(moved(WINDOW, 1, 2, 2, 3))
    index.sync(Ledger(chain, MARKET))
    found = index.licence(windowed)
    assert (found.expiry, found.uses, found.used, found.holder) == (2000, 6, 4, WHO[3])
    assert (index.purchases()[2].kind, index.purchases()[2].payer) == ("renewal", None)
    assert index.licences(holder=WHO[2]) == [] and index.licences(holder=WHO[3]) == [found]
    # refunded: remembered, but no licence any more
    chain.add(moved(WINDOW, 2, 1, None, 2))
    chain.add(moved(WINDOW, 2, 0, 2, None), told(licence_events.REFUNDED, WINDOW, 2, WHO[1]))
    index.sync(Ledger(chain, MARKET))
    gone = index.licence(licence_id(WINDOW.offer_id, 2))
    assert (gone.state, gone.holder, gone.refund_deadline) == ("refunded", WHO[2], 0)
    assert (index.purchases()[-1].kind, index.purchases()[-1].pay_to) == ("refund", WHO[1])
    assert index.licences() == index.licences(asset=ASSET) == [found, gone]
    assert index.licences(offer=WINDOW.offer_id, holder=WHO[2]) == [gone]
    assert index.licences(offer=FREE.offer_id) == index.licences(asset="77" * 32) == []


def test_offers(index):
    chain = sync(index, registered(), [made(FREE), made(WINDOW)], [moved(FREE, 1, 1, None, 1)])
    assert [record.offer for record in index.offers()] == [FREE, WINDOW]
    assert [record.sold for record in index.offers(ASSET)] == [1, 0]
    assert index.offers("77" * 32) == [] and index.offer("7" * 48) is None
    chain.add(closed(FREE))
    index.sync(Ledger(chain, MARKET))
    assert [record.offer for record in index.offers(open_only=True)] == [WINDOW]
    found = index.offer(FREE.offer_id)
    assert (found.open, found.sold, found.timestamp) == (False, 1, 1002)
    for ask in (index.offer, index.licence, index.offers, index.split, index.licences):
        with pytest.raises(BadInput):
            ask("nothing")


def test_splits_and_payments(index):
    after = Split(ASSET, 2, tuple(sorted(WHO[:2])), (500_000, 500_000))
    huge = 2**256 - 1
    sync(
        index,
        [*registered(), split_made(SPLIT)],
        [share(splits.PAID, DOLLAR, 0, WHO[0], huge), share(splits.OWED, DOLLAR, 1, 7)],
        [split_made(after)],
        [share(splits.CLAIMED, DOLLAR, 1, WHO[3], 7)],
    )
    assert [record.split for record in index.splits(ASSET)] == [SPLIT, after]
    assert index.split(SPLIT.digest).split == index.split(SPLIT.digest.hex()).split == SPLIT
    assert index.split(b"\7" * 32) is None and index.splits("77" * 32) == []
    one, two, three = index.payments()
    assert (one.amount, one.kind, one.to, one.payee) == (huge, "paid", WHO[0], WHO[0])
    assert (two.amount, two.kind, two.to) == (7, "owed", WHO[1])
    assert (three.kind, three.to, three.timestamp) == ("claimed", WHO[3], 1004)
    assert index.payments(payee=WHO[1]) == [two, three]
    assert index.payments(digest=SPLIT.digest, payee=WHO[0]) == [one]
    assert index.payments(digest=after.digest) == []


def test_token_balances(index):
    huge = 2**256 - 1
    sync(
        index,
        [paid(None, 0, huge)],
        [paid(0, 1, 5), paid(0, 0, 3), paid(1, 2, 0)],
        [paid(1, None, 2)],
    )
    balances = [index.token_balance(DOLLAR, who) for who in WHO[:3]]
    assert balances == [huge - 5, 3, 0]
    assert index.token_balance("0x" + "99" * 20, WHO[0]) == 0


BASE = [*registered(), made(FREE), made(WINDOW)]
SOLD = [*BASE, moved(WINDOW, 1, 1, None, 2)]
SETTLED = [*SOLD, told(licence_events.RELEASED, WINDOW, 1)]


@pytest.mark.parametrize(
    "events",
    [
        [moved(FREE, 1, 0, None, 1)],
        [*registered(), made(FREE), made(FREE)],
        [made(FREE), moved(FREE, 1, 0, None, 1)],
        [*BASE, moved(FREE, 2, 0, None, 1)],
        [*BASE, moved(FREE, 7, 0, None, 1)],
        [*SOLD, moved(WINDOW, 1, 1, None, 2)],
        [*SOLD, moved(WINDOW, 1, 1, 1, 2)],
        [*SOLD, moved(WINDOW, 1, 2, 2, 1, amount=2)],
        [*SOLD, moved(WINDOW, 1, 2, 2, 1, amount=0)],
        [*BASE, moved(FREE, 1, 2, 2, 1)],
        [closed(FREE)],
        [*BASE, closed(FREE), closed(FREE)],
        [told(licence_events.USED, FREE, 1, 1)],
        [told(licence_events.RENEWED, FREE, 1, 1, 1)],
        [*BASE, moved(FREE, 1, 0, None, 1), told(licence_events.RELEASED, FREE, 1)],
        [*SETTLED, told(licence_events.RELEASED, WINDOW, 1)],
        [*SETTLED, told(licence_events.REFUNDED, WINDOW, 1, WHO[0])],
        [*SETTLED, told(licence_events.CHALLENGED, WINDOW, 1, WHO[0])],
        [*SOLD, *[told(licence_events.CHALLENGED, WINDOW, 1, WHO[0])] * 2],
        [split_made(SPLIT), split_made(SPLIT)],
        [paid(0, 1, 1)],
        [paid(None, 1, 1), paid(1, 2, 2)],
        [event("Licences", assets.TRANSFER, [WHO[0], WHO[1], ASSET])],
        [event("Splits", licence_events.RELEASED, ["0" * 64])],
        [event("TestDollar", assets.TRANSFER, [WHO[0], WHO[1], ASSET])],
        [event("Assets", tokens.TRANSFER, [WHO[0], WHO[1]], 5)],
    ],
)
def test_histories_that_no_contract_can_have(index, events):
    with pytest.raises(BadAnswer):
        sync(index, events)
    assert not any(content(index).values())


def test_a_batch_moves_each_licence(index):
    ids = [licence_id(FREE.offer_id, serial) for serial in (1, 2)]
    bought = [moved(FREE, serial, 1, None, 1) for serial in (1, 2)]
    batch = event("Licences", licence_events.TRANSFER_BATCH, [WHO[1], WHO[1], WHO[2]], ids, [1, 1])
    sync(index, [*BASE, *bought], [batch])
    assert [record.licence for record in index.licences(holder=WHO[2])] == ids


def test_a_network_that_gains_the_market_is_read_again(index):
    chain = Chain().add(*registered())
    index.sync(Ledger(chain, NETWORK))
    assert index.asset(ASSET) is not None and index.offers() == []
    chain.add(made(FREE))
    assert index.sync(Ledger(chain, MARKET)).events == 3
    assert [record.offer for record in index.offers()] == [FREE]


def test_an_index_of_the_version_before_is_read_on(tmp_path):
    """Its file lacks the market's tables; what it holds of an old network stays."""
    path = tmp_path / "index.sqlite"
    with contextlib.closing(
        connect(path, schema=SCHEMA[:1], application="index", durable=False)
    ) as old:
        old.execute("INSERT INTO facts VALUES ('left', 'by the version before')")
    index = Index(path)
    chain = Chain().add(*registered())
    assert index.sync(Ledger(chain, NETWORK)).events == 2
    assert index.offers() == [] and index._fact("left") == "by the version before"
    index.close()


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 8), st.integers(0, 2**32), st.booleans()),
    max_size=10,
)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_any_reorgs_leave_what_a_fresh_index_reads(tmp_path_factory, steps, limit):
    folder = tmp_path_factory.mktemp("index")
    chain = Chain(limit).add(*BASE)
    index = Index(folder / "a.sqlite")
    for salt, (back, more, seed, sync_now) in enumerate(steps, 1):
        del chain.blocks[max(2, len(chain.blocks) - back) :]
        for number in range(more):
            chain.add(*plausible(chain, random.Random(seed + number)), salt=salt)
        if sync_now:
            index.sync(Ledger(chain, MARKET))
    index.sync(Ledger(chain, MARKET))
    fresh = Index(folder / "b.sqlite")
    fresh.sync(Ledger(chain, MARKET))
    assert content(index) == content(fresh)
    assert index.licences() == fresh.licences() and index.purchases() == fresh.purchases()
    assert [index.token_balance(DOLLAR, who) for who in WHO] == [
        fresh.token_balance(DOLLAR, who) for who in WHO
    ]
    index.close()
    fresh.close()


def plausible(chain, chance):
    """Events that may follow those of the chain."""
    past = [one for _, events in chain.blocks for one in events]
    seen = [repr(one) for one in past]

    def count(one):
        return seen.count(repr(one))

    offer = chance.choice((FREE, WINDOW))
    sold = sum(
        topics[0] == licence_events.TRANSFER_SINGLE.topic
        and not any(topics[2])
        and data.hex().startswith(offer.offer_id)
        for _, topics, data in past
    )
    events = [moved(offer, sold + 1, chance.randrange(4), None, chance.randrange(4))]
    events.append(paid(None, chance.randrange(4), chance.randrange(2**70)))
    if sold:
        serial = chance.randint(1, sold)
        ends = [told(licence_events.RELEASED, WINDOW, serial)]
        ends.append(told(licence_events.REFUNDED, WINDOW, serial, WHO[0]))
        if offer is WINDOW and not any(map(count, ends)):
            events.append(chance.choice(ends))
        events.append(told(licence_events.USED, offer, serial, chance.randrange(100)))
        events.append(told(licence_events.RENEWED, offer, serial, chance.randrange(2**32), 7))
    after = Split(ASSET, 1 + chance.randrange(99), (WHO[0],), (1_000_000,))
    if not count(split_made(after)):
        events += [event("Assets", assets.SPLIT_FIXED, [ASSET], after.digest), split_made(after)]
    return events


@pytest.mark.engine
def test_events_suffice():
    """A random market on a real chain, and the index beside the contracts' own answers."""
    for seed in (1, 2):
        with plain_anvil() as url:
            world = World(url, random.Random(seed))
            for _ in range(200):
                world.step()
            world.compare()
            world.close()
            assert len(world.bought) > 15


class World:
    """Four accounts that register, offer, split, buy and settle at random."""

    def __init__(self, url, chance):
        from tests.ledger.chain import make_network

        self.transport = HttpTransport(url)
        made_ = deploy(self.transport, ACCOUNTS[0], 31337, test_dollar=True)
        self.ledger = Ledger(self.transport, make_network(self.transport, made_))
        self.at = {name: self.ledger.network.address(name) for name in made_.contracts}
        self.chance = chance
        self.offers, self.bought, self.refused = [], [], 0
        self.split = {}
        self.assets = []
        for number, account in enumerate(ACCOUNTS):
            self.do(account, tokens.faucet(self.at["TestDollar"], account.address))
            self.do(account, tokens.approve(self.at["TestDollar"], self.at["Licences"], 2**255))
            self.publish(account, number)

    def do(self, account, call, value=0):
        try:
            self.ledger.transact(account, call, value)
        except TransactionReverted as error:
            assert error.name, error.message
            self.refused += 1
            return False
        return True

    def publish(self, account, number):
        salt = bytes([number]) * 16
        asset = assets.asset_id(account.address, salt)
        shown = {}
        terms = b""
        if number % 2:
            payees = tuple(sorted((account.address, WHO[0])))
            payees = payees if payees[0] != payees[1] else payees[:1]
            shares = (250_000, 750_000) if len(payees) == 2 else (1_000_000,)
            split = Split(asset, 1, payees, shares)
            self.split[asset] = [split]
            shown = {"split_hash": split.digest}
            terms = licences.encode_terms(splits.encode_opening(split), [])
        version = {"kind": AssetKind.DATASET, "root": b"\1" * 32, "metadata": bytes(32)}
        call = assets.publish(
            self.at["Assets"], asset=asset, salt=salt, offers=terms, **shown, **version
        )
        assert self.do(account, call)
        self.assets.append((asset, account))

    def step(self):
        chance = self.chance
        actions = [self.offer, self.buy, self.buy, self.buy, self.settle, self.settle, self.use]
        actions += [self.move, self.renew, self.wait, self.withdraw, self.withdraw]
        actions += [self.close_one, self.give, self.buy]
        chance.choice(actions if self.bought else actions[: 2 if self.offers else 1])()

    def offer(self):
        chance = self.chance
        asset, account = chance.choice(self.assets)
        offer = an_offer(
            chance.randrange(2**64),
            asset=asset,
            price=chance.choice((0, 7, 1000)),
            token=chance.choice((ZERO_ADDRESS, self.at["TestDollar"])),
            period=chance.choice((0, 60, 10_000, 2**32 - 1)),
            uses=chance.choice((0, 9)),
            cap=chance.choice((0, 0, 2)),
            refund_window=chance.choice((0, 40, 4000, 4000)),
            transferable=chance.random() < 0.7,
        )
        if self.do(account, licences.make_offers(self.at["Licences"], [offer])):
            self.offers.append((offer, account))

    def buy(self):
        offer, _ = self.chance.choice(self.offers)
        payer, holder = self.chance.choice(ACCOUNTS), self.chance.choice(ACCOUNTS)
        value = offer.price if offer.token == ZERO_ADDRESS else 0
        call = licences.buy(self.at["Licences"], offer, holder.address)
        if self.do(payer, call, value):
            state = self.ledger.call(licences.offer_state(self.at["Licences"], offer.offer_id))
            self.bought.append((offer, state.sold, payer))

    def settle(self):
        offer, serial, payer = self.chance.choice(self.bought[-8:])
        place, licence = self.at["Licences"], licence_id(offer.offer_id, serial)
        holder = self.holder(licence)
        kind = self.chance.randrange(4)
        if kind == 0:
            self.do(payer, licences.challenge(place, offer, serial))
        elif kind == 1 and holder:
            root = b"\7" * 32
            where = licences.domain(31337, place)
            signed = holder.sign_digest(licences.acknowledgement_digest(where, licence, root))
            call = licences.acknowledge(place, offer, serial, root=root, signature=signed)
            self.do(self.chance.choice(ACCOUNTS), call)
        elif kind == 2:
            self.do(payer, licences.release(place, offer, [serial]))
        else:
            owner = self.ledger.call(assets.asset(self.at["Assets"], offer.asset)).owner
            account = next(one for one in ACCOUNTS if one.address == owner)
            self.do(
                self.chance.choice((payer, account)),
                licences.refund(place, offer, serial, payer.address),
            )

    def holder(self, licence):
        found = self.ledger.call(licences.licence(self.at["Licences"], licence))
        return next((a for a in ACCOUNTS if found and a.address == found.owner), None)

    def use(self):
        offer, serial, _ = self.chance.choice(self.bought)
        licence, place = licence_id(offer.offer_id, serial), self.at["Licences"]
        holder, total = self.holder(licence), self.chance.randint(1, 4)
        if holder:
            digest = licences.use_digest(licences.domain(31337, place), licence, total)
            signed = holder.sign_digest(digest)
            self.do(ACCOUNTS[0], licences.record_use(place, licence, total, signed))

    def move(self):
        offer, serial, _ = self.chance.choice(self.bought)
        licence = licence_id(offer.offer_id, serial)
        holder, to = self.holder(licence), self.chance.choice(WHO)
        if holder:
            call = licences.transfer(
                self.at["Licences"], sender=holder.address, receiver=to, licence=licence
            )
            self.do(holder, call)

    def renew(self):
        offer, serial, payer = self.chance.choice(self.bought)
        value = offer.price if offer.token == ZERO_ADDRESS else 0
        self.do(payer, licences.renew(self.at["Licences"], offer, serial), value)

    def wait(self):
        self.transport.request("evm_increaseTime", [self.chance.choice((5, 50, 5000))])

    def withdraw(self):
        history = self.chance.choice(list(self.split.values()))
        token = self.chance.choice((ZERO_ADDRESS, self.at["TestDollar"]))
        make = self.chance.choice((splits.withdraw, splits.credit))
        split = self.chance.choice(history)
        self.do(ACCOUNTS[0], make(self.at["Splits"], split, token))
        for payee in split.payees:
            view = splits.owed(self.at["Splits"], split.digest, token, payee)
            if self.ledger.call(view) and self.chance.random() < 0.5:
                call = splits.claim(
                    self.at["Splits"], digest=split.digest, token=token, payee=payee, to=payee
                )
                self.do(ACCOUNTS[1], call)

    def close_one(self):
        offer, _ = self.chance.choice(self.offers)
        owner = self.ledger.call(assets.asset(self.at["Assets"], offer.asset)).owner
        account = next(one for one in ACCOUNTS if one.address == owner)
        if self.chance.random() < 0.1:
            self.do(account, licences.close_offer(self.at["Licences"], offer))
        history = self.split.get(offer.asset)
        if history:
            old = history[-1]
            falls = len(old.payees) - 1
            shares = (old.shares[0] + 1, old.shares[1] - 1) if falls else old.shares
            new = Split(old.asset, old.version + 1, old.payees, shares)
            where = splits.domain(31337, self.at["Splits"])
            loser = next(one for one in ACCOUNTS if one.address == old.payees[-1])
            signed = loser.sign_digest(splits.succession_digest(where, old, new))
            if self.do(ACCOUNTS[2], splits.succeed(self.at["Splits"], old, new, [signed])):
                history.append(new)

    def give(self):
        asset, _ = self.chance.choice(self.assets)
        place = self.at["Assets"]
        owner = self.ledger.call(assets.asset(place, asset)).owner
        account = next(one for one in ACCOUNTS if one.address == owner)
        if self.chance.random() < 0.1:
            for state in (AssetState.RETIRED, AssetState.ACTIVE):
                self.do(account, assets.set_state(place, asset, state))
        else:
            receiver = self.chance.choice(WHO)
            self.do(account, assets.transfer(place, sender=owner, receiver=receiver, asset=asset))

    def compare(self):
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            index = Index(Path(folder) / "index.sqlite")
            index.sync(self.ledger)
            self.compare_with(index)
            index.close()

    def compare_with(self, index):
        place, call = self.at["Licences"], self.ledger.call
        assert [record.offer for record in index.offers()] == [offer for offer, _ in self.offers]
        for record in index.offers():
            state = call(licences.offer_state(place, record.offer_id))
            assert (state.sold, state.open) == (record.sold, record.open)
        assert len(index.licences()) == len(self.bought)
        for record in index.licences():
            found = call(licences.licence(place, record.licence))
            if record.state == "refunded":
                assert found is None
                continue
            assert found == licences.Licence(
                *(record.holder, record.expiry, record.uses, record.refund_deadline, record.used)
            )
            challenged = call(licences.challenged_at(place, record.licence))
            assert (challenged != 0) == (record.state == "challenged")
            waits = record.state in ("challenged", "window")
            payer = call(licences.payer_of(place, record.licence))
            assert payer == (record.payer if waits else ZERO_ADDRESS)
            assert record in index.licences(holder=record.holder)
        tokens_ = (ZERO_ADDRESS, self.at["TestDollar"])
        owners = [*WHO, place]
        for asset, history in self.split.items():
            assert [record.split for record in index.splits(asset)] == history
            assert index.asset(asset).split_hash == history[-1].digest
            for split in history:
                wallet = call(splits.wallet_of(self.at["Splits"], split.digest))
                owners.append(wallet)
                at = self.at["Splits"]
                assert wallet == splits.wallet_address(
                    at, splits.wallet_implementation(at), split.digest
                )
                self.compare_payments(index, split, wallet, tokens_)
        for owner in owners:
            balance = call(tokens.balance_of(tokens_[1], owner))
            assert index.token_balance(tokens_[1], owner) == balance
        # what waits in Licences is what the purchases say
        for token in tokens_:
            rows = [row for row in index.purchases() if row.token == token]
            inside = sum(row.price for row in rows if row.kind == "sale" and row.pay_to == place)
            outside = sum(row.price for row in rows if row.kind in ("release", "refund"))
            assert inside - outside == self.balance(token, place)

    def compare_payments(self, index, split, wallet, tokens_):
        for token in tokens_:
            rows = [row for row in index.payments(digest=split.digest) if row.token == token]
            got = sum(row.amount for row in rows if row.kind != "owed")
            income = sum(
                row.price
                for row in index.purchases()
                if row.token == token and row.pay_to == wallet
            )
            assert income - got == self.balance(token, wallet)
            for payee in split.payees:
                mine = [row for row in rows if row.payee == payee]
                owed = sum(row.amount for row in mine if row.kind == "owed")
                owed -= sum(row.amount for row in mine if row.kind == "claimed")
                view = splits.owed(self.at["Splits"], split.digest, token, payee)
                assert self.ledger.call(view) == owed

    def balance(self, token, owner):
        if token == ZERO_ADDRESS:
            return self.ledger.balance(owner)
        return self.ledger.call(tokens.balance_of(token, owner))

    def close(self):
        self.ledger.close()
