from __future__ import annotations

import csv
import io
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assets.csv_strategy import csv_tables

from usufruct.assets import tables
from usufruct.assets.tables import TableError, delimiter_of, read_rows, salvage
from usufruct.errors import BadInput


def blocks(data: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    out = []
    while data:
        n = rng.randint(1, max(1, len(data)))
        out.append(data[:n])
        data = data[n:]
    return out


@given(csv_tables(), st.integers(0, 1000))
def test_rows_come_back_however_the_bytes_are_cut(table, seed: int) -> None:
    rows, data, lines = table
    assert list(read_rows(blocks(data, seed), ",")) == list(zip(rows, lines, strict=True))


@given(csv_tables())
def test_the_standard_library_reads_the_same(table) -> None:
    _, data, _ = table
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    # a bare return inside quotes is one more line to the csv module only
    judge = [row for row in csv.reader(text, strict=True) if row]
    assert [fields for fields, _ in read_rows([data], ",")] == judge


@given(csv_tables())
def test_salvage_reads_a_clean_table_as_it_is(table) -> None:
    rows, data, lines = table
    records = list(salvage(data, ","))
    assert [r.fields for r in records] == rows
    assert [r.line for r in records] == lines
    assert all(a.end <= b.start for a, b in itertools.pairwise(records))


@given(st.binary(max_size=200), st.sampled_from([",", "\t"]))
def test_any_bytes_give_rows_or_a_table_error(data: bytes, delimiter: str) -> None:
    try:
        rows = list(read_rows([data], delimiter))
    except TableError as error:
        assert 1 <= error.line <= data.count(b"\n") + 1
    else:
        assert [r.fields for r in salvage(data, delimiter)] == [fields for fields, _ in rows]
    assert all(0 <= r.start <= r.end <= len(data) for r in salvage(data, delimiter))


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b"a,b\nc\n", 2, "1 fields where the rows above have 2"),
        (b"a,b\n\n1,2\n3,4,5\n", 4, "3 fields"),
        (b"a,b\n1,\xff\n", 2, "not UTF-8"),
        (b'"a\n\n",b\n1,\xff\n', 4, "not UTF-8"),
        (b"a,b\n1,\0\n", 2, "NUL"),
        (b"a,b\n1,x\ry\n", 2, "lone carriage return"),
        (b'a,"b"\n1,x\r', 2, "carriage return"),
        (b'a,b\n1,"x\n2,y\n', 2, "never closes"),
        (b'a,b\n1,x"y"\n', 2, "without quotes round it"),
        (b'a,b\n1,"x"y\n', 2, "follows a closing quote"),
    ],
)
def test_what_is_refused_and_where(data: bytes, line: int, why: str) -> None:
    with pytest.raises(TableError, match=why) as caught:
        list(read_rows([data], ","))
    assert caught.value.line == line
    assert f"line {line}" in caught.value.message
    assert isinstance(caught.value, BadInput)
    assert "--no-rows" in (caught.value.hint or "")


def test_a_huge_line_is_read() -> None:
    big = b"x" * (10 << 20)
    data = b"a,b\n" + big + b',"' + big + b'"\n1,2\n'
    cut = [data[i : i + (1 << 20)] for i in range(0, len(data), 1 << 20)]
    rows = list(read_rows(cut, ","))
    assert [(len(f[0]), line) for f, line in rows] == [(1, 1), (10 << 20, 2), (1, 3)]


@pytest.mark.parametrize("start", [b"a,b\n", b'a,b\n"', b'a,"b"\n'])
def test_a_record_beyond_the_limit_is_refused(start: bytes, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MAX_RECORD", 1 << 20)
    with pytest.raises(TableError) as caught:
        list(read_rows([start, *[b"x" * 999 + b" " for _ in range(5000)]], ","))
    assert caught.value.line == 2
    with pytest.raises(TableError) as caught:
        list(read_rows([b'a,b\n"', *[b"x" * 999 + b"\n" for _ in range(5000)]], ","))
    assert caught.value.line == 2


def test_salvage_stays_quick_when_every_line_opens_a_quote() -> None:
    data = b"a,b\n" + b'1,"x\n2,y\n' * 20_000
    assert sum(1 for _ in salvage(data, ",")) >= 20_000


def test_tsv_and_names() -> None:
    assert list(read_rows([b"a\tb,c\n"], "\t")) == [(["a", "b,c"], 1)]
    assert [delimiter_of(n) for n in ("x.csv", "X.CSV", "a/b.tsv", "x.data", "x.txt", "csv")] == [
        ",",
        ",",
        "\t",
        ",",
        None,
        None,
    ]
