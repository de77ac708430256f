"""Statistics, training and aggregation against exact rationals, NumPy and finite differences."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from usufruct.errors import BadInput
from usufruct.learn import Plan, Scaling, Statistics
from usufruct.learn import _numpy as arrays
from usufruct.learn.aggregate import aggregate
from usufruct.learn.logreg import loss, probabilities, scores, train
from usufruct.learn.split import shuffled
from usufruct.learn.statistics import combine, summarise

FIXED_ORDER = [3, 1, 5, 2, 4, 0]
finite = st.floats(-1e6, 1e6, width=64)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(6, 30), st.integers(1, 4)), elements=finite),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_statistics_equal_pooled_and_ignore_order(x, cut, random):
    parts = [summarise(x[:cut]), summarise(x[cut:])]
    together = combine(parts)
    assert combine(parts[::-1]) == together
    order = list(range(len(x)))
    random.shuffle(order)
    assert combine([summarise(x[order])]).mean == pytest.approx(together.mean, rel=1e-12, abs=1e-9)
    for j in range(x.shape[1]):
        exact = [Fraction(v) for v in x[:, j].tolist()]
        mean = sum(exact) / len(exact)
        variance = sum((v - mean) ** 2 for v in exact) / len(exact)
        assert together.mean[j] == pytest.approx(float(mean), rel=1e-12, abs=1e-9)
        square = float(sum(v * v for v in exact) / len(exact))
        if variance > max(square * 1e-6, 1e-280):  # smaller squares lose digits
            assert together.sd[j] == pytest.approx(math.sqrt(variance), rel=1e-8)
        assert together.sd[j] > 0


def test_statistics_against_numpy():
    x = np.random.default_rng(1).normal(120, 15, size=(200, 5))
    scaling = combine([summarise(x[:7]), summarise(x[7:120]), summarise(x[120:])])
    np.testing.assert_allclose(scaling.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(scaling.sd, x.std(axis=0), rtol=1e-11)
    scaled = scaling.apply(x)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-10)


def test_constant_columns_keep_their_scale():
    x = np.full((9, 2), 0.1)
    x[:, 1] = 1e8
    assert combine([summarise(x[:4]), summarise(x[4:])]).sd == (1.0, 1.0)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [Statistics(0, (1.0,), (1.0,))],
        [Statistics(True, (1.0,), (1.0,))],
        [Statistics(2, (), ())],
        [Statistics(2, (1.0,), (1.0, 1.0))],
        [Statistics(2, (1.0,), (1.0,)), Statistics(2, (1.0, 1.0), (1.0, 1.0))],
        [Statistics(2, (math.nan,), (1.0,))],
        [Statistics(2, (1.0,), (math.inf,))],
        [Statistics(2, (1.0,), (-1.0,))],
        [Statistics(2, (10.0,), (1.0,))],
    ],
)
def test_statistics_that_cannot_be(parts):
    with pytest.raises(BadInput):
        combine(parts)


def test_overflow_is_named():
    with pytest.raises(BadInput, match="too large"):
        summarise(np.full((3, 1), 1e200))
    with pytest.raises(BadInput, match="too large"):
        Scaling((0.0,), (1e-300,)).apply(np.full((3, 1), 1e200))
    for mean, sd in (((0.0,), (0.0,)), ((0.0,), (-1.0,)), ((0.0,), (1.0, 1.0)), ((), ())):
        with pytest.raises(BadInput):
            Scaling(mean, sd)


vectors = hnp.arrays(np.float64, 3, elements=st.floats(-1e300, 1e300))


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.tuples(vectors, st.integers(1, 999))))
def test_weighted_mean_is_the_sum_in_name_order_to_the_bit(updates):
    if not updates:
        with pytest.raises(BadInput):
            aggregate("fedavg", updates)
        return
    # plain Python floats are the outside judge: one IEEE operation at a time
    expected = [0.0, 0.0, 0.0]
    total = sum(rows for _, rows in updates.values())
    for name in sorted(updates):
        w, rows = updates[name]
        expected = [e + v * float(rows) for e, v in zip(expected, w.tolist(), strict=True)]
    expected = [e / float(total) for e in expected]
    shuffled_parties = dict(reversed(list(updates.items())))
    if not all(map(math.isfinite, expected)):
        with pytest.raises(BadInput, match="infinity"):
            aggregate("fedavg", updates)
        return
    model = aggregate("fedavg", updates)
    assert arrays.vector_bytes(model) == np.array(expected, "<f8").tobytes()
    assert aggregate("fedavg", shuffled_parties).tobytes() == model.tobytes()


@pytest.mark.parametrize(
    "updates",
    [
        {"a": (np.ones(2), 1), "b": (np.ones(3), 1)},
        {"a": (np.array([1, np.nan]), 1)},
        {"a": (np.ones(2), 0)},
        {"a": (np.ones(2), -1)},
        {"a": (np.ones(2), True)},
        {"a": (np.ones(2), 1.5)},
        {"a": (np.ones(2), 2**53)},
        {"a": (np.ones(2), 2**53 - 1), "b": (np.ones(2), 1)},
        {"a": (np.ones((2, 1)), 1)},
        {"a": ("weights", 1)},
    ],
)
def test_bad_updates(updates):
    with pytest.raises(BadInput):
        aggregate("fedavg", updates)


def test_unknown_rule():
    with pytest.raises(BadInput, match="no rule"):
        aggregate("best", {"a": (np.ones(2), 1)})


def test_gradient_is_that_of_the_loss():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 4)), (random.random(40) > 0.4).astype(float)
    model = random.normal(size=5)
    l2, tiny = 0.3, 1e-6
    moved = train(x, y, model, steps=1, learning_rate=1.0, l2=l2)
    for i in range(5):
        up, down = model.copy(), model.copy()
        up[i] += tiny
        down[i] -= tiny
        slope = (loss(x, y, up) - loss(x, y, down)) / (2 * tiny) + (l2 * model[i] if i < 4 else 0)
        assert model[i] - moved[i] == pytest.approx(slope, abs=1e-7)


def test_training_finds_the_optimum_of_a_known_problem():
    # one binary feature: the optimum's log odds are those of the two groups
    x = np.array([[0.0]] * 10 + [[1.0]] * 10)
    y = np.array([1.0] * 2 + [0.0] * 8 + [1.0] * 7 + [0.0] * 3)
    model = train(x, y, np.zeros(2), steps=4000, learning_rate=1.0, l2=0.0)
    assert model[1] == pytest.approx(math.log(2 / 8), abs=1e-6)
    assert model.sum() == pytest.approx(math.log(7 / 3), abs=1e-6)


def test_batches_are_seeded_and_cover_all_rows():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 2)), (random.random(20) > 0.5).astype(float)

    def once(*labels, size=6):
        return train(
            x, y, np.zeros(3), steps=9, learning_rate=0.3, l2=0, batch_size=size, labels=labels
        ).tobytes()

    assert once(1, 2, "a") == once(1, 2, "a")
    assert len({once(1, 2, "a"), once(2, 2, "a"), once(1, 3, "a"), once(1, 2, "b")}) == 4
    assert once(1, size=20) == once(2, size=0) == once(3, size=99)
    assert sorted(shuffled(50, "x")) == list(range(50))
    assert shuffled(6, "split", 0) == FIXED_ORDER


def test_runaway_training_and_extreme_odds():
    x, y = np.array([[1e6], [-1e6]]), np.array([1.0, 0.0])
    with pytest.raises(BadInput, match=r"infinity|too large"):
        train(x, y, np.ones(2), steps=500, learning_rate=1e6, l2=1e3)
    p = probabilities(np.array([-1e308, -800.0, 0.0, 800.0, 1e308]))
    assert p.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    with pytest.raises(BadInput, match="too large"):
        scores(np.full((1, 2), 1e200), np.full(3, 1e200))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimal_text_is_exact(value):
    text = arrays.decimal(value)
    back = arrays.from_decimal(text, "it")
    assert np.float64(back).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("text", ["nan", "inf", "1", "1.00", " 1.0", "1_0.0", 1.0, None, "x" * 99])
def test_other_decimal_texts_are_refused(text):
    with pytest.raises(BadInput):
        arrays.from_decimal(text, "it")


def test_plan_round_trip():
    plan = Plan(rounds=3, learning_rate=0.1, l2=1e-5, seed=2**53 - 1, normalise="none")
    assert Plan.from_dict(plan.to_dict()) == plan
    assert plan.to_dict()["l2"] == "1e-05"


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 0},
        {"rounds": True},
        {"rounds": 1.0},
        {"local_steps": 0},
        {"batch_size": -1},
        {"seed": 2**53},
        {"learning_rate": "0.0"},
        {"learning_rate": "-0.1"},
        {"learning_rate": 0.1},
        {"l2": "nan"},
        {"rule": "best"},
        {"rule": ["fedavg"]},
        {"normalise": "all"},
        {"normalise": {}},
        {"more": 1},
    ],
)
def test_odd_plans_are_refused(change):
    with pytest.raises(BadInput):
        Plan.from_dict(Plan().to_dict() | change)
