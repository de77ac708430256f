"""Reading a ledger: calls, balances, blocks, receipts, logs and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from usufruct.errors import BadInput, NotFound
from usufruct.ledger import answers, receipts
from usufruct.ledger.bindings.calls import Call, View
from usufruct.ledger.blocks import MAX_LOGS
from usufruct.ledger.network import Network
from usufruct.ledger.reverts import as_revert
from usufruct.ledger.transport import RpcError, Transport
from usufruct.ledger.views import Block, LogEntry, Receipt, read_block, read_logs, read_receipt
from usufruct.types import Address, parse_address, parse_digest

T = TypeVar("T")
_MAX_BLOCK_RECEIPTS = 20_000
_MAX_ANSWER = 1024 * 1024


class Reader:
    """What can be asked of a ledger without an account.

    Parameters
    ----------
    transport
        An embedded engine or an RPC endpoint.
    network
        What the ledger must be.
    """

    def __init__(self, transport: Transport, network: Network) -> None:
        self.transport = transport
        self.network = network

    def call(self, view: View[T], *, sender: Address | None = None) -> T:
        """Ask a contract and return its answer decoded.

        Raises
        ------
        TransactionReverted
            The contract refused.
        BadAnswer
            The answer is not of the view's form.
        """
        try:
            return view.decode(self.call_bytes(view, sender=sender))
        except BadInput as error:
            raise answers.BadAnswer(error.message) from error

    def call_bytes(self, call: Call, *, sender: Address | None = None) -> bytes:
        """Try a call without sending it and return what the contract answers.

        Raises
        ------
        TransactionReverted
            The contract refused.
        """
        fields = {"to": call.to, "data": "0x" + call.data.hex()}
        if sender is not None:
            fields["from"] = parse_address(sender)
        answer = self._request("eth_call", [fields, "latest"])
        return answers.data(answer, "the contract's answer", limit=_MAX_ANSWER)

    def balance(self, address: Address) -> int:
        """Return an account's balance in wei."""
        answer = self._request("eth_getBalance", [parse_address(address), "latest"])
        return answers.quantity(answer, "the balance")

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return a transaction's receipt, None while it is not mined."""
        digest = "0x" + parse_digest(tx_hash)
        answer = self._request("eth_getTransactionReceipt", [digest])
        return None if answer is None else read_receipt(answer, digest)

    def block(self, number: int | str) -> Block:
        """Return a block by number, or ``latest`` or ``finalized``.

        Raises
        ------
        NotFound
            There is no such block (yet).
        """
        answer = self._request("eth_getBlockByNumber", [block_tag(number), False])
        if answer is None:
            raise NotFound(f"the ledger has no block {number}")
        return read_block(answer, number if isinstance(number, int) else None)

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return blocks by number, None for those that do not exist."""
        found = all_results(
            self.transport.request_many(
                [("eth_getBlockByNumber", [block_tag(number), False]) for number in numbers]
            )
        )
        return [
            None if answer is None else read_block(answer, number)
            for number, answer in zip(numbers, found, strict=True)
        ]

    def logs(
        self,
        addresses: Sequence[Address],
        first: int,
        last: int,
        *,
        topics: Sequence[bytes] = (),
        limit: int = 10 * MAX_LOGS,
    ) -> tuple[LogEntry, ...]:
        """Return the logs of contracts in the blocks `first` to `last`, both included.

        Parameters
        ----------
        topics
            Only events of these kinds (first topic); all when empty.
        limit
            More logs than these are refused.

        Raises
        ------
        BadAnswer
            Logs of other contracts, blocks or kinds, or too many.
        RpcError
            The endpoint refuses, often because the range is too wide for it.
        """
        query: dict[str, Any] = {
            "address": [parse_address(address) for address in addresses],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        if topics:
            query["topics"] = [["0x" + topic.hex() for topic in topics]]
        found = read_logs(self._request("eth_getLogs", [query]), limit)
        for log in found:
            if log.address not in query["address"] or not first <= log.block_number <= last:
                raise answers.BadAnswer("a log of another contract or block than asked for")
            if topics and (not log.topics or log.topics[0] not in topics):
                raise answers.BadAnswer("a log of another event than asked for")
        return found

    def receipt_proof(self, tx_hash: str) -> receipts.ReceiptProof:
        """Return the proof that a transaction's receipt stands in its block.

        Raises
        ------
        NotFound
            The transaction is not mined.
        BadAnswer
            The endpoint's receipts do not hash to the block's receipt root.
        """
        receipt = self.receipt(tx_hash)
        if receipt is None:
            raise NotFound(f"the ledger has no receipt of the transaction {tx_hash}")
        number = block_tag(receipt.block_number)
        block = answers.mapping(self._request("eth_getBlockByNumber", [number, False]), "the block")
        found = self._block_receipts(block, number)
        return receipts.build(self.network.chain_id, block, found, receipt.tx_index)

    def finalized_block(self) -> int:
        """Return the number of the newest block that is final by the network's rule."""
        mode = self.network.finality["mode"]
        if mode == "finalized":
            return self.block("finalized").number
        newest = answers.quantity(self._request("eth_blockNumber", []), "the number", bits=53)
        confirmations: int = self.network.finality["confirmations"]
        return max(newest + 1 - max(confirmations, 1), 0)

    def close(self) -> None:
        """Let go of the transport."""
        self.transport.close()

    def _request(self, method: str, params: list[Any]) -> Any:
        try:
            return self.transport.request(method, params)
        except RpcError as error:
            revert = as_revert(error)
            if revert is None:
                raise
            raise revert from error

    def _block_receipts(self, block: dict[str, Any], number: str) -> list[Any]:
        try:
            found = self._request("eth_getBlockReceipts", [number])
        except RpcError:
            # older endpoints give them one by one
            hashes = answers.sequence(
                block.get("transactions"), "transactions", limit=_MAX_BLOCK_RECEIPTS
            )
            found = all_results(
                self.transport.request_many(
                    [
                        ("eth_getTransactionReceipt", [answers.digest(item, "a transaction")])
                        for item in hashes
                    ]
                )
            )
        return answers.sequence(found, "the block's receipts", limit=_MAX_BLOCK_RECEIPTS)


def all_results(results: list[Any]) -> list[Any]:
    """Return the results of a batch, or raise the first refusal among them."""
    for result in results:
        if isinstance(result, RpcError):
            raise result
    return results


def block_tag(block: int | str) -> str:
    """Return a block as JSON-RPC names it: a number in hexadecimal, or its tag."""
    return block if isinstance(block, str) else hex(block)
