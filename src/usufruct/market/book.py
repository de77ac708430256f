"""What lies in which wallet while the ledger's events are gone through in order.

A sale's money reaches the wallet of a split and lies there until a withdrawal divides all that has
come. Each withdrawal is therefore divided back over the sales it paid for, in their order: the
part of sale *i* is floor(share · sum of the first *i*) minus that of the first *i - 1*, and these
parts sum to what was paid. What division leaves is carried to the next withdrawal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from usufruct.ledger.bindings.splits import Split
from usufruct.market.money import Part, Payment, Place, Sale, State
from usufruct.market.payouts import Order, opening_order
from usufruct.types import PPM, Address


@dataclass(slots=True)
class _Lot:
    """A part of one sale that lies in a wallet, and the wallets it came through."""

    sale: Sale
    amount: int
    path: tuple[Address, ...]


class _Held:
    """One token in one wallet: what came since the last withdrawal, and what division left."""

    __slots__ = ("carried", "lots")

    def __init__(self) -> None:
        self.carried = 0
        self.lots: dict[Sale, _Lot] = {}

    def put(self, sale: Sale, amount: int, path: tuple[Address, ...]) -> None:
        # one lot a sale, by the way it came first: of ways there can be more than atoms
        if known := self.lots.get(sale):
            known.amount += amount
        else:
            self.lots[sale] = _Lot(sale, amount, path)

    @property
    def amount(self) -> int:
        return self.carried + sum(lot.amount for lot in self.lots.values())

    def parts(self, share: int) -> Iterator[tuple[_Lot, int]]:
        """Yield each lot's part; together they are the floor of the share of all that is held."""
        total, before = self.carried, 0
        for lot in self.lots.values():
            total += lot.amount
            until = total * share // PPM
            yield lot, until - before
            before = until

    def empty(self, paid: int, payees: int) -> None:
        # division leaves less than a unit a payee; what else is missing never arrived
        self.carried, self.lots = max(0, min(self.amount - paid, payees - 1)), {}


class Book:
    """The wallets of some splits, and the parts that left them.

    Parameters
    ----------
    splits
        By the address of their wallet; all other addresses are plain payees.
    """

    def __init__(self, splits: Mapping[Address, Split]) -> None:
        self._splits = splits
        self._held: defaultdict[tuple[Address, Address], _Held] = defaultdict(_Held)
        self._owed: defaultdict[tuple[Address, Address, Address], list[Part]] = defaultdict(list)
        self._out: list[Part] = []
        self._latest = 0

    @property
    def parts(self) -> list[Part]:
        """All parts so far that lie in no wallet."""
        return self._out + [part for parts in self._owed.values() for part in parts]

    def receive(self, sale: Sale) -> None:
        """Take the money of a sale to where it goes."""
        self._latest = max(self._latest, sale.time)
        self._arrive(Part(sale, sale.pay_to, PPM, sale.gross, (), State.PAID), sale.pay_to)

    def pay(self, batch: Sequence[Payment]) -> None:
        """Book the events of one withdrawal, or one claim."""
        self._latest = max(self._latest, batch[0].time)
        if batch[0].claimed:
            for payment in batch:
                self._claim(payment)
        else:
            self._withdraw(batch)

    def project(self) -> None:
        """Book as due what everybody would get if every wallet paid out now."""
        order = opening_order([wallet for wallet, _ in self._held], self._splits)
        places = order.places()
        for token in {token: None for _, token in self._held}:
            for wallet in order.wallets:
                if (wallet, token) in self._held:
                    self._project(wallet, token, order, places)
        for (wallet, token), held in self._held.items():
            # wallets that were not opened, or that a ring leads back to, keep what they have
            for lot in held.lots.values():
                path = (*lot.path, wallet)
                self._out.append(Part(lot.sale, wallet, PPM, lot.amount, path, State.DUE))
            if held.carried:
                left = self._gift((0, 0), wallet, token, held.carried)
                self._out.append(Part(left, wallet, PPM, held.carried, (wallet,), State.DUE))

    def _withdraw(self, batch: Sequence[Payment]) -> None:
        wallet, token = batch[0].wallet, batch[0].token
        split = self._splits.get(wallet)
        if split is None:
            return
        shares = dict(zip(split.payees, split.shares, strict=True))
        held = self._held[wallet, token]
        for payment in batch:
            share, left = shares.get(payment.payee, 0), payment.amount
            made = []
            for lot, amount in held.parts(share):
                # a token that takes fees pays less than was sold for
                amount = min(amount, left)
                left -= amount
                if amount:
                    made.append((lot.sale, amount, lot.path))
            if left:
                # more than was sold for: somebody sent money to the wallet
                made.append((self._gift(payment.at, wallet, token, left), left, ()))
            for sale, amount, path in made:
                part = Part(sale, payment.payee, share, amount, (*path, wallet), State.OWED)
                if payment.to is None:
                    self._owed[wallet, token, payment.payee].append(part)
                else:
                    self._arrive(replace(part, state=State.PAID), payment.to)
        held.empty(sum(payment.amount for payment in batch), len(shares))

    def _claim(self, payment: Payment) -> None:
        for part in self._owed.pop((payment.wallet, payment.token, payment.payee), []):
            self._arrive(replace(part, state=State.PAID), payment.to or payment.payee)

    def _project(
        self, wallet: Address, token: Address, order: Order, places: Mapping[Address, int]
    ) -> None:
        held, split = self._held[wallet, token], self._splits[wallet]
        paid = 0
        for payee, share in zip(split.payees, split.shares, strict=True):
            for lot, amount in held.parts(share):
                paid += amount
                path = (*lot.path, wallet)
                if not amount:
                    continue
                if order.opens(wallet, payee, places):
                    self._held[payee, token].put(lot.sale, amount, path)
                else:
                    self._out.append(Part(lot.sale, payee, share, amount, path, State.DUE))
        held.empty(paid, len(split.payees))

    def _arrive(self, part: Part, to: Address) -> None:
        """Book what was paid to an address, which may be another split's wallet."""
        if not part.amount:
            return
        if to in self._splits:
            self._held[to, part.sale.token].put(part.sale, part.amount, part.path)
        else:
            self._out.append(part)

    def _gift(self, at: Place, wallet: Address, token: Address, amount: int) -> Sale:
        asset = self._splits[wallet].asset
        return Sale(at, self._latest, asset, None, None, None, token, amount, wallet)
