"""How far a log's head stands on a ledger: logged, anchored, confirmed, or contradicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from usufruct.crypto.notes import Checkpoint
from usufruct.errors import Mismatch
from usufruct.evidence.anchoring import Anchored, TrustedLedger
from usufruct.evidence.keys import KeyHistory
from usufruct.evidence.report import Grade
from usufruct.types import Address

MIN_ROOT = 24
"""Bytes of a root that the Anchors contract keeps in its head."""


class LedgerCheck(Protocol):
    """Asks a ledger that the reader trusts; made by the workspace from a network file.

    A ledger that does not answer raises ``LedgerUnreachable``, which passes through.
    """

    @property
    def network(self) -> TrustedLedger:
        """The ledger's chain id and Anchors contract."""
        ...

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a final block, 32 bytes; None when there is none of that number."""
        ...

    def anchor_head(self, address: Address, origin: str) -> tuple[int, bytes] | None:
        """Return size and root (or at least its first 24 bytes) of a log's last anchor."""
        ...

    def party_keys(self, address: Address) -> tuple[bytes, bytes, int] | None:
        """Return a party's signing key, encryption key and the time they were set (seconds)."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a log's entries stand on a ledger.

    Parameters
    ----------
    grade
        Of entries below `covered`; the others are logged only.
    covered
        A number of entries from the start.
    time
        Of the block, as its header says; None without a block.
    detail
        For a person.
    failed
        What the ledger contradicts.
    """

    grade: Grade
    covered: int
    time: int | None
    detail: str
    failed: tuple[Mismatch, ...] = ()

    def of(self, index: int) -> Grade:
        """Return the grade of one entry."""
        return self.grade if index < self.covered else Grade.LOGGED


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What the reader can hold evidence against.

    Parameters
    ----------
    confirm
        A ledger to ask, if any.
    pinned
        Block hashes the reader trusts, 32 bytes by block number; need `network`.
    network
        The ledger the pinned blocks are of; taken from `confirm` when left out.
    """

    confirm: LedgerCheck | None = None
    pinned: Mapping[int, bytes] | None = None
    network: TrustedLedger | None = None

    @property
    def trusted(self) -> TrustedLedger | None:
        """The ledger that anchors must be on."""
        if self.network is not None or self.confirm is None:
            return self.network
        return self.confirm.network

    def standing(
        self, address: Address, checkpoint: Checkpoint, anchor: Anchored | None
    ) -> Standing:
        """Return how far a log stands; `anchor` is verified against `checkpoint` already."""
        if anchor is None:
            found = Standing(Grade.LOGGED, checkpoint.size, None, "not anchored in this bundle")
        else:
            found = self._block(checkpoint, anchor)
        if self.confirm is None or found.failed:
            return found
        return self._head(self.confirm, address, checkpoint, anchor, found)

    def keys(
        self, history: KeyHistory, standing: Standing, last: int
    ) -> tuple[Grade, str, Mismatch | None]:
        """Return how far a party's latest key stands on the ledger.

        Parameters
        ----------
        standing
            Of the party's log.
        last
            The last entry of it that the bundle uses.
        """
        if self.confirm is None:
            return Grade.PROVED, "the account signed for the key", None
        keys = self.confirm.party_keys(history.address)
        latest = history.latest
        if keys is None:
            return Grade.PROVED, "the account signed for the key; not on the ledger", None
        if keys[:2] == (latest.signing_key, latest.encryption_key):
            return Grade.CONFIRMED, "the ledger names the same keys", None
        before = standing.time is not None and standing.time < keys[2]
        if before and standing.grade is Grade.CONFIRMED and last < standing.covered:
            return Grade.CONFIRMED, "anchored before the ledger got other keys", None
        why = f"the ledger names other keys for {history.address}"
        return Grade.FAILED, why, Mismatch("key", party=latest.name, detail=why)

    def _block(self, checkpoint: Checkpoint, anchor: Anchored) -> Standing:
        covered = min(anchor.size, checkpoint.size)
        where = f"block {anchor.block_number} of chain {anchor.chain_id}"
        trusted = self.trusted
        if trusted is None:
            detail = f"{where}, header unchecked"
            return Standing(Grade.ANCHORED, covered, anchor.timestamp, detail)
        if not anchor.on(trusted):
            detail = f"{where}, another ledger or contract than the trusted one"
            return Standing(Grade.ANCHORED, covered, anchor.timestamp, detail)
        known = (self.pinned or {}).get(anchor.block_number)
        source = "pinned"
        if known is None and self.confirm is not None:
            known, source = self.confirm.block_hash(anchor.block_number), "on the ledger"
            if known is None:
                return self._contradiction(covered, anchor, f"the ledger has no final {where}")
        if known is None:
            detail = f"{where}, header unchecked"
            return Standing(Grade.ANCHORED, covered, anchor.timestamp, detail)
        if known != anchor.block_hash:
            return self._contradiction(covered, anchor, f"{where} has another hash ({source})")
        return Standing(Grade.CONFIRMED, covered, anchor.timestamp, f"{where}, hash {source}")

    def _head(
        self,
        confirm: LedgerCheck,
        address: Address,
        checkpoint: Checkpoint,
        anchor: Anchored | None,
        found: Standing,
    ) -> Standing:
        head = confirm.anchor_head(address, checkpoint.origin)
        if head is None:
            return found
        size, root = head
        known = [(checkpoint.size, checkpoint.root)]
        if anchor is not None:
            known.append((anchor.size, anchor.root))
        same = [ours for ours_size, ours in known if ours_size == size]
        if len(root) < MIN_ROOT or any(ours[: len(root)] != root for ours in same):
            why = f"the ledger has another head of the log of {address} at {size} entries"
            return Standing(
                Grade.FAILED, checkpoint.size, None, why, (Mismatch("anchor", detail=why),)
            )
        if same and found.grade is not Grade.CONFIRMED:
            covered = min(size, checkpoint.size)
            return Standing(Grade.CONFIRMED, covered, None, f"the ledger's head at {size} entries")
        if not same and found.grade is not Grade.CONFIRMED:
            # nothing here shows that both are of one history, and a forked log looks like this
            return replace(
                found,
                detail=f"{found.detail}; the ledger has a head at {size} entries, not compared",
            )
        return found

    @staticmethod
    def _contradiction(covered: int, anchor: Anchored, why: str) -> Standing:
        return Standing(Grade.FAILED, covered, None, why, (Mismatch("anchor", detail=why),))
