"""What the index answers about the market: offers, licences, splits, purchases and payments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from usufruct.ledger.bindings.offers import Offer
from usufruct.ledger.bindings.splits import Split
from usufruct.types import (
    Address,
    AssetId,
    LicenceId,
    OfferId,
    parse_address,
    parse_digest,
    parse_licence_id,
    parse_offer_id,
)

_NEWEST = "ORDER BY x.block DESC, x.position DESC LIMIT 1"
_OFFERS = """
    SELECT o.id, o.terms, NOT EXISTS (SELECT 1 FROM closings c WHERE c.id = o.id),
        (SELECT COUNT(*) FROM licences l WHERE l.offer = o.id), o.block, b.time, o.tx
    FROM offers o JOIN blocks b ON b.block = o.block"""
_HOLDER = """(SELECT h.value FROM holders h WHERE h.id = l.id
    ORDER BY h.block DESC, h.position DESC, h.place DESC LIMIT 1)"""
_HELD_BY = f"l.id IN (SELECT id FROM holders WHERE value = ?) AND {_HOLDER}"  # noqa: S608
_LICENCES = f"""
    SELECT l.id, l.offer, o.asset, l.serial, {_HOLDER}, l.payer,
        COALESCE((SELECT x.expiry FROM renewals x WHERE x.id = l.id {_NEWEST}), l.expiry),
        COALESCE((SELECT x.uses FROM renewals x WHERE x.id = l.id {_NEWEST}), l.uses),
        COALESCE((SELECT MAX(x.total) FROM uses x WHERE x.id = l.id), 0), l.deadline,
        (SELECT x.state FROM settlings x WHERE x.id = l.id {_NEWEST}), l.block, b.time, l.tx
    FROM licences l JOIN offers o ON o.id = l.offer
    JOIN blocks b ON b.block = l.block"""  # noqa: S608 - constants only
_PURCHASES = """
    SELECT p.licence, p.offer, o.asset, p.holder, p.payer, o.terms, p.pay_to, p.kind,
        p.block, b.time, p.tx, p.position
    FROM purchases p JOIN offers o ON o.id = p.offer JOIN blocks b ON b.block = p.block"""
_SPLITS = """
    SELECT s.digest, s.split, s.block, b.time, s.tx
    FROM shares s JOIN blocks b ON b.block = s.block"""
_PAYMENTS = """
    SELECT p.digest, p.token, p.payee, p.receiver, p.amount, p.kind, p.block, b.time, p.tx,
        p.position
    FROM payments p JOIN blocks b ON b.block = p.block"""


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """An offer as it stands.

    Parameters
    ----------
    offer_id, offer
        Its id and terms.
    open
        False once its maker closed it; a cap that is reached or an asset that is not active does
        not show here.
    sold
        How many licences were sold; the last one's serial number.
    block, timestamp, tx_hash
        Where it was made; seconds since 1970.
    """

    offer_id: OfferId
    offer: Offer
    open: bool
    sold: int
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class LicenceRecord:
    """A licence as it stands.

    Parameters
    ----------
    licence, offer_id, asset, serial
        Which one, and of what.
    holder
        Who holds it; of a refunded one, who held it last.
    payer
        Who bought it.
    expiry
        From when it is not good any more, seconds since 1970, 0 for never.
    uses
        How many it has in all, ``licences.UNCOUNTED`` (2^32 - 1) if they are not counted.
    used
        How many uses were recorded on the ledger.
    refund_deadline
        Until when it may be challenged, seconds since 1970; 0 once its price is settled.
    state
        ``settled``, ``window`` (its price waits, even past the deadline), ``challenged`` or
        ``refunded``, which is no licence any more.
    block, timestamp, tx_hash
        Where it was bought; seconds since 1970.
    """

    licence: LicenceId
    offer_id: OfferId
    asset: AssetId
    serial: int
    holder: Address
    payer: Address
    expiry: int
    uses: int
    used: int
    refund_deadline: int
    state: str
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class PurchaseRecord:
    """Money that moved for a licence.

    Parameters
    ----------
    licence, offer_id, asset, holder
        For what, and who held it then.
    payer
        Who had paid; None for a renewal, whose event does not tell.
    price, token
        How much, in the token's smallest unit; zero address for the chain's coin.
    pay_to
        Where it went: the split's wallet or owner in force then; for a sale with a refund
        window the contract Licences, where it waits; for a refund who got it back.
    kind
        ``sale``, ``renewal``, ``release`` (what waited was paid out) or ``refund``.
    block, timestamp, tx_hash, position
        Where; seconds since 1970; position is the event's in its block.
    """

    licence: LicenceId
    offer_id: OfferId
    asset: AssetId
    holder: Address
    payer: Address | None
    price: int
    token: Address
    pay_to: Address
    kind: str
    block: int
    timestamp: int
    tx_hash: str
    position: int


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """A split that came into force; the newest of an asset is in force."""

    digest: bytes
    split: Split
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """What a split's wallet paid a payee, or put aside for it.

    Parameters
    ----------
    digest
        The split's hash.
    token
        Zero for the chain's coin.
    payee, to
        Whose share, and where it went; the same for what is owed.
    amount
        In the token's smallest unit.
    kind
        ``paid`` at once, ``owed`` (put aside) or ``claimed`` (of what was owed). What a payee
        got is all but ``owed``; what waits for it is ``owed`` less ``claimed``.
    block, timestamp, tx_hash, position
        Where; seconds since 1970; position is the event's in its block.
    """

    digest: bytes
    token: Address
    payee: Address
    to: Address
    amount: int
    kind: str
    block: int
    timestamp: int
    tx_hash: str
    position: int


class MarketQueries(ABC):
    """The questions about the market; :class:`~usufruct.ledger.index.Index` answers them."""

    @abstractmethod
    def _rows(self, query: str, *values: object) -> list[Any]: ...

    def block_hash(self, block: int) -> str | None:
        """Return the hash of a block that holds an indexed event, None of another."""
        found = self._rows("SELECT hash FROM blocks WHERE block = ?", block)
        return str(found[0][0]) if found else None

    def offers(self, asset: str | None = None, open_only: bool = False) -> list[OfferRecord]:
        """Return the offers of an asset or of all, oldest first; see :class:`OfferRecord`."""
        query, values = _where(_OFFERS, ("o.asset", asset and parse_digest(asset)))
        found = self._rows(query + " ORDER BY o.block, o.position", *values)
        records = [_offer(row) for row in found]
        return [record for record in records if record.open or not open_only]

    def offer(self, offer_id: str) -> OfferRecord | None:
        """Return an offer, None if it was never made."""
        found = self._rows(_OFFERS + " WHERE o.id = ?", parse_offer_id(offer_id))
        return _offer(found[0]) if found else None

    def licence(self, licence: str) -> LicenceRecord | None:
        """Return a licence, None if it was never sold."""
        found = self._rows(_LICENCES + " WHERE l.id = ?", parse_licence_id(licence))
        return _licence(found[0]) if found else None

    def licences(
        self, holder: str | None = None, asset: str | None = None, offer: str | None = None
    ) -> list[LicenceRecord]:
        """Return licences, oldest first, refunded ones too; all, or those of the arguments."""
        who = holder and parse_address(holder)
        query, values = _where(
            _LICENCES,
            (_HELD_BY, who),
            ("o.asset", asset and parse_digest(asset)),
            ("l.offer", offer and parse_offer_id(offer)),
        )
        if who:
            values.insert(0, who)  # it is asked for twice
        found = self._rows(query + " ORDER BY l.block, l.position", *values)
        return [_licence(row) for row in found]

    def splits(self, asset: str) -> list[SplitRecord]:
        """Return the splits of an asset, oldest first; the last is in force."""
        query = _SPLITS + " WHERE s.asset = ? ORDER BY s.block, s.position"
        return [_split(row) for row in self._rows(query, parse_digest(asset))]

    def split(self, digest: bytes | str) -> SplitRecord | None:
        """Return a split by its hash, 32 bytes or 64 hexadecimal digits, None if unknown."""
        found = self._rows(_SPLITS + " WHERE s.digest = ?", _digest(digest))
        return _split(found[0]) if found else None

    def payments(
        self, digest: bytes | str | None = None, payee: str | None = None
    ) -> list[PaymentRecord]:
        """Return what splits' wallets paid or put aside, oldest first."""
        query, values = _where(
            _PAYMENTS,
            ("p.digest", None if digest is None else _digest(digest)),
            ("p.payee", payee and parse_address(payee)),
        )
        found = self._rows(query + " ORDER BY p.block, p.position", *values)
        return [_payment(row) for row in found]

    def purchases(self, asset: str | None = None) -> list[PurchaseRecord]:
        """Return what moved for licences of an asset or of all, oldest first."""
        query, values = _where(_PURCHASES, ("o.asset", asset and parse_digest(asset)))
        found = self._rows(query + " ORDER BY p.block, p.position", *values)
        return [_purchase(row) for row in found]

    def token_balance(self, token: str, address: str) -> int:
        """Return how much of a token named in the network an account has, 0 for other tokens."""
        query = """SELECT amount FROM balances WHERE token = ? AND owner = ?
            ORDER BY block DESC, position DESC, side DESC LIMIT 1"""
        found = self._rows(query, parse_address(token), parse_address(address))
        return int(found[0][0]) if found else 0


