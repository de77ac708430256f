"""Paying for licences: in coin, by a signed permit, or from an allowance of exactly the price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usufruct.errors import TransactionReverted, UsufructError
from usufruct.types import ZERO_ADDRESS, Address
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.ledger.bindings.calls import Call
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.views import Receipt as TxReceipt

_PERMIT_SECONDS = 1_200
_MOST_GAS = 600_000
"""Five times what a purchase takes; the token is a stranger's, and its gas is the buyer's."""


def pay(session: Session, offer: Offer, holder: Address, proof: tuple[bytes, ...]) -> TxReceipt:
    """Buy a licence in one transaction, or two where its token takes no signed permit."""
    from usufruct.ledger.bindings import licences

    contract = session.connection.network.address("Licences")
    call: Call = licences.buy(contract, offer, holder, proof)
    if offer.token == ZERO_ADDRESS or not offer.price:
        value = offer.price if offer.token == ZERO_ADDRESS else 0
        return session.ledger.transact(session.account, call, value, most_gas=_MOST_GAS)
    if not _allowed(session, offer, contract):
        permitted = _with_permit(session, offer, contract, holder, proof)
        if permitted is not None:
            return session.ledger.transact(session.account, permitted, most_gas=_MOST_GAS)
        _allow(session, offer, contract)
    return session.ledger.transact(session.account, call, most_gas=_MOST_GAS)


def pay_for_renewal(session: Session, offer: Offer, serial: int) -> TxReceipt:
    """Renew a licence at its offer's price, payable from an allowance or in coin."""
    from usufruct.ledger.bindings import licences

    contract = session.connection.network.address("Licences")
    if offer.token != ZERO_ADDRESS and offer.price:
        _allow(session, offer, contract)
    value = offer.price if offer.token == ZERO_ADDRESS else 0
    call = licences.renew(contract, offer, serial)
    return session.ledger.transact(session.account, call, value, most_gas=_MOST_GAS)


def _allowed(session: Session, offer: Offer, contract: Address) -> bool:
    from usufruct.ledger.bindings import tokens

    given = session.ledger.call(tokens.allowance(offer.token, session.public.address, contract))
    return given >= offer.price


def _allow(session: Session, offer: Offer, contract: Address) -> None:
    """Allow exactly the price: a standing allowance is for the holder to give, not for us."""
    from usufruct.ledger.bindings import tokens

    if _allowed(session, offer, contract):
        return
    call = tokens.approve(offer.token, contract, offer.price)
    try:
        session.ledger.transact(session.account, call, most_gas=_MOST_GAS)
    except TransactionReverted:
        # some tokens change an allowance only from or to nothing
        nothing = tokens.approve(offer.token, contract, 0)
        session.ledger.transact(session.account, nothing, most_gas=_MOST_GAS)
        session.ledger.transact(session.account, call, most_gas=_MOST_GAS)


def _with_permit(
    session: Session, offer: Offer, contract: Address, holder: Address, proof: tuple[bytes, ...]
) -> Call | None:
    """Return a purchase that carries a signed permit; None where the token takes none.

    The domain is guessed from what the token says of itself and compared with what it hashes.
    """
    from usufruct.crypto.typed_data import Domain
    from usufruct.ledger.bindings import licences, tokens

    ledger, me = session.ledger, session.public.address
    try:
        name = ledger.call(tokens.name(offer.token))
        separator = ledger.call(tokens.domain_separator(offer.token))
        nonce = ledger.call(tokens.nonces(offer.token, me))
        said = ledger.call(tokens.version(offer.token))
    except UsufructError:
        return None
    chain_id = session.connection.network.chain_id
    for version in dict.fromkeys([said, "1", "2"]):
        domain = Domain(name, version, chain_id, offer.token)
        if domain.separator != separator:
            continue
        deadline = session.clock() + _PERMIT_SECONDS
        digest = tokens.permit_digest(
            domain, owner=me, spender=contract, value=offer.price, nonce=nonce, deadline=deadline
        )
        signature = session.account.sign_digest(digest)
        return licences.buy_with_permit(
            contract, offer, holder, proof, deadline=deadline, signature=signature
        )
    return None
