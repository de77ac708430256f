"""Merkle trees over SHA-256 as in RFC 6962 section 2.1 and RFC 9162 section 2.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from usufruct.errors import BadInput, VerificationError

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""

MAX_SIZE: Final = 2**63
"""No tree has this many leaves; larger sizes in a proof are refused."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data), 32 bytes."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right), 32 bytes."""
    return sha256(b"\1" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes; SHA-256 of nothing for the empty tree."""
    level = leaf_hashes
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the sibling hashes from leaf `index` up to the root.

    Raises
    ------
    BadInput
        There is no such leaf.
    """
    return Tree(leaf_hashes).inclusion(index)


def consistency_proof(
    leaf_hashes: Sequence[bytes], old: int, new: int | None = None
) -> list[bytes]:
    """Return the proof that the tree of `new` leaves extends the one of its first `old` leaves.

    Parameters
    ----------
    new
        Size of the newer tree; all of `leaf_hashes` when left out.

    Raises
    ------
    BadInput
        Not 0 <= old <= new <= number of leaves.
    """
    if new is not None:
        if not 0 <= new <= len(leaf_hashes):
            raise BadInput(f"there are {len(leaf_hashes)} leaves, not {new}")
        leaf_hashes = leaf_hashes[:new]
    return Tree(leaf_hashes).consistency(old)


class Tree:
    """A whole tree in memory (2 n hashes), for many proofs over the same leaves."""

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        level = leaf_hashes
        levels = [level]
        while len(level) > 1:
            level = _parents(level)
            levels.append(level)
        self._levels = levels

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        top = self._levels[-1]
        return top[0] if top else EMPTY_ROOT

    def inclusion(self, index: int) -> list[bytes]:
        """Return the sibling hashes from leaf `index` up to the root (BadInput: no such leaf)."""
        if not 0 <= index < self.size:
            raise BadInput(f"there is no leaf {index} among {self.size}")
        return self._path(index, 0)

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that this tree extends its first `old` leaves (BadInput: too many)."""
        if not 0 <= old <= self.size:
            raise BadInput(f"a tree of {self.size} leaves does not extend one of {old}")
        if old in (0, self.size):
            return []
        node, level = old - 1, 0
        while node & 1:
            node >>= 1
            level += 1
        # the old root itself is left out when the old tree is one complete subtree
        first = [self._levels[level][node]] if node else []
        return first + self._path(node, level)

    def _path(self, node: int, level: int) -> list[bytes]:
        path = []
        for hashes in self._levels[level:-1]:
            sibling = node ^ 1
            if sibling < len(hashes):
                path.append(hashes[sibling])
            node >>= 1
        return path


class CompactTree:
    """The roots of the complete subtrees only: appends in O(1) amortised, keeps log2(n) hashes.

    Parameters
    ----------
    size, hashes
        A state kept from before (`size` and `hashes` of another), to go on from there.

    Raises
    ------
    BadInput
        `hashes` are not as many 32-byte values as `size` has one-bits.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self._size = size
        self._hashes = list(hashes)
        if not 0 <= size < MAX_SIZE or len(self._hashes) != size.bit_count():
            raise BadInput(f"{len(self._hashes)} hashes are no state of a tree of {size} leaves")
        if not all(_is_hash(value) for value in self._hashes):
            raise BadInput("a tree's hashes have 32 bytes each")

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Roots of the complete subtrees, largest first."""
        return tuple(self._hashes)

    def copy(self) -> CompactTree:
        """Return an independent tree with the same leaves."""
        return CompactTree(self._size, self._hashes)

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes in order."""
        hashes = self._hashes
        push, pop, digest = hashes.append, hashes.pop, sha256
        size = self._size
        for value in leaves:
            bits = size
            while bits & 1:
                value = digest(b"\1" + pop() + value).digest()
                bits >>= 1
            push(value)
            size += 1
        self._size = size

    def root(self) -> bytes:
        """Return the root over all leaves appended so far, 32 bytes."""
        if not self._hashes:
            return EMPTY_ROOT
        *rest, value = self._hashes
        for left in reversed(rest):
            value = node_hash(left, value)
        return value


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf_hash` is leaf `index` of the tree of `size` leaves with this `root`.

    Raises
    ------
    VerificationError
        It is not, or an argument is malformed (RFC 9162 section 2.1.3.2).
    """
    hashes = _hashes_of(proof)
    if not (_is_hash(leaf_hash) and _is_hash(root)):
        raise VerificationError("a hash in an inclusion proof has 32 bytes")
    if not (_is_size(size) and _is_size(index) and index < size):
        raise VerificationError("an inclusion proof names a leaf outside its tree")
    node, last, value = index, size - 1, leaf_hash
    for sibling in hashes:
        if last == 0:
            raise VerificationError("an inclusion proof is too long for its tree")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise VerificationError("an inclusion proof is too short for its tree")
    if value != root:
        raise VerificationError("an inclusion proof leads to another root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the new tree begins with all leaves of the old one, unchanged and in order.

    Raises
    ------
    VerificationError
        It does not, or an argument is malformed (RFC 9162 section 2.1.4.2).
    """
    hashes = _hashes_of(proof)
    if not (_is_hash(old_root) and _is_hash(new_root)):
        raise VerificationError("a root in a consistency proof has 32 bytes")
    if not (_is_size(old_size) and _is_size(new_size) and old_size <= new_size):
        raise VerificationError("a consistency proof goes from a smaller tree to a larger one")
    for size, value in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and value != EMPTY_ROOT:
            raise VerificationError("a tree without leaves has another root")
    if old_size in (0, new_size):
        if hashes:
            raise VerificationError("a consistency proof is too long for its trees")
        if old_size and old_root != new_root:
            raise VerificationError("two trees of one size have different roots")
        return
    if old_size & (old_size - 1) == 0:
        hashes = [old_root, *hashes]
    if not hashes:
        raise VerificationError("a consistency proof is empty")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_value = new_value = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("a consistency proof is too long for its trees")
        if node & 1 or node == last:
            old_value = node_hash(sibling, old_value)
            new_value = node_hash(sibling, new_value)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_value = node_hash(new_value, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise VerificationError("a consistency proof is too short for its trees")
    if old_value != old_root:
        raise VerificationError("a consistency proof does not lead to the old root")
    if new_value != new_root:
        raise VerificationError("a consistency proof does not lead to the new root")


def _parents(level: Sequence[bytes]) -> list[bytes]:
    digest = sha256
    above = [
        digest(b"\1" + left + right).digest()
        for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == HASH_SIZE


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SIZE


def _hashes_of(proof: object) -> list[bytes]:
    if not isinstance(proof, (list, tuple)) or len(proof) > 128:
        raise VerificationError("a Merkle proof is a short list of hashes")
    if not all(_is_hash(value) for value in proof):
        raise VerificationError("a Merkle proof's hashes have 32 bytes each")
    return list(proof)