def _where(query: str, *wanted: tuple[str, object]) -> tuple[str, list[object]]:
    """Return a query that asks for those columns' values that are given."""
    given = [(column, value) for column, value in wanted if value is not None]
    if given:
        query += " WHERE " + " AND ".join(f"{column} = ?" for column, _ in given)
    return query, [value for _, value in given]


def _digest(digest: bytes | str) -> bytes:
    return digest if isinstance(digest, bytes) else bytes.fromhex(parse_digest(digest))


def _offer(row: Any) -> OfferRecord:
    offer_id, terms, is_open, *rest = row
    return OfferRecord(offer_id, Offer.decode(terms), bool(is_open), *rest)


def _licence(row: Any) -> LicenceRecord:
    values = list(row)
    values[10] = values[10] or ("window" if values[9] else "settled")
    if values[10] not in ("window", "challenged"):
        values[9] = 0
    return LicenceRecord(*values)


def _purchase(row: Any) -> PurchaseRecord:
    licence, offer_id, asset, holder, payer, terms, *rest = row
    offer = Offer.decode(terms)
    return PurchaseRecord(licence, offer_id, asset, holder, payer, offer.price, offer.token, *rest)


def _split(row: Any) -> SplitRecord:
    digest, encoded, *rest = row
    return SplitRecord(digest, Split.decode(encoded), *rest)


def _payment(row: Any) -> PaymentRecord:
    digest, token, payee, to, amount, *rest = row
    return PaymentRecord(digest, token, payee, to, int(amount), *rest)
