"""Work that was promised and is finished, by this command or a later one, each step repeatable."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from usufruct.assets.sidecar import evidence_path, read_evidence, write_evidence
from usufruct.crypto import canonical, dsse
from usufruct.errors import (
    BadInput,
    NotFound,
    TransactionReverted,
    Unavailable,
    VerificationError,
)
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.predicates import Draft, Version
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement
from usufruct.types import Digest
from usufruct.workspace import gathering, registering, sealing
from usufruct.workspace.records import Work
from usufruct.workspace.session import Session

VERSION, DRAFT = "version", "draft"
_log = logging.getLogger(__name__)


def append(session: Session, envelope: dsse.Envelope) -> int:
    """Log an envelope once and return its entry, also when it was logged before a crash."""
    from hashlib import sha256

    data = envelope.to_bytes()
    log = session.signed_log
    found = log.find(sha256(data).digest())
    return log.append(data).index if found is None else found


def refresh_evidence(session: Session, start: int, stop: int) -> None:
    """Write the evidence beside data anew for versions logged from `start` up to `stop`.

    What was written when they were published does not know the anchor yet. Evidence that is gone,
    or that cannot be written any more, is left as it is.
    """
    for asset in session.assets_store.assets():
        if asset.owner != session.public.address:
            continue
        for record in session.assets_store.versions(asset.id)[-1:]:
            index, source = record.log_index, record.source
            if index is None or not start <= index < stop or source is None or record.sealed:
                continue
            if not evidence_path(source).is_file():
                continue
            with contextlib.suppress(BadInput, NotFound, VerificationError):
                beside = Bundle.from_bytes(read_evidence(source))
                if beside.claim.statement != record.statement:
                    continue  # the same files are evidence of another asset as well
            manifest = session.assets_store.manifest(record.asset, record.number)
            bundle = gathering.gather(session, VersionClaim(record.statement), manifest)
            with contextlib.suppress(BadInput, Unavailable):
                write_evidence(source, bundle.to_bytes())


def resume(session: Session, *, offline: bool = False) -> frozenset[Digest]:
    """Finish what an earlier command promised and did not come to do; return the statements.

    Parameters
    ----------
    offline
        Leave what a ledger is needed for to a later command if the ledger does not answer.
    """
    finished: set[Digest] = set()
    for work in session.records.unfinished():
        try:
            if work.kind == VERSION:
                finish_version(session, work)
                finished.add(Digest(str(work.document["digest"])))
            elif work.kind == DRAFT:
                finish_draft(session, work)
            elif work.kind == sealing.WORK:
                sealing.settle(session, work)
        except Unavailable:
            if not offline:
                raise
        except TransactionReverted as error:
            # what the ledger refuses today it refuses tomorrow: that must not stop every command
            # to come. It stays in the log; `registering.catch_up` tries it again with the asset.
            _log.warning("work that was cut short is given up: %s", error.message)
            session.records.finish(work)
    return frozenset(finished)


def finish_version(session: Session, work: Work) -> tuple[int, str | None, str | None]:
    """Log, register and leave evidence of a version; return entry, evidence and transaction."""
    digest = Digest(str(work.document["digest"]))
    known = session.assets_store.by_statement(digest)
    if not known:
        # killed before the version was kept: nothing of it was seen by anybody
        session.records.finish(work)
        return 0, None, None
    record = known[0]
    envelope = dsse.Envelope.from_bytes(canonical.unb64(work.document["envelope"]))
    version = read_predicate(read_statement(envelope))
    if not isinstance(version, Version):
        raise BadInput("promised work is not a version")
    index = append(session, envelope)
    session.assets_store.set_log_index(record.asset, record.number, index)
    session.signed_log.checkpoint()
    evidence = None
    place = work.document["path"]
    path = None if place is None else Path(os.fsdecode(bytes.fromhex(place)))
    if path is not None and path.exists():
        manifest = session.assets_store.manifest(record.asset, record.number)
        bundle = gathering.gather(session, VersionClaim(digest), manifest)
        evidence = str(write_evidence(path, bundle.to_bytes()))
    transaction = registering.register(session, version) if session.has_ledger else None
    session.records.finish(work)
    return index, evidence, transaction


def finish_draft(session: Session, work: Work) -> None:
    """Log and register a draft."""
    envelope = dsse.Envelope.from_bytes(canonical.unb64(work.document["envelope"]))
    announced = read_predicate(read_statement(envelope))
    if not isinstance(announced, Draft):
        raise BadInput("promised work is not a draft")
    try:
        session.assets_store.asset(announced.asset)
    except NotFound:
        session.records.finish(work)
        return
    append(session, envelope)
    session.signed_log.checkpoint()
    if session.has_ledger:
        registering.register(session, announced)
    session.records.finish(work)
