"""Anchors: the head of a home's log on its ledger, and questions to a ledger in return."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from usufruct.crypto.notes import Checkpoint, open_checkpoint
from usufruct.errors import NotFound
from usufruct.evidence.anchoring import ANCHORED_TOPIC, TrustedLedger, anchor_name, find_anchor
from usufruct.types import Address
from usufruct.workspace import finishing, registering
from usufruct.workspace.connection import Connection
from usufruct.workspace.session import Session

_WINDOW = 5_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head of the log that stands on the ledger."""

    origin: str
    size: int
    root: str
    transaction: str
    block: int
    chain_id: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


def anchor(session: Session) -> Anchor:
    """Sign a checkpoint of the log and write it to the ledger; keep the receipt's proof.

    Anchoring the same head again returns the anchor there is.

    Raises
    ------
    Unavailable
        This home uses no ledger, or it does not answer.
    TransactionReverted
        The ledger has a larger head of this log: this home was restored from an old copy.
    """
    from usufruct.ledger.bindings import anchors

    connection = session.connection
    finishing.resume(session)
    registering.register_party(session)
    note = session.signed_log.checkpoint()
    head = open_checkpoint(note, session.origin, session.public.signing_key, origin=session.origin)
    contract = connection.network.address("Anchors")
    name = anchor_name(session.origin)
    known = connection.ledger.call(anchors.head(contract, session.public.address, name))
    if known is not None and known.matches(head.size, head.root):
        transaction = _find(connection, session.public.address, head)
    else:
        call = anchors.anchor(contract, name=name, size=head.size, root=head.root)
        connection.afford(session.public.address)
        transaction = connection.ledger.transact(session.account, call).tx_hash
    proof = find_anchor(connection.ledger.receipt_proof(transaction), head)
    before = session.records.last_anchor(session.origin, head.size - 1)
    session.records.add_anchor(session.origin, head.size, proof)
    finishing.refresh_evidence(session, before[0] if before else 0, head.size)
    return Anchor(
        session.origin,
        head.size,
        head.root.hex(),
        transaction,
        proof.verify(head).block_number,
        connection.network.chain_id,
    )


def _find(connection: Connection, owner: Address, head: Checkpoint) -> str:
    """Return the transaction that anchored a head which the ledger has, newest blocks first."""
    contract = connection.network.address("Anchors")
    last = connection.ledger.block("latest").number
    topics = (ANCHORED_TOPIC, bytes(12) + bytes.fromhex(owner[2:]), anchor_name(head.origin))
    while last >= connection.network.start_block:
        first = max(connection.network.start_block, last - _WINDOW + 1)
        for log in reversed(
            connection.ledger.logs([contract], first, last, topics=[ANCHORED_TOPIC])
        ):
            if log.topics == topics and log.data == head.size.to_bytes(32) + head.root:
                return log.tx_hash
        last = first - 1
    raise NotFound("the ledger has this head, but no event of it")


class Confirming:
    """Asks a connected ledger what evidence needs to know; a ``LedgerCheck``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._final = connection.ledger.finalized_block()

    @property
    def network(self) -> TrustedLedger:
        """The ledger's chain id and Anchors contract."""
        return self._connection.trusted

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a final block; None when there is none of that number."""
        if number > self._final:
            return None
        return bytes.fromhex(self._connection.ledger.block(number).hash[2:])

    def anchor_head(self, address: Address, origin: str) -> tuple[int, bytes] | None:
        """Return size and the first 24 bytes of the root of a log's last anchor."""
        from usufruct.ledger.bindings import anchors

        contract = self._connection.network.address("Anchors")
        head = self._connection.ledger.call(anchors.head(contract, address, anchor_name(origin)))
        return None if head is None else (head.size, head.root_prefix)

    def party_keys(self, address: Address) -> tuple[bytes, bytes, int] | None:
        """Return a party's signing key, encryption key and the time they were set."""
        from usufruct.ledger.bindings import parties

        contract = self._connection.network.address("Parties")
        keys = self._connection.ledger.call(parties.keys(contract, address))
        return None if keys is None else (keys.signing_key, keys.encryption_key, keys.updated_at)
