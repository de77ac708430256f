"""What the node owes the ledger: totals of uses, answers to challenges, prices to be released.

A thread does it in its own time; what fails is tried again, what the ledger will never take is
put aside.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from usufruct.clock import Clock, system_clock
from usufruct.errors import TransactionReverted, UsufructError
from usufruct.ledger.bindings import licences
from usufruct.ledger.bindings.offers import split_licence
from usufruct.node.memory import Memory
from usufruct.node.needs import IndexReader
from usufruct.types import Address, LicenceId

if TYPE_CHECKING:
    from usufruct.ledger.account import Account
    from usufruct.ledger.bindings.calls import Call
    from usufruct.ledger.client import Ledger

EVERY: Final = 30.0
"""Seconds between two rounds."""

MOST: Final = 50
"""Transactions, and licences in one release, a round."""

_STOP_SECONDS = 10.0
_MARGIN = 15
_GIVE_UP = 20
_log = logging.getLogger(__name__)


class Settler:
    """Posts in the background; one a node.

    Parameters
    ----------
    account
        Pays for the transactions.
    owner
        Whose assets' challenges are answered.
    release
        Also have prices paid out whose refund window ended unchallenged.
    fresh
        Called first in a round, to have the index read the ledger.
    posted
        Told what (``use``, ``challenge``, ``release``) and how it went.
    """

    def __init__(
        self,
        index: IndexReader,
        ledger: Ledger,
        memory: Memory,
        account: Account,
        *,
        contract: Address,
        owner: Address,
        release: bool = False,
        every: float = EVERY,
        clock: Clock = system_clock,
        fresh: Callable[[], object] = lambda: None,
        posted: Callable[[str, str], None] = lambda what, outcome: None,
    ) -> None:
        self._index = index
        self._ledger = ledger
        self._memory = memory
        self._account = account
        self._contract = contract
        self._owner = owner
        self._release = release
        self._every = every
        self._clock = clock
        self._fresh = fresh
        self._posted = posted
        self._failures: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="usufruct-settler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Do one last round and stop; what is not done then is done at the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            self._thread = None

    def step(self) -> int:
        """Do one round; returns how many transactions went through.

        Raises
        ------
        UsufructError
            The ledger does not answer, or the account cannot pay.
        """
        self._fresh()
        done = self._post("challenge", self._challenges())
        done += self._post("use", self._uses())
        if self._release:
            done += self._post("release", self._releases())
        return done

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(self._every)
            try:
                self._memory.prune(self._clock())
                self.step()
            except UsufructError as error:
                _log.warning("posting to the ledger waits: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001 the thread outlives every fault
                _log.error("posting to the ledger failed: %s", type(error).__name__)

    def _uses(self) -> list[tuple[str, Call]]:
        calls = []
        now = self._clock()
        for use in self._memory.open_uses():
            record = self._index.licence(use.licence)
            if record is None:
                continue
            if record.used >= use.total:
                self._memory.settle_use(use.licence, use.total)
                continue
            over = record.state == "refunded" or (record.expiry and record.expiry <= now)
            key = f"use {use.licence} {use.total}"
            if over or self._failures.get(key, 0) >= _GIVE_UP:
                # put aside: the ledger will never take it
                self._memory.settle_use(use.licence, use.total)
                self._posted("use", "dropped")
                continue
            call = licences.record_use(self._contract, use.licence, use.total, use.signature)
            calls.append((key, call))
        return calls

    def _challenges(self) -> list[tuple[str, Call]]:
        calls = []
        for record in self._mine():
            if record.state != "challenged":
                continue
            said = self._memory.acknowledgement(record.licence)
            offer = self._offer(record)
            if said is not None and offer is not None:
                serial = split_licence(record.licence)[1]
                call = licences.acknowledge(
                    self._contract, offer, serial, root=said.root, signature=said.signature
                )
                calls.append((f"challenge {record.licence}", call))
        return calls

    def _releases(self) -> list[tuple[str, Call]]:
        due: dict[str, list[LicenceId]] = {}
        now = self._clock()
        for record in self._mine():
            if record.state == "window" and 0 < record.refund_deadline + _MARGIN < now:
                due.setdefault(record.offer_id, []).append(record.licence)
        calls = []
        for offer_id, ids in due.items():
            made = self._index.offer(offer_id)
            if made is not None:
                serials = sorted(split_licence(licence)[1] for licence in ids)[:MOST]
                key = f"release {offer_id} {serials[0]}"
                calls.append((key, licences.release(self._contract, made.offer, serials)))
        return calls

    def _mine(self) -> list[Any]:
        owned = {one.asset for one in self._index.assets() if one.owner == self._owner}
        found: list[Any] = []
        for asset in sorted(owned):
            found += self._index.licences(asset=asset)
        return [one for one in found if one.state in ("window", "challenged")]

    def _offer(self, record: Any) -> Any:
        made = self._index.offer(record.offer_id)
        return None if made is None else made.offer

    def _post(self, what: str, calls: Sequence[tuple[str, Call]]) -> int:
        good: list[tuple[str, Call]] = []
        for key, call in calls:
            if self._failures.get(key, 0) >= _GIVE_UP:
                continue
            if len(good) >= MOST:
                break
            try:
                # one that the contract refuses would take the others with it
                self._ledger.call_bytes(call, sender=self._account.address)
            except TransactionReverted as error:
                self._failures[key] = self._failures.get(key, 0) + 1
                self._posted(what, "refused")
                _log.warning("the ledger refuses a %s: %s", what, error.name or "reverted")
            else:
                good.append((key, call))
        if not good:
            return 0
        try:
            self._ledger.transact_many(self._account, [call for _, call in good])
        except UsufructError:
            self._posted(what, "failed")
            raise
        for key, _ in good:
            self._failures.pop(key, None)
            self._posted(what, "posted")
        return len(good)
