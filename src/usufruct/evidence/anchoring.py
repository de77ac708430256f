"""Anchors: a receipt proof that a log's head was written to the Anchors contract.

Decodes the event itself, so the base installation can check an anchor. What a proof cannot show
is whether a network accepted the block and whether the contract is the network's own; a
:class:`TrustedLedger` (from the network file) and a block hash, confirmed or pinned, add that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from usufruct.crypto import merkle
from usufruct.crypto.hash import keccak256
from usufruct.crypto.notes import Checkpoint
from usufruct.errors import BadInput, VerificationError
from usufruct.evidence import fields
from usufruct.ledger.receipts import ReceiptLog, ReceiptProof
from usufruct.ledger.receipts import verify as verify_receipt
from usufruct.types import Address, parse_address

ORIGIN_PREFIX = "usufruct/"
ANCHORED_TOPIC = keccak256(b"Anchored(address,bytes32,uint64,bytes32)")
"""Topic 0 of the event; sender and name are indexed, size and root are data."""

MAX_EVENTS = 4096


def origin_of(address: Address) -> str:
    """Return the origin of a party's log."""
    return ORIGIN_PREFIX + address[2:]


def owner_of(origin: str) -> Address:
    """Return the party whose log has this origin (BadInput: no such form)."""
    digits = origin.removeprefix(ORIGIN_PREFIX) if isinstance(origin, str) else ""
    address = parse_address("0x" + digits)
    if origin_of(address) != origin:
        raise BadInput("a log's origin is 'usufruct/' and the owner's address in lower case")
    return address


def anchor_name(origin: str) -> bytes:
    """Return the name under which a log is anchored: keccak256(origin)."""
    return keccak256(origin.encode())


@dataclass(frozen=True, slots=True)
class TrustedLedger:
    """What the reader knows of a ledger from its network file: chain id, Anchors contract."""

    chain_id: int
    anchors: Address


@dataclass(frozen=True, slots=True)
class Anchored:
    """A log's head as an event says, header unchecked.

    Parameters
    ----------
    contract
        That emitted the event.
    size, root
        The head.
    block_hash, block_number, timestamp
        Of the block the receipt proof leads to; seconds since 1970.
    chain_id
        Only said to be so; no header holds it.
    """

    contract: Address
    size: int
    root: bytes
    block_hash: bytes
    block_number: int
    timestamp: int
    chain_id: int

    def on(self, ledger: TrustedLedger) -> bool:
        """Say whether the event is said to be of this ledger and is of its contract."""
        return (self.chain_id, self.contract) == (ledger.chain_id, ledger.anchors)


@dataclass(frozen=True, slots=True)
class AnchorProof:
    """A receipt in which a log's head was anchored.

    Parameters
    ----------
    receipt
        The receipt proof.
    event
        Which of the receipt's events it is, from 0.
    consistency
        RFC 6962 proof between the anchored tree and the checkpoint's, the smaller first; empty
        when both are of one size.
    """

    receipt: ReceiptProof
    event: int
    consistency: tuple[bytes, ...] = ()

    def verify(self, checkpoint: Checkpoint) -> Anchored:
        """Check the receipt, the event and that both heads are of one log.

        Parameters
        ----------
        checkpoint
            Of a log whose origin names its owner; the event's sender must be the owner.

        Returns
        -------
        Anchored
            Only entries below the smaller of both sizes are covered by it.

        Raises
        ------
        VerificationError
            Anything at all is wrong.
        """
        receipt = verify_receipt(self.receipt)
        if not receipt.status or not 0 <= self.event < len(receipt.logs):
            raise VerificationError("the anchor's transaction has no such event")
        try:
            owner = owner_of(checkpoint.origin)
        except BadInput as error:
            raise VerificationError(error.message) from None
        event = receipt.logs[self.event]
        size, root = _read_event(event, owner, checkpoint.origin)
        mine, theirs = (checkpoint.size, checkpoint.root), (size, root)
        (old, old_root), (new, new_root) = sorted((mine, theirs), key=lambda head: head[0])
        if old == 0:
            raise VerificationError("an anchor of an empty log proves nothing")
        merkle.verify_consistency(old, new, old_root, new_root, self.consistency)
        return Anchored(
            event.address,
            size,
            root,
            receipt.block_hash,
            receipt.block_number,
            receipt.timestamp,
            self.receipt.chain_id,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "receipt": self.receipt.to_dict(),
            "event": self.event,
            "consistency": fields.join(self.consistency),
        }

    @classmethod
    def from_dict(cls, value: Any) -> AnchorProof:
        """Read untrusted plain data strictly (BadInput, VerificationError)."""
        data = fields.record(value, {"receipt", "event", "consistency"}, "an anchor")
        return cls(
            ReceiptProof.from_dict(data["receipt"]),
            fields.whole(data["event"], "an event's place"),
            fields.hashes(data["consistency"], "consistency proof", 128),
        )


def find_anchor(
    receipt: ReceiptProof, checkpoint: Checkpoint, consistency: tuple[bytes, ...] = ()
) -> AnchorProof:
    """Return the proof for a receipt that holds an anchor of this log.

    Raises
    ------
    VerificationError
        The receipt does not verify, or holds no anchor that fits the checkpoint.
    """
    events = len(verify_receipt(receipt).logs)
    for event in range(min(events, MAX_EVENTS)):
        proof = AnchorProof(receipt, event, consistency)
        try:
            proof.verify(checkpoint)
        except VerificationError:
            continue
        return proof
    raise VerificationError(f"the receipt holds no anchor of log '{checkpoint.origin}'")


def _read_event(event: ReceiptLog, owner: Address, origin: str) -> tuple[int, bytes]:
    sender = bytes(12) + bytes.fromhex(owner[2:])
    if event.topics != (ANCHORED_TOPIC, sender, anchor_name(origin)):
        raise VerificationError(f"the event does not anchor log '{origin}'")
    if len(event.data) != 64 or any(event.data[:24]):
        raise VerificationError("the event does not decode as an anchor")
    return int.from_bytes(event.data[:32], "big"), event.data[32:]
