"""Money as the ledger's events tell of it: sales, payments of splits, and who has which part."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from usufruct.types import Address, AssetId, LicenceId, Use

Place = tuple[int, int]
"""Where an event stands in the chain: block, and position in it."""


class State(StrEnum):
    """Where an amount is."""

    ESCROW = "escrow"
    """Waits for the end of a refund window."""

    DUE = "due"
    """Lies in a split's wallet; anybody may withdraw it for all payees."""

    OWED = "owed"
    """Put aside for the payee, who can claim it."""

    PAID = "paid"
    """The payee has it."""


@dataclass(frozen=True, slots=True)
class Sale:
    """Money that came for an asset: a purchase or a renewal, or a gift without licence.

    Parameters
    ----------
    at
        When it came to `pay_to`: the purchase, or with a refund window its settlement.
    time
        Of the purchase, seconds since 1970.
    licence, use, payer
        None where it came by another way than a licence.
    gross
        The price, in the smallest unit of `token`.
    pay_to
        The wallet of the split in force at `at`, or the owner.
    waiting
        Whether the price is in a refund window still. Refunded sales are left out by the caller.
    """

    at: Place
    time: int
    asset: AssetId
    licence: LicenceId | None
    use: Use | None
    payer: Address | None
    token: Address
    gross: int
    pay_to: Address
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """A split's event ``Paid`` or ``Claimed`` (`to` is set) or ``Owed`` (`to` is None).

    `wallet` is the split's; `time` is in seconds since 1970, 0 if it is not known; `claimed` says
    that the payee took what was put aside for it before.
    """

    at: Place
    transaction: str
    wallet: Address
    token: Address
    payee: Address
    amount: int
    to: Address | None = None
    time: int = 0
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One payee's part of one sale.

    Parameters
    ----------
    payee
        Who gets it; the wallet itself for what division left there.
    share
        Of the last split on the way, in parts per million.
    path
        Wallets it went through, the sale's own first; empty if the payee was paid directly.
    """

    sale: Sale
    payee: Address
    share: int
    amount: int
    path: tuple[Address, ...]
    state: State

    @property
    def time(self) -> int:
        """When it was sold, seconds since 1970."""
        return self.sale.time

    @property
    def asset(self) -> AssetId:
        """What was sold."""
        return self.sale.asset

    @property
    def licence(self) -> LicenceId | None:
        """The licence sold, None where money came by another way."""
        return self.sale.licence

    @property
    def use(self) -> Use | None:
        """What the licence is for."""
        return self.sale.use

    @property
    def payer(self) -> Address | None:
        """Who paid."""
        return self.sale.payer

    @property
    def token(self) -> Address:
        """In which token; zero is the chain's coin."""
        return self.sale.token

    @property
    def gross(self) -> int:
        """The price of the whole, in the token's smallest unit."""
        return self.sale.gross
