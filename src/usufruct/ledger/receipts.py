"""Proof that a transaction's receipt stands in a block, checked without a ledger.

A receipt is a value of the trie whose root is in the block's header, and the block's hash is the
hash of that header. What this module cannot know is whether a network accepted the block: the
caller compares :attr:`VerifiedReceipt.block_hash` with a ledger or a pinned hash.

Sources: Ethereum Yellow Paper 4.3 and appendix D; EIP-2718 (typed receipts); EIP-1559, 4895,
4844, 4788, 7685 (header fields). Needs the base installation only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, VerificationError
from usufruct.ledger import answers, rlp
from usufruct.ledger.blocks import (
    DEPOSIT,
    HEADER,
    HEADER_LATER,
    MAX_HEADER,
    MAX_LOGS,
    MAX_RECEIPT,
    encode_header,
    encode_receipt,
)
from usufruct.ledger.trie import ListTrie, verify_trie
from usufruct.types import Address

MAX_NODES = 32
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*\Z")


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """One event as a contract emitted it.

    Parameters
    ----------
    address
        The contract.
    topics
        At most four, 32 bytes each.
    data
        The unindexed fields, ABI-encoded.
    """

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a proof proves, once :func:`verify` has accepted it.

    Parameters
    ----------
    block_hash
        32 bytes; whether a network accepted this block is for the caller to find out.
    block_number, timestamp
        As the header says; the timestamp in seconds since 1970.
    status
        True when the transaction succeeded.
    logs
        Its events, in order.
    """

    block_hash: bytes
    block_number: int
    timestamp: int
    status: bool
    logs: tuple[ReceiptLog, ...]


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """A receipt, the header of its block, and the trie nodes between the two.

    Parameters
    ----------
    chain_id
        Which chain the block is said to be of; no header proves it, so compare it yourself.
    block_number, tx_index
        Position of the transaction.
    header_rlp, receipt_rlp
        Both as consensus hashes them; a typed receipt starts with its type byte.
    nodes
        Encoded trie nodes, root first.
    """

    chain_id: int
    block_number: int
    header_rlp: bytes
    receipt_rlp: bytes
    tx_index: int
    nodes: tuple[bytes, ...]

    @property
    def block_hash(self) -> bytes:
        """Keccak-256 of the header, 32 bytes."""
        return keccak256(self.header_rlp)

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as plain JSON data, with the block hash beside the header."""
        return {
            "chain_id": self.chain_id,
            "block_number": self.block_number,
            "block_hash": _hex(self.block_hash),
            "header": _hex(self.header_rlp),
            "receipt": _hex(self.receipt_rlp),
            "tx_index": self.tx_index,
            "nodes": [_hex(node) for node in self.nodes],
        }

    @classmethod
    def from_dict(cls, value: object) -> ReceiptProof:
        """Return the proof that untrusted plain data holds.

        Raises
        ------
        VerificationError
            A field is missing, unknown, of the wrong type or too large, or the header has
            another hash than the one beside it.
        """
        fields = {"chain_id", "block_number", "block_hash", "header", "receipt", "tx_index"}
        if not isinstance(value, dict) or set(value) != fields | {"nodes"}:
            raise VerificationError("the receipt proof does not have the fields of one")
        nodes = value["nodes"]
        if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
            raise VerificationError("the receipt proof's nodes are not a short list")
        proof = cls(
            chain_id=_number(value["chain_id"], "chain id"),
            block_number=_number(value["block_number"], "block number"),
            header_rlp=_unhex(value["header"], "header", MAX_HEADER),
            receipt_rlp=_unhex(value["receipt"], "receipt", MAX_RECEIPT),
            tx_index=_number(value["tx_index"], "transaction index"),
            nodes=tuple(_unhex(node, "node", MAX_RECEIPT + 1024) for node in nodes),
        )
        if _unhex(value["block_hash"], "block hash", 32) != proof.block_hash:
            raise VerificationError("the receipt proof's header has another hash than it says")
        return proof


def verify(proof: ReceiptProof, *, block_hash: bytes | None = None) -> VerifiedReceipt:
    """Check that the receipt stands in the block and return what it says.

    Parameters
    ----------
    proof
        Untrusted.
    block_hash
        The hash that a ledger confirmed or the caller pinned; None leaves the header unchecked.

    Raises
    ------
    VerificationError
        Anything at all is wrong; nothing else is raised.
    """
    _check_types(proof)
    digest = proof.block_hash
    if block_hash is not None and digest != block_hash:
        raise VerificationError("the receipt is of another block than the confirmed one")
    try:
        root, number, timestamp = _read_header(proof.header_rlp)
        if number != proof.block_number:
            raise VerificationError("the header is of another block number")
        value = verify_trie(root, proof.tx_index, proof.nodes, max_value=MAX_RECEIPT)
        if value != proof.receipt_rlp:
            raise VerificationError("the block holds another receipt at that index")
        status, logs = _read_receipt(value)
    except BadInput as error:
        raise VerificationError(f"the receipt proof does not decode: {error.message}") from error
    return VerifiedReceipt(digest, number, timestamp, status, logs)


def build(chain_id: int, block: object, receipts: Sequence[object], tx_index: int) -> ReceiptProof:
    """Return the proof for one transaction from an endpoint's JSON answers.

    Parameters
    ----------
    block
        Answer of ``eth_getBlockByNumber``.
    receipts
        All receipts of that block in order (``eth_getBlockReceipts``).
    tx_index
        Which of them to prove.

    Raises
    ------
    BadAnswer
        The receipts do not hash to the block's receipt root, or the header to its hash.
    """
    fields = answers.mapping(block, "the block")
    header = encode_header(fields)
    encoded = [encode_receipt(receipt) for receipt in receipts]
    trie = ListTrie(encoded)
    if trie.root != answers.fixed(fields.get("receiptsRoot"), "receiptsRoot", 32):
        raise answers.BadAnswer("the block's receipts do not hash to its receipt root")
    if not 0 <= tx_index < len(encoded):
        raise answers.BadAnswer(f"the block has no transaction {tx_index}")
    proof = ReceiptProof(
        chain_id=chain_id,
        block_number=answers.quantity(fields.get("number"), "number", bits=64),
        header_rlp=header,
        receipt_rlp=encoded[tx_index],
        tx_index=tx_index,
        nodes=trie.proof(tx_index),
    )
    try:
        verify(proof)
    except VerificationError as error:
        raise answers.BadAnswer(f"a receipt that does not verify ({error.message})") from error
    return proof


def _read_header(header: bytes) -> tuple[bytes, int, int]:
    """Return receipt root, number and timestamp of a header."""
    parts = rlp.decode(header, max_bytes=MAX_HEADER, max_depth=2, max_items=64)
    if not isinstance(parts, list) or len(parts) < len(HEADER):
        raise BadInput("the header has too few fields")
    for (name, size), part in zip((*HEADER, *HEADER_LATER), parts, strict=False):
        if size is None:
            rlp.to_int(part)
        elif not isinstance(part, bytes) or size not in (-1, len(part)):
            raise BadInput(f"the header's {name} has a wrong size")
    root = parts[5]
    if not isinstance(root, bytes):
        raise BadInput("the header's receipt root is a list")
    return root, rlp.to_int(parts[8], max_bytes=8), rlp.to_int(parts[11], max_bytes=8)


def _read_receipt(receipt: bytes) -> tuple[bool, tuple[ReceiptLog, ...]]:
    """Return status and logs of a receipt."""
    kind = receipt[0] if receipt[0] < 0x80 else 0
    parts = rlp.decode(receipt[1:] if kind else receipt, max_bytes=MAX_RECEIPT, max_depth=4)
    if not isinstance(parts, list) or not 4 <= len(parts) <= (6 if kind == DEPOSIT else 4):
        raise BadInput("the receipt has a wrong number of fields")
    status = rlp.to_int(parts[0])
    rlp.to_int(parts[1], max_bytes=8)
    if status > 1 or not isinstance(parts[2], bytes) or len(parts[2]) != 256:
        raise BadInput("the receipt's status or bloom is malformed")
    if not isinstance(parts[3], list) or len(parts[3]) > MAX_LOGS:
        raise BadInput("the receipt's logs are malformed")
    return bool(status), tuple(_read_log(log) for log in parts[3])


def _read_log(log: rlp.Item) -> ReceiptLog:
    if not isinstance(log, list) or len(log) != 3:
        raise BadInput("a log does not have three parts")
    address, topics, data = log
    if not isinstance(address, bytes) or len(address) != 20 or not isinstance(data, bytes):
        raise BadInput("a log's address or data is malformed")
    if not isinstance(topics, list) or len(topics) > 4:
        raise BadInput("a log's topics are malformed")
    words = tuple(topic for topic in topics if isinstance(topic, bytes) and len(topic) == 32)
    if len(words) != len(topics):
        raise BadInput("a log's topics are malformed")
    return ReceiptLog(Address("0x" + address.hex()), words, data)


def _check_types(proof: ReceiptProof) -> None:
    """Refuse a proof made by hand from values of other types; from_dict makes none."""
    numbers = (proof.chain_id, proof.block_number, proof.tx_index)
    if not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
        raise VerificationError("a number of the receipt proof is out of range")
    if not isinstance(proof.nodes, tuple) or len(proof.nodes) > MAX_NODES:
        raise VerificationError("the receipt proof's nodes are not a short tuple")
    sized = [(proof.header_rlp, MAX_HEADER), (proof.receipt_rlp, MAX_RECEIPT)]
    sized += [(node, MAX_RECEIPT + 1024) for node in proof.nodes]
    if not all(isinstance(part, bytes) and 0 < len(part) <= limit for part, limit in sized):
        raise VerificationError("a part of the receipt proof is empty or too large")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _unhex(value: object, what: str, limit: int) -> bytes:
    if not isinstance(value, str) or len(value) > 2 * limit + 2 or not _HEX.match(value):
        raise VerificationError(f"the receipt proof's {what} is not hexadecimal data")
    return bytes.fromhex(value[2:])


def _number(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise VerificationError(f"the receipt proof's {what} is not a whole number")
    return value
