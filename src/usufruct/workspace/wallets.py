"""The wallets of splits: where they are, and what waits in them to be withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usufruct.errors import BadInput
from usufruct.types import ZERO_ADDRESS, Address
from usufruct.workspace.money import Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Money

if TYPE_CHECKING:
    from usufruct.ledger.bindings.splits import Split
    from usufruct.ledger.index import Index

_MOST_TOKENS = 64


def wallets_of(session: Session, index: Index) -> dict[Address, Split]:
    """Return every split that is known, by its wallet."""
    from usufruct.ledger.bindings import splits

    if "Splits" not in session.connection.network.contracts:
        return {}
    contract = session.connection.network.address("Splits")
    implementation = splits.wallet_implementation(contract)
    found: dict[Address, Split] = {}
    for asset in index.assets():
        for record in index.splits(asset.asset):
            place = splits.wallet_address(contract, implementation, record.digest)
            found[place] = record.split
    return found


def wallet(session: Session, split: Split) -> Address:
    """Return where the income of a split's asset goes."""
    from usufruct.ledger.bindings import splits

    contract = session.connection.network.address("Splits")
    return session.ledger.call(splits.wallet_of(contract, split.digest))


def waiting(session: Session, index: Index, split: Split) -> list[Money]:
    """Return what can be withdrawn of a split: what its wallet has less what is put aside."""
    from usufruct.ledger.bindings import splits

    contract = session.connection.network.address("Splits")
    tokens, place = Tokens(session.ledger), wallet(session, split)
    found = []
    for token in _tokens_of(session, index, tokens, split, place):
        try:
            amount = tokens.balance(token, place)
        except BadInput:
            continue  # a token that does not say what it has, has nothing
        if amount > 0:
            amount -= session.ledger.call(splits.reserved(contract, split.digest, token))
        if amount > 0:
            found.append(tokens.shown(token).money(amount))
    return found


def _tokens_of(
    session: Session, index: Index, tokens: Tokens, split: Split, wallet: Address
) -> list[Address]:
    """Return in which tokens money may have come to a wallet: what its assets were offered for.

    Whoever names the wallet in a split of his own brings his tokens along, so they come last and
    only some of them.
    """
    assets, way = {split.asset: None}, [wallet]
    wallets = wallets_of(session, index)
    for place in way:
        for other, known in wallets.items():
            if place in known.payees and other not in way:
                way.append(other)
                assets[known.asset] = None
    found = dict.fromkeys([ZERO_ADDRESS, *filter(None, [tokens.test_dollar])])
    for asset in assets:
        for one in index.offers(asset=asset):
            if asset == split.asset or len(found) < _MOST_TOKENS:
                found[one.offer.token] = None
    return list(found)
