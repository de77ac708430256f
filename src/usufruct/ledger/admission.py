"""Decides which waiting transactions the next block takes, so that the engine refuses none.

There is no mempool: a transaction is taken, refused with the words public clients use, or held
a moment because one with an earlier nonce may be on its way from another thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from usufruct.ledger.rawtx import RawTransaction
from usufruct.ledger.transport import Call, RpcError
from usufruct.types import Address

REJECTED = -32003
"""JSON-RPC code of a refused transaction (EIP-1474)."""

MAX_BLOCK = 500
"""Transactions a block takes."""

GAP_SECONDS = 1.0
"""How long a transaction waits for the ones before it."""

_MAX_ACCOUNTS = 20_000


@dataclass(eq=False, slots=True)
class Submission:
    """A transaction on its way, and the caller who waits for it."""

    transaction: RawTransaction
    arrived: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    deferred: bool = False

    def finish(self, error: Exception | None = None) -> None:
        """Wake the caller, with the reason if the transaction was refused."""
        self.error = error
        self.done.set()


@dataclass(slots=True)
class _Account:
    """What a sender has: its next nonce, and no more than its balance in wei."""

    nonce: int
    balance: int
    waiting: dict[int, Submission] = field(default_factory=dict)
    used: bool = False
    stale: bool = False


class Admission:
    """Keeps what is known of senders between blocks; belongs to one thread.

    Parameters
    ----------
    gas_limit
        Gas a block holds.
    ask
        Asks the engine at its latest block.
    """

    def __init__(self, gas_limit: int, ask: Callable[[Sequence[Call]], list[Any]]) -> None:
        self._gas_limit = gas_limit
        self._ask = ask
        self._accounts: dict[Address, _Account] = {}
        self._block: list[Submission] = []
        self.held = 0
        """How many transactions wait for a later block."""
        self.ready = False
        """Whether one of them can go into the very next block."""

    def choose(self, arrived: Iterable[Submission], base_fee: int) -> list[Submission]:
        """Return the next block's transactions; refused callers are woken.

        Raises
        ------
        EngineDied
            The engine did not answer; :meth:`recall` gives back what is undecided.
        """
        arrived = list(arrived)
        self._look_up({submission.transaction.sender for submission in arrived})
        touched = {sender: account for sender, account in self._accounts.items() if account.waiting}
        for submission in arrived:
            sender, nonce = submission.transaction.sender, submission.transaction.nonce
            account = touched.setdefault(sender, self._accounts[sender])
            if nonce < account.nonce:
                submission.finish(_low(account.nonce, nonce))
            elif nonce in account.waiting:
                submission.finish(RpcError(REJECTED, "replacement transaction underpriced"))
            else:
                account.waiting[nonce] = submission
        self._block = []
        self._fill(touched, base_fee)
        for account in touched.values():
            account.used = False
        self._expire(touched)
        self.held = sum(len(account.waiting) for account in touched.values())
        self.ready = any(account.nonce in account.waiting for account in touched.values())
        block, self._block = self._block, []
        return block

    def forget(self, submissions: Iterable[Submission]) -> None:
        """Ask again about the senders of these; what they wait for stays."""
        for submission in submissions:
            account = self._accounts.get(submission.transaction.sender)
            if account is not None:
                account.stale = True

    def recall(self) -> list[Submission]:
        """Forget everybody, and return what was held or chosen when the engine failed."""
        held = [s for account in self._accounts.values() for s in account.waiting.values()]
        held += self._block
        self._accounts, self._block, self.held, self.ready = {}, [], 0, False
        return held

    def _fill(self, touched: dict[Address, _Account], base_fee: int) -> None:
        block, gas = self._block, 0
        # the earliest arrival first, so that nobody starves
        order = sorted(
            (s for account in touched.values() for s in account.waiting.values()),
            key=lambda submission: submission.arrived,
        )
        for first in order:
            account = touched[first.transaction.sender]
            while len(block) < MAX_BLOCK and (submission := account.waiting.get(account.nonce)):
                transaction = submission.transaction
                if transaction.max_fee < base_fee:
                    self._refuse(account, "max fee per gas less than block base fee")
                elif gas + transaction.gas > self._gas_limit:
                    return
                elif not self._affords(account, submission, begun=bool(block)):
                    break
                else:
                    del account.waiting[transaction.nonce]
                    account.nonce += 1
                    account.balance -= transaction.cost
                    account.used = True
                    gas += transaction.gas
                    block.append(submission)

    def _affords(self, account: _Account, submission: Submission, *, begun: bool) -> bool:
        """Say whether the sender can pay; if it never can, refuse."""
        transaction = submission.transaction
        if account.balance >= transaction.cost:
            return True
        if not account.used:
            account.balance = self._state([transaction.sender])[0][1]
            if account.balance >= transaction.cost:
                return True
        if begun and not submission.deferred:
            submission.deferred = True  # this block may bring it the money
            return False
        if not account.used:
            self._refuse(account, "insufficient funds for gas * price + value")
        return False

    @staticmethod
    def _refuse(account: _Account, why: str) -> None:
        account.waiting.pop(account.nonce).finish(RpcError(REJECTED, why))

    def _expire(self, touched: dict[Address, _Account]) -> None:
        now = time.monotonic()
        for account in touched.values():
            for nonce, submission in list(account.waiting.items()):
                if nonce < account.nonce:
                    account.waiting.pop(nonce).finish(_low(account.nonce, nonce))
                elif nonce > account.nonce and now - submission.arrived > GAP_SECONDS:
                    text = f"nonce too high: next nonce {account.nonce}, tx nonce {nonce}"
                    account.waiting.pop(nonce).finish(RpcError(REJECTED, text))

    def _look_up(self, senders: set[Address]) -> None:
        if len(self._accounts) > _MAX_ACCOUNTS:
            self._accounts = {s: a for s, a in self._accounts.items() if a.waiting}
        senders = {s for s in senders if s not in self._accounts}
        senders |= {s for s, account in self._accounts.items() if account.stale}
        ordered = sorted(senders)
        for sender, (nonce, balance) in zip(ordered, self._state(ordered), strict=True):
            account = self._accounts.setdefault(sender, _Account(nonce, balance))
            account.nonce, account.balance, account.stale = nonce, balance, False

    def _state(self, senders: Sequence[Address]) -> list[tuple[int, int]]:
        calls: list[Call] = [
            (method, [sender, "latest"])
            for sender in senders
            for method in ("eth_getTransactionCount", "eth_getBalance")
        ]
        answers = self._ask(calls)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        numbers = [int(answer, 16) for answer in answers]
        return list(zip(numbers[::2], numbers[1::2], strict=True))


def _low(expected: int, found: int) -> RpcError:
    return RpcError(REJECTED, f"nonce too low: next nonce {expected}, tx nonce {found}")
