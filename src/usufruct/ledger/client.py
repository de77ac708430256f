"""One ledger, whatever stands behind the transport: what can be asked, and transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from usufruct.crypto.hash import keccak256
from usufruct.errors import NotAllowed, TransactionReverted, WrongNetwork
from usufruct.ledger import answers
from usufruct.ledger.account import Account
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.fees import FEE_LIMIT
from usufruct.ledger.network import Network
from usufruct.ledger.nonces import Draft, Sender, refused
from usufruct.ledger.reader import Reader, all_results, block_tag
from usufruct.ledger.reverts import as_revert
from usufruct.ledger.transport import RpcError, Transport
from usufruct.ledger.views import Receipt, read_block
from usufruct.ledger.waiting import Waiter
from usufruct.types import Address


class Ledger(Reader):
    """A client of one network.

    Parameters
    ----------
    transport
        An embedded engine or an RPC endpoint.
    network
        What the ledger must be; :meth:`check` insists on it.
    timeout
        Seconds to wait for a transaction to be final; by default 180, or 1,800 where the
        network waits for finalized blocks.
    stuck_after
        Seconds after which more is offered for a transaction that is not mined.
    fee_limit
        Wei for a unit of gas that are never exceeded.
    sleep
        How to wait; tests hand in their own.
    """

    def __init__(
        self,
        transport: Transport,
        network: Network,
        *,
        timeout: float | None = None,
        stuck_after: float = 60.0,
        fee_limit: int = FEE_LIMIT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(transport, network)
        self._timeout = timeout or (1800.0 if network.finality["mode"] == "finalized" else 180.0)
        self._stuck_after = stuck_after
        self._fee_limit = fee_limit
        self._sleep = sleep
        self._lock = threading.Lock()
        self._senders: dict[Address, Sender] = {}

    def check(self) -> None:
        """Make sure that this is the ledger the network file describes.

        Raises
        ------
        WrongNetwork
            Another chain id, genesis block or contract code.
        LedgerUnreachable
            The endpoint does not answer, or answers nonsense.
        """
        network = self.network
        names = sorted(network.contracts)
        calls: list[tuple[str, list[Any]]] = [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", ["0x0", False]),
        ]
        calls += [("eth_getCode", [network.address(name), "latest"]) for name in names]
        chain, genesis, *codes = all_results(self.transport.request_many(calls))
        chain_id = answers.quantity(chain, "the chain id")
        if chain_id != network.chain_id:
            raise self._wrong(f"its chain id is {chain_id}, not {network.chain_id}")
        if read_block(genesis, 0).hash != network.genesis_hash:
            raise self._wrong("its first block is another")
        for name, code in zip(names, codes, strict=True):
            found = keccak256(answers.data(code, "a contract's code"))
            if "0x" + found.hex() != network.contracts[name]["code_hash"]:
                what = "other code" if len(code) > 2 else "no code"
                raise self._wrong(f"it has {what} where the contract {name} should be")

    def transact(
        self,
        account: Account,
        call: Call,
        value: int = 0,
        *,
        gas: int | None = None,
        most_gas: int | None = None,
    ) -> Receipt:
        """Send a transaction and wait until it is final by the network's rule.

        Parameters
        ----------
        value
            Wei sent with it.
        gas
            Its gas limit; estimated by default.
        most_gas
            Refuse to send it if more is estimated: a stranger's contract is called on the way.

        Raises
        ------
        TransactionReverted
            The contract refused; decoded, with a hint. Usually nothing was sent.
        NotAllowed
            The account cannot pay.
        LedgerUnreachable
            The endpoint stopped answering, or the transaction was not mined in time; the
            message names it, because it may still be mined.
        """
        drafts = [Draft(call.to, call.data, value, gas or 0)]
        if most_gas is not None and not gas:
            drafts = self._estimate(account.address, drafts)
            if drafts[0].gas > most_gas:
                raise NotAllowed(
                    f"this would take {drafts[0].gas:,} units of gas, and {most_gas:,} are plenty",
                    hint="a contract of a stranger wastes them; have nothing to do with it",
                )
        return self.send(account, drafts)[0]

    def transact_many(
        self, account: Account, calls: Sequence[Call], value: int = 0, *, gas: int | None = None
    ) -> list[Receipt]:
        """Send transactions of one account together, in order; see :meth:`transact`.

        Parameters
        ----------
        value
            Wei sent with each.
        gas
            Gas limit of each. By default it is estimated, each as if alone: give it when one
            needs another's effect.
        """
        drafts = [Draft(call.to, call.data, value, gas or 0) for call in calls]
        return self.send(account, drafts)

    def deploy(self, account: Account, code: bytes) -> Receipt:
        """Make a contract from its creation code; see :meth:`transact`."""
        return self.send(account, [Draft(None, code, 0, 0)])[0]

    def send(self, account: Account, drafts: Sequence[Draft]) -> list[Receipt]:
        """Send drafts, those with gas 0 with estimated gas; see :meth:`transact`."""
        priced = self._estimate(account.address, drafts)
        sender = self._sender(account)
        waiter = Waiter(
            self.transport,
            sender,
            settled=self._settled,
            timeout=self._timeout,
            stuck_after=self._stuck_after,
            sleep=self._sleep,
        )
        found = waiter.wait(sender.send(priced))
        for draft, receipt in zip(priced, found, strict=True):
            if not receipt.succeeded:
                raise self._why(account.address, draft, receipt)
        return found

    def _sender(self, account: Account) -> Sender:
        with self._lock:
            if account.address not in self._senders:
                self._senders[account.address] = Sender(
                    self.transport,
                    account,
                    self.network.chain_id,
                    fee_limit=self._fee_limit,
                    sleep=self._sleep,
                )
            return self._senders[account.address]

    def _estimate(self, sender: Address, drafts: Sequence[Draft]) -> list[Draft]:
        """Return the drafts with gas: a fifth more than estimated, which state may shift."""
        open_ = [(place, draft) for place, draft in enumerate(drafts) if not draft.gas]
        found = self.transport.request_many(
            [("eth_estimateGas", [_fields(sender, draft)]) for _, draft in open_]
        )
        priced = list(drafts)
        for (place, draft), answer in zip(open_, found, strict=True):
            if isinstance(answer, RpcError):
                raise (as_revert(answer) or refused(answer, sender)) from answer
            gas = answers.quantity(answer, "the gas estimate", bits=40)
            priced[place] = replace(draft, gas=gas + gas // 5)
        return priced

    def _settled(self, mined: Sequence[Receipt]) -> bool | None:
        """Tell whether receipts are final; None when a re-org moved one of them."""
        if self.network.finality["mode"] == "latest":
            return True
        if max(receipt.block_number for receipt in mined) > self.finalized_block():
            return False
        found = self.blocks([receipt.block_number for receipt in mined])
        for block, receipt in zip(found, mined, strict=True):
            if block is None or block.hash != receipt.block_hash:
                return None
        return True

    def _why(self, sender: Address, draft: Draft, receipt: Receipt) -> TransactionReverted:
        """Return why a mined transaction failed, asked by repeating it as a call."""
        try:
            self.transport.request(
                "eth_call", [_fields(sender, draft), block_tag(receipt.block_number)]
            )
        except RpcError as error:
            revert = as_revert(error)
            if revert is not None:
                return revert
        return TransactionReverted(
            f"the transaction {receipt.tx_hash} was mined but failed",
            hint="it ran out of gas, or another transaction came first; try again",
        )

    def _wrong(self, why: str) -> WrongNetwork:
        return WrongNetwork(
            f"this is not the ledger '{self.network.name}': {why}",
            hint="check the RPC URL, or ask the operator for the present network file",
        )


def _fields(sender: Address, draft: Draft) -> dict[str, str]:
    fields = {"from": sender, "data": "0x" + draft.data.hex(), "value": hex(draft.value)}
    if draft.to is not None:
        fields["to"] = draft.to
    if draft.gas:
        fields["gas"] = hex(draft.gas)
    return fields
