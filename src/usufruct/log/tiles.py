"""The C2SP tlog-tiles layout (https://c2sp.org/tlog-tiles): paths, widths, bytes.

A tile of level L and number N holds up to 256 hashes: roots of the complete subtrees of 256^L
leaves. Beside level 0 stand entry bundles, here 32 bytes an entry behind a 16-bit length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

WIDTH = 256
HASH = 32
TILE_BYTES = WIDTH * HASH
MAX_LEVEL = 7
"""256^8 entries are more than any log here will have."""

_ENTRY_PREFIX = HASH.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Tile:
    """Names one tile.

    Parameters
    ----------
    level
        0 holds leaves, 1 roots of 256 leaves, and so on.
    index
        Number of the tile within its level.
    width
        Hashes in it, 1 to 256; fewer than 256 is a partial tile.
    """

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Path under the log's prefix, such as ``tile/0/x001/234.p/7``."""
        return f"tile/{self.level}/{self._number}"

    @property
    def bundle_path(self) -> str:
        """Path of the entry bundle beside a level 0 tile."""
        return f"tile/entries/{self._number}"

    @property
    def _number(self) -> str:
        parts = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            parts.append(f"x{rest % 1000:03d}")
            rest //= 1000
        text = "/".join(reversed(parts))
        return text if self.width == WIDTH else f"{text}.p/{self.width}"


def full_tiles(level: int, size: int) -> int:
    """Return how many full tiles of a level a log of `size` entries has."""
    return int(size // WIDTH ** (level + 1))


def partial_tiles(size: int) -> Iterator[Tile]:
    """Yield the partial tiles of a log of `size` entries, lowest level first."""
    level = 0
    while size:
        if width := size % WIDTH:
            yield Tile(level, size // WIDTH, width)
        size //= WIDTH
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry of 32 bytes behind its length."""
    return b"".join([_ENTRY_PREFIX + entry for entry in entries])


def row_root(row: Sequence[bytes]) -> bytes:
    """Return the root over hashes whose number is a power of two."""
    # Not through merkle.node_hash: this loop is the log's hot path.
    level = list(row)
    while len(level) > 1:
        level = [
            sha256(b"\1" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


def leaves(entries: Sequence[bytes]) -> list[bytes]:
    """Return the RFC 6962 leaf hashes of entries."""
    return [sha256(b"\0" + entry).digest() for entry in entries]
