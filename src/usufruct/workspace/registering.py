"""What a home writes to its ledger: its keys, its assets, anchors of its log, ether sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usufruct.crypto.hash import sha256
from usufruct.errors import NotAllowed, TransactionReverted
from usufruct.evidence.predicates import Draft, Version
from usufruct.types import AssetState
from usufruct.workspace.session import Session

if TYPE_CHECKING:
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
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    known = session.ledger.call(assets.asset(contract, made.asset))
    if isinstance(made, Draft) and known is not None:
        return None
    if isinstance(made, Version) and known is not None and known.versions >= made.version:
        return None
    register_party(session)
    return session.ledger.transact(session.account, _call(session, made)).tx_hash


def set_state(session: Session, asset: str, state: AssetState) -> str:
    """Change an asset's state on the ledger; return the transaction."""
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    session.connection.afford(session.public.address)
    call = assets.set_state(contract, asset, state)  # type: ignore[arg-type]
    return session.ledger.transact(session.account, call).tx_hash


def _call(session: Session, made: Version | Draft) -> Call:
    from usufruct.ledger.bindings import assets

    contract = session.connection.network.address("Assets")
    metadata = sha256(made.payload())
    if isinstance(made, Draft):
        return assets.register(
            contract,
            salt=made.salt,
            kind=made.kind,
            metadata=metadata,
            parents=[parent.asset for parent in made.parents],
            split_hash=split_hash(made),
        )
    known = session.ledger.call(assets.asset(contract, made.asset))
    return assets.publish(
        contract,
        asset=made.asset,
        kind=made.kind,
        root=bytes.fromhex(made.content_root),
        metadata=metadata,
        salt=made.salt,
        # parents are fixed at registration; a later version may name more inputs in its statement
        parents=[] if known is not None else sorted({item.asset for item in made.inputs}),
    )


def split_hash(made: Draft) -> bytes:
    """Return what stands for a draft's split on the ledger: SHA-256 of its payees and shares."""
    from usufruct.crypto import canonical

    if not made.split:
        return bytes(32)
    return sha256(canonical.dumps([[party, share] for party, share in made.split]))
