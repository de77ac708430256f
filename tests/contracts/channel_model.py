"""Channels in a few lines of Python, and the same rebuilt from events alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from usufruct.ledger.bindings import channel_events as told
from usufruct.ledger.bindings.channels import ChannelConfig


@dataclass
class Money:
    """One channel: deposited and not taken back, claimed, asked back since when, next refund."""

    balance: int = 0
    claimed: int = 0
    asked: int = 0
    since: int = 0
    nonce: int = 0

    @property
    def left(self) -> int:
        return self.balance - self.claimed

    def take_back(self, amount: int) -> int:
        paid = min(amount, self.left)
        self.balance -= paid
        return paid

    def refund(self, amount: int) -> int:
        self.nonce += 1
        paid = self.take_back(amount)
        self.asked = max(self.asked - paid, 0)
        if not self.asked:
            self.since = 0
        return paid

    def finalize(self) -> int:
        paid = self.take_back(self.asked)
        self.asked = self.since = 0
        return paid


@dataclass
class Book:
    """All channels by id, and per receiver what was claimed and paid, of one token."""

    channels: dict[bytes, Money] = field(default_factory=dict)
    configs: dict[bytes, ChannelConfig] = field(default_factory=dict)
    earned: dict[str, list[int]] = field(default_factory=dict)

    def channel(self, name: bytes) -> Money:
        return self.channels.setdefault(name, Money())

    def income(self, receiver: str) -> list[int]:
        return self.earned.setdefault(receiver, [0, 0])

    def claim(self, name: bytes, total: int) -> None:
        channel = self.channel(name)
        self.income(self.configs[name].receiver)[0] += total - channel.claimed
        channel.claimed = total

    @property
    def held(self) -> int:
        """What the contract must have of the token."""
        owed = sum(claimed - settled for claimed, settled in self.earned.values())
        return owed + sum(channel.left for channel in self.channels.values())


def replay(events: Iterable[tuple[told.Event, int]]) -> Book:
    """Rebuild everything from events and the times of their blocks, without asking the ledger."""
    book = Book()
    for event, time in events:
        match event:
            case told.ChannelCreated(name, config):
                book.configs[name] = config
                book.channel(name)
            case told.Deposited(name, amount, balance):
                book.channel(name).balance += amount
                assert book.channel(name).balance == balance
            case told.Claimed(name, total):
                book.claim(name, total)
            case told.Settled(receiver, _, _, amount):
                book.income(receiver)[1] += amount
            case told.WithdrawInitiated(name, amount, until):
                channel = book.channel(name)
                channel.asked, channel.since = amount, time
                assert until == time + book.configs[name].withdraw_delay
            case told.WithdrawFinalized(name, amount):
                assert book.channel(name).finalize() == amount
            case told.Refunded(name, nonce, amount):
                assert book.channel(name).nonce == nonce
                assert book.channel(name).refund(amount) == amount
    return book
