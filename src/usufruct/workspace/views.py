"""What a workspace hands out: assets, versions, proofs and lineages as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from usufruct.evidence import lineage as drawing
from usufruct.types import Address, AssetId, AssetKind, AssetState, Digest

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset as this home knows it, its own or another party's."""

    id: AssetId
    title: str
    kind: AssetKind
    version: int
    state: AssetState
    owner: Address
    owner_name: str
    content_root: Digest | None
    statement: Digest | None
    source: str | None
    sealed: bool
    mine: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of an asset."""

    number: int
    content_root: Digest
    statement: Digest
    created: int
    source: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Proved:
    """A bundle that was written."""

    path: str
    claim: str
    size: int
    statement: Digest

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What an asset was made from, or what was made from it, ready to be drawn."""

    graph: drawing.Graph
    start: str
    direction: str

    def tree(self) -> str:
        """Return a Unicode tree, one node a line, rounds that follow one another folded."""
        return drawing.tree(drawing.fold_rounds(self.graph), self.start, self.direction)

    def dot(self) -> str:
        """Return the graph in Graphviz's language."""
        return drawing.dot(self.graph.part(self.start, self.direction))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        document = drawing.as_dict(self.graph.part(self.start, self.direction))
        return {"start": self.start, "direction": self.direction} | document
