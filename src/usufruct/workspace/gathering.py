"""Bundles from what a home has: its own log, its anchors, and what other parties gave."""

from __future__ import annotations

from collections.abc import Iterator

from usufruct.crypto.notes import Checkpoint
from usufruct.errors import NotFound
from usufruct.evidence.anchoring import AnchorProof
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import Claim
from usufruct.evidence.content import Manifest
from usufruct.evidence.gather import LogSource, OwnLog, build_bundle, sources_of
from usufruct.evidence.predicates import Version
from usufruct.evidence.reading import Predicate, read_predicate
from usufruct.evidence.statements import read_statement
from usufruct.log import Log
from usufruct.types import AssetId, Digest
from usufruct.workspace.session import Session


def sources(session: Session) -> list[LogSource]:
    """Return every log this home can show something of, its own first."""
    found: list[LogSource] = []
    log = session.own_log_or_none()
    if log is not None and log.size:

        def anchor(checkpoint: Checkpoint) -> AnchorProof | None:
            known = session.records.last_anchor(checkpoint.origin, checkpoint.size)
            if known is None:
                return None
            size, proof = known
            nodes = () if size == checkpoint.size else log.consistency(size, checkpoint.size)
            return AnchorProof(proof.receipt, proof.event, nodes)

        found.append(OwnLog(log, anchor))
    for bundle in session.records.bundles():
        found.extend(sources_of(bundle))
    return found


def gather(session: Session, claim: Claim, manifest: Manifest | None = None) -> Bundle:
    """Return a bundle that proves `claim`, verified.

    Raises
    ------
    NotFound
        Something it rests on is not in this home; the hint says whom to ask.
    """
    return build_bundle(claim, sources(session), manifest=manifest)


def statements(session: Session) -> Iterator[tuple[Digest, Predicate]]:
    """Yield every statement this home knows, own ones first, each once."""
    seen: set[Digest] = set()
    for digest, predicate in _all(session):
        if digest not in seen:
            seen.add(digest)
            yield digest, predicate


def own_statements(log: Log) -> Iterator[tuple[Digest, Predicate]]:
    """Yield the statements of a log in its order, erased ones left out."""
    from usufruct.crypto.dsse import Envelope

    for entry in log.entries():
        if entry.envelope is not None:
            statement = read_statement(Envelope.from_bytes(entry.envelope))
            yield statement.digest, read_predicate(statement)


def _all(session: Session) -> Iterator[tuple[Digest, Predicate]]:
    log = session.own_log_or_none()
    if log is not None:
        yield from own_statements(log)
    for bundle in session.records.bundles():
        for item in bundle.statements:
            statement = read_statement(item.envelope)
            yield statement.digest, read_predicate(statement)


def given_versions(session: Session) -> list[tuple[Digest, Version, str]]:
    """Return others' versions whose evidence was added: digest, version, owner's name."""
    found: dict[Digest, tuple[Digest, Version, str]] = {}
    names: dict[str, str] = {}
    for bundle in session.records.bundles():
        for item in bundle.statements:
            statement = read_statement(item.envelope)
            predicate = read_predicate(statement)
            if isinstance(predicate, Version) and predicate.owner != session.public.address:
                found.setdefault(statement.digest, (statement.digest, predicate, ""))
            identity = getattr(predicate, "identity", None)
            if identity is not None:
                names.setdefault(identity.address, identity.name)
    return [(d, v, names.get(v.owner, "")) for d, v, _ in found.values()]


def find_given(session: Session, text: str) -> tuple[Digest, Version, str]:
    """Return another party's newest version by asset id, its beginning, or title.

    Raises
    ------
    NotFound
        None is known, or several assets answer to it.
    """
    wanted = text.lower().removeprefix("0x")
    fits = [
        item
        for item in given_versions(session)
        if item[1].title == text or (len(wanted) >= 6 and item[1].asset.startswith(wanted))
    ]
    assets: set[AssetId] = {item[1].asset for item in fits}
    if len(assets) != 1:
        what = "several assets are" if assets else "there is no asset"
        raise NotFound(
            f"{what} '{text}' in this home, and no file or folder of that name",
            hint="usufruct asset list shows all; usufruct asset add BUNDLE adds another's",
        )
    return max(fits, key=lambda item: item[1].version)
