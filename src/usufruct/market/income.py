"""Who got what, and why: every payment followed through the splits, exact to the wei."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from usufruct.ledger.bindings.splits import Split
from usufruct.market.book import Book
from usufruct.market.money import Part, Payment, Place, Sale, State
from usufruct.market.pricing import format_percent
from usufruct.types import Address, AssetId

__all__ = [
    "COLUMNS",
    "Part",
    "Payment",
    "Sale",
    "State",
    "income",
    "safe_cell",
    "to_csv",
    "totals",
]

COLUMNS: Final = (
    *("time", "asset", "title", "licence", "use", "from", "token", "gross", "payee", "share"),
    *("amount", "path", "state"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def income(
    sales: Iterable[Sale],
    payments: Iterable[Payment],
    splits: Mapping[Address, Split],
) -> list[Part]:
    """Return who got or will get what of which sale.

    Every unit of every sale is in exactly one part. Money that came to a wallet by another way
    than a sale appears once it is withdrawn. What division left is a part of its wallet, without
    licence; while a price waits in a refund window it is a part of that sale.

    Parameters
    ----------
    sales, payments
        In any order; see there how they come from the ledger's events.
    splits
        By the address of their wallet; all other addresses are plain payees.

    Returns
    -------
    list[Part]
        By time of the sale; none of nothing.
    """
    book = Book(splits)
    steps: list[tuple[Place, Callable[[], None]]] = []
    parts: list[Part] = []
    for sale in sales:
        if sale.waiting:
            parts += _escrow(sale, splits)
        else:
            steps.append((sale.at, partial(book.receive, sale)))
    for batch in _withdrawals(payments):
        steps.append((batch[0].at, partial(book.pay, batch)))
    for _, step in sorted(steps, key=lambda item: item[0]):
        step()
    book.project()
    return sorted(parts + book.parts, key=lambda part: (part.time, part.sale.at))


def totals(parts: Iterable[Part]) -> dict[tuple[Address, Address], dict[State, int]]:
    """Return the sums by payee and token, then by state."""
    sums: dict[tuple[Address, Address], dict[State, int]] = {}
    for part in parts:
        by_state = sums.setdefault((part.payee, part.sale.token), {})
        by_state[part.state] = by_state.get(part.state, 0) + part.amount
    return sums


def to_csv(parts: Iterable[Part], *, titles: Mapping[AssetId, str] | None = None) -> str:
    """Return a table of parts as CSV (RFC 4180), one line each, amounts in the smallest unit.

    Parameters
    ----------
    titles
        What assets are called, where it is known. Strangers write them: a cell that a spreadsheet
        would run as a formula gets a leading ``'``.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for part in parts:
        cells = (
            _time(part.time),
            part.asset,
            (titles or {}).get(part.asset, ""),
            part.licence or "",
            str(part.use or ""),
            part.payer or "",
            part.token,
            str(part.gross),
            part.payee,
            format_percent(part.share),
            str(part.amount),
            " ".join(part.path),
            str(part.state),
        )
        writer.writerow([safe_cell(cell) for cell in cells])
    return file.getvalue()


def safe_cell(text: str) -> str:
    """Return a text as one line that no spreadsheet takes for a formula."""
    line = "".join(c if c.isprintable() else " " for c in text)
    # some programs skip blanks before they look for a formula
    risky = text.startswith(_FORMULA) or line.lstrip().startswith(_FORMULA)
    return f"'{line}" if risky else line


def _escrow(sale: Sale, splits: Mapping[Address, Split]) -> list[Part]:
    """Return who would get a waiting price, by itself: nobody knows what else will have come."""
    book = Book(splits)
    book.receive(sale)
    book.project()
    return [
        Part(sale, part.payee, part.share, part.amount, part.path, State.ESCROW)
        for part in book.parts
    ]


def _withdrawals(payments: Iterable[Payment]) -> list[list[Payment]]:
    """Group events to withdrawals: one transaction, wallet and token, payees ascending."""
    batches: list[list[Payment]] = []
    last: dict[tuple[str, Address, Address], list[Payment]] = {}
    for payment in sorted(payments, key=lambda item: item.at):
        key = (payment.transaction, payment.wallet, payment.token)
        batch = last.get(key)
        alone = payment.claimed or (batch is not None and batch[-1].claimed)
        if batch is None or alone or payment.payee <= batch[-1].payee:
            batch = last[key] = []
            batches.append(batch)
        batch.append(payment)
    return batches


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
