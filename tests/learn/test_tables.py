from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usufruct.errors import BadInput, NotFound, UsufructError
from usufruct.examples import heart_disease
from usufruct.learn import Column, Schema, load_table, read_rows, split_table
from usufruct.learn.heart import HEART_SCHEMA, HOSPITALS, hospital_tables, load_hospital

SWISS_TEST_ROWS = (14, 24, 27, 28, 41, 43, 54, 55, 75, 82, 88, 92, 96, 105, 108, 115)

SCHEMA = Schema(
    (
        Column("age", "number"),
        Column("kind", "category", ("a", "1", "2.5")),
        Column("sex", "binary"),
        Column("note", "ignore"),
        Column("ill", "target", threshold="1"),
    )
)


def test_heart_follows_flamby():
    assert len(HEART_SCHEMA.features) == 13
    kept, sick = [], []
    for hospital in HOSPITALS:
        table = load_hospital(hospital.key)
        kept.append(len(table))
        sick.append(int(table.target.sum()))
        assert len(table) == hospital.train + hospital.test
    assert kept == [303, 261, 46, 130]
    assert sick == [139, 98, 45, 101]


def test_heart_row_by_hand():
    first = load_hospital("cleveland")
    assert first.rows[:2] == (1, 2)
    # 63,male,cp 1,145,233,fbs 1,restecg 2,150,0,2.3 -> healthy
    assert first.features[0].tolist() == [63, 1, 0, 0, 0, 145, 233, 1, 0, 1, 150, 0, 2.3]
    assert first.target[0] == 0
    hungary = load_hospital("hungarian")
    assert hungary.rows[:3] == (1, 2, 4)  # the third row lacks chol
    assert hungary.dropped == 33


def test_split_sizes_classes_and_independence():
    tables = hospital_tables(seed=3)
    for hospital in HOSPITALS:
        train, test = tables[hospital.key]
        assert (len(train), len(test)) == (hospital.train, hospital.test)
        assert not set(train.rows) & set(test.rows)
        whole = load_hospital(hospital.key)
        assert sorted(train.rows + test.rows) == list(whole.rows)
        share = whole.target.sum() * hospital.test / len(whole)
        assert abs(test.target.sum() - share) < 1
    again = hospital_tables(seed=3)
    other = hospital_tables(seed=4)
    assert all(tables[k][1].rows == again[k][1].rows for k in tables)
    assert all(tables[k][1].rows != other[k][1].rows for k in tables)


def test_split_of_the_demo_is_fixed_for_ever():
    # a change of NumPy or of ours that moves rows must not pass unseen
    rows = hospital_tables()["switzerland"][1].rows
    assert rows == SWISS_TEST_ROWS


@pytest.mark.parametrize("size", [0, 46, -1, 99])
def test_split_refuses_an_empty_side(size):
    with pytest.raises(BadInput, match="hold out"):
        split_table(load_hospital("switzerland"), size, seed=0, label="x")


def test_header_reorders_and_positions_work():
    plain = load_table("30,a,1,hello,2\n40,1.0,0,,1\n50,2.50,0,x,?\n", SCHEMA)
    assert plain.features.tolist() == [[30, 0, 0, 1], [40, 1, 0, 0]]
    assert plain.target.tolist() == [1, 0]
    assert (plain.rows, plain.dropped) == ((1, 2), 1)
    named = load_table("\ufeffill,extra,sex,kind,age\r\n2,7,1,a,30\r\n".encode(), SCHEMA)
    assert named.features.tolist() == [[30, 0, 0, 1]]
    assert named.rows == (1,)
    quoted = load_table('"30"," a ","1","x\ny","2"', SCHEMA)
    assert quoted.features.tolist() == [[30, 0, 0, 1]]


