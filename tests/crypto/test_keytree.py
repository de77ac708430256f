from hashlib import sha512
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import canonical
from usufruct.crypto.keytree import Cover, KeyTree, Node
from usufruct.errors import BadInput, NotAllowed

ROOT = bytes(range(32))
DEPTH = 6
TREE = KeyTree(ROOT, "test", depth=DEPTH)
ALL = [TREE.leaf(index) for index in range(1 << DEPTH)]
RANGES = st.tuples(st.integers(0, 64), st.integers(0, 64)).map(sorted)


def test_a_pinned_leaf():
    # this value is stored format: it must never change
    import hmac

    key = hmac.digest(ROOT, b"usufruct/keytree/v1\0\x02test", "sha256")
    for bit in (1, 0):
        both = sha512(b"usufruct/keytree/step/v1\0" + key).digest()
        key = both[32:] if bit else both[:32]
    assert KeyTree(ROOT, "test", depth=2).leaf(2) == key
    assert KeyTree(bytes(32), "usufruct/salt/row/v1").leaf(12345).hex() == PINNED


PINNED = "566f4805297670459d13a228a7c8bdd3f34f582bf6a88e5c1b9bcf5a17d1d1a9"


def test_leaves_are_distinct_and_depend_on_everything():
    assert len(set(ALL)) == 64
    assert KeyTree(ROOT, "other", depth=DEPTH).leaf(0) not in ALL
    assert KeyTree(ROOT, "test", depth=7).leaf(0) not in ALL
    assert KeyTree(bytes(32), "test", depth=DEPTH).leaf(0) not in ALL


@given(RANGES)
def test_ranges(bounds):
    start, stop = bounds
    assert list(TREE.leaves(start, stop - start)) == ALL[start:stop]
    nodes = TREE.cover(start, stop)
    cover = Cover(nodes)
    assert [cover.leaf(i) for i in range(start, stop)] == ALL[start:stop]
    assert list(cover.leaves(start, stop - start)) == ALL[start:stop]
    for outside in (start - 1, stop, -1, 64, 2**70):
        assert outside not in cover
        with pytest.raises(NotAllowed):
            cover.leaf(outside)
    # minimal: no two nodes are a pair that one parent would replace
    for left, right in pairwise(nodes):
        assert not (
            left.level == right.level and right.index == left.index + 1 and not left.index & 1
        )
    assert len(nodes) <= 2 * DEPTH


@given(st.sets(st.integers(0, 63), max_size=12))
def test_erasing_leaves_the_rest(erased):
    cover = Cover(TREE.cover(0, 64))
    for index in sorted(erased, reverse=True):
        cover = cover.puncture(index)
    for index in range(64):
        if index in erased:
            with pytest.raises(NotAllowed):
                cover.leaf(index)
        else:
            assert cover.leaf(index) == ALL[index]
    keys = {node.key for node in cover.nodes}
    # no kept node lies above an erased leaf
    for index in erased:
        assert not any(node.start <= index < node.stop for node in cover.nodes)
        assert ALL[index] not in keys
    assert Cover.from_list(canonical.loads(canonical.dumps(cover.to_list()))).nodes == cover.nodes


def test_puncture_keeps_one_sibling_a_level():
    tree = KeyTree(ROOT, "test")
    nodes = tree.puncture(12345)
    assert sorted(node.level for node in nodes) == list(range(32))
    assert Cover(nodes).leaf(12346) == tree.leaf(12346)
    with pytest.raises(NotAllowed):
        Cover(nodes).leaf(12345)
    with pytest.raises(NotAllowed):
        Cover(nodes).leaves(12340, 10)


def test_long_runs_agree_with_single_leaves():
    tree = KeyTree(ROOT, "test")
    run = list(tree.leaves(4000, 10_000))
    assert len(run) == 10_000
    for offset in (0, 95, 96, 97, 4191, 4192, 9999):
        assert run[offset] == tree.leaf(4000 + offset)


@pytest.mark.parametrize(
    "call",
    [
        lambda: KeyTree(b"short", "x"),
        lambda: KeyTree("x" * 32, "x"),
        lambda: KeyTree(ROOT, "x", depth=0),
        lambda: KeyTree(ROOT, "x", depth=49),
        lambda: TREE.leaf(64),
        lambda: TREE.leaf(-1),
        lambda: TREE.leaves(60, 5),
        lambda: TREE.cover(5, 4),
        lambda: TREE.cover(0, 65),
        lambda: TREE.puncture(64),
        lambda: Cover([Node(0, 1, ROOT), Node(0, 0, ROOT)]),
        lambda: Cover([Node(1, 0, ROOT), Node(0, 1, ROOT)]),
        lambda: Cover([Node(0, 0, b"short")]),
        lambda: Cover([Node(-1, 0, ROOT)]),
        lambda: Cover([Node(0, -1, ROOT)]),
        lambda: Cover([Node(1000, 10**9, ROOT)]),
        lambda: Cover([Node(True, 0, ROOT)]),
        lambda: Cover([Node("0", 0, ROOT)]),
        lambda: Cover([Node(0, 2**48, ROOT)]),
        lambda: Cover.from_list(None),
        lambda: Cover.from_list([1]),
        lambda: Cover.from_list([[0, 0]]),
        lambda: Cover.from_list([[0, 0, "?"]]),
        lambda: Cover.from_list([[0, 0, None]]),
        lambda: Cover.from_list([[None, 0, canonical.b64(ROOT)]]),
    ],
)
def test_what_makes_no_sense_is_bad_input(call):
    with pytest.raises(BadInput):
        call()


def test_secrets_are_not_shown():
    secret = ALL[0].hex()
    node = TREE.cover(0, 1)[0]
    for shown in (repr(TREE), repr(node), repr(Cover([node]))):
        assert secret not in shown
        assert repr(node.key) not in shown


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(), st.integers(), st.binary(max_size=40)), max_size=4))
def test_any_nodes_make_a_cover_or_are_bad_input(items):
    data = [[level, index, canonical.b64(key)] for level, index, key in items]
    try:
        Cover.from_list(data)
    except BadInput:
        pass
