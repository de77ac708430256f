"""Who gets what: the licence as the ledger has it, counted uses, acknowledgements.

A refusal is never spoken on old knowledge: the ledger is read again first. What a caller signed
(a use, an acknowledgement) is durable here before what it was signed for is given away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from usufruct.assets.delivery import can_probe, probe_seed
from usufruct.clock import Clock, system_clock
from usufruct.crypto.hash import sha256
from usufruct.errors import NotAllowed, NotFound, Unavailable
from usufruct.ledger.bindings.licences import UNCOUNTED, domain
from usufruct.market.licences import (
    UseMeter,
    check_use,
    granted,
    verify_acknowledgement,
    verify_use,
)
from usufruct.node.answers import Refusal
from usufruct.node.auth import Caller
from usufruct.node.memory import Acknowledgement, Memory, SignedUse
from usufruct.node.needs import Deliverer, IndexReader, Ledgerlike
from usufruct.types import Address, AssetId, AssetState, Digest, LicenceId, Use

if TYPE_CHECKING:
    from usufruct.crypto.dsse import Envelope

MAX_PROBES: Final = 3
"""Probes of one version for one licence: each gives one chunk away."""

MAX_LAG: Final = 60.0
"""Keys are not given on knowledge of the ledger that is older, in seconds."""

Stated = Callable[[Any, Any, AssetId, int, Digest], "Envelope"]
"""Signs the word that keys are given: of licence record, offer, asset, version, content root."""


class Desk:
    """Decides on deliveries; every method may wait for the disk or the ledger.

    Parameters
    ----------
    index, chain
        What is known of the ledger, and how to know more.
    chain_id, licences
        Where holders' signatures count: the chain and its contract Licences.
    state
        Signs a statement of each grant.
    refused
        Told the reason, a word, of each refusal.
    """

    def __init__(
        self,
        index: IndexReader,
        chain: Ledgerlike,
        deliveries: Deliverer,
        memory: Memory,
        *,
        chain_id: int,
        licences: Address,
        state: Stated,
        clock: Clock = system_clock,
        refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._index = index
        self._chain = chain
        self._deliveries = deliveries
        self._memory = memory
        self._domain = domain(chain_id, licences)
        self._state = state
        self._clock = clock
        self._refused = refused

    def sealed(self, caller: Caller, asset: AssetId, number: int, licence: LicenceId) -> bytes:
        """Return the list of sealed objects of a version, for who holds a licence."""
        self._licence(caller.account, asset, licence)
        return self._deliveries.sealed(asset, number).to_bytes()

    def object_path(
        self, caller: Caller, asset: AssetId, number: int, object_id: str, licence: LicenceId
    ) -> Path:
        """Return the file of a sealed object, for who holds a licence."""
        self._licence(caller.account, asset, licence)
        return self._deliveries.object_path(asset, number, object_id)

    def grant(
        self,
        caller: Caller,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        encryption_key: bytes,
        use: tuple[int, bytes] | None = None,
        acknowledgement: bytes | None = None,
    ) -> tuple[bytes, Envelope]:
        """Return the keys of a version and the signed statement that they were given.

        Parameters
        ----------
        use
            Total and signature, for a counted licence: one more than the last, or the last again
            for the same version and key, for an answer that was lost.
        acknowledgement
            The holder's signature, while the price can still be taken back.

        Raises
        ------
        NotAllowed
            The licence is not good for this, or something that must be signed is not.
        VerificationError
            A signature is wrong.
        NotFound
            This node does not have the version.
        """
        record, offer = self._licence(caller.account, asset, licence)
        self._fresh()
        root, _ = self._deliveries.version(asset, number)
        said = self._acknowledged(caller, record, offer, root, acknowledgement)
        # one total buys this version for this key, as often as the answer gets lost
        request = sha256(bytes.fromhex(asset) + number.to_bytes(8, "big") + encryption_key)
        signed = self._counted(caller, record, use, request)
        keys = self._deliveries.grant(
            asset, number, licence=licence, holder=caller.account, encryption_key=encryption_key
        )
        envelope = self._state(record, offer, asset, number, root)
        if said is not None:
            self._memory.keep_acknowledgement(said, self._clock())
        if signed is not None:
            try:
                self._memory.take_use(signed, record, self._clock())
            except NotAllowed:
                self._refused("use")
                raise
        return keys, envelope

    def probe(
        self,
        caller: Caller,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        encryption_key: bytes,
    ) -> bytes:
        """Return the key of the one chunk that the block of the purchase chose.

        Raises
        ------
        NotAllowed
            The licence is not in its refund window, the asset is too small to be probed, or
            there were enough probes.
        """
        record, offer = self._licence(caller.account, asset, licence)
        self._fresh()
        if not self._refundable(record, offer):
            raise self._no("probe", "this licence is settled: ask for the whole grant")
        self._deliveries.version(asset, number)
        if not can_probe(self._deliveries.sealed(asset, number)):
            raise self._no("probe", "the asset is too small: a probe would give it away")
        block = self._index.block_hash(record.block)
        if block is None:
            raise self._no("probe", "the purchase is not on the ledger any more")
        if self._memory.count_probe(licence, asset, number) > MAX_PROBES:
            raise self._no("probe", f"a licence has {MAX_PROBES} probes of a version")
        return self._deliveries.probe(
            asset,
            number,
            licence=licence,
            holder=caller.account,
            encryption_key=encryption_key,
            seed=probe_seed(block, licence, number),
        )

    def _licence(self, account: Address, asset: AssetId, licence: LicenceId) -> tuple[Any, Any]:
        """Return a licence that is good for a download by this account, and its offer."""
        asked = time.monotonic()
        try:
            return self._look(account, asset, licence)
        except (NotAllowed, NotFound, Refusal):
            # it may have been bought a moment ago
            if self._chain.newer_than(asked):
                try:
                    return self._look(account, asset, licence)
                except (NotAllowed, NotFound):
                    self._refused(self._reason(account, asset, licence))
                    raise
                except Refusal:
                    self._refused("not_final")
                    raise
            self._refused(self._reason(account, asset, licence))
            raise

    def _look(self, account: Address, asset: AssetId, licence: LicenceId) -> tuple[Any, Any]:
        record = self._index.licence(licence)
        made = self._index.offer(record.offer_id) if record is not None else None
        if record is None or made is None:
            raise NotAllowed(
                "there is no such licence on this ledger", hint="buy one: usufruct buy"
            )
        offer = made.offer
        # uses are counted where keys are given, not for what is sealed
        uncounted = replace(record, uses=UNCOUNTED, used=0)
        check_use(
            uncounted,
            offer,
            asset=asset,
            use=Use.DOWNLOAD,
            holder=account,
            now=self._clock(),
            licence=licence,
        )
        known = self._index.asset(asset)
        if known is None or known.state is AssetState.REVOKED:
            raise NotAllowed("the asset is revoked by its owner, and nothing of it is delivered")
        if not self._chain.is_final(record.block):
            raise Refusal(
                Unavailable("the purchase is not final on the ledger yet", hint="try again"),
                503,
                wait=5,
            )
        return record, offer

    def _reason(self, account: Address, asset: AssetId, licence: LicenceId) -> str:
        """Return one word for the metrics, never a stranger's text."""
        record = self._index.licence(licence)
        if record is None:
            return "unknown"
        if record.asset != asset:
            return "asset"
        if record.state == "refunded":
            return "refunded"
        if record.holder != account:
            return "holder"
        if record.expiry and record.expiry <= self._clock():
            return "expired"
        return "other"

    def _fresh(self) -> None:
        if self._chain.lag > MAX_LAG:
            self._refused("ledger_away")
            raise Refusal(
                Unavailable("this node has lost its ledger and gives no keys", hint="try again"),
                503,
                wait=10,
            )

    def _refundable(self, record: Any, offer: Any) -> bool:
        # until it is settled on the ledger: the node's clock and the blocks' may differ, and a
        # challenge may be in a block that was not read yet
        return bool(offer.price) and record.state in ("window", "challenged")

    def _acknowledged(
        self, caller: Caller, record: Any, offer: Any, root: Digest, signature: bytes | None
    ) -> Acknowledgement | None:
        """Return the acknowledgement to keep, None if none is needed or one is kept."""
        if not self._refundable(record, offer):
            return None
        if self._memory.acknowledgement(record.licence) is not None:
            return None
        if signature is None:
            raise self._no(
                "acknowledgement",
                "the price can still be taken back: acknowledge what was delivered first",
                hint="check the sealed bytes and a probe, then sign Acknowledgement(licence, root)",
            )
        about = (self._domain, record.licence, bytes.fromhex(root))
        checked = verify_acknowledgement(*about, signature, caller.account)
        return Acknowledgement(record.licence, bytes.fromhex(root), checked)

    def _counted(
        self, caller: Caller, record: Any, use: tuple[int, bytes] | None, request: bytes
    ) -> SignedUse | None:
        """Return the use with its signature checked, None for a licence that is not counted."""
        total = granted(record)
        if total is None:
            return None
        licence = record.licence
        if use is None:
            done = UseMeter.of(record, signed=self._memory.total(licence)).total
            raise self._no(
                "use",
                f"the uses of this licence are counted: {done} of {total} are used",
                hint=f"sign Use(licence, {done + 1})" if done < total else "renew the licence",
            )
        signature = verify_use(self._domain, licence, use[0], use[1], caller.account)
        signed = SignedUse(licence, use[0], signature, request)
        try:
            self._memory.check_use(signed, record)
        except NotAllowed:
            self._refused("use")
            raise
        return signed

    def _no(self, reason: str, message: str, *, hint: str | None = None) -> NotAllowed:
        self._refused(reason)
        return NotAllowed(message, hint=hint)
