"""A model's answers, signed: which model, which input, which output, none of it shown."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usufruct.assets.check import check_path
from usufruct.assets.sidecar import evidence_path
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import Opening, PredictionClaim
from usufruct.evidence.content import Manifest
from usufruct.evidence.predicates import Reference, Version
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement, sign_statement
from usufruct.evidence.verify import verify_bundle
from usufruct.evidence.work import Prediction
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import AssetKind, Digest
from usufruct.workspace import finishing, gathering, recomputing, targets
from usufruct.workspace.output import check_output
from usufruct.workspace.session import Session

MOST_ROWS_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the probability of target 1 as a decimal, and the label it makes."""

    probability: str
    label: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """Answers to a batch of rows, and the bundle that proves them."""

    answers: tuple[Answer, ...]
    model: Reference
    statement: Digest
    bundle: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return {
            "answers": [asdict(answer) for answer in self.answers],
            "model": self.model.to_dict(),
            "statement": self.statement,
            "bundle": self.bundle,
        }


def predict(
    session: Session, model: str, data: Path, *, output: Path | None = None, force: bool = False
) -> Predicted:
    """Answer each row of `data` with a model of this home and sign what was answered.

    Parameters
    ----------
    model
        Id, beginning of an id, title, the folder it was published from, or one it was
        downloaded to.
    output
        Where the bundle goes; by default into the home.

    Raises
    ------
    VerificationError
        The model's files are not those that were published; nothing is answered.
    NotFound, BadInput
        No such model, or rows that its schema does not fit.
    """
    chosen = _model(session, model)
    if output is not None:
        check_output(output, force=force)
    found = check_path(chosen.source, chosen.manifest, party=chosen.party)
    if found.mismatches:
        raise VerificationError(
            f"the files of '{chosen.title}' are not those that were published",
            mismatches=found.mismatches,
            hint="restore them; no answer was given",
        )
    raw = read_bytes(data, limit=MOST_ROWS_BYTES)
    try:
        rows = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{data} is not UTF-8 text (byte {error.start})") from None
    answers = recomputing.probabilities(chosen.source, rows)
    finishing.resume(session)
    reference = chosen.reference
    asked = Opening(recomputing.as_value("rows", rows), secrets.token_bytes(32))
    given = Opening(recomputing.as_value("probabilities", answers), secrets.token_bytes(32))
    said = Prediction(reference, asked.digest, given.digest, session.now())
    envelope = sign_statement(said.payload(), [session.identity])
    finishing.append(session, envelope)
    session.signed_log.checkpoint()
    statement = read_statement(envelope).digest
    bundle = gathering.gather(session, PredictionClaim(statement, asked, given))
    if output is None:
        folder = session.home.path / "predictions"
        make_folder(folder)
        output = folder / f"{statement[:16]}.json"
    write_atomic(output, bundle.to_bytes())
    labelled = tuple(Answer(p, "1" if float(p) >= 0.5 else "0") for p in answers.split("\n"))
    return Predicted(labelled, reference, statement, str(output))


@dataclass(frozen=True, slots=True)
class _Model:
    """A model whose files are at hand: an own one, or one that was downloaded."""

    title: str
    party: str
    source: Path
    manifest: Manifest
    reference: Reference


def _model(session: Session, text: str) -> _Model:
    store = session.assets_store
    try:
        record = store.find(text)
    except NotFound:
        place = Path(os.path.realpath(text))
        known = store.by_source(place)
        if known:
            record = store.asset(known[-1].asset)
        elif place.is_dir() and os.path.lexists(evidence_path(place)):
            return _downloaded(session, place)
        else:
            raise
    if record.kind is not AssetKind.MODEL:
        raise BadInput(f"'{record.title}' is a {record.kind}, not a model")
    version = store.version(record.id)
    if version.source is None or not version.source.is_dir():
        raise NotFound(
            f"the files of '{record.title}' are not at {version.source}",
            hint="put them back where they were published",
        )
    reference = Reference(record.id, version.number, version.content_root, version.statement)
    manifest = store.manifest(record.id, version.number)
    return _Model(record.title, session.public.name, version.source, manifest, reference)


def _downloaded(session: Session, place: Path) -> _Model:
    """Return another party's model by the evidence beside its files, which is kept from now on."""
    bundle = targets.evidence_of(place, None)
    verify_bundle(bundle)
    digest = bundle.claim.statement
    for item in bundle.statements:
        statement = read_statement(item.envelope)
        if statement.digest != digest:
            continue
        version = read_predicate(statement)
        if not isinstance(version, Version) or bundle.manifest is None:
            break
        if version.kind is not AssetKind.MODEL:
            raise BadInput(f"'{version.title}' is a {version.kind}, not a model")
        session.records.add_bundle(Bundle(bundle.claim, bundle.statements, bundle.logs))
        reference = version.reference(digest)
        return _Model(version.title, version.owner, place, bundle.manifest, reference)
    raise BadInput(f"the evidence beside {place} is not of a version of a model")
