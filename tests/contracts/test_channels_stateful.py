"""Channels against a model in Python, step by step.

What must hold whatever happens: a voucher never pays twice, the contract has exactly what it owes,
the payer gets the rest after the delay, and a payee who claims its newest vouchers in time is paid
all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.contracts.channel_model import Book, replay
from tests.contracts.evm import Evm, Receipt, running_evm
from tests.contracts.till import Till

from usufruct.errors import TransactionReverted
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import channel_events as told
from usufruct.ledger.bindings import channels, tokens
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.channels import ALL, CHANNELS, COLLECTOR, ChannelConfig, ClaimRow
from usufruct.types import ZERO_ADDRESS

pytestmark = pytest.mark.engine

STEPS = 100_000
CHANNEL = st.integers(0, 3)
WHO = st.integers(0, 3)
DEPOSITS = st.sampled_from([1, 100, 250, 500, 500, 999, 0, 10**9 + 1])
PARTS = st.integers(0, 105)  # per cent of what there is
AMOUNTS = st.one_of(PARTS, PARTS, PARTS, st.sampled_from([ALL, ALL, ALL - 1]))
WAYS = st.sampled_from(["claim", "signed", "packed"])
WAITS = st.sampled_from([1, 300, 899])
OFTEN = st.sampled_from([True, True, True, True, False])


class Machine(RuleBasedStateMachine):
    till: Till
    start: str
    steps = 0

    @initialize()
    def begin(self) -> None:
        evm, till = self.till.evm, self.till
        assert evm.rpc("evm_revert", type(self).start)
        type(self).start = evm.rpc("evm_snapshot")
        self.keys = [till.key(number) for number in range(4)]
        zero, one, two, three = (key.address for key in self.keys)
        common: dict[str, Any] = {"payer": one, "receiver": two, "receiver_authorizer": two}
        changes: list[dict[str, Any]] = [
            {},
            {"payer_authorizer": three, "receiver_authorizer": zero},
            {"payer": three, "withdraw_delay": 1000, "receiver_authorizer": zero},
            {"receiver": zero},
        ]
        self.configs = [till.config(**common | change) for change in changes]
        self.names = [till.id(config) for config in self.configs]
        self.book = Book(configs=dict(zip(self.names, self.configs, strict=True)))
        for name in self.names:
            self.book.channel(name)
        self.money = {key.address: till.dollars(key.address) for key in self.keys}
        self.money_before = sum(self.money.values())
        self.newest = dict.fromkeys(self.names, 0)
        self.events: list[tuple[told.Event, int]] = []
        for which in range(len(self.configs)):
            self.deposit(which=which, amount=500, signed=which == 0, salt=0)

    # helpers

    def step(
        self,
        call: Call,
        by: Account,
        refusals: set[str],
        apply: Callable[[Receipt], None],
    ) -> None:
        type(self).steps += 1
        try:
            receipt = self.till.send(call, by)
        except TransactionReverted as error:
            assert error.name in refusals, (error.name, refusals)
            return
        assert not refusals, refusals
        for log in receipt.logs:
            event = told.decode_event(log.topics, log.data)
            if event is not None:
                self.events.append((event, receipt.time))
        apply(receipt)

    def signer(self, config: ChannelConfig) -> Account:
        return next(key for key in self.keys if key.address == config.signer)

    def is_payer(self, config: ChannelConfig, by: Account) -> bool:
        return by.address in (config.payer, config.payer_authorizer)

    def is_payee(self, config: ChannelConfig, by: Account) -> bool:
        return by.address in (config.receiver, config.receiver_authorizer)

    # rules

    @rule(which=CHANNEL, amount=DEPOSITS, signed=st.booleans(), salt=st.integers(0, 3))
    def deposit(self, which: int, amount: int, signed: bool, salt: int) -> None:
        config, name = self.configs[which], self.names[which]
        payer = next(key for key in self.keys if key.address == config.payer)
        refusals = set()
        if not amount:
            refusals.add("NoAmount")
        elif amount > self.money[config.payer]:
            refusals.add("ERC20InsufficientBalance")
        if amount and signed:
            data = self.till.authorization(config, amount, salt, payer)
            call = channels.deposit(CHANNELS, config, amount, collector=COLLECTOR, data=data)
            nonce = channels.authorization_nonce(name, salt)
            state = tokens.authorization_state(self.till.dollar, config.payer, nonce)
            if self.till.evm.ask(state):
                refusals = {"AuthorizationSpent"}
        else:
            call = channels.deposit(CHANNELS, config, amount)

        def apply(_: Receipt) -> None:
            self.book.channel(name).balance += amount
            self.money[config.payer] -= amount

        self.step(call, payer, refusals, apply)

    @rule(
        way=WAYS, who=WHO, right=OFTEN, honest=OFTEN,
        rows=st.lists(st.tuples(CHANNEL, PARTS, st.integers(0, 9)), max_size=4),
    )  # fmt: skip
    def claim(
        self, way: str, who: int, right: bool, honest: bool, rows: list[tuple[int, int, int]]
    ) -> None:
        if way == "packed":
            rows = [(rows[0][0], *row[1:]) for row in rows[:3]]
            if not rows:
                return
        made: list[ClaimRow] = []
        for which, part, more in rows:
            config, channel = self.configs[which], self.book.channel(self.names[which])
            total = channel.claimed + channel.left * part // 100
            key = self.signer(config) if honest else self.keys[2]
            made.append(self.till.row(config, total, total + more, key=key))
        payees = [self.configs[which].receiver for which, *_ in rows]
        authorizers = {self.configs[which].receiver_authorizer for which, *_ in rows}
        by = self.keys[who]
        if right and rows:
            wanted = payees[0] if way != "signed" else next(iter(authorizers))
            by = next(key for key in self.keys if key.address == wanted)
        refusals: set[str] = set()
        if way == "signed":
            signature = by.sign_digest(channels.batch_digest(self.till.separator, made))
            call = channels.claim_with_signature(CHANNELS, made, signature)
            if len(authorizers) != 1:
                refusals.add("MixedBatch")
            if by.address not in authorizers:
                refusals.add("NotAuthorized")
        else:
            pack = channels.claim_packed if way == "packed" else channels.claim
            call = pack(CHANNELS, made)
            if not all(self.is_payee(row.config, by) for row in made):
                refusals.add("NotReceiver")
        claimed = {name: self.book.channel(name).claimed for name in self.names}
        changed: list[tuple[bytes, int]] = []
        for row in made:
            name = self.till.id(row.config)
            total, balance = row.total, self.book.channel(name).balance
            if total <= claimed[name]:
                continue
            if not honest and self.keys[2].address != row.config.signer:
                refusals.add("BadVoucher")
            if total > balance and way != "packed":
                refusals.add("AboveBalance")
            total = min(total, balance)
            if total > claimed[name]:
                claimed[name] = total
                changed.append((name, total))

        def apply(_: Receipt) -> None:
            for row in made:
                name = self.till.id(row.config)
                self.newest[name] = max(self.newest[name], row.maximum)
            for name, total in changed:
                self.book.claim(name, total)

        self.step(call, self.keys[who] if way == "signed" else by, refusals, apply)

    @rule(receiver=WHO, who=WHO)
    def settle(self, receiver: int, who: int) -> None:
        payee = self.keys[receiver].address
        income = self.book.income(payee)

        def apply(_: Receipt) -> None:
            self.money[payee] += income[0] - income[1]
            income[1] = income[0]

        call = channels.settle(CHANNELS, payee, self.till.dollar)
        self.step(call, self.keys[who], set(), apply)

    @rule(which=CHANNEL, who=WHO, right=OFTEN, amount=AMOUNTS)
    def initiate(self, which: int, who: int, right: bool, amount: int) -> None:
        config, channel = self.configs[which], self.book.channel(self.names[which])
        by = self.signer(config) if right else self.keys[who]
        if amount < ALL - 1:
            amount = channel.left * amount // 100
        asked = channel.left if amount == ALL else amount
        refusals = set()
        if not self.is_payer(config, by):
            refusals = {"NotPayer"}
        elif not asked:
            refusals = {"NoAmount"}
        elif asked > channel.left:
            refusals = {"AboveBalance"}
        elif channel.since and by.address != config.payer:
            refusals = {"WithdrawalPending"}

        def apply(receipt: Receipt) -> None:
            channel.asked, channel.since = asked, receipt.time

        self.step(channels.initiate_withdraw(CHANNELS, config, amount), by, refusals, apply)

    @rule(which=CHANNEL, who=WHO, right=OFTEN, ripe=OFTEN)
    def finalize(self, which: int, who: int, right: bool, ripe: bool) -> None:
        pending = [n for n, name in enumerate(self.names) if self.book.channel(name).since]
        which = pending[which % len(pending)] if pending else which
        config, channel = self.configs[which], self.book.channel(self.names[which])
        due = channel.since + config.withdraw_delay
        if ripe and channel.since and due > self.till.evm.time + 1:
            self.till.evm.set_time(due)
        by = self.signer(config) if right else self.keys[who]
        refusals = set()
        if not self.is_payer(config, by):
            refusals = {"NotPayer"}
        elif not channel.since or self.till.evm.time + 1 < channel.since + config.withdraw_delay:
            refusals = {"WithdrawalNotDue"}

        def apply(_: Receipt) -> None:
            self.money[config.payer] += channel.finalize()

        self.step(channels.finalize_withdraw(CHANNELS, config), by, refusals, apply)

    @rule(which=CHANNEL, amount=AMOUNTS, total=PARTS)
    def leave(self, which: int, amount: int, total: int) -> None:
        """Ask back, be claimed of meanwhile, and take what is left."""
        self.initiate(which=which, who=0, right=True, amount=amount)
        self.claim(way="packed", who=0, right=True, honest=True, rows=[(which, total, 0)])
        self.finalize(which=which, who=0, right=True, ripe=True)

    @rule(which=CHANNEL, who=WHO, right=OFTEN, amount=AMOUNTS, signed=st.booleans(), fresh=OFTEN)
    def refund(
        self, which: int, who: int, right: bool, amount: int, signed: bool, fresh: bool
    ) -> None:
        config, name = self.configs[which], self.names[which]
        channel = self.book.channel(name)
        if amount < ALL - 1:
            amount = channel.left * amount // 200
        by = self.keys[who]
        if right:
            by = next(key for key in self.keys if key.address == config.receiver_authorizer)
        refusals = set()
        if signed:
            nonce = channel.nonce + (not fresh)
            digest = channels.refund_digest(self.till.separator, name, nonce, amount)
            call = channels.refund_with_signature(
                CHANNELS, config, amount, nonce=nonce, signature=by.sign_digest(digest)
            )
            if nonce != channel.nonce:
                refusals = {"WrongNonce"}
            elif by.address != config.receiver_authorizer:
                refusals = {"NotAuthorized"}
            sender = self.keys[who]
        else:
            call, sender = channels.refund(CHANNELS, config, amount), by
            if not self.is_payee(config, by):
                refusals = {"NotReceiver"}
        if not refusals and not amount:
            refusals = {"NoAmount"}

        def apply(_: Receipt) -> None:
            self.money[config.payer] += channel.refund(amount)

        self.step(call, sender, refusals, apply)

    @rule(seconds=WAITS)
    def wait(self, seconds: int) -> None:
        self.till.evm.set_time(self.till.evm.time + 1 + seconds)

    # what must hold

    @invariant()
    def the_contract_has_what_it_owes(self) -> None:
        if not hasattr(self, "book"):
            return
        assert self.till.dollars(CHANNELS) == self.book.held
        for channel, name in zip(self.book.channels.values(), self.book.channels, strict=True):
            assert 0 <= channel.claimed <= channel.balance
            assert channel.claimed <= self.newest[name]

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        self.compare()
        # the payee claims its newest voucher in time; then all payers leave
        for name, config in self.book.configs.items():
            channel = self.book.channel(name)
            self.newest[name] = max(self.newest[name], channel.balance)
            due = channel.balance - channel.left // 2
            if channel.left:
                payer = next(key for key in self.keys if key.address == config.payer)
                start = self.till.send(channels.initiate_withdraw(CHANNELS, config), payer)
                row = self.till.row(config, due, key=self.signer(config))
                payee = next(key for key in self.keys if key.address == config.receiver)
                self.till.send(channels.claim(CHANNELS, [row]), payee)
                if due > channel.claimed:
                    self.book.claim(name, due)
                end = max(start.time + config.withdraw_delay, self.till.evm.time + 1)
                self.till.evm.set_time(end)
                self.till.send(channels.finalize_withdraw(CHANNELS, config), payer)
                self.money[config.payer] += channel.left
                channel.balance = channel.claimed
                channel.asked = channel.since = 0
        for key in self.keys:
            self.till.send(channels.settle(CHANNELS, key.address, self.till.dollar), key)
            income = self.book.income(key.address)
            self.money[key.address] += income[0] - income[1]
            income[1] = income[0]
        assert self.till.dollars(CHANNELS) == 0
        assert sum(self.money.values()) == self.money_before
        for address, amount in self.money.items():
            assert self.till.dollars(address) == amount

    def compare(self) -> None:
        """The ledger, the model, and what events alone tell are one."""
        for address, amount in self.money.items():
            assert self.till.dollars(address) == amount
        ask = self.till.evm.ask
        rebuilt = replay(self.events)
        for name, channel in self.book.channels.items():
            found = ask(channels.channel(CHANNELS, name))
            assert (found.balance, found.total_claimed) == (channel.balance, channel.claimed)
            waiting = ask(channels.pending(CHANNELS, name))
            expected = channels.Pending(channel.asked, channel.since) if channel.since else None
            assert waiting == expected
            assert ask(channels.refund_nonce(CHANNELS, name)) == channel.nonce
            assert rebuilt.channel(name) == channel
        for key in self.keys:
            assert list(self.till.income(key.address)) == self.book.income(key.address)
            assert rebuilt.income(key.address) == self.book.income(key.address)


@pytest.fixture(scope="module")
def till() -> Iterator[Till]:
    with running_evm() as evm:
        yield prepared(evm)


def prepared(evm: Evm) -> Till:
    made = Till(evm)
    for number in (0, 2, 3):
        made.faucet(made.key(number))
    assert made.config().payer_authorizer == ZERO_ADDRESS
    return made


def run(till: Till, examples: int, steps: int, number: int | None = None) -> int:
    class Played(Machine):
        pass

    Played.till = till
    Played.start = till.evm.rpc("evm_snapshot")
    test = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=number is None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Played if number is None else seed(number)(Played), settings=test)
    assert till.evm.rpc("evm_revert", Played.start)  # clean for the next run
    return Played.steps


def test_channels_do_what_the_model_does(till: Till) -> None:
    run(till, 30, 50)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_channels_do_what_the_model_does_for_long(till: Till) -> None:
    steps = number = 0
    while steps < STEPS:
        number += 1
        steps += run(till, 60, 60, number)
