"""What can be computed again when the model's own bytes are at hand: weights and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.crypto import canonical
from usufruct.errors import BadInput, Mismatch, MissingExtra, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import PredictionClaim
from usufruct.evidence.predicates import Draft, Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import Predicate, read_predicate
from usufruct.evidence.report import Grade, Step
from usufruct.evidence.statements import read_statement
from usufruct.evidence.work import Prediction, Round
from usufruct.types import AssetKind, Digest
from usufruct.workspace.rounds import plan_digest, state

if TYPE_CHECKING:
    from usufruct.learn import LogisticModel

BUILD_TYPE = "https://usufruct.dev/federation/v1"
MOST_TEXT = 65536
"""Longest text that a prediction's commitment holds whole; longer ones by their SHA-256."""


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
    """Hold the model against the rounds it says it came from: plan, scaling, weights."""
    from usufruct.learn.records import Start

    run = known.get(version.run or "")
    rounds = _rounds(known, run) if isinstance(run, Run) and run.build_type == BUILD_TYPE else []
    if not isinstance(run, Run) or not rounds:
        return []
    subject = f"model '{version.title}' version {version.version}"
    model = _load(path)
    try:
        start = Start.from_dict(canonical.loads(rounds[0].metadata["record"].encode()))
        plan = canonical.loads(run.parameters["plan"].encode())
        holds = {
            "the start is not the one its first round ended with": (
                rounds[0].metadata["start"] == start.digest
                and rounds[0].after == state(start.digest, start.initial)
            ),
            "the plan is another than its run or its first round names": (
                start.plan.to_dict() == plan and rounds[0].before == plan_digest(plan)
            ),
            "its schema is not the one its draft announced": _schema_holds(known, run, model),
            "the plan has another number of rounds": len(rounds) == start.plan.rounds + 1,
            "the model's inputs or their mean and sd are not those agreed at the start": (
                model.features == start.columns
                and model.scaling.digest == (start.scaling or model.scaling).digest
                and start.scaling is not None
            ),
            "the weights are not what its last round ended with": (
                rounds[-1].metadata["model_out"] == model.weights_digest
                and rounds[-1].after == state(start.digest, model.weights_digest)
            ),
        }
    except (KeyError, ValueError, BadInput) as error:
        holds = {f"its rounds cannot be read: {error}": False}
    for why, good in holds.items():
        if not good:
            raise VerificationError(
                f"{subject} is not what its rounds made: {why}",
                mismatches=(Mismatch("round", detail=why),),
            )
    claim = f"plan, mean, sd and weights are those of its {len(rounds)} rounds"
    return [Step(subject, claim, Grade.PROVED)]


def _schema_holds(known: Mapping[str, Predicate], run: Run, model: LogisticModel) -> bool:
    draft = known.get(run.draft or "")
    announced = draft.terms.get("schema") if isinstance(draft, Draft) else None
    if announced is None:
        return True
    return model.schema is not None and announced.encode() == canonical.dumps(
        model.schema.to_dict()
    )


def _rounds(known: Mapping[str, Predicate], run: Run) -> list[Round]:
    """Return the rounds that led to a run, first to last; the walk has checked their chain."""
    found: list[Round] = []
    digest = run.last_round
    while digest is not None:
        one = known.get(digest)
        if not isinstance(one, Round):
            return []
        found.append(one)
        digest = one.previous
    return found[::-1]


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
