"""What the three contracts should do, in plain Python: the judge of the stateful test.

Each step returns the names of all refusals that apply; the contract must give one of them, or, if
there is none, do the step. `replay` builds the same model from events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.types import Address, AssetId, AssetKind, AssetState

ZERO = bytes(32)
LEGAL = {
    (AssetState.DRAFT, AssetState.REVOKED),
    (AssetState.ACTIVE, AssetState.RETIRED),
    (AssetState.ACTIVE, AssetState.REVOKED),
    (AssetState.RETIRED, AssetState.ACTIVE),
    (AssetState.RETIRED, AssetState.REVOKED),
}


@dataclass
class Record:
    owner: Address
    kind: AssetKind
    split: bytes
    parents: tuple[AssetId, ...]
    created: int
    updated: int
    state: AssetState = AssetState.DRAFT
    roots: list[bytes] = field(default_factory=list)

    def as_asset(self) -> assets.Asset:
        return assets.Asset(
            owner=self.owner,
            kind=self.kind,
            state=self.state,
            versions=len(self.roots),
            created_at=self.created,
            updated_at=self.updated,
            latest_root=self.roots[-1] if self.roots else ZERO,
            split_hash=self.split,
            parents_hash=assets.parents_hash(self.parents),
        )


@dataclass
class Model:
    parties: dict[Address, tuple[bytes, bytes, int]] = field(default_factory=dict)
    heads: dict[tuple[Address, bytes], tuple[int, bytes]] = field(default_factory=dict)
    assets: dict[AssetId, Record] = field(default_factory=dict)

    # refusals

    def no_party(self, signing: bytes, encryption: bytes, name: str, node: str) -> set[str]:
        wrong = {"ZeroKey"} if ZERO in (signing, encryption) else set()
        wrong |= {"BadName"} if not 1 <= len(name.encode()) <= 128 else set()
        return wrong | ({"NodeTooLong"} if len(node.encode()) > 512 else set())

    def no_anchor(self, sender: Address, name: bytes, size: int) -> set[str]:
        anchored, _ = self.heads.get((sender, name), (0, ZERO))
        return set() if size > anchored else {"NotGrowing"}

    def no_draft(self, asset: AssetId, parents: Sequence[AssetId], uri: str) -> set[str]:
        wrong = {"AssetExists"} if asset in self.assets else set()
        wrong |= {"UriTooLong"} if len(uri.encode()) > 1024 else set()
        wrong |= {"UnknownParent"} if any(p not in self.assets for p in parents) else set()
        known = [self.assets[p] for p in parents if p in self.assets]
        return wrong | (
            {"RevokedParent"} if any(p.state is AssetState.REVOKED for p in known) else set()
        )

    def no_version(
        self,
        sender: Address,
        derived: AssetId,
        asset: AssetId,
        kind: AssetKind,
        root: bytes,
        split: bytes,
        parents: Sequence[AssetId],
        uri: str,
        offers: bytes,
    ) -> set[str]:
        wrong = {"ZeroRoot"} if root == ZERO else set()
        wrong |= {"UriTooLong"} if len(uri.encode()) > 1024 else set()
        wrong |= {"NoLicences"} if offers else set()
        held = self.assets.get(asset)
        if held is None:
            wrong |= {"UnknownAsset"} if asset != derived else set()
            return wrong | self.no_draft(asset, parents, uri)
        wrong |= {"NotAssetOwner"} if held.owner != sender else set()
        closed = (AssetState.RETIRED, AssetState.REVOKED)
        wrong |= {"NotPublishable"} if held.state in closed else set()
        wrong |= {"KindDiffers"} if held.kind is not kind else set()
        differ = parents and tuple(sorted(parents)) != held.parents
        wrong |= {"ParentsDiffer"} if differ else set()
        fixed = ZERO not in (split, held.split) and split != held.split
        return wrong | ({"SplitDiffers"} if fixed else set())

    def no_state(self, sender: Address, asset: AssetId, state: AssetState) -> set[str]:
        held = self.assets.get(asset)
        if held is None:
            return {"UnknownAsset"}
        wrong = {"NotAssetOwner"} if held.owner != sender else set()
        return wrong | ({"IllegalTransition"} if (held.state, state) not in LEGAL else set())

    def no_transfer(self, sender: Address, asset: AssetId) -> set[str]:
        held = self.assets.get(asset)
        if held is None:
            return {"ERC721NonexistentToken"}
        return (
            {"ERC721InsufficientApproval", "ERC721IncorrectOwner"}
            if held.owner != sender
            else set()
        )

    # changes

    def publish(self, asset: AssetId, root: bytes, time: int) -> None:
        held = self.assets[asset]
        held.roots.append(root)
        held.state = AssetState.ACTIVE
        held.updated = time

    def set_state(self, asset: AssetId, state: AssetState, time: int) -> None:
        self.assets[asset].state = state
        self.assets[asset].updated = time


def replay(logs: Iterable[Any]) -> Model:
    """Rebuild the model from the contracts' logs and nothing else."""
    model = Model()
    for log in logs:
        event: Any = None
        for module in (parties, anchors, assets):
            event = event or module.decode_event(log.topics, log.data)
        match event:
            case parties.PartyRegistered(party, signing, encryption):
                model.parties[party] = (signing, encryption, log.time)
            case anchors.Anchored(sender, name, size, root):
                model.heads[sender, name] = (size, root)
            case assets.AssetRegistered(asset, owner, _, kind, split, _, parents):
                model.assets[asset] = Record(owner, kind, split, parents, log.time, log.time)
            case assets.VersionPublished(asset, version, root):
                model.publish(asset, root, log.time)
                assert len(model.assets[asset].roots) == version
            case assets.SplitFixed(asset, split):
                model.assets[asset].split = split
            case assets.StateChanged(asset, state):
                model.set_state(asset, state, log.time)
            case assets.Transfer(_, receiver, asset):
                if asset in model.assets:
                    model.assets[asset].owner = receiver
            case anchors.Noted():
                pass
            case _:
                raise AssertionError(log)
    return model
