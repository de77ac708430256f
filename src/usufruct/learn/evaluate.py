"""How good a model is, for each party and over all rows together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from usufruct.errors import BadInput
from usufruct.learn._numpy import Vector, decimal
from usufruct.learn.parties import Evaluation, Part, Party
from usufruct.learn.plan import Own
from usufruct.learn.statistics import Scaling

__all__ = ["evaluate", "metrics", "pooled"]


def evaluate(
    parties: Sequence[Party], weights: Vector, scaling: Scaling | Own | None, part: Part = "test"
) -> dict[str, Evaluation]:
    """Return each party's evaluation, in the order of names; parties without such rows left out.

    Raises
    ------
    BadInput
        A party counts what cannot be.
    """
    found: dict[str, Evaluation] = {}
    for party in sorted(parties, key=lambda p: p.name):
        if part == "test" and not party.describe().test_rows:
            continue
        result = party.evaluate(weights, scaling, part)
        counts = (result.correct, result.rows)
        if not all(type(n) is int for n in counts) or not 0 <= result.correct <= result.rows:
            raise BadInput(f"{party.name} reports {result.correct} right of {result.rows} rows")
        if result.rows < 1 or not math.isfinite(result.loss):
            raise BadInput(f"{party.name} reports an evaluation over no rows, or no finite loss")
        found[party.name] = result
    return found


def pooled(evaluations: Mapping[str, Evaluation]) -> Evaluation:
    """Return the evaluation over all rows of all parties together.

    Raises
    ------
    BadInput
        There are none.
    """
    if not evaluations:
        raise BadInput("no party holds rows to evaluate on")
    rows = sum(e.rows for e in evaluations.values())
    loss = math.fsum(e.loss * e.rows for e in evaluations.values()) / rows
    return Evaluation(sum(e.correct for e in evaluations.values()), rows, loss)


def metrics(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return evaluations as plain data: counts whole, loss and accuracy as decimal text."""
    if not evaluations:
        return {}
    return {
        "pooled": _plain(pooled(evaluations)),
        "parties": [{"party": name} | _plain(e) for name, e in sorted(evaluations.items())],
    }


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "correct": evaluation.correct,
        "rows": evaluation.rows,
        "accuracy": decimal(evaluation.accuracy),
        "loss": decimal(evaluation.loss),
    }
