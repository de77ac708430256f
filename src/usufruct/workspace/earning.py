"""Who earned what: the ledger's sales and payments, read from the index, for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from usufruct.clock import iso
from usufruct.market import income as accounts
from usufruct.market.pricing import format_percent
from usufruct.types import Address
from usufruct.workspace import finding
from usufruct.workspace.money import Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.wallets import wallets_of

if TYPE_CHECKING:
    from usufruct.ledger.index import Index

_COLUMNS = (
    *("time", "asset", "title", "use", "licence", "payer", "payer_name", "gross", "payee"),
    *("payee_name", "share", "amount", "token", "state", "through"),
)
_WORDS = {
    accounts.State.ESCROW: "waits for the refund window",
    accounts.State.DUE: "to be withdrawn",
    accounts.State.OWED: "put aside",
    accounts.State.PAID: "paid",
}


@dataclass(frozen=True, slots=True)
class IncomeRow:
    """One payee's part of one sale; amounts as exact decimals with the token's symbol.

    Parameters
    ----------
    share
        The payee's part of the whole sale, in parts per million, of the last split on the way.
    through
        Titles of the assets whose splits the money went through.
    """

    time: str
    asset: str
    title: str
    use: str
    licence: str
    payer: str
    payer_name: str
    gross: str
    payee: str
    payee_name: str
    share: int
    amount: str
    token: Address
    state: str
    through: str

    def cells(self) -> list[str]:
        """Return the row for a spreadsheet, in which no cell is a formula."""
        document = asdict(self) | {"share": format_percent(self.share)}
        return [accounts.safe_cell(str(document[name])) for name in _COLUMNS]


@dataclass(frozen=True, slots=True)
class Total:
    """What one payee has in one token, by where it is."""

    payee: Address
    name: str
    token: Address
    text: str


@dataclass(frozen=True, slots=True)
class Income:
    """What came in, and for whom."""

    rows: tuple[IncomeRow, ...]
    totals: tuple[Total, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "totals": [asdict(total) for total in self.totals],
        }

    def csv(self) -> str:
        """Return the rows as CSV (RFC 4180), a header first."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        writer.writerows(row.cells() for row in self.rows)
        return text.getvalue()

    def table(self) -> list[str]:
        """Return who got what and why, as lines of even columns."""
        head = ("payee", "gets", "share", "of", "for", "paid by")
        lines = [head] + [
            (
                row.payee_name or row.payee[:10],
                row.amount,
                format_percent(row.share),
                row.gross,
                f"{row.use} '{row.title or row.asset[:8]}'",
                row.payer_name or row.payer[:10],
            )
            for row in self.rows
        ]
        widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]


def income(session: Session, *, everybody: bool = False) -> Income:
    """Return what came in for licences and who gets which part of it, oldest first.

    Parameters
    ----------
    everybody
        Other parties' parts as well: all of it stands on the ledger.
    """
    index = session.index
    splits = wallets_of(session, index)
    places = {split.digest: wallet for wallet, split in splits.items()}
    rows = accounts.income(_sales(index, places), _payments(index, places), splits)
    me = session.public.address
    chosen = [row for row in rows if everybody or row.payee == me]
    names, titles = finding.names(session, index), finding.titles(session)
    tokens = Tokens(session.ledger)

    def named(address: Address) -> str:
        nested = splits.get(address)
        if nested is not None:
            return f"split of {titles.get(nested.asset, nested.asset[:8])}"
        return names.get(address, "")

    found = tuple(
        IncomeRow(
            iso(row.time),
            row.asset,
            titles.get(row.asset, ""),
            str(row.use or ""),
            row.licence or "",
            row.payer or "",
            "" if row.payer is None else named(row.payer),
            tokens.shown(row.token).text(row.gross),
            row.payee,
            named(row.payee),
            row.share,
            tokens.shown(row.token).text(row.amount),
            row.token,
            _WORDS[row.state],
            " > ".join(titles.get(splits[one].asset, "") for one in row.path if one in splits),
        )
        for row in chosen
    )
    sums = accounts.totals(chosen)
    totals = tuple(
        Total(
            payee,
            named(payee),
            token,
            ", ".join(
                f"{tokens.shown(token).text(amount)} {_WORDS[state]}"
                for state, amount in by_state.items()
            ),
        )
        for (payee, token), by_state in sums.items()
    )
    return Income(found, totals)


def _sales(index: Index, places: Mapping[bytes, Address]) -> list[accounts.Sale]:
    """Return what was paid for licences, each where and when it came to its payees."""
    found: dict[str, accounts.Sale] = {}
    renewals: list[accounts.Sale] = []
    for record in index.purchases():
        offer = index.offer(record.offer_id)
        if offer is None or not record.price:
            continue
        first = found.get(record.licence)
        if record.kind == "refund":
            found.pop(record.licence, None)
            continue
        sale = accounts.Sale(
            at=(record.block, record.position),
            time=record.timestamp if first is None or record.kind == "renewal" else first.time,
            asset=record.asset,
            licence=record.licence,
            use=offer.offer.use,
            payer=record.payer or (first.payer if first is not None else record.holder),
            token=record.token,
            gross=record.price,
            pay_to=record.pay_to,
            waiting=record.kind == "sale" and bool(offer.offer.refund_window),
        )
        if record.kind == "renewal":
            renewals.append(sale)
        else:
            found[record.licence] = sale
    return [_pay_to(index, sale, places) for sale in found.values()] + renewals


def _pay_to(index: Index, sale: accounts.Sale, places: Mapping[bytes, Address]) -> accounts.Sale:
    """Return a waiting sale with where its price would go now, not where it waits."""
    asset = index.asset(sale.asset) if sale.waiting else None
    if asset is None:
        return sale
    return replace(sale, pay_to=places.get(asset.split_hash, asset.owner))


def _payments(index: Index, places: Mapping[bytes, Address]) -> list[accounts.Payment]:
    return [
        accounts.Payment(
            at=(record.block, record.position),
            transaction=record.tx_hash,
            wallet=places[record.digest],
            token=record.token,
            payee=record.payee,
            amount=record.amount,
            to=None if record.kind == "owed" else record.to,
            claimed=record.kind == "claimed",
        )
        for record in index.payments()
        if record.digest in places
    ]
