"""What parties agree on before they learn together."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from usufruct.errors import BadInput
from usufruct.learn._numpy import decimal, from_decimal
from usufruct.learn.aggregate import RULES
from usufruct.learn.statistics import Scaling
from usufruct.types import Digest

__all__ = ["Normalise", "Own", "Plan", "RoundPlan"]

Normalise = Literal["federated", "local", "none"]

Own = Literal["own"]
"""Stands for a scaling that each party makes of its own rows and keeps."""

_FLOATS = ("learning_rate", "l2")
_TEXTS = ("rule", "normalise")


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of a federation's arithmetic, fixed before its first round.

    Parameters
    ----------
    rounds
        How many times updates are collected and averaged, 1 to 100,000.
    rule
        How they are averaged: a name in ``aggregate.RULES``.
    local_steps
        Gradient steps of each party in a round, 1 to 1,000,000.
    learning_rate
        Length of a step, above 0.
    l2
        Weight of the penalty ``l2 / 2 * |w|^2``; the bias is free.
    batch_size
        Rows of a step; 0 means all of them.
    seed
        Decides the order of rows in batches, 0 to 2^53 - 1.
    normalise
        ``federated``: mean and sd over all parties' rows. ``local``: each party by its own
        (no model for raw rows comes of it; kept to compare). ``none``: numbers as they stand.
    """

    rounds: int = 15
    rule: str = "fedavg"
    local_steps: int = 10
    learning_rate: float = 0.1
    l2: float = 0.01
    batch_size: int = 0
    seed: int = 0
    normalise: Normalise = "federated"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rounds", 1, 100_000),
            ("local_steps", 1, 1_000_000),
            ("batch_size", 0, 2**53 - 1),
            ("seed", 0, 2**53 - 1),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise BadInput(f"the plan's {name} is a whole number from {low} to {high}")
        for name in _FLOATS:
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
                raise BadInput(f"the plan's {name} is a number of zero or more")
            object.__setattr__(self, name, float(value))
        if self.learning_rate == 0:
            raise BadInput("the plan's learning_rate is above zero")
        if self.rule not in RULES:
            raise BadInput(f"there is no rule '{self.rule}'", hint=", ".join(sorted(RULES)))
        if self.normalise not in get_args(Normalise):
            raise BadInput(
                f"the plan cannot normalise '{self.normalise}'", hint=", ".join(get_args(Normalise))
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data; numbers that are not whole as decimal text."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return data | {name: decimal(data[name]) for name in _FLOATS}

    @classmethod
    def from_dict(cls, data: Any) -> Plan:
        """Return the plan that `to_dict` wrote; anything else is refused.

        Raises
        ------
        BadInput
            Unknown or absent fields, wrong types or values.
        """
        if not isinstance(data, dict) or set(data) != {f.name for f in fields(cls)}:
            raise BadInput("a plan has unknown or absent fields")
        if not all(isinstance(data[name], str) for name in _TEXTS):
            raise BadInput("a plan's rule and normalise are texts")
        floats = {name: from_decimal(data[name], f"the plan's {name}") for name in _FLOATS}
        return cls(**(data | floats))


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What a party needs to know to make its update of one round.

    Parameters
    ----------
    number
        The round, from 1.
    plan
        The agreed plan.
    start
        Digest of the record that opened the federation; an update is bound to it.
    scaling
        Federated mean and sd; ``own``: each party's own; None: numbers as they stand.
    """

    number: int
    plan: Plan
    start: Digest
    scaling: Scaling | Own | None
