import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usufruct.errors import AlreadyExists, BadInput
from usufruct.models import load_model, save_model

SPEC = {"kind": "linear", "rate": 0.1, "layers": [1, 2], "name": "Herz-Modell ä"}
DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def tensors():
    random = np.random.default_rng(7)
    made = {f"t.{d}": (random.random((3, 5)) * 100).astype(d) for d in DTYPES}
    made["scalar"] = np.array(2.5)
    made["empty"] = np.zeros((0, 4), dtype="f4")
    return made


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "m", SPEC, tensors())
    return tmp_path / "m"


def test_comes_back_exactly(saved):
    spec, back = load_model(saved)
    assert spec == {**SPEC, "rate": "0.1"}
    assert float(spec["rate"]) == 0.1
    assert back.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert np.array_equal(back[name], tensor)
        assert back[name].flags.writeable


def test_the_safetensors_library_reads_the_same(saved):
    judge = safetensors.numpy.load_file(saved / "weights.safetensors")
    assert judge.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert np.array_equal(judge[name], tensor)
        assert judge[name].dtype == tensor.dtype


def test_file_equals_the_librarys_file(tmp_path):
    mine = {k: v for k, v in tensors().items() if k in ("t.f8", "t.f4", "t.i1")}
    save_model(tmp_path / "m", {}, mine)
    assert (tmp_path / "m/weights.safetensors").read_bytes() == safetensors.numpy.save(mine)


def test_reads_the_librarys_file_with_metadata(saved):
    (saved / "weights.safetensors").write_bytes(
        safetensors.numpy.save(tensors(), metadata={"format": "np"})
    )
    assert np.array_equal(load_model(saved)[1]["t.f8"], tensors()["t.f8"])


def test_equal_models_are_equal_files(tmp_path, saved):
    save_model(tmp_path / "n", SPEC, dict(reversed(tensors().items())))
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "n" / name).read_bytes() == (saved / name).read_bytes()


def test_big_endian_and_strided_arrays(tmp_path):
    array = np.arange(24, dtype=">f8").reshape(4, 6)[::2, ::-1]
    save_model(tmp_path / "m", {}, {"a": array})
    back = load_model(tmp_path / "m")[1]["a"]
    assert np.array_equal(back, array) and back.dtype == np.dtype("<f8")


def test_no_tensors_at_all(tmp_path):
    save_model(tmp_path / "m", {"native": "text"}, {})
    assert load_model(tmp_path / "m") == ({"native": "text"}, {})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf(tmp_path, bad):
    array = {"a": np.array([1.0, bad])}
    with pytest.raises(BadInput, match="NaN"):
        save_model(tmp_path / "m", {}, array)
    save_model(tmp_path / "m", {}, array, finite=False)
    with pytest.raises(BadInput, match="NaN"):
        load_model(tmp_path / "m")
    assert np.array_equal(load_model(tmp_path / "m", finite=False)[1]["a"], array["a"], True)


@pytest.mark.parametrize(
    ("spec", "arrays"),
    [
        ({"x": float("nan")}, {}),
        ({"x": float("inf")}, {}),
        ({"x": object()}, {}),
        ({"x": 2**60}, {}),
        ({1: "x"}, {}),
        ({}, {"a": [1.0]}),
        ({}, {"a": np.array([object()])}),
        ({}, {"a": np.array(["x"])}),
        ({}, {"a": np.array([1j])}),
        ({}, {"a": np.array(["2020"], dtype="M8[s]")}),
        ({}, {"__metadata__": np.zeros(1)}),
        ({}, {"": np.zeros(1)}),
        ({}, {"ä": np.zeros(1)}),
        ({}, {5: np.zeros(1)}),
    ],
)
def test_what_cannot_be_saved(tmp_path, spec, arrays):
    with pytest.raises(BadInput):
        save_model(tmp_path / "m", spec, arrays)
    assert not (tmp_path / "m").exists()


def test_deep_spec(tmp_path):
    deep: dict = {}
    for _ in range(2000):
        deep = {"x": deep}
    with pytest.raises(BadInput):
        save_model(tmp_path / "m", deep, {})


def test_never_overwrites(saved):
    with pytest.raises(AlreadyExists):
        save_model(saved, {}, {})


def with_header(folder, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def small(tmp_path):
    save_model(tmp_path / "s", {}, {"a": np.array([1.0, 2.0]), "b": np.array([3.0])})
    return tmp_path / "s"


def entry(start, stop, shape, dtype="F64", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop], **more}


GOOD = {"a": entry(0, 16, [2]), "b": entry(16, 24, [1])}


