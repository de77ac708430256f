"""Trees of keys (Goldreich, Goldwasser, Micali 1986): one root, 2^depth leaf keys, partial reveals.

A node's two children are the halves of SHA-512(tag ‖ key). Who holds a node derives every leaf
below it and nothing else, so a range is handed over as few subtree keys and one leaf is erased by
keeping the siblings on its path and forgetting the rest.
"""

from __future__ import annotations

import hmac
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha512
from itertools import pairwise
from typing import Any, Final

from usufruct.crypto.canonical import b64, unb64
from usufruct.errors import BadInput, NotAllowed

KEY_SIZE: Final = 32
MAX_DEPTH: Final = 48
_ROOT_LABEL: Final = b"usufruct/keytree/v1\0"
_STEP: Final = b"usufruct/keytree/step/v1\0"
_BATCH: Final = 12


@dataclass(frozen=True, slots=True)
class Node:
    """The key of one subtree.

    Parameters
    ----------
    level
        Height above the leaves: 0 is a leaf, the tree's depth is the root.
    index
        Number from the left on its level; the node covers leaves
        ``index << level`` up to ``(index + 1) << level``, exclusive.
    key
        32 secret bytes, hidden from repr.
    """

    level: int
    index: int
    key: bytes = field(repr=False)

    @property
    def start(self) -> int:
        """First leaf below the node."""
        return self.index << self.level

    @property
    def stop(self) -> int:
        """First leaf after the node."""
        return (self.index + 1) << self.level


class KeyTree:
    """All leaf keys below one root.

    Parameters
    ----------
    root
        32 secret bytes.
    domain
        What the keys are for, like ``usufruct/salt/row/v1``; other domains give unrelated keys.
    depth
        The tree has 2^depth leaves; part of the domain.

    Raises
    ------
    BadInput
        A root that is not 32 bytes, or a depth outside 1 to 48.
    """

    __slots__ = ("_depth", "_top")

    def __init__(self, root: bytes, domain: str, depth: int = 32) -> None:
        if not isinstance(root, bytes) or len(root) != KEY_SIZE:
            raise BadInput("the root of a key tree has 32 bytes")
        if not 1 <= depth <= MAX_DEPTH:
            raise BadInput(f"a key tree is 1 to {MAX_DEPTH} deep, not {depth}")
        label = _ROOT_LABEL + bytes((depth,)) + domain.encode("utf-8")
        self._top = Node(depth, 0, hmac.digest(root, label, "sha256"))
        self._depth = depth

    def __repr__(self) -> str:
        return f"KeyTree(depth={self._depth})"

    @property
    def depth(self) -> int:
        """The tree has 2^depth leaves."""
        return self._depth

    def leaf(self, index: int) -> bytes:
        """Return leaf key `index`, 32 bytes (BadInput: outside the tree)."""
        self._check(index, index + 1)
        return _descend(self._top, index)

    def leaves(self, start: int, count: int) -> Iterator[bytes]:
        """Yield `count` leaf keys from `start` on, about one hash each (BadInput: outside)."""
        self._check(start, start + count)
        return _leaves((self._top,), start, start + count)

    def cover(self, start: int, stop: int) -> list[Node]:
        """Return the fewest nodes that give leaves `start` to `stop` (exclusive), left to right."""
        self._check(start, stop)
        return _cover(self._top, start, stop)

    def puncture(self, index: int) -> list[Node]:
        """Return the fewest nodes that give every leaf but `index`, left to right."""
        self._check(index, index + 1)
        return _without(self._top, index)

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= 1 << self._depth:
            raise BadInput(f"leaves {start} to {stop} are not in a key tree {self._depth} deep")


