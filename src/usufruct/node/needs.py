"""What the node's parts need of one another and of lower floors, as protocols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from usufruct.types import Address, AssetId, Digest, LicenceId

if TYPE_CHECKING:
    from usufruct.assets.sealing import SealedAsset
    from usufruct.ledger.records import AssetRecord, PartyRecord, VersionRecord


class IndexReader(Protocol):
    """The ledger's events: an ``Index``."""

    def asset(self, asset: str) -> AssetRecord | None: ...  # noqa: D102
    def assets(self) -> list[AssetRecord]: ...  # noqa: D102
    def versions(self, asset: str) -> list[VersionRecord]: ...  # noqa: D102
    def party(self, address: str) -> PartyRecord | None: ...  # noqa: D102
    def parties(self) -> list[PartyRecord]: ...  # noqa: D102
    def parents(self, asset: str) -> list[AssetId]: ...  # noqa: D102
    def offers(self, asset: str | None = None, open_only: bool = False) -> Sequence[Any]: ...  # noqa: D102
    def offer(self, offer_id: str) -> Any: ...  # noqa: D102
    def licence(self, licence: str) -> Any: ...  # noqa: D102
    def block_hash(self, block: int) -> str | None: ...  # noqa: D102
    def licences(self, *, asset: str | None = None) -> Sequence[Any]: ...  # noqa: D102


class Deliverer(Protocol):
    """What a home hands out: ``usufruct.workspace.delivering.Deliveries``."""

    def version(self, asset: AssetId, number: int) -> tuple[Digest, Digest]: ...  # noqa: D102
    def sealed(self, asset: AssetId, number: int) -> SealedAsset: ...  # noqa: D102
    def object_path(self, asset: AssetId, number: int, object_id: str) -> Path: ...  # noqa: D102
    def evidence(self, asset: AssetId, number: int) -> bytes: ...  # noqa: D102

    def grant(  # noqa: D102
        self,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        holder: Address,
        encryption_key: bytes,
    ) -> bytes: ...

    def probe(  # noqa: D102
        self,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        holder: Address,
        encryption_key: bytes,
        seed: bytes,
    ) -> bytes: ...


class Ledgerlike(Protocol):
    """How fresh and how final what is known of the ledger is: a ``Chain``."""

    @property
    def lag(self) -> float: ...  # noqa: D102
    def newer_than(self, moment: float) -> bool: ...  # noqa: D102
    def is_final(self, block: int) -> bool: ...  # noqa: D102
