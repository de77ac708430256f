"""What can be computed again when the model's own bytes are at hand: weights and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.errors import Mismatch, MissingExtra, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import PredictionClaim
from usufruct.evidence.predicates import Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import Predicate, read_predicate
from usufruct.evidence.report import Grade, Step
from usufruct.evidence.statements import read_statement
from usufruct.evidence.work import Prediction, Round
from usufruct.types import AssetKind, Digest

if TYPE_CHECKING:
    from usufruct.learn import LogisticModel

_STATE = b"usufruct/state/v1\0"
MOST_TEXT = 65536
"""Longest text that a prediction's commitment holds whole; longer ones by their SHA-256."""


def state(start: str, model: str) -> Digest:
    """Return the digest of a federation's shared state: what all agreed on, and the model."""
    digest = hashlib.sha256(_STATE + bytes.fromhex(start) + bytes.fromhex(model))
    return Digest(digest.hexdigest())


def as_value(name: str, text: str) -> dict[str, str]:
    """Return a text as a prediction commits to it, whole or by its digest."""
    data = text.encode()
    if len(data) <= MOST_TEXT:
        return {name: text}
    return {f"{name} sha256": hashlib.sha256(data).hexdigest()}


def recompute(bundle: Bundle, places: Mapping[str, Path]) -> tuple[Step, ...]:
    """Compute again what the models at hand allow, for a bundle that is verified already.

    Parameters
    ----------
    places
        Where the bytes of a content root are; they were compared with it.

    Raises
    ------
    VerificationError
        A model is not what its last round ended with, or does not give the signed answer.
    """
    known: dict[str, Predicate] = {}
    for item in bundle.statements:
        statement = read_statement(item.envelope)
        known[statement.digest] = read_predicate(statement)
    steps: list[Step] = []
    for digest, version in known.items():
        if not isinstance(version, Version) or version.kind is not AssetKind.MODEL:
            continue
        path = places.get(version.content_root)
        if path is None or not path.is_dir():
            continue
        try:
            steps += _weights(known, version, path)
            if isinstance(bundle.claim, PredictionClaim):
                steps += _answer(known, bundle.claim, Digest(digest), path)
        except MissingExtra:
            continue
    return tuple(steps)


def _weights(known: Mapping[str, Predicate], version: Version, path: Path) -> list[Step]:
    run = known.get(version.run or "")
    last = known.get(run.last_round or "") if isinstance(run, Run) else None
    if not isinstance(last, Round) or "model_out" not in last.metadata:
        return []
    subject = f"model '{version.title}' version {version.version}"
    weights = _load(path).weights_digest
    try:
        after = state(last.metadata.get("start", ""), weights)
    except ValueError:
        after = Digest("")
    if weights != last.metadata["model_out"] or after != last.after:
        raise VerificationError(
            f"the weights of {subject} are not what its last round ended with",
            mismatches=(Mismatch("round", detail=f"round {last.number} ended with other weights"),),
        )
    return [Step(subject, f"its weights are the outcome of round {last.number}", Grade.PROVED)]


def _answer(
    known: Mapping[str, Predicate], claim: PredictionClaim, model: Digest, path: Path
) -> list[Step]:
    said = known[claim.statement]
    opened = claim.input is not None and claim.output is not None
    if not isinstance(said, Prediction) or said.model.statement != model or not opened:
        return []
    rows = claim.input.value.get("rows") if claim.input else None
    if rows is None:
        return []
    found = as_value("probabilities", probabilities(path, rows))
    if claim.output is None or dict(claim.output.value) != found:
        raise VerificationError(
            "the model at hand gives another answer to this input",
            mismatches=(Mismatch("prediction", detail="computed again, the answer differs"),),
            hint="the last digits may differ between kinds of processor; compare them",
        )
    return [Step("prediction", "the model gives this answer, computed again", Grade.PROVED)]


def probabilities(path: Path, rows: str) -> str:
    """Return a model's answers to raw rows, as signed: one decimal a line."""
    return "\n".join(repr(float(p.probability)) for p in _load(path).predict(rows))


def _load(path: Path) -> LogisticModel:
    from usufruct.learn import LogisticModel
    from usufruct.models.safe import load_model

    spec, tensors = load_model(path)
    return LogisticModel.from_parts(spec, tensors)