class Cover:
    """Some nodes of a key tree: what a grant hands over, or what an erasure leaves.

    Raises
    ------
    BadInput
        Nodes that overlap, are out of order, or are no nodes.
    """

    __slots__ = ("_nodes", "_starts")

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = tuple(nodes)
        for node in self._nodes:
            whole = type(node.level) is int and type(node.index) is int
            if not whole or not 0 <= node.level <= MAX_DEPTH or node.index < 0:
                raise BadInput("a node of a key tree has a level and an index")
            if node.stop > 1 << MAX_DEPTH:
                raise BadInput("a node lies outside every key tree")
            if not isinstance(node.key, bytes) or len(node.key) != KEY_SIZE:
                raise BadInput("a node's key has 32 bytes")
        if any(left.stop > right.start for left, right in pairwise(self._nodes)):
            raise BadInput("the nodes of a cover overlap or are out of order")
        self._starts = [node.start for node in self._nodes]

    def __repr__(self) -> str:
        return f"Cover({len(self._nodes)} nodes)"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, left to right."""
        return self._nodes

    def __contains__(self, index: int) -> bool:
        return self._find(index) is not None

    def leaf(self, index: int) -> bytes:
        """Return leaf key `index`, 32 bytes (NotAllowed: not among what was handed over)."""
        node = self._find(index)
        if node is None:
            raise NotAllowed(f"the key of number {index} is not among those held here")
        return _descend(node, index)

    def leaves(self, start: int, count: int) -> Iterator[bytes]:
        """Yield `count` leaf keys from `start` on (NotAllowed at once: one is missing)."""
        position, stop = start, start + count
        while position < stop:
            node = self._find(position)
            if node is None:
                raise NotAllowed(f"the key of number {position} is not among those held here")
            position = node.stop
        return _leaves(self._nodes, start, stop)

    def puncture(self, index: int) -> Cover:
        """Return the cover without leaf `index`; the same if it is not here."""
        nodes: list[Node] = []
        for node in self._nodes:
            nodes += _without(node, index) if node.start <= index < node.stop else [node]
        return Cover(nodes)

    def to_list(self) -> list[list[Any]]:
        """Return plain data for a canonical document: [level, index, key in base64] a node."""
        return [[node.level, node.index, b64(node.key)] for node in self._nodes]

    @classmethod
    def from_list(cls, data: Any) -> Cover:
        """Return the cover that `to_list` gave (BadInput: anything else)."""
        if not isinstance(data, list):
            raise BadInput("a cover is a list of nodes")
        nodes = []
        for item in data:
            if not isinstance(item, list) or len(item) != 3:
                raise BadInput("a node is a level, an index and a key")
            nodes.append(Node(item[0], item[1], unb64(item[2])))
        return cls(nodes)

    def _find(self, index: int) -> Node | None:
        at = bisect_right(self._starts, index) - 1
        if at < 0 or index >= self._nodes[at].stop:
            return None
        return self._nodes[at]


def _descend(node: Node, index: int) -> bytes:
    key = node.key
    for bit in range(node.level - 1, -1, -1):
        both = sha512(_STEP + key).digest()
        key = both[KEY_SIZE:] if index >> bit & 1 else both[:KEY_SIZE]
    return key


def _children(node: Node) -> tuple[Node, Node]:
    both = sha512(_STEP + node.key).digest()
    level, index = node.level - 1, node.index << 1
    return Node(level, index, both[:KEY_SIZE]), Node(level, index | 1, both[KEY_SIZE:])


def _cover(top: Node, start: int, stop: int) -> list[Node]:
    level, index, key = top.level, top.index, top.key
    if stop <= top.start or top.stop <= start or start >= stop:
        return []
    # straight down while the range lies in one child: no sibling is needed
    while level and start >> level - 1 == stop - 1 >> level - 1:
        level -= 1
        both = sha512(_STEP + key).digest()
        right = start >> level & 1
        key = both[KEY_SIZE:] if right else both[:KEY_SIZE]
        index = index << 1 | right
    found: list[Node] = []
    waiting = [Node(level, index, key)]
    while waiting:
        node = waiting.pop()
        if stop <= node.start or node.stop <= start:
            continue
        if start <= node.start and node.stop <= stop:
            found.append(node)
        else:
            waiting += reversed(_children(node))
    return found


def _without(node: Node, index: int) -> list[Node]:
    before: list[Node] = []
    after: list[Node] = []
    while node.level:
        left, right = _children(node)
        if index < right.start:
            after.append(right)
            node = left
        else:
            before.append(left)
            node = right
    return before + after[::-1]


def _leaves(nodes: Sequence[Node], start: int, stop: int) -> Iterator[bytes]:
    for top in nodes:
        waiting = _cover(top, start, stop)[::-1]
        while waiting:
            node = waiting.pop()
            if node.level > _BATCH:
                # keeps memory small: at most 2^12 keys are made ahead of the reader
                left, right = _children(node)
                waiting += (right, left)
            else:
                yield from _expand(node)


def _expand(node: Node) -> list[bytes]:
    keys = [node.key]
    step, digest, size = _STEP, sha512, KEY_SIZE
    for _ in range(node.level):
        pairs = [digest(step + key).digest() for key in keys]
        keys = [half for both in pairs for half in (both[:size], both[size:])]
    return keys
