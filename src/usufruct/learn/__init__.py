"""Learning together while rows stay where they are; works alone on NumPy arrays.

::

    parties = [LocalParty("a", xa, ya), LocalParty("b", xb, yb)]
    model = Federation(parties, Plan(rounds=5)).run().model()
    model.predict_proba(x)

Needs the extra ``learn`` (NumPy); without it the first name taken from here raises
`usufruct.errors.MissingExtra`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usufruct.learn.aggregate import RULES
    from usufruct.learn.audit import verify_chain, verify_round, verify_start
    from usufruct.learn.evaluate import pooled
    from usufruct.learn.journal import Checkpoint, RoundJournal
    from usufruct.learn.model import LogisticModel, Prediction
    from usufruct.learn.parties import Description, Evaluation, LocalParty, Party, Update
    from usufruct.learn.plan import Plan, RoundPlan
    from usufruct.learn.records import Member, Round, Start, UpdateRef
    from usufruct.learn.rounds import Federation, OnRound, Result
    from usufruct.learn.schema import Column, Schema
    from usufruct.learn.split import split_rows, split_table
    from usufruct.learn.statistics import Scaling, Statistics
    from usufruct.learn.tables import Table, load_table, read_rows

_HOME = {
    "RULES": "aggregate",
    "Checkpoint": "journal",
    "Column": "schema",
    "Description": "parties",
    "Evaluation": "parties",
    "Federation": "rounds",
    "LocalParty": "parties",
    "LogisticModel": "model",
    "Member": "records",
    "OnRound": "rounds",
    "Party": "parties",
    "Plan": "plan",
    "Prediction": "model",
    "Result": "rounds",
    "Round": "records",
    "RoundJournal": "journal",
    "RoundPlan": "plan",
    "Scaling": "statistics",
    "Schema": "schema",
    "Start": "records",
    "Statistics": "statistics",
    "Table": "tables",
    "Update": "parties",
    "UpdateRef": "records",
    "load_table": "tables",
    "pooled": "evaluate",
    "read_rows": "tables",
    "split_rows": "split",
    "split_table": "split",
    "verify_chain": "audit",
    "verify_round": "audit",
    "verify_start": "audit",
}

__all__ = [
    "RULES",
    "Checkpoint",
    "Column",
    "Description",
    "Evaluation",
    "Federation",
    "LocalParty",
    "LogisticModel",
    "Member",
    "OnRound",
    "Party",
    "Plan",
    "Prediction",
    "Result",
    "Round",
    "RoundJournal",
    "RoundPlan",
    "Scaling",
    "Schema",
    "Start",
    "Statistics",
    "Table",
    "Update",
    "UpdateRef",
    "load_table",
    "pooled",
    "read_rows",
    "split_rows",
    "split_table",
    "verify_chain",
    "verify_round",
    "verify_start",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'usufruct.learn' has no attribute '{name}'")
    value = getattr(import_module(f"usufruct.learn.{_HOME[name]}"), name)
    globals()[name] = value
    return value
