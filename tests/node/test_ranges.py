"""Ranges against a slice of the bytes, which is the judge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.node.stub import ASSET, OBJECT, Node, offer

from usufruct.node.ranges import Slice, Unsatisfiable, wanted

ETAG = '"x"'


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-0", 10, Slice(0, 1)),
        ("bytes=0-", 10, Slice(0, 10)),
        ("bytes=9-", 10, Slice(9, 10)),
        ("bytes=0-99", 10, Slice(0, 10)),
        ("bytes=-3", 10, Slice(7, 10)),
        ("bytes=-30", 10, Slice(0, 10)),
        ("Bytes = 1 - 2", 10, Slice(1, 3)),
        ("lines=1-2", 10, None),
        ("bytes", 10, None),
    ],
)
def test_what_a_header_asks_for(header: str | None, size: int, expected: Slice | None) -> None:
    assert wanted(header, None, size=size, etag=ETAG) == expected


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=10-", "bytes=10-12", "bytes=-0", "bytes=-", "bytes=3-2", "bytes=0-1,3-4"),
        *("bytes=a-b", "bytes=--1", "bytes=1", "bytes=0x1-2", "bytes=1-2-3", "bytes=٣-"),
        "bytes=99999999999999999999-",
        "bytes=" + "0-1," * 5000 + "0-1",
    ],
)
def test_what_cannot_be_given(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted(header, None, size=10, etag=ETAG)
    # whoever holds something else gets all of this
    assert wanted(header, '"y"', size=10, etag=ETAG) is None


def test_nothing_of_an_empty_object() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        with pytest.raises(Unsatisfiable):
            wanted(header, None, size=0, etag=ETAG)


@given(st.text(max_size=40), st.integers(0, 50))
def test_any_text_is_answered(text: str, size: int) -> None:
    try:
        found = wanted("bytes=" + text, None, size=size, etag=ETAG)
    except Unsatisfiable:
        return
    assert found is not None
    assert 0 <= found.start < found.stop <= size


@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 80))
def test_slices(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    expected = data[first : last + 1]
    try:
        found = wanted(f"bytes={first}-{last}", None, size=size, etag=ETAG)
    except Unsatisfiable:
        assert not expected
    else:
        assert found is not None
        assert data[found.start : found.stop] == expected
    tail = wanted(f"bytes=-{last + 1}", None, size=size, etag=ETAG)
    assert tail is not None
    assert data[tail.start : tail.stop] == data[-(last + 1) :]


def test_over_http(running: Node) -> None:
    data = running.deliveries.path.read_bytes()
    size = len(data)
    path = f"/assets/{ASSET}/versions/1/objects/{OBJECT}?licence={running.index.sell(offer())}"

    whole = running.signed("GET", path)
    assert (whole.status, whole.body) == (200, data)
    assert whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]

    @settings(max_examples=25, deadline=None, database=None)
    @given(st.integers(0, size - 1), st.integers(0, 2 * size))
    def ranged(first: int, last: int) -> None:
        got = running.signed("GET", path, headers={"Range": f"bytes={first}-{last}"})
        if last < first:
            assert got.status == 416
            return
        assert got.status == 206
        assert got.body == data[first : last + 1]
        shown = f"bytes {first}-{min(last, size - 1)}/{size}"
        assert got.headers["content-range"] == shown
        assert got.headers["content-length"] == str(len(got.body))

    ranged()
    resumed = running.signed("GET", path, headers={"Range": "bytes=7-", "If-Range": etag})
    assert (resumed.status, resumed.body) == (206, data[7:])
    other = running.signed("GET", path, headers={"Range": "bytes=7-", "If-Range": '"other"'})
    assert (other.status, other.body) == (200, data)
    many = running.signed("GET", path, headers={"Range": "bytes=0-1,5-6"})
    assert many.status == 416
    assert many.headers["content-range"] == f"bytes */{size}"
    assert many.json["error"] == "BadInput"
