"""What a home writes to its ledger: its keys, its assets, anchors of its log, ether sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from usufruct.crypto.hash import sha256
from usufruct.errors import NotAllowed, TransactionReverted
from usufruct.evidence.predicates import Draft, Version
from usufruct.types import AssetId, AssetState
from usufruct.workspace import splitting
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.ledger.bindings.assets import Asset
    from usufruct.ledger.bindings.calls import Call


def register_party(session: Session) -> str | None:
    """Write this party's keys to the ledger unless they are there; return the transaction.

    Raises
    ------
    NotAllowed
        The account cannot pay for gas.
    """
    from usufruct.ledger.bindings import parties

    connection, public = session.connection, session.public
    contract = connection.network.address("Parties")
    known = connection.ledger.call(parties.keys(contract, public.address))
    if known is not None and (known.signing_key, known.encryption_key) == (
        public.signing_key,
        public.encryption_key,
    ):
        return None
    connection.afford(public.address)
    call = parties.register(
        contract,
        signing_key=public.signing_key,
        encryption_key=public.encryption_key,
        name=public.name,
    )
    return connection.ledger.transact(session.account, call).tx_hash


def rehearse(session: Session, made: Version | Draft) -> None:
    """Ask the ledger whether it would take this, before anything is signed or written.

    Raises
    ------
    TransactionReverted
        The contract refuses; the message says why.
    NotAllowed
        The account cannot pay for gas.
    """
    register_party(session)
    session.connection.afford(session.public.address)
    try:
        session.ledger.call_bytes(_call(session, made), sender=session.public.address)
    except TransactionReverted as error:
        if error.name == "UnknownParent":
            raise NotAllowed(
                "a parent is not registered on this ledger",
                hint="its owner publishes it there first",
            ) from error
        raise


def register(session: Session, made: Version | Draft) -> str | None:
    """Write a version or a draft to the ledger unless it is there; return the transaction."""
    known = _on_ledger(session, made.asset)
    if isinstance(made, Draft) and known is not None:
        return None
    if isinstance(made, Version) and known is not None and known.versions >= made.version:
        return None
    register_party(session)
    return session.ledger.transact(session.account, _call(session, made)).tx_hash


def catch_up(session: Session, asset: AssetId | None = None) -> None:
    """Register what this party logged before it joined the ledger, in the order of its log.

    Parameters
    ----------
    asset
        Only this one. One whose parents are not registered waits until their owner has done so.
    """
    from usufruct.workspace import gathering

    log = session.own_log_or_none()
    if log is None:
        return
    known = {record.id for record in session.assets_store.assets()}
    if asset is not None:
        if asset not in known:
            return
        there = _on_ledger(session, asset)
        if there is not None and there.versions >= len(session.assets_store.versions(asset)):
            return
    for _, made in gathering.own_statements(log):
        if not isinstance(made, Version | Draft) or made.asset not in known:
            continue
        if asset in (None, made.asset):
            with contextlib.suppress(TransactionReverted):
                register(session, made)


def state_of(session: Session, asset: AssetId) -> AssetState | None:
    """Return the state of an asset on the ledger, None if it is not there."""
    there = _on_ledger(session, asset)
    return None if there is None else there.state


def set_state(session: Session, asset: AssetId, state: AssetState) -> str:
    """Change an asset's state on the ledger; return the transaction."""
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    session.connection.afford(session.public.address)
    call = assets.set_state(contract, asset, state)
    return session.ledger.transact(session.account, call).tx_hash


def _on_ledger(session: Session, asset: AssetId) -> Asset | None:
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    return session.ledger.call(assets.asset(contract, asset))


def _call(session: Session, made: Version | Draft) -> Call:
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    metadata = sha256(made.payload())
    if isinstance(made, Draft):
        parents = [parent.asset for parent in made.parents]
        if splitting.has_market(session):
            digest, terms = splitting.opening(session, made.asset, made.split, parents)
        else:
            digest, terms = split_hash(made), b""
        return assets.register(
            contract,
            salt=made.salt,
            kind=made.kind,
            metadata=metadata,
            parents=parents,
            split_hash=digest,
            terms=terms,
        )
    known = _on_ledger(session, made.asset)
    # parents are fixed at registration; a later version may name more inputs in its statement
    parents = [] if known is not None else sorted({item.asset for item in made.inputs})
    digest, terms = bytes(32), b""
    if parents and splitting.has_market(session):
        # a version that was not announced by a draft pays its parents what they are due
        shares = splitting.shares_with_royalties(session, (), parents)
        digest, terms = splitting.opening(session, made.asset, shares, parents)
    return assets.publish(
        contract,
        asset=made.asset,
        kind=made.kind,
        root=bytes.fromhex(made.content_root),
        metadata=metadata,
        salt=made.salt,
        parents=parents,
        split_hash=digest,
        offers=terms,
    )


def split_hash(made: Draft) -> bytes:
    """Return what stands for a draft's split on a ledger without Splits: SHA-256 of it."""
    from usufruct.crypto import canonical

    if not made.split:
        return bytes(32)
    return sha256(canonical.dumps([[party, share] for party, share in made.split]))
