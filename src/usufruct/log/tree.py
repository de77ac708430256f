"""Roots and proofs of a log of any size, from its tiles' hashes; and the tree's growing edge.

RFC 6962 section 2.1. Only complete subtrees are read, so hashes of a larger tree serve a smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usufruct.crypto.merkle import EMPTY_ROOT, node_hash
from usufruct.log.tiles import WIDTH, leaves, row_root

Row = Callable[[int, int, int, int], Sequence[bytes]]
"""``row(level, index, start, stop)``: hashes `start` to `stop` of a tile."""


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that has just become full.

    Parameters
    ----------
    level, index
        Which tile.
    hashes
        Its 256 hashes.
    root
        The hash it becomes in the level above.
    entries
        The 256 entries below a level 0 tile, else nothing.
    """

    level: int
    index: int
    hashes: tuple[bytes, ...]
    root: bytes
    entries: tuple[bytes, ...] = ()


class Edge:
    """The unfinished tiles of a log, at most 255 hashes a level: all that appending needs.

    Parameters
    ----------
    size
        Entries in the log.
    entries
        The entries of the unfinished level 0 tile.
    rows
        Hashes of the unfinished tiles of level 1 and up.
    """

    def __init__(
        self, size: int = 0, entries: Sequence[bytes] = (), rows: Sequence[Sequence[bytes]] = ()
    ) -> None:
        self.size = size
        self._entries = list(entries)
        self._rows = [leaves(self._entries), *(list(row) for row in rows)]

    def extended(self, entries: Sequence[bytes]) -> tuple[Edge, list[FullTile]]:
        """Return the edge after `entries`, and the tiles they filled; this edge stays as it is."""
        after = Edge(self.size)
        after._entries = self._entries + list(entries)
        after._rows = [self._rows[0] + leaves(entries), *(list(row) for row in self._rows[1:])]
        after.size = self.size + len(entries)
        filled: list[FullTile] = []
        number = self.size // WIDTH
        whole = len(after._rows[0]) // WIDTH * WIDTH
        for start in range(0, whole, WIDTH):
            hashes = tuple(after._rows[0][start : start + WIDTH])
            bundle = tuple(after._entries[start : start + WIDTH])
            tile = FullTile(0, number + start // WIDTH, hashes, row_root(hashes), bundle)
            filled.append(tile)
            after._lift(1, tile, filled)
        del after._rows[0][:whole], after._entries[:whole]
        return after, filled

    def _lift(self, level: int, below: FullTile, filled: list[FullTile]) -> None:
        if level == len(self._rows):
            self._rows.append([])
        row = self._rows[level]
        row.append(below.root)
        if len(row) == WIDTH:
            tile = FullTile(level, below.index // WIDTH, tuple(row), row_root(row))
            filled.append(tile)
            row.clear()
            self._lift(level + 1, tile, filled)

    def root(self) -> bytes:
        """Return the root over all entries, 32 bytes."""
        row = self._row
        return range_root(row, 0, self.size)

    def _row(self, level: int, index: int, start: int, stop: int) -> Sequence[bytes]:
        # The largest complete subtrees all stand in unfinished tiles.
        return self._rows[level][start:stop]


def range_root(row: Row, start: int, stop: int) -> bytes:
    """Return the root over leaves `start` to `stop`, where `start` is aligned as RFC 6962 splits.

    The range is cut into complete subtrees, largest first, and folded from the right.
    """
    if start == stop:
        return EMPTY_ROOT
    hashes = []
    while start < stop:
        height = (stop - start).bit_length() - 1
        hashes.append(_subtree(row, height, start))
        start += 1 << height
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def inclusion(row: Row, index: int, size: int) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size`, leaf's sibling first."""
    start, stop = 0, size
    path = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_root(row, middle, stop))
            stop = middle
        else:
            path.append(range_root(row, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency(row: Row, old: int, new: int) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new` begins with the tree of `old` (0 <= old <= new)."""
    if old in (0, new):
        return ()
    start, stop, whole = 0, new, True
    path = []
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(range_root(row, middle, stop))
            stop = middle
        else:
            path.append(range_root(row, start, middle))
            start = middle
            whole = False
    if not whole:
        path.append(range_root(row, start, stop))
    return tuple(reversed(path))


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(row: Row, height: int, start: int) -> bytes:
    level, within = divmod(height, 8)
    number = start >> (8 * level)
    index, first = divmod(number, WIDTH)
    return row_root(row(level, index, first, first + (1 << within)))
