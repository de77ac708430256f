import json
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import canonical
from usufruct.errors import BadInput

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_dumped_loads_back(value):
    data = canonical.dumps(value)
    assert canonical.loads(data) == value
    assert json.loads(data) == value


def test_rfc_8785_strings_and_order():
    # the string of RFC 8785 section 3.2.2 and its expected bytes
    text = '€$\x0f\nA\'B"\\\\"/'
    assert canonical.dumps(text) == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'
    assert canonical.dumps({"b": 1, "A": True, "a": None}) == b'{"A":true,"a":null,"b":1}'
    assert canonical.dumps((1, [])) == b"[1,[]]"
    assert canonical.dumps("\x7f") == b'"\x7f"'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        "\ud800",
        {"é": 1},
        {"a\n": 1},
        {1: 1},
        {"a": {2}},
        b"bytes",
        [[1.5]],
        {None: 1},
    ],
)
def test_what_has_no_encoding_is_refused(value):
    with pytest.raises(BadInput):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"01",
        b"-0",
        b"1.0",
        b"1e2",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b'{"\xc3\xa9":1}',
        b"9007199254740992",
        b"1" * 5000,
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"nul",
        b"[1,]",
        b"'a'",
    ],
)
def test_what_is_not_canonical_is_refused(data):
    with pytest.raises(BadInput):
        canonical.loads(data)


def test_size_and_depth_are_guarded():
    with pytest.raises(BadInput):
        canonical.loads(b"[1,2]", max_bytes=4)
    nested = b"[" * 32 + b"]" * 32
    assert canonical.loads(nested)
    with pytest.raises(BadInput):
        canonical.loads(nested, max_depth=31)
    with pytest.raises(BadInput):
        canonical.loads(b'{"a":[]}', max_depth=1)
    for value in ("text", None, 3):
        with pytest.raises(BadInput):
            canonical.loads(value)


def test_deep_nesting_is_refused_under_any_recursion_limit():
    # some libraries raise the limit; json's recursion in C would then end the process
    code = (
        "import sys; sys.setrecursionlimit(10**9)\n"
        "from usufruct.crypto import canonical\n"
        "from usufruct.errors import BadInput\n"
        "for data in (b'[' * 10**6, b'{\"a\":' * 10**6, b'[' * 10**6 + b']' * 10**6,\n"
        "             b'[' * 10**6 + b'\"' + b']' * 10**6, b'[' * 10**6 + b'\\\\\"]'):\n"
        "    try: canonical.loads(data)\n"
        "    except BadInput: print('refused')\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["refused"] * 5


@pytest.mark.parametrize("data", [b'"' + b'\\"' * 10**6 + b"\\", b'"' * 10**6, b'"\\' * 10**6])
def test_strings_without_an_end_take_linear_time(data):
    start = time.process_time()
    with pytest.raises(BadInput):
        canonical.loads(data)
    assert time.process_time() - start < 2


def test_brackets_in_strings_are_text():
    for text in ("[" * 100, '"[' * 100, "\\[" * 100, '\\"{' * 100):
        assert canonical.loads(canonical.dumps({"a": [text]})) == {"a": [text]}


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(BadInput):
        canonical.dumps(value)


@settings(max_examples=300)
@given(st.binary(max_size=60) | TEXTS.map(str.encode))
def test_any_bytes_load_exactly_or_are_bad_input(data):
    try:
        value = canonical.loads(data)
    except BadInput:
        return
    assert canonical.dumps(value) == data


@given(st.binary(max_size=100))
def test_base64_round_trip(data):
    assert canonical.unb64(canonical.b64(data)) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AA=", "AB==", "AA==\n", " AA==", "A-==", "é", 3, "===="]
)
def test_base64_that_is_not_canonical_is_refused(text):
    with pytest.raises(BadInput):
        canonical.unb64(text)


@pytest.mark.parametrize("item", [b"[]", b"{}", b"1000", b'""'])
def test_few_bytes_that_would_fill_the_memory(item, monkeypatch):
    monkeypatch.setattr(canonical, "MAX_CONTAINERS", 100)
    monkeypatch.setattr(canonical, "MAX_VALUES", 100)
    good, bomb = (b"[" + b",".join([item] * count) + b"]" for count in (99, 102))
    assert len(canonical.loads(good)) == 99
    with pytest.raises(BadInput, match="too many values"):
        canonical.loads(bomb)
    assert canonical.loads(b'["' + b"[,]" * 500 + b'"]') == ["[,]" * 500]
