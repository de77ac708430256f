"""Paying out: what came in for an asset, to all its payees, through splits below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from usufruct.errors import NotAllowed, NotFound, TransactionReverted, UsageError
from usufruct.workspace import finding
from usufruct.workspace.money import Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Money, Payment, Withdrawn
from usufruct.workspace.wallets import waiting, wallets_of

if TYPE_CHECKING:
    from usufruct.ledger.bindings.splits import Split
    from usufruct.ledger.index import Index

_MOST_WALLETS = 64
_WITHDRAW_GAS, _PAYEE_GAS = 400_000, 100_000
"""Twice what a withdrawal takes; tokens are strangers', and their gas is the caller's."""


def withdraw(session: Session, asset: str) -> Withdrawn:
    """Pay all payees of an asset's splits what has come in, nested splits after their children.

    Raises
    ------
    NotFound
        The asset has no split: its owner is paid directly.
    """
    from usufruct.ledger.bindings import splits

    index = session.index
    found = finding.asset(session, index, asset)
    records = index.splits(found.asset)
    if not records:
        raise NotFound(
            "the asset has no split: its owner is paid with each sale",
            hint=f"usufruct split show {found.asset[:12]}",
        )
    contract = session.connection.network.address("Splits")
    session.connection.afford(session.public.address)
    tokens, names = Tokens(session.ledger), finding.names(session, index)
    wallets, titles = wallets_of(session, index), finding.titles(session)
    queue = [record.split for record in records]
    payments: list[Payment] = []
    transactions: list[str] = []
    refused: list[Money] = []
    failed: UsageError | None = None
    for done in range(_MOST_WALLETS):
        if done >= len(queue):
            break
        split = queue[done]
        for money in waiting(session, index, split):
            if money.amount < len(split.payees):
                continue  # what division left waits for more
            call = splits.withdraw(contract, split, money.token)
            most = _WITHDRAW_GAS + _PAYEE_GAS * len(split.payees)
            try:
                receipt = session.ledger.transact(session.account, call, most_gas=most)
            except (TransactionReverted, NotAllowed) as error:
                # one token that fails, which may be a stranger's, keeps no other back
                refused.append(money)
                failed = error
                continue
            transactions.append(receipt.tx_hash)
            for log in receipt.logs:
                if log.address != contract:
                    continue  # tokens are strangers', and may say the same words
                event = splits.decode_event(log.topics, log.data)
                if not isinstance(event, splits.Paid | splits.Owed):
                    continue
                paid = isinstance(event, splits.Paid)
                amount = tokens.shown(event.token).money(event.amount)
                nested = wallets.get(event.payee)
                name = names.get(event.payee, "")
                if nested is not None:
                    name = f"split of {titles.get(nested.asset, nested.asset[:8])}"
                    queue.append(nested)
                payments.append(Payment(event.payee, name, amount, paid, split.digest.hex()))
    for split in queue[:_MOST_WALLETS]:
        for payment, transaction in _claims(session, index, split):
            payments.append(payment)
            transactions.append(transaction)
    if failed is not None and not transactions:
        raise failed
    return Withdrawn(found.asset, tuple(payments), tuple(transactions), tuple(refused))


def _claims(session: Session, index: Index, split: Split) -> Iterator[tuple[Payment, str]]:
    """Take what a split has put aside for this party, because paying it failed before."""
    from usufruct.ledger.bindings import splits

    me, contract = session.public.address, session.connection.network.address("Splits")
    if me not in split.payees:
        return
    tokens = Tokens(session.ledger)
    aside = {one.token for one in index.payments(split.digest, me) if one.kind == "owed"}
    for token in sorted(aside):
        amount = session.ledger.call(splits.owed(contract, split.digest, token, me))
        if not amount:
            continue
        call = splits.claim(contract, digest=split.digest, token=token, payee=me, to=me)
        try:
            receipt = session.ledger.transact(session.account, call, most_gas=_WITHDRAW_GAS)
        except (TransactionReverted, NotAllowed):
            continue  # it still cannot be paid, and keeps waiting
        money = tokens.shown(token).money(amount)
        yield Payment(me, session.public.name, money, True, split.digest.hex()), receipt.tx_hash