def test_rows_to_predict_need_no_target():
    expected = [[30, 0, 1, 0]]
    for text in ("30,2.5,0,x,?", "30,2.5,0,x", "sex,kind,age\n0,2.5,30\n", "30,2.5,0,,5"):
        assert read_rows(text, SCHEMA).tolist() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("?,a,1,x,1\n", "no usable row"),
        ("30,a,1,x,1\n30,a,1\n", "line 2 has 3 values"),
        ("30,a,1\n", "first line has 3 values"),
        ("30,z,1,x,1\n", "line 1: kind is 'z'"),
        ("30,a,2,x,1\n", "line 1: sex is '2'"),
        ("3_0,a,1,x,1\n", "age is '3_0'"),
        ("nan,a,1,x,1\n", "age is 'nan'"),
        ("1e999,a,1,x,1\n", "age is '1e999'"),
        ("٣,a,1,x,1\n", "age is"),
        ("30,a,1,x,sick\n", "line 1: ill is not a number"),
        ("age,kind,sex,note\n30,a,1,x\n", "lacks the column 'ill'"),
        ("age,kind,sex,ill,age\n", "twice"),
        ('30,"a"b,1,x,1\n', "not valid CSV"),
        (b"30,a,1,x,1\n30,\xff,1,x,1\n", "line 2 is not UTF-8"),
    ],
)
def test_bad_tables_are_named(text, words):
    with pytest.raises(BadInput, match=words):
        load_table(text, SCHEMA)


def test_bad_rows_to_predict():
    with pytest.raises(BadInput, match="line 1: 'age' is missing"):
        read_rows("?,a,1,x", SCHEMA)
    with pytest.raises(BadInput, match="no row"):
        read_rows("", SCHEMA)
    with pytest.raises(BadInput, match="nothing to learn"):
        load_table("1", Schema((Column("a", "number"),)))


def test_files(tmp_path):
    with pytest.raises(NotFound):
        load_table(tmp_path / "none", SCHEMA)
    with pytest.raises(BadInput, match="cannot read"):
        load_table(tmp_path, SCHEMA)
    assert len(load_table(heart_disease()["va"], HEART_SCHEMA)) == 130


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_no_text_makes_a_foreign_error(text):
    for read in (load_table, read_rows):
        try:
            read(text, SCHEMA)
        except UsufructError:
            pass


@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6), st.sampled_from(["a", "1", "2.5"]), st.booleans(), st.booleans()
        ),
        min_size=1,
        max_size=8,
    )
)
def test_written_tables_read_back(rows):
    text = "".join(f"{a!r},{k},{int(s)},n,{int(i) * 2}\n" for a, k, s, i in rows)
    table = load_table(text, SCHEMA)
    assert table.features[:, 0].tolist() == [r[0] for r in rows]
    assert table.features[:, 3].tolist() == [float(r[2]) for r in rows]
    assert table.target.tolist() == [float(r[3]) for r in rows]
    assert np.array_equal(table.features[:, 1:3].sum(axis=1), [float(r[1] != "a") for r in rows])


def test_schema_round_trip():
    for schema in (SCHEMA, HEART_SCHEMA):
        assert Schema.from_dict(schema.to_dict()) == schema


@pytest.mark.parametrize(
    "change",
    [
        {"format": "usufruct/schema/v2"},
        {"columns": "age"},
        {"columns": []},
        {"columns": [{"name": "a", "kind": "ignore"}]},
        {"columns": [{"name": "a", "kind": "number"}] * 2},
        {"columns": [{"name": "a", "kind": "odd"}]},
        {"columns": [{"name": 1, "kind": "number"}]},
        {"columns": [{"name": " a", "kind": "number"}]},
        {"columns": [{"name": "a", "kind": "number", "categories": ["1", "2"]}]},
        {"columns": [{"name": "a", "kind": "category", "categories": ["1"]}]},
        {"columns": [{"name": "a", "kind": "category", "categories": ["1", "1.0"]}]},
        {"columns": [{"name": "a", "kind": "category", "categories": [1, 2]}]},
        {"columns": [{"name": "a", "kind": "number"}, {"name": "t", "kind": "target"}]},
        {
            "columns": [
                {"name": "a", "kind": "number"},
                {"name": "t", "kind": "target", "threshold": "nan"},
            ]
        },
        {
            "columns": [
                {"name": "a", "kind": "number"},
                {"name": "t", "kind": "target", "threshold": "0"},
                {"name": "u", "kind": "target", "threshold": "0"},
            ]
        },
        {"columns": [{"name": "a", "kind": []}]},
        {"missing": None},
        {"more": 1},
    ],
)
def test_odd_schemas_are_refused(change):
    with pytest.raises(BadInput):
        Schema.from_dict(SCHEMA.to_dict() | change)


@pytest.mark.parametrize("value", [None, [], "x", {}, 3])
def test_not_a_schema(value):
    with pytest.raises(BadInput):
        Schema.from_dict(value)
