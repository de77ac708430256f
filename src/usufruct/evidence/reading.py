"""Reading any of our predicates by its type, and which statements each one needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from usufruct.errors import BadInput
from usufruct.evidence.predicates import Draft, Party, Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.statements import PROVENANCE, Statement, predicate_type
from usufruct.evidence.work import Prediction, Round
from usufruct.types import AssetKind, Digest

Predicate = Version | Draft | Party | Round | Run | Prediction

_READERS: Mapping[str, type[Predicate]] = {
    **{predicate_type(str(kind)): Version for kind in AssetKind},
    predicate_type("draft"): Draft,
    predicate_type("party"): Party,
    predicate_type("round"): Round,
    predicate_type("prediction"): Prediction,
    PROVENANCE: Run,
}


def read_predicate(statement: Statement) -> Predicate:
    """Read a statement's predicate by its type, strictly.

    Raises
    ------
    BadInput
        An unknown type, a wrong shape, or one that does not encode back to the same statement
        (which also ties the subject to the predicate).
    """
    reader = _READERS.get(statement.type)
    if reader is None:
        raise BadInput(f"a statement of type '{statement.type[:80]}' is not known here")
    predicate = reader.read(statement)
    if hashlib.sha256(predicate.payload()).hexdigest() != statement.digest:
        raise BadInput("a statement does not encode back to itself")
    return predicate


def needed_by(predicate: Predicate) -> tuple[Digest, ...]:
    """Return the digests of the statements that a predicate refers to, in walking order."""
    match predicate:
        case Version():
            run = () if predicate.run is None else (predicate.run,)
            return (*run, *(item.statement for item in predicate.inputs))
        case Draft():
            return tuple(item.statement for item in predicate.parents)
        case Round():
            before = () if predicate.previous is None else (predicate.previous,)
            return (predicate.draft, *before, *(m.dataset.statement for m in predicate.members))
        case Run():
            named = (predicate.draft, predicate.last_round)
            return (
                *(digest for digest in named if digest is not None),
                *(item.statement for item in predicate.inputs),
            )
        case Prediction():
            return (predicate.model.statement,)
        case Party():
            return ()
