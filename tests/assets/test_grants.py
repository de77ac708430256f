from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.assets.grants import make_grant, open_grant
from usufruct.crypto import canonical, hpke
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import BadInput, NotAllowed, VerificationError

SECRET = bytes(range(1, 33))
PUBLIC = hpke.public_key(SECRET)
TREE = KeyTree(bytes(32), "usufruct/seal/chunks/v1")


class Someone:
    def __init__(self, secret: bytes = SECRET) -> None:
        self.secret = secret

    def hpke_open(self, sealed: bytes, info: bytes, aad: bytes = b"") -> bytes:
        return hpke.open_(self.secret, sealed, info=info, aad=aad)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 2), st.integers(1, 10**6))
def test_a_grant_opens_its_range_and_nothing_else(start: int, count: int) -> None:
    stop = min(start + count, 2**32)
    sealed = make_grant(TREE, start, stop, PUBLIC, b"asset 1")
    assert len(sealed) < 8192
    cover = open_grant(Someone(), sealed, b"asset 1")
    for index in (start, (start + stop) // 2, stop - 1):
        assert cover.leaf(index) == TREE.leaf(index)
    for index in (start - 1, stop):
        with pytest.raises(NotAllowed):
            cover.leaf(index)


def test_not_for_others_nor_for_another_thing() -> None:
    sealed = make_grant(TREE, 0, 4, PUBLIC, b"asset 1")
    for who, what, info in (
        (Someone(bytes(range(2, 34))), sealed, b"asset 1"),
        (Someone(), sealed, b"asset 2"),
        (Someone(), sealed[:-1], b"asset 1"),
        (Someone(), bytes(100_000), b"asset 1"),
    ):
        with pytest.raises(VerificationError):
            open_grant(who, what, info)
    with pytest.raises(BadInput):
        make_grant(TREE, 4, 4, PUBLIC, b"")
    with pytest.raises(BadInput):
        make_grant(TREE, 0, 4, b"short", b"")


def test_a_hostile_grantor() -> None:
    nodes = Cover(TREE.cover(2, 8)).to_list()
    good = {"format": "usufruct/grant/v1", "start": 2, "stop": 8, "nodes": nodes}

    def send(document: object) -> bytes:
        data = document if isinstance(document, bytes) else canonical.dumps(document)
        return hpke.seal(PUBLIC, data, info=b"usufruct/grant/v1\0x")

    assert open_grant(Someone(), send(good), b"x").leaf(2) == TREE.leaf(2)
    for bad in (
        b"{",
        [],
        {},
        {**good, "format": "v2"},
        {**good, "start": 3},
        {**good, "stop": 9},
        {**good, "start": True},
        {**good, "nodes": []},
        {**good, "nodes": nodes[:1]},
        {**good, "nodes": nodes[::-1]},
        {**good, "nodes": [[0, 2, "AA=="]]},
        {**good, "more": 1},
        {**good, "nodes": 7},
        {**good, "nodes": [[99, 2, nodes[0][2]]]},
    ):
        with pytest.raises(VerificationError):
            open_grant(Someone(), send(bad), b"x")
