"""What buying and selling hand out, as plain values: offers, licences, splits, income."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from usufruct.types import Address, AssetId, AssetKind, AssetState, Digest, LicenceId, OfferId, Use


@dataclass(frozen=True, slots=True)
class OfferView:
    """Terms that an asset can be licensed under.

    Parameters
    ----------
    words
        All of the terms in one line.
    price, token, price_text
        In the token's smallest unit, the token's address (zeros for the chain's own coin), and
        both for people.
    terms
        SHA-256 of the text a buyer agrees to, None without one.
    """

    id: OfferId
    asset: AssetId
    title: str
    use: Use
    words: str
    price: int
    token: Address
    price_text: str
    terms: Digest | None
    open: bool
    sold: int
    transaction: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``; amounts as text, for they pass 2^53."""
        return asdict(self) | {"price": str(self.price)}


@dataclass(frozen=True, slots=True)
class Listing:
    """An asset on the ledger with its offers; `terms` has texts by digest, where known."""

    asset: AssetId
    title: str
    description: str
    kind: AssetKind
    state: AssetState
    owner: Address
    owner_name: str
    node: str
    versions: int
    content_root: Digest | None
    offers: tuple[OfferView, ...]
    terms: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        document = asdict(self) | {"terms": dict(self.terms)}
        return document | {"offers": [offer.as_dict() for offer in self.offers]}


@dataclass(frozen=True, slots=True)
class LicenceView:
    """A licence as it stands; `uses` is None where they are not counted, `expiry` 0 for ever.

    `receipt` is where the receipt of the purchase lies, None without one in this home.
    """

    licence: LicenceId
    offer: OfferId
    asset: AssetId
    title: str
    use: Use
    holder: Address
    payer: Address
    state: str
    expiry: int
    uses: int | None
    used: int
    refund_deadline: int
    mine: bool
    transaction: str
    receipt: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bought:
    """A licence that was just bought, and where its receipt is."""

    licence: LicenceId
    offer: OfferId
    asset: AssetId
    title: str
    use: Use
    holder: Address
    payer: Address
    price: int
    token: Address
    price_text: str
    terms: Digest | None
    expiry: int
    refund_deadline: int
    transaction: str
    block: int
    gas: int
    receipt: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``; amounts as text, for they pass 2^53."""
        return asdict(self) | {"price": str(self.price)}


@dataclass(frozen=True, slots=True)
class Downloaded:
    """An asset that was fetched, every chunk as the ledger says."""

    asset: AssetId
    title: str
    version: int
    content_root: Digest
    licence: LicenceId
    path: str
    files: int
    size: int
    evidence: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one token, and how people read it."""

    token: Address
    amount: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; the amount as text."""
        return asdict(self) | {"amount": str(self.amount)}


@dataclass(frozen=True, slots=True)
class Payee:
    """Who gets a share of an asset's income; `asset` is set if it is another asset's split."""

    address: Address
    name: str
    ppm: int
    share: str
    asset: AssetId | None = None


@dataclass(frozen=True, slots=True)
class SplitView:
    """Where an asset's income goes, and what waits there."""

    asset: AssetId
    title: str
    pay_to: Address
    digest: str | None
    version: int
    payees: tuple[Payee, ...]
    waiting: tuple[Money, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self) | {"waiting": [money.as_dict() for money in self.waiting]}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed split; `missing` are the payees who have to sign it still."""

    asset: AssetId
    path: str
    version: int
    payees: tuple[Payee, ...]
    missing: tuple[Payee, ...]
    transaction: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Payment:
    """What one payee got of a withdrawal; not `paid` means that it waits for him."""

    payee: Address
    name: str
    money: Money
    paid: bool
    split: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self) | {"money": self.money.as_dict()}


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal for all payees of an asset; `refused` is what its token did not let go."""

    asset: AssetId
    payments: tuple[Payment, ...]
    transactions: tuple[str, ...]
    refused: tuple[Money, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return {
            "asset": self.asset,
            "payments": [payment.as_dict() for payment in self.payments],
            "transactions": list(self.transactions),
            "refused": [money.as_dict() for money in self.refused],
        }
