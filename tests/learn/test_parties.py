from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

from usufruct.crypto import ed25519
from usufruct.errors import BadInput, NotAllowed, VerificationError
from usufruct.learn import LocalParty, Plan, RoundPlan, Scaling
from usufruct.learn._numpy import vector_digest
from usufruct.learn.records import update_leaf
from usufruct.types import Digest

from .conftest import make_party

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 1, 1])
START = Digest("11" * 32)


def test_describe_statistics_and_counts():
    party = LocalParty("h", X, Y, test=(X[:2], Y[:2]), columns=("u", "v"), missing=3)
    told = party.describe()
    assert (told.columns, told.rows, told.test_rows) == (("u", "v"), 6, 2)
    assert (told.classes, told.missing) == ((2, 4), 3)
    sums = party.statistics()
    assert (sums.count, sums.sums, sums.squares) == (6, (30.0, 36.0), (220.0, 286.0))
    always_ill = np.array([0.0, 0.0, 1.0])
    assert party.evaluate(always_ill, None, "train").correct == 4
    half = party.evaluate(np.zeros(3), None, "test")
    assert half.rows == 2
    assert half.loss == pytest.approx(np.log(2))


def test_rows_do_not_leave():
    party = LocalParty("h", X + 0.12345, Y, test=(X, Y))
    assert repr(party) == str(party) == "LocalParty('h')"
    assert not hasattr(party, "__dict__")
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(NotAllowed, match="do not leave"):
            act(party)
    public = [name for name in dir(party) if not name.startswith("_")]
    assert public == ["describe", "evaluate", "from_table", "name", "statistics", "update"]
    for name in ("X", "x", "_x", "__x", "__y", "features"):
        assert not hasattr(party, name)
    update = party.update(np.zeros(3), RoundPlan(1, Plan(), START, None))
    for released in (party.describe(), party.statistics(), update):
        sizes = [r.size for r in gc.get_referents(released) if isinstance(r, np.ndarray)]
        assert X.size not in sizes
        assert "0.12345" not in repr(released)


def test_rows_are_copied_and_inputs_kept():
    x, y = X.copy(), Y.astype(float)
    party = LocalParty("h", x, y)
    before = party.statistics()
    x[:] = 0
    assert party.statistics() == before
    weights = np.ones(3)
    party.update(weights, RoundPlan(1, Plan(), START, Scaling((5.0, 6.0), (3.0, 3.0))))
    assert weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("features", "target", "words"),
    [
        (X[:0], Y[:0], "there are none"),
        (X[:, :0], Y, "no columns"),
        (X.ravel(), Y, "2 dimension"),
        (X, Y[:-1], "5 values; 6 are needed"),
        (X, Y + 1, "neither 0 nor 1"),
        (X, Y[:, None], "1 dimension"),
        (np.where(X == 3, np.nan, X), Y, "NaN"),
        (np.where(X == 3, np.inf, X), Y, "NaN or infinity"),
        (X.astype(str), Y, "not an array of numbers"),
        (X.astype(complex), Y, "not an array of numbers"),
        ([[1, 2], [3]], [0, 1], "not an array of numbers"),
        ([[object()]], [0], "not an array of numbers"),
        (X, ["a"] * 6, "not an array of numbers"),
        (None, None, "not an array of numbers"),
    ],
)
def test_bad_rows(features, target, words):
    with pytest.raises(BadInput, match=words):
        LocalParty("h", features, target)


def test_other_bad_input():
    with pytest.raises(NotAllowed, match="disclose"):
        LocalParty("h", X[:4], Y[:4])
    assert LocalParty("h", X[:1], Y[:1], min_rows=1).describe().rows == 1
    with pytest.raises(BadInput, match="3 columns; 2"):
        LocalParty("h", X, Y, test=(np.zeros((2, 3)), [0, 1]))
    for columns in (("a",), ("a", "a"), ("a", "b", "c")):
        with pytest.raises(BadInput, match="names"):
            LocalParty("h", X, Y, columns=columns)
    for name in ("", "a\n", "x" * 201, None):
        with pytest.raises(BadInput, match="name"):
            LocalParty(name, X, Y)
    party = LocalParty("h", X, Y)
    with pytest.raises(BadInput, match="no test rows"):
        party.evaluate(np.zeros(3), None, "test")
    with pytest.raises(BadInput, match="'train' or 'test'"):
        party.evaluate(np.zeros(3), None, "all")
    for weights in (np.zeros(2), np.full(3, np.nan), np.zeros((3, 1)), "abc"):
        with pytest.raises(BadInput):
            party.update(weights, RoundPlan(1, Plan(), START, None))
    with pytest.raises(BadInput, match="columns"):
        party.update(np.zeros(3), RoundPlan(1, Plan(), START, Scaling((0.0,), (1.0,))))


def test_one_class_is_enough():
    party = LocalParty("h", X, np.ones(6))
    assert party.describe().classes == (0, 6)
    scaling = Scaling((5.0, 6.0), (3.0, 3.0))
    assert party.update(np.zeros(3), RoundPlan(1, Plan(), START, scaling)).weights[-1] > 0


def test_updates_are_signed_and_bound_to_their_place():
    key = ed25519.SecretKey(bytes(range(32)))
    party = make_party("h", signer=key)
    task = RoundPlan(2, Plan(normalise="local"), START, "own")
    update = party.update(np.zeros(4), task)
    before = vector_digest(np.zeros(4))
    leaf = update_leaf(START, 2, before, update.ref)
    ed25519.verify(key.public_key, update.signature, leaf)
    with pytest.raises(VerificationError):
        ed25519.verify(key.public_key, update.signature, update_leaf(START, 3, before, update.ref))


def test_leaf_layout_by_hand():
    update = make_party("é").update(np.zeros(4), RoundPlan(1, Plan(), START, "own"))
    leaf = update_leaf(START, 7, Digest("22" * 32), update.ref)
    assert leaf == (
        b"usufruct/update/v1\0"
        + b"\x11" * 32
        + b"\0\0\0\0\0\0\0\7"
        + b"\x22" * 32
        + b"\0\0\0\2\xc3\xa9"
        + bytes.fromhex(update.ref.digest)
        + b"\0\0\0\0\0\0\0\x18"
    )
