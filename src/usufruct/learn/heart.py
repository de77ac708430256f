"""The four hospitals' heart disease set: its schema, FLamby's sizes, the demo's plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from usufruct.errors import BadInput
from usufruct.examples import heart_disease
from usufruct.learn.parties import LocalParty
from usufruct.learn.plan import Plan
from usufruct.learn.schema import Column, Schema
from usufruct.learn.split import split_table
from usufruct.learn.tables import Table, load_table

__all__ = [
    "HEART_PLAN",
    "HEART_SCHEMA",
    "HOSPITALS",
    "SPLIT_SEED",
    "Hospital",
    "hospital_party",
    "hospital_tables",
    "load_hospital",
]

HEART_SCHEMA = Schema(
    (
        Column("age", "number"),
        Column("sex", "binary"),
        Column("cp", "category", ("1", "2", "3", "4")),
        Column("trestbps", "number"),
        Column("chol", "number"),
        Column("fbs", "binary"),
        Column("restecg", "category", ("0", "1", "2")),
        Column("thalach", "number"),
        Column("exang", "binary"),
        Column("oldpeak", "number"),
        Column("slope", "ignore"),
        Column("ca", "ignore"),
        Column("thal", "ignore"),
        Column("num", "target", threshold="0"),
    )
)
"""FLamby's rule: slope, ca, thal unused; rows with a missing value dropped; 13 features."""


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital of the set: `train` and `test` are FLamby's numbers of rows."""

    key: str
    title: str
    train: int
    test: int


HOSPITALS = (
    Hospital("cleveland", "Cleveland Clinic Foundation", 199, 104),
    Hospital("hungarian", "Hungarian Institute of Cardiology, Budapest", 172, 89),
    Hospital("switzerland", "University Hospitals Zurich and Basel", 30, 16),
    Hospital("va", "V.A. Medical Center, Long Beach", 85, 45),
)
"""Sizes equal FLamby's; which rows are drawn is ours: its row lists come with its own files."""

SPLIT_SEED = 0
"""The demo's split: fixed before any figure was seen, not picked for one."""

HEART_PLAN = Plan(rounds=15, local_steps=5, learning_rate=0.1, l2=0.0, batch_size=0, seed=0)
"""Lowest log loss in cross-validation on split 0's training rows: ``bench/heart.py --search``."""


def load_hospital(key: str, path: Path | None = None) -> Table:
    """Return one hospital's complete rows; from the package's example data without `path`."""
    return load_table(path or heart_disease()[_hospital(key).key], HEART_SCHEMA)


def hospital_tables(
    *, seed: int = SPLIT_SEED, paths: Mapping[str, Path] | None = None
) -> dict[str, tuple[Table, Table]]:
    """Return the training and test rows of the four hospitals, by key."""
    return {
        h.key: split_table(
            load_hospital(h.key, (paths or {}).get(h.key)), h.test, seed=seed, label=h.key
        )
        for h in HOSPITALS
    }


def hospital_party(
    key: str, *, name: str | None = None, path: Path | None = None, seed: int = SPLIT_SEED
) -> LocalParty:
    """Return one hospital as a party that holds its training and test rows.

    Raises
    ------
    BadInput
        No such hospital, or another file than FLamby's sizes fit.
    """
    hospital = _hospital(key)
    table = load_hospital(key, path)
    if len(table) != hospital.train + hospital.test:
        raise BadInput(
            f"the file of {hospital.title} has {len(table)} complete rows, "
            f"not {hospital.train + hospital.test}"
        )
    train, test = split_table(table, hospital.test, seed=seed, label=hospital.key)
    return LocalParty.from_table(name or hospital.key, train, test=test)


def _hospital(key: str) -> Hospital:
    for hospital in HOSPITALS:
        if hospital.key == key:
            return hospital
    raise BadInput(f"there is no hospital '{key}'", hint=", ".join(h.key for h in HOSPITALS))
