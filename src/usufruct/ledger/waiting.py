"""Waiting until transactions are mined and final, whatever happens to them meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from usufruct.errors import LedgerUnreachable
from usufruct.ledger import answers
from usufruct.ledger.nonces import Sender, Sent
from usufruct.ledger.transport import RpcError, Transport
from usufruct.ledger.views import Receipt, read_receipt

_LOST_AFTER = 3
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 1.0


def _at_once(mined: Sequence[Receipt]) -> bool | None:
    return True


class Waiter:
    """Waits for what one account sent.

    Parameters
    ----------
    transport, sender
        Where it was sent, and by whom.
    settled
        Tells whether receipts are final, None when a re-org moved one of them.
    timeout
        Seconds to wait in all.
    stuck_after
        Seconds after which more is offered for one that is not mined.
    sleep
        How to wait; tests hand in their own.
    """

    def __init__(
        self,
        transport: Transport,
        sender: Sender,
        *,
        settled: Callable[[Sequence[Receipt]], bool | None] = _at_once,
        timeout: float = 180.0,
        stuck_after: float = 60.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._transport = transport
        self._sender = sender
        self._settled = settled
        self._timeout = timeout
        self._stuck_after = stuck_after
        self._sleep = sleep

    def wait(self, sent: Sequence[Sent]) -> list[Receipt]:
        """Return one receipt a transaction, in order, once all are final.

        Raises
        ------
        LedgerUnreachable
            Not in time; the message names a transaction that may still be mined.
        """
        if not sent:
            return []
        waiting = dict(enumerate(sent))
        started = time.monotonic()
        offered = dict.fromkeys(waiting, started)
        lost = dict.fromkeys(waiting, 0)
        mined: dict[int, Receipt] = {}
        pause = _FIRST_PAUSE
        while True:
            mined |= self._mined({i: s for i, s in waiting.items() if i not in mined})
            if len(mined) == len(waiting):
                receipts = [mined[place] for place in waiting]
                settled = self._settled(receipts)
                if settled:
                    return receipts
                if settled is None:
                    mined = {}
            now = time.monotonic()
            if now - started > self._timeout:
                late = next((s for i, s in waiting.items() if i not in mined), sent[-1])
                raise LedgerUnreachable(
                    f"the transaction {late.hashes[-1]} is not final after "
                    f"{self._timeout:.0f} s; it may still be mined",
                    hint="`usufruct ledger status` tells whether the ledger makes blocks",
                )
            if len(mined) < len(waiting):
                count = self._nonce()
                for place in waiting.keys() - mined.keys():
                    item = waiting[place]
                    if item.nonce < count:
                        lost[place] += 1
                        if lost[place] >= _LOST_AFTER:
                            # its nonce went to another transaction, so it can never be mined
                            self._sender.forget()
                            waiting[place], lost[place] = self._sender.send([item.draft])[0], 0
                    elif now - offered[place] > self._stuck_after:
                        waiting[place], offered[place] = self._sender.replace(item), now
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _mined(self, waiting: dict[int, Sent]) -> dict[int, Receipt]:
        asked = [(place, digest) for place, item in waiting.items() for digest in item.hashes]
        found = self._transport.request_many(
            [("eth_getTransactionReceipt", [digest]) for _, digest in asked]
        )
        return {
            place: read_receipt(answer, digest)
            for (place, digest), answer in zip(asked, found, strict=True)
            if answer is not None and not isinstance(answer, RpcError)
        }

    def _nonce(self) -> int:
        count = self._transport.request("eth_getTransactionCount", [self._sender.address, "latest"])
        return answers.quantity(count, "the account's nonce", bits=63)
