"""What is measured of every market: jobs people do, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.contracts.evm import Evm

UNLIMITED = "unlimited allowance"
LIMITLESS = 2**256 - 1
"""An allowance that OpenZeppelin's tokens do not write down again with each transfer."""


class Job(StrEnum):
    """One thing a publisher or buyer wants done, whatever it takes in transactions."""

    FIRST_PUBLISH = "publish, with a price: the account's first asset"
    LATER_PUBLISH = "publish, with a price: a later asset"
    NEW_VERSION = "publish a new version"
    NEW_VERSION_AND_OFFER = "publish a new version, with a new offer"
    NEW_OFFER = "make a further offer"
    CLOSE_OFFER = "stop selling by an offer"
    NEW_PRICE = "change the price"
    FIRST_BUY = "first buy by a new buyer"
    FIRST_SALE = "first buy by a new buyer, payee's very first income"
    REPEAT_BUY = "repeat buy, standing allowance"
    FREE = "take a free licence"
    FOR_OTHER = "buy for somebody else, standing allowance"
    RENEW = "renew access"
    USES = "record uses"
    REFUNDABLE = "buy with a refund window, standing allowance"
    SETTLE = "settle such a purchase"
    FIRST_WITHDRAWAL = "withdraw income: first"
    LATER_WITHDRAWAL = "withdraw income: later"
    NEW_SPLIT = "change how income is split"
    OPEN_CHANNEL = "open a channel with a deposit"
    TOP_UP = "deposit more"
    CLAIM_ONE = "claim: 1 channel"
    CLAIM_TEN = "claim: 10 channels, each"
    CLAIM_HUNDRED = "claim: 100 channels, each"
    PAY_OUT = "pay out what was claimed"
    WITHDRAW = "payer takes the rest back"
    REFUND = "payee gives the rest back"


@dataclass(frozen=True)
class Figure:
    """What a job took: the gas of all its transactions together; of one channel if it says so.

    Parameters
    ----------
    way
        How it was done, where there are several ways or the name of the job leaves it open.
    bar
        What we set ourselves, for ours only.
    """

    job: Job
    transactions: int
    gas: int
    way: str = ""
    bar: int | None = None


@dataclass(frozen=True)
class Sheet:
    """All figures of one product, or of one way to use it, and what to know about them."""

    name: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    def find(self, job: Job, way: str) -> Figure | None:
        """Return the figure of a job done this way, else the first of any way, else None."""
        ways = [figure for figure in self.figures if figure.job == job]
        return next((figure for figure in ways if figure.way == way), ways[0] if ways else None)


Measure = Callable[[Evm], list[Sheet]]
"""Deploys on a fresh engine, runs every job, returns the figures; may raise `PeerMissing`."""


class PeerMissing(Exception):
    """The peer's package cannot be had here; the text says why."""
