"""What the client hands out: blocks, receipts and logs, parsed strictly from JSON-RPC."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from usufruct.ledger import answers
from usufruct.ledger.blocks import MAX_LOGS, MAX_RECEIPT
from usufruct.types import Address


@dataclass(frozen=True, slots=True)
class Block:
    """A block's head.

    Parameters
    ----------
    number, timestamp
        Position and seconds since 1970.
    hash, parent_hash
        ``0x`` and 64 digits.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event and where it stands.

    Parameters
    ----------
    address, topics, data
        As in :class:`usufruct.ledger.receipts.ReceiptLog`.
    block_number, block_hash, tx_hash
        The block and transaction that emitted it.
    position
        The log's number within its block.
    """

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: str
    tx_hash: str
    position: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction.

    Parameters
    ----------
    tx_hash, block_number, block_hash, tx_index
        Where it stands.
    succeeded
        False when it was mined but reverted.
    gas_used, gas_price
        Gas, and wei paid for each unit.
    contract
        What it made, if it made a contract.
    logs
        Its events, in order.
    """

    tx_hash: str
    block_number: int
    block_hash: str
    tx_index: int
    succeeded: bool
    gas_used: int
    gas_price: int
    contract: Address | None
    logs: tuple[LogEntry, ...]


def read_block(value: Any, number: int | None = None) -> Block:
    """Return a block from ``eth_getBlockByNumber``; `number` is the one that was asked for.

    Raises
    ------
    BadAnswer
        Not a block, or another one.
    """
    fields = answers.mapping(value, "the block")
    block = Block(
        answers.quantity(fields.get("number"), "the block's number", bits=53),
        answers.digest(fields.get("hash"), "the block's hash"),
        answers.digest(fields.get("parentHash"), "the parent's hash"),
        answers.quantity(fields.get("timestamp"), "the block's timestamp", bits=53),
    )
    if number is not None and block.number != number:
        raise answers.BadAnswer(f"block {block.number} instead of {number}")
    return block


def read_receipt(value: Any, tx_hash: str) -> Receipt:
    """Return a receipt from ``eth_getTransactionReceipt``.

    Raises
    ------
    BadAnswer
        Not a receipt, or another transaction's.
    """
    fields = answers.mapping(value, "the receipt")
    made = fields.get("contractAddress")
    receipt = Receipt(
        tx_hash=answers.digest(fields.get("transactionHash"), "the transaction's hash"),
        block_number=answers.quantity(fields.get("blockNumber"), "the block's number", bits=53),
        block_hash=answers.digest(fields.get("blockHash"), "the block's hash"),
        tx_index=answers.quantity(fields.get("transactionIndex"), "the index", bits=32),
        succeeded=answers.quantity(fields.get("status"), "the status", bits=1) == 1,
        gas_used=answers.quantity(fields.get("gasUsed"), "the gas used", bits=64),
        gas_price=answers.quantity(fields.get("effectiveGasPrice", "0x0"), "the gas price"),
        contract=None if made is None else answers.address(made, "the contract's address"),
        logs=read_logs(fields.get("logs"), MAX_LOGS),
    )
    if receipt.tx_hash != tx_hash or any(log.tx_hash != tx_hash for log in receipt.logs):
        raise answers.BadAnswer("the receipt of another transaction")
    return receipt


def read_logs(value: Any, limit: int) -> tuple[LogEntry, ...]:
    """Return the logs in an answer, in the order of the chain.

    Raises
    ------
    BadAnswer
        A log is malformed, withdrawn, twice there or out of order, or there are too many.
    """
    logs = tuple(_log(entry) for entry in answers.sequence(value, "the logs", limit=limit))
    places = [(log.block_number, log.position) for log in logs]
    if any(place >= following for place, following in pairwise(places)):
        raise answers.BadAnswer("logs that are not in order")
    return logs


def _log(value: Any) -> LogEntry:
    fields = answers.mapping(value, "a log")
    if fields.get("removed", False) is not False:
        raise answers.BadAnswer("a log of a block that was given up")
    topics = answers.sequence(fields.get("topics"), "a log's topics", limit=4)
    return LogEntry(
        address=answers.address(fields.get("address"), "a log's address"),
        topics=tuple(answers.fixed(topic, "a topic", 32) for topic in topics),
        data=answers.data(fields.get("data"), "a log's data", limit=MAX_RECEIPT),
        block_number=answers.quantity(fields.get("blockNumber"), "a log's block", bits=53),
        block_hash=answers.digest(fields.get("blockHash"), "a log's block hash"),
        tx_hash=answers.digest(fields.get("transactionHash"), "a log's transaction"),
        position=answers.quantity(fields.get("logIndex"), "a log's position", bits=32),
    )
