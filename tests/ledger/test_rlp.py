"""RLP, judged by py-rlp and by the canonical form."""

import pytest
import rlp as judge
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.errors import BadInput
from usufruct.ledger import rlp

items = st.recursive(
    st.binary(max_size=80) | st.binary(min_size=250, max_size=270),
    lambda inner: st.lists(inner, max_size=20),
    max_leaves=60,
)


@settings(max_examples=80, deadline=None)
@given(items)
def test_encodes_as_py_rlp_and_back(item):
    encoded = rlp.encode(item)
    assert encoded == judge.encode(item)
    assert rlp.decode(encoded) == item


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_decode_canonically_or_are_bad_input(data):
    try:
        item = rlp.decode(data)
    except BadInput:
        with pytest.raises(judge.exceptions.DecodingError):
            judge.decode(data, strict=True)
        return
    assert rlp.encode(item) == data


@settings(max_examples=80, deadline=None)
@given(items, st.data())
def test_mutations_never_leak(item, data):
    encoded = bytearray(rlp.encode(item))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    try:
        assert rlp.encode(rlp.decode(bytes(encoded))) == bytes(encoded)
    except BadInput:
        pass


@given(st.integers(0, 2**256 - 1))
def test_numbers(value):
    encoded = rlp.encode(value)
    assert encoded == judge.encode(value)
    assert rlp.to_int(rlp.decode(encoded)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8100",  # a single byte in the longer form
        "817f",
        "b800",  # the long form for a short string
        "b837" + "00" * 55,
        "b9003900",  # a length with a leading zero
        "f800",
        "8080",  # bytes after the end
        "82ff",
        "c2",
        "c281",  # an item longer than its list
        "bfffffffffffffffff00",
        "ffffffffffffffffff00",
    ],
)
def test_what_is_not_canonical(text):
    with pytest.raises(BadInput):
        rlp.decode(bytes.fromhex(text))


def test_limits():
    deep = b"\xc0"
    for _ in range(40):
        deep = rlp.encode([rlp.decode(deep, max_depth=100)])
    with pytest.raises(BadInput, match="deeper"):
        rlp.decode(deep)
    with pytest.raises(BadInput, match="longer"):
        rlp.decode(b"\x80", max_bytes=0)
    with pytest.raises(BadInput, match="many"):
        rlp.decode(rlp.encode([b""] * 100), max_items=100)
    with pytest.raises(BadInput):
        rlp.decode("80")


@pytest.mark.parametrize("item", [True, -1, 1.5, None, "text", [None]])
def test_what_cannot_be_encoded(item):
    with pytest.raises(BadInput):
        rlp.encode(item)


@pytest.mark.parametrize("item", [[], b"\0", b"\0\1", b"\1" * 33])
def test_what_is_not_a_number(item):
    with pytest.raises(BadInput):
        rlp.to_int(item)
