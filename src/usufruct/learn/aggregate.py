"""Every rule that turns updates into a model, bit for bit the same on every machine.

Only NumPy's elementwise ``add``, ``multiply`` and ``divide`` on float64 are used, in the order of
party names: IEEE 754 rounds each of them one way. No BLAS (its sums change with threads and
machine), no reductions, no exponentials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from usufruct.errors import BadInput
from usufruct.learn._numpy import Vector, np, vector

__all__ = ["RULES", "Rule", "aggregate", "weighted_mean"]

Rule = Callable[[Sequence[Vector], Sequence[int]], Vector]
"""Updates in party order, their weights (row counts) -> the new model."""

MAX_WEIGHT = 2**53 - 1


def weighted_mean(updates: Sequence[Vector], weights: Sequence[int]) -> Vector:
    """Return ``sum(n_i * w_i) / sum(n_i)``, summed from first to last (FedAvg).

    References
    ----------
    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017, algorithm 1.
    """
    total = np.zeros_like(updates[0])
    for update, weight in zip(updates, weights, strict=True):
        total = np.add(total, np.multiply(update, np.float64(weight)))
    return np.divide(total, np.float64(sum(weights)))


RULES: Mapping[str, Rule] = {"fedavg": weighted_mean}
"""Rules by the name that a plan uses; a rule never changes its bits once released."""


def aggregate(rule: str, updates: Mapping[str, tuple[Vector, int]]) -> Vector:
    """Return the model that `rule` makes of the updates.

    Parameters
    ----------
    rule
        A name in `RULES`.
    updates
        Party name to (weights, number of rows); taken in the order of the names' code points.

    Raises
    ------
    BadInput
        Unknown rule, no updates, unequal lengths, NaN, a row count that is none, or a sum that
        overflows.
    """
    if rule not in RULES:
        raise BadInput(f"there is no rule '{rule}'", hint=", ".join(sorted(RULES)))
    if not updates:
        raise BadInput("there are no updates to aggregate")
    names = sorted(updates)
    size = vector(updates[names[0]][0], f"the update of {names[0]}").size
    rows = [updates[name][1] for name in names]
    for name, count in zip(names, rows, strict=True):
        if type(count) is not int or not 0 < count <= MAX_WEIGHT:
            raise BadInput(f"the update of {name} has the row count {count!r}")
    if sum(rows) > MAX_WEIGHT:
        raise BadInput("the row counts together are too large")
    vectors = [vector(updates[name][0], f"the update of {name}", size=size) for name in names]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        model = RULES[rule](vectors, rows)
    return vector(model, "the aggregated model", size=size)
