"""Sending an account's transactions in order: nonces, fees, and replacement of the stuck.

One :class:`Sender` a key hands out nonces under a lock and keeps it until the endpoint has taken
the transaction, so a refused one leaves no gap. Another process that uses the same key may win
the race for a nonce; then the transaction is signed again for the next one.

A stuck one is replaced by the same with a higher fee (see :mod:`usufruct.ledger.fees`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from usufruct.errors import LedgerUnreachable, NotAllowed
from usufruct.ledger import answers
from usufruct.ledger.account import Account, transaction_hash
from usufruct.ledger.fees import FEE_LIMIT, Fees, suggest_fees
from usufruct.ledger.transport import RpcError, Transport
from usufruct.types import Address
from usufruct.units import format_amount

_ATTEMPTS = 10
_PART_BYTES = 256 * 1024
_REMEMBERED_SECONDS = 15.0
_TAKEN = ("nonce too low", "nonce is too low", "old nonce", "invalid nonce", "replacement")
_KNOWN = ("already known", "known transaction", "already imported")


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction before it has a nonce: receiver (None makes a contract), data, wei, gas."""

    to: Address | None
    data: bytes
    value: int
    gas: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that an endpoint has taken.

    Parameters
    ----------
    draft, nonce, fees
        What was signed.
    hashes
        By which it may be mined, the newest last; each replacement adds one.
    """

    draft: Draft
    nonce: int
    fees: Fees
    hashes: tuple[str, ...]


class Sender:
    """Sends one account's transactions; safe to use from many threads.

    Parameters
    ----------
    transport, account, chain_id
        Where to send, who signs, and for which chain (EIP-155).
    fee_limit
        Wei for a unit of gas that are never exceeded.
    sleep
        How to wait between attempts; tests hand in their own.
    """

    def __init__(
        self,
        transport: Transport,
        account: Account,
        chain_id: int,
        *,
        fee_limit: int = FEE_LIMIT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._transport = transport
        self._account = account
        self._chain_id = chain_id
        self._fee_limit = fee_limit
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0
        self._next_until = 0.0

    @property
    def address(self) -> Address:
        """The account's address."""
        return self._account.address

    def send(self, drafts: Sequence[Draft]) -> list[Sent]:
        """Send transactions in order and return them once the endpoint has taken all.

        Raises
        ------
        NotAllowed
            The account cannot pay for them; nothing was sent.
        LedgerUnreachable
            The endpoint stopped answering; those named in the message may still be mined.
        RpcError
            The endpoint refused one for another reason.
        """
        if not drafts:
            return []
        with self._lock:
            try:
                fees = suggest_fees(self._transport, self._fee_limit)
                self._check_balance(drafts, fees)
                nonce = self._fresh_nonce()
                sent = self._send_batch(drafts, nonce, fees)
            except BaseException:
                self._next_until = 0.0
                raise
            self._next = max(item.nonce for item in sent) + 1
            self._next_until = time.monotonic() + _REMEMBERED_SECONDS
            return sent

    def replace(self, stuck: Sent) -> Sent:
        """Offer more for a transaction that waits too long.

        Returns
        -------
        Sent
            With one more hash; unchanged if a version of it was mined meanwhile, or if more
            than the limit would have to be offered.
        """
        fees = stuck.fees.raised(suggest_fees(self._transport, self._fee_limit))
        if fees.most > self._fee_limit:
            return stuck
        raw = self._sign(stuck.draft, stuck.nonce, fees)
        with self._lock:
            taken = self._submit(raw)
        if not taken:
            # mined meanwhile, or others' replacement stands: the next try offers still more
            return replace(stuck, fees=fees)
        return Sent(stuck.draft, stuck.nonce, fees, (*stuck.hashes, transaction_hash(raw)))

    def forget(self) -> None:
        """Ask the endpoint for the next nonce, whatever was sent before."""
        self._next_until = 0.0

    def _send_batch(self, drafts: Sequence[Draft], nonce: int, fees: Fees) -> list[Sent]:
        if len(drafts) == 1:
            return [self._place(drafts[0], nonce, fees)]
        signed = [self._sign(draft, nonce + i, fees) for i, draft in enumerate(drafts)]
        results = self._request_in_parts(signed)
        sent = []
        for place, (draft, raw, result) in enumerate(zip(drafts, signed, results, strict=True)):
            if isinstance(result, RpcError):
                # one by one from here: a refused one is tried again before it is an error
                sent.append(self._place(draft, nonce + place, fees))
            else:
                digest = _check_hash(result, raw)
                sent.append(Sent(draft, nonce + place, fees, (digest,)))
        return sent

    def _request_in_parts(self, signed: Sequence[bytes]) -> list[Any]:
        """Send signed bytes in bodies that every endpoint takes; one result each."""
        results: list[Any] = []
        part: list[tuple[str, list[Any]]] = []
        size = 0
        for raw in signed:
            if part and size + len(raw) > _PART_BYTES:
                results += self._transport.request_many(part)
                part, size = [], 0
            part.append(("eth_sendRawTransaction", ["0x" + raw.hex()]))
            size += len(raw)
        return results + self._transport.request_many(part)

    def _place(self, draft: Draft, nonce: int, fees: Fees) -> Sent:
        """Send one transaction with the first nonce from `nonce` on that is free."""
        for attempt in range(_ATTEMPTS):
            raw = self._sign(draft, nonce, fees)
            if self._submit(raw):
                return Sent(draft, nonce, fees, (transaction_hash(raw),))
            self._sleep(0.05 * attempt)
            nonce = max(nonce + 1, self._pending_count()) if attempt else self._pending_count(nonce)
        raise LedgerUnreachable(
            f"another program keeps using the account {self._account.address}",
            hint="give each program an account of its own",
        )

    def _submit(self, raw: bytes) -> bool:
        """Send signed bytes; False when their nonce is taken by another transaction."""
        digest = transaction_hash(raw)
        for attempt in range(3):
            try:
                answer = self._transport.request("eth_sendRawTransaction", ["0x" + raw.hex()])
            except RpcError as error:
                text = str(error).lower()
                if any(words in text for words in _KNOWN):
                    return True
                if any(words in text for words in _TAKEN):
                    return self._is_known(digest)
                raise refused(error, self._account.address) from error
            except answers.BadAnswer:
                raise
            except LedgerUnreachable as error:
                # sending the same bytes twice is harmless, so try until the answer is known
                if attempt == 2:
                    raise LedgerUnreachable(
                        f"{error.message}; the transaction {digest} may still be mined",
                        hint=error.hint,
                    ) from error
                self._sleep(0.2 * (attempt + 1))
            else:
                _check_hash(answer, raw)
                return True
        return False

    def _is_known(self, digest: str) -> bool:
        found = self._transport.request("eth_getTransactionByHash", [digest])
        return isinstance(found, dict) and found.get("hash") == digest

    def _sign(self, draft: Draft, nonce: int, fees: Fees) -> bytes:
        return self._account.sign_transaction(
            {
                "chainId": self._chain_id,
                "nonce": nonce,
                "maxPriorityFeePerGas": fees.tip,
                "maxFeePerGas": fees.most,
                "gas": draft.gas,
                "to": draft.to,
                "value": draft.value,
                "data": draft.data,
            }
        )

    def _fresh_nonce(self) -> int:
        # an endpoint behind a balancer may lag behind what it has just taken
        remembered = self._next if time.monotonic() < self._next_until else 0
        return max(self._pending_count(), remembered)

    def _pending_count(self, taken: int | None = None) -> int:
        count = answers.quantity(
            self._transport.request("eth_getTransactionCount", [self._account.address, "pending"]),
            "the account's nonce",
            bits=63,
        )
        return count + 1 if count == taken else count

    def _check_balance(self, drafts: Sequence[Draft], fees: Fees) -> None:
        needed = sum(draft.value + draft.gas * fees.most for draft in drafts)
        balance = answers.quantity(
            self._transport.request("eth_getBalance", [self._account.address, "latest"]),
            "the account's balance",
        )
        if balance < needed:
            raise _too_poor(self._account.address, balance, needed)


def refused(error: RpcError, address: Address) -> Exception:
    """Return the named error for an endpoint's refusal of a transaction, or the refusal itself."""
    if "insufficient funds" in str(error).lower():
        return _too_poor(address, None, None)
    return error


def _too_poor(address: Address, balance: int | None, needed: int | None) -> NotAllowed:
    figures = ""
    if balance is not None and needed is not None:
        figures = f": it has {format_amount(balance)} and needs up to {format_amount(needed)}"
    return NotAllowed(
        f"the account {address} cannot pay for the transaction{figures}",
        hint="ask the network's operator for gas money, or send the account some",
    )


def _check_hash(answer: Any, raw: bytes) -> str:
    digest = transaction_hash(raw)
    if answers.digest(answer, "the transaction's hash") != digest:
        raise answers.BadAnswer("it names another transaction than the one it was sent")
    return digest
