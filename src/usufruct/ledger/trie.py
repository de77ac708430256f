"""Merkle Patricia tries over a list, as in a block header's receipt root.

Source: Ethereum Yellow Paper, appendix D. Keys are RLP of the index, values are byte strings.
"""

from __future__ import annotations

from collections.abc import Sequence

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, VerificationError
from usufruct.ledger import rlp
from usufruct.ledger.rlp import Item

EMPTY_ROOT = keccak256(rlp.encode(b""))
_MAX_NODES = 32
_Pairs = list[tuple[bytes, bytes]]


class ListTrie:
    """The trie over `values`, with a proof for each.

    Parameters
    ----------
    values
        Non-empty byte strings; the key of each is RLP of its index.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        self._nodes: dict[bytes, bytes] = {}
        self._size = len(values)
        pairs = sorted((_nibbles(rlp.encode(i)), value) for i, value in enumerate(values))
        if pairs:
            encoded = rlp.encode(self._build(pairs, 0))
            self.root = keccak256(encoded)
            self._nodes[self.root] = encoded
        else:
            self.root = EMPTY_ROOT

    def proof(self, index: int) -> tuple[bytes, ...]:
        """Return the encoded nodes from the root to the value at `index`.

        Raises
        ------
        BadInput
            There is no such index.
        """
        if not 0 <= index < self._size:
            raise BadInput(f"the trie has {self._size} values, there is no index {index}")
        nodes: list[bytes] = []
        found: Item = self.root
        path, done = _nibbles(rlp.encode(index)), False
        while not done:
            if isinstance(found, bytes):
                nodes.append(self._nodes[found])
                found = rlp.decode(nodes[-1])
            done, found, path = _step(found, path)
        return tuple(nodes)

    def _build(self, pairs: _Pairs, depth: int) -> list[Item]:
        """Return the node over `pairs`, whose keys agree before nibble `depth`."""
        if len(pairs) == 1:
            key, value = pairs[0]
            return [_compact(key[depth:], leaf=True), value]
        first, last = pairs[0][0], pairs[-1][0]
        common = depth
        while first[common] == last[common]:
            common += 1
        if common > depth:
            child = self._reference(self._build(pairs, common))
            return [_compact(first[depth:common], leaf=False), child]
        node: list[Item] = []
        for nibble in range(16):
            part = [pair for pair in pairs if pair[0][depth] == nibble]
            node.append(self._reference(self._build(part, depth + 1)) if part else b"")
        return [*node, b""]

    def _reference(self, node: list[Item]) -> Item:
        encoded = rlp.encode(node)
        if len(encoded) < 32:
            return node
        digest = keccak256(encoded)
        self._nodes[digest] = encoded
        return digest


def verify_trie(root: bytes, index: int, nodes: Sequence[bytes], *, max_value: int) -> bytes:
    """Return the value at `index` in the trie with this root.

    Parameters
    ----------
    nodes
        Untrusted, from the root to the value; every one must be used.
    max_value
        Refuse nodes that could hold a value of more bytes.

    Raises
    ------
    VerificationError
        The nodes do not prove a value.
    """
    if len(nodes) > _MAX_NODES:
        raise VerificationError("the trie proof has too many nodes")
    try:
        return _walk(root, _nibbles(rlp.encode(index)), nodes, max_value + 1024)
    except BadInput as error:
        raise VerificationError(f"the trie proof does not decode: {error.message}") from error


def _walk(root: bytes, path: bytes, nodes: Sequence[bytes], max_bytes: int) -> bytes:
    remaining = list(reversed(nodes))
    found: Item = root
    at_root, done = True, False
    while not done:
        if isinstance(found, bytes):
            if not remaining or len(found) != 32:
                raise VerificationError("the trie proof does not reach a value")
            encoded = remaining.pop()
            if len(encoded) > max_bytes or (len(encoded) < 32 and not at_root):
                raise VerificationError("a node of the trie proof has an impossible size")
            if keccak256(encoded) != found:
                raise VerificationError("a node of the trie proof has another hash")
            found = rlp.decode(encoded, max_bytes=max_bytes, max_depth=8)
        at_root = False
        done, found, path = _step(found, path)
    if remaining:
        raise VerificationError("the trie proof has nodes that it does not need")
    if not isinstance(found, bytes) or not found:
        raise VerificationError("the trie holds nothing at that index")
    return found


def _step(node: Item, path: bytes) -> tuple[bool, Item, bytes]:
    """Follow `path` through one node: (is it the value, what is found, the path still to go)."""
    if not isinstance(node, list):
        raise BadInput("a trie node is not a list")
    if len(node) == 17:
        if not path:
            return True, node[16], b""
        return False, node[path[0]], path[1:]
    if len(node) != 2 or not isinstance(node[0], bytes):
        raise BadInput("a trie node has neither 2 nor 17 parts")
    nibbles, leaf = _expand(node[0])
    if leaf:
        if nibbles != path:
            raise BadInput("a trie leaf is for another key")
        return True, node[1], b""
    if not nibbles or path[: len(nibbles)] != nibbles:
        raise BadInput("a trie extension is for another key")
    return False, node[1], path[len(nibbles) :]


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _compact(nibbles: bytes, *, leaf: bool) -> bytes:
    """Return the hex-prefix encoding (Yellow Paper, appendix C)."""
    odd = len(nibbles) % 2
    padded = bytes([2 * leaf + odd]) + (b"" if odd else b"\0") + nibbles
    return bytes(16 * high + low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _expand(compact: bytes) -> tuple[bytes, bool]:
    nibbles = _nibbles(compact)
    if not nibbles or nibbles[0] > 3 or (nibbles[0] % 2 == 0 and nibbles[1] != 0):
        raise BadInput("a trie path is not canonical")
    return nibbles[2 - nibbles[0] % 2 :], nibbles[0] >= 2
