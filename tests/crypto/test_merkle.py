import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import merkle
from usufruct.errors import BadInput, VerificationError

# the reference leaves, roots and paths of the Certificate Transparency test suite
LEAVES = [
    merkle.leaf_hash(bytes.fromhex(text))
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"


def leaves(count):
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def reference_root(hashes):
    """MTH as RFC 6962 section 2.1 writes it."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return merkle.node_hash(reference_root(hashes[:k]), reference_root(hashes[k:]))


def reference_path(index, hashes):
    """PATH as RFC 6962 section 2.1.1 writes it."""
    if len(hashes) == 1:
        return []
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if index < k:
        return [*reference_path(index, hashes[:k]), reference_root(hashes[k:])]
    return [*reference_path(index - k, hashes[k:]), reference_root(hashes[:k])]


def reference_proof(old, hashes, whole=True):
    """SUBPROOF as RFC 6962 section 2.1.2 writes it."""
    if old == len(hashes):
        return [] if whole else [reference_root(hashes)]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= k:
        return [*reference_proof(old, hashes[:k], whole), reference_root(hashes[k:])]
    return [*reference_proof(old - k, hashes[k:], False), reference_root(hashes[:k])]


def test_published_roots():
    for size, root in enumerate(ROOTS):
        assert merkle.root(LEAVES[:size]).hex() == root


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, ROOTS[4]]),
        (2, 3, [ROOTS[2]]),
        (1, 5, [ROOTS[1], B, D]),
    ],
)
def test_published_inclusion_proofs(index, size, path):
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    assert [node.hex() for node in proof] == path
    merkle.verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])],
)
def test_published_consistency_proofs(old, new, path):
    proof = merkle.consistency_proof(LEAVES, old, new)
    assert [node.hex() for node in proof] == path
    merkle.verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), proof)


def test_every_small_tree_against_the_definition():
    hashes = leaves(35)
    incremental = merkle.CompactTree()
    for size in range(36):
        part = hashes[:size]
        root = reference_root(part)
        tree = merkle.Tree(part)
        assert merkle.root(part) == tree.root == incremental.root() == root
        assert tree.size == incremental.size == size
        for index in range(size):
            proof = tree.inclusion(index)
            assert proof == reference_path(index, part)
            merkle.verify_inclusion(part[index], index, size, proof, root)
        for old in range(size + 1):
            proof = tree.consistency(old)
            assert proof == (reference_proof(old, part) if old else [])
            merkle.verify_consistency(old, size, reference_root(part[:old]), root, proof)
        if size < 35:
            incremental.append(hashes[size])


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_a_compact_tree_goes_on_from_its_state(first, more):
    hashes = leaves(first + more)
    tree = merkle.CompactTree()
    tree.extend(hashes[:first])
    again = merkle.CompactTree(tree.size, tree.hashes)
    copied = tree.copy()
    again.extend(hashes[first:])
    assert again.root() == merkle.root(hashes)
    assert copied.root() == merkle.root(hashes[:first])


def flip(value, where):
    changed = bytearray(value)
    changed[where % 32] ^= 1 << (where % 8)
    return bytes(changed)


def mutations(draw, size, proof):
    """Return another proof, another number, or another hash."""
    kind = draw(st.sampled_from(["flip", "drop", "add", "swap"]))
    proof = list(proof)
    at = draw(st.integers(0, max(0, len(proof) - 1)))
    if kind == "flip" and proof:
        proof[at] = flip(proof[at], draw(st.integers(0, 255)))
    elif kind == "drop" and proof:
        del proof[at]
    elif kind == "swap" and len(set(proof)) > 1:
        before = list(proof)
        while proof == before:
            random.Random(draw(st.integers())).shuffle(proof)
            if proof == before:
                proof.reverse()
    else:
        proof.insert(at, draw(st.binary(min_size=32, max_size=32)))
    return proof


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_change_to_an_inclusion_proof_is_refused(data):
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    root = merkle.root(hashes)
    proof = merkle.inclusion_proof(hashes, index)
    merkle.verify_inclusion(hashes[index], index, size, proof, root)
    where = data.draw(st.integers(0, 255))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index)) if size > 1 else size
    for bad in (
        (hashes[index], index, size, mutations(data.draw, size, proof), root),
        (flip(hashes[index], where), index, size, proof, root),
        (hashes[index], index, size, proof, flip(root, where)),
        (hashes[index], other, size, proof, root),
    ):
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(*bad)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_change_to_a_consistency_proof_is_refused(data):
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    hashes = leaves(new)
    roots = merkle.root(hashes[:old]), merkle.root(hashes)
    proof = merkle.consistency_proof(hashes, old)
    merkle.verify_consistency(old, new, *roots, proof)
    where = data.draw(st.integers(0, 255))
    for bad in (
        (old, new, *roots, mutations(data.draw, new, proof)),
        (old, new, flip(roots[0], where), roots[1], proof),
        (old, new, roots[0], flip(roots[1], where), proof),
        (new, old, *roots, proof),
        (old, new, roots[1], roots[0], proof),
    ):
        with pytest.raises(VerificationError):
            merkle.verify_consistency(*bad)


H = merkle.EMPTY_ROOT
JUNK = [None, True, -1, 2**63, 1.0, "1", float("nan"), b"", b"x" * 31, [H], {}, object()]
BAD_PROOFS = [None, 5, "x" * 32, H, [None], [b"short"], ["x" * 32], [H] * 200, {0: H}]


def test_malformed_arguments_are_verification_errors():
    good = [H, 0, 2, [H], H]
    for place, junk in [(i, j) for i in range(5) for j in (BAD_PROOFS if i == 3 else JUNK)]:
        bad = copy.copy(good)
        bad[place] = junk
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(*bad)
    good = [1, 2, H, H, [H]]
    for place, junk in [(i, j) for i in range(5) for j in (BAD_PROOFS if i == 4 else JUNK)]:
        bad = copy.copy(good)
        bad[place] = junk
        with pytest.raises(VerificationError):
            merkle.verify_consistency(*bad)


def test_empty_trees():
    merkle.verify_consistency(0, 0, H, H, [])
    merkle.verify_consistency(0, 1, H, LEAVES[0], [])
    for bad in (
        (0, 0, H, LEAVES[0], []),
        (0, 1, LEAVES[0], LEAVES[0], []),
        (0, 1, H, LEAVES[0], [H]),
        (1, 1, LEAVES[0], LEAVES[1], []),
        (1, 1, LEAVES[0], LEAVES[0], [H]),
        (3, 5, H, H, []),
        (2, 3, H, H, []),
    ):
        with pytest.raises(VerificationError):
            merkle.verify_consistency(*bad)
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(H, 0, 0, [], H)


def test_numbers_outside_the_tree_are_bad_input():
    for call in (
        lambda: merkle.inclusion_proof(LEAVES, 8),
        lambda: merkle.inclusion_proof(LEAVES, -1),
        lambda: merkle.inclusion_proof([], 0),
        lambda: merkle.consistency_proof(LEAVES, 9),
        lambda: merkle.consistency_proof(LEAVES, 5, 9),
        lambda: merkle.consistency_proof(LEAVES, 5, 4),
        lambda: merkle.consistency_proof(LEAVES, -1),
        lambda: merkle.CompactTree(3, [H]),
        lambda: merkle.CompactTree(1, [b"short"]),
        lambda: merkle.CompactTree(-1, [H]),
    ):
        with pytest.raises(BadInput):
            call()
