"""From an endpoint's JSON to the bytes that consensus hashes: block headers and receipts.

Sources: Ethereum Yellow Paper 4.3; EIP-2718 (typed receipts); EIP-1559, 4895, 4844, 4788, 7685
(header fields).
"""

from __future__ import annotations

from typing import Any

from usufruct.crypto.hash import keccak256
from usufruct.ledger import answers, rlp

MAX_HEADER = 16 * 1024
MAX_RECEIPT = 1024 * 1024
MAX_LOGS = 10_000
DEPOSIT = 0x7E
"""Type of an OP Stack deposit, whose receipts may carry two more numbers."""

HEADER: tuple[tuple[str, int | None], ...] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
)
HEADER_LATER: tuple[tuple[str, int | None], ...] = (
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
"""Field and its size in bytes; None is a number, -1 is free. Later forks append, never skip."""


def encode_header(block: object) -> bytes:
    """Return the RLP of a block's header from its JSON.

    Raises
    ------
    BadAnswer
        A field is malformed, or the header does not hash to the block's hash.
    """
    fields = answers.mapping(block, "the block")
    later = []
    for entry in HEADER_LATER:
        if fields.get(entry[0]) is None:
            break
        later.append(entry)
    header = rlp.encode([_field(fields, name, size) for name, size in (*HEADER, *later)])
    if keccak256(header) != answers.fixed(fields.get("hash"), "hash", 32):
        raise answers.BadAnswer("a block header that does not hash to the block's hash")
    return header


def encode_receipt(receipt: object) -> bytes:
    """Return a receipt's consensus encoding (EIP-2718) from its JSON.

    Raises
    ------
    BadAnswer
        A field is malformed.
    """
    fields = answers.mapping(receipt, "the receipt")
    kind = answers.quantity(fields.get("type", "0x0"), "type", bits=7)
    logs: list[rlp.Encodable] = []
    for entry in answers.sequence(fields.get("logs"), "logs", limit=MAX_LOGS):
        log = answers.mapping(entry, "a log")
        topics = answers.sequence(log.get("topics"), "topics", limit=4)
        logs.append(
            [
                answers.fixed(log.get("address"), "a log's address", 20),
                [answers.fixed(topic, "a topic", 32) for topic in topics],
                answers.data(log.get("data"), "a log's data", limit=MAX_RECEIPT),
            ]
        )
    body: list[rlp.Encodable] = [
        answers.quantity(fields.get("status"), "status", bits=1),
        answers.quantity(fields.get("cumulativeGasUsed"), "cumulativeGasUsed", bits=64),
        answers.fixed(fields.get("logsBloom"), "logsBloom", 256),
        logs,
    ]
    if kind == DEPOSIT:
        for name in ("depositNonce", "depositReceiptVersion"):
            if fields.get(name) is not None:
                body.append(answers.quantity(fields[name], name, bits=64))
    return (bytes([kind]) if kind else b"") + rlp.encode(body)


def _field(block: dict[str, Any], name: str, size: int | None) -> rlp.Encodable:
    if size is None:
        return answers.quantity(block.get(name), name)
    if size < 0:
        return answers.data(block.get(name), name, limit=MAX_HEADER)
    return answers.fixed(block.get(name), name, size)
