"""What a split pays out of an amount, through nested splits down to the last wei.

A payee may be the wallet of another split. Which wallets there are comes from the ledger, where
anybody writes: rings and endless nesting must end, and no amount may appear or vanish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from usufruct.errors import BadInput
from usufruct.ledger.bindings.splits import Split
from usufruct.types import PPM, Address

MAX_WALLETS: Final = 4096
"""Wallets opened for one income; what goes to others is shown as standing there."""


@dataclass(frozen=True, slots=True)
class Payout:
    """What one withdrawal pays: an amount for each payee in order, and what division leaves."""

    parts: tuple[tuple[Address, int], ...]
    dust: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Who finally gets what of an income when every wallet on the way pays out once.

    Parameters
    ----------
    parts
        By payee that is no wallet, in the token's smallest unit.
    waiting
        By wallet: what division left there, or came to a wallet that was not opened.
    """

    parts: Mapping[Address, int]
    waiting: Mapping[Address, int]


@dataclass(frozen=True, slots=True)
class Order:
    """Wallets so that money only flows forward; `back` are the steps that would close a ring."""

    wallets: tuple[Address, ...]
    back: frozenset[tuple[Address, Address]]

    def opens(self, wallet: Address, payee: Address, known: Mapping[Address, int]) -> bool:
        """Whether what `wallet` pays to `payee` is paid out further; `known` are the places."""
        return payee in known and (wallet, payee) not in self.back

    def places(self) -> dict[Address, int]:
        """Return each wallet's place in the order."""
        return {wallet: place for place, wallet in enumerate(self.wallets)}


def payout(split: Split, amount: int) -> Payout:
    """Return what a withdrawal of `amount` pays: floor(amount · share / 1,000,000) each.

    Raises
    ------
    BadInput
        The amount is negative.
    """
    if amount < 0:
        raise BadInput("an amount to pay out is zero or more")
    pairs = zip(split.payees, split.shares, strict=True)
    parts = tuple((payee, amount * share // PPM) for payee, share in pairs)
    return Payout(parts, amount - sum(part for _, part in parts))


def spread(wallet: Address, amount: int, splits: Mapping[Address, Split]) -> Spread:
    """Return who finally gets what of `amount` that arrives at `wallet`.

    Parameters
    ----------
    splits
        Splits by the address of their wallet; anything else is a payee.
    """
    order = opening_order([wallet], splits)
    known = order.places()
    if wallet not in known:
        return Spread({wallet: amount}, {})
    held = {wallet: amount}
    parts: dict[Address, int] = {}
    waiting: dict[Address, int] = {}
    for place in order.wallets:
        paid = payout(splits[place], held.pop(place, 0))
        _add(waiting, place, paid.dust)
        for payee, part in paid.parts:
            if order.opens(place, payee, known):
                _add(held, payee, part)
            else:
                _add(waiting if payee in splits else parts, payee, part)
    return Spread(parts, waiting)


def opening_order(roots: Iterable[Address], splits: Mapping[Address, Split]) -> Order:
    """Return the wallets reachable from `roots`, each after all that pay into it.

    At most :data:`MAX_WALLETS` are opened; steps that would close a ring are named apart.
    """
    back: set[tuple[Address, Address]] = set()
    done: list[Address] = []
    # depth first without recursion: False while a wallet's payees are being followed
    finished: dict[Address, bool] = {}
    for root in roots:
        if root not in splits or root in finished or len(finished) >= MAX_WALLETS:
            continue
        finished[root] = False
        stack = [(root, iter(splits[root].payees))]
        while stack:
            wallet, payees = stack[-1]
            for payee in payees:
                if payee not in splits:
                    continue
                if payee not in finished:
                    if len(finished) < MAX_WALLETS:
                        finished[payee] = False
                        stack.append((payee, iter(splits[payee].payees)))
                        break
                elif not finished[payee]:
                    back.add((wallet, payee))
            else:
                finished[wallet] = True
                done.append(wallet)
                stack.pop()
    return Order(tuple(reversed(done)), frozenset(back))


def _add(amounts: dict[Address, int], key: Address, amount: int) -> None:
    if amount:
        amounts[key] = amounts.get(key, 0) + amount