def test_the_hand_made_file_is_good(small):
    with_header(small, GOOD, bytes(24))
    assert load_model(small)[1]["a"].tolist() == [0.0, 0.0]


HOSTILE = {
    "overlap": {"a": entry(0, 16, [2]), "b": entry(8, 16, [1])},
    "gap": {"a": entry(0, 16, [2]), "b": entry(20, 28, [1])},
    "same bytes": {"a": entry(0, 16, [2]), "b": entry(0, 16, [2])},
    "short": {"a": entry(0, 16, [2])},
    "extra": {**GOOD, "c": entry(24, 24, [0])},
    "renamed": {"a": GOOD["a"], "c": GOOD["b"]},
    "wrong dtype": {"a": entry(0, 16, [2], "I64"), "b": GOOD["b"]},
    "unknown dtype": {"a": entry(0, 16, [2], "BF16"), "b": GOOD["b"]},
    "dtype no text": {"a": entry(0, 16, [2], ["F64"]), "b": GOOD["b"]},
    "wrong shape": {"a": entry(0, 16, [1, 2]), "b": GOOD["b"]},
    "huge shape": {"a": entry(0, 16, [2**40, 2**40]), "b": GOOD["b"]},
    "zero by huge": {"a": entry(0, 0, [0, 2**62]), "b": entry(0, 24, [3])},
    "negative shape": {"a": entry(0, 16, [-2]), "b": GOOD["b"]},
    "float shape": {"a": entry(0, 16, [2.0]), "b": GOOD["b"]},
    "bool shape": {"a": GOOD["a"], "b": entry(16, 24, [True])},
    "many dimensions": {"a": entry(0, 16, [1] * 65 + [2]), "b": GOOD["b"]},
    "backwards": {"a": entry(16, 0, [2]), "b": GOOD["b"]},
    "beyond": {"a": entry(0, 2**40, [2**37]), "b": GOOD["b"]},
    "three offsets": {"a": {**GOOD["a"], "data_offsets": [0, 16, 16]}, "b": GOOD["b"]},
    "extra key": {"a": entry(0, 16, [2], code="import os"), "b": GOOD["b"]},
    "metadata": {**GOOD, "__metadata__": {"x": 1}},
    "list": [],
    "tensor no table": {"a": 1, "b": GOOD["b"]},
    "not JSON": b"{'a': 1}",
    "not UTF-8": b'{"\xff": 1}',
    "deep": b'{"a":' + b"[" * 100_000,
    "twice": b'{"a":{"dtype":"F64","shape":[3],"data_offsets":[0,24]},'
    b'"a":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}}',
    "long number": b'{"a":{"dtype":"F64","shape":[' + b"9" * 6000 + b'],"data_offsets":[0,24]}}',
    "NaN": b'{"a":{"dtype":"F64","shape":[NaN],"data_offsets":[0,24]}}',
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers(small, header):
    with_header(small, header, bytes(24))
    before = sys.getrecursionlimit()
    # as libraries of the ledger extra leave it: then deep nesting must not reach the C parser
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(BadInput):
            load_model(small)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**24 + 1, 2**31, 2**63, 2**64 - 1])
def test_hostile_header_length(small, length):
    path = small / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(BadInput):
        load_model(small)


def test_a_boolean_that_is_none(tmp_path):
    save_model(tmp_path / "m", {}, {"a": np.array([True, False])})
    path = tmp_path / "m/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(BadInput, match="boolean"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("how", ["gone", "link", "folder", "pipe", "empty"])
def test_what_stands_there_is_no_plain_file(small, name, how):
    import os

    path: Path = small / name
    data = path.read_bytes()
    path.unlink()
    if how == "link":
        (small / "other").write_bytes(data)
        path.symlink_to("other")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "empty":
        path.touch()
    with pytest.raises(BadInput):
        load_model(small)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@given(data=st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_mutated_files_load_or_are_bad_input(tmp_path, name, data):
    folder = tmp_path / "fuzz"
    if not folder.exists():
        save_model(folder, SPEC, tensors())
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    original = (tmp_path / name).read_bytes()
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        # the head of the file is where the structure is
        at = data.draw(st.integers(0, min(len(changed), 400)) | st.integers(0, len(changed)))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        if how == "flip" and at < len(changed):
            changed[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del changed[at:]
        elif how == "insert":
            changed[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        else:
            del changed[at : at + data.draw(st.integers(1, 9))]
    (folder / name).write_bytes(bytes(changed))
    try:
        load_model(folder)
    except BadInput:
        pass
    finally:
        (folder / name).write_bytes(original)
