"""Putting a bundle together from logs at hand and from bundles that others gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from usufruct.crypto import dsse
from usufruct.crypto.notes import Checkpoint, parse_note
from usufruct.errors import NotFound
from usufruct.evidence.anchoring import AnchorProof
from usufruct.evidence.bundle import Bundle, LoggedStatement, LogHead
from usufruct.evidence.claims import Claim, PredictionClaim, VersionClaim
from usufruct.evidence.content import Manifest
from usufruct.evidence.predicates import Party
from usufruct.evidence.reading import needed_by, read_predicate
from usufruct.evidence.statements import PAYLOAD_TYPE, read_statement, statement_digest
from usufruct.evidence.verify import verify_bundle
from usufruct.log import Log
from usufruct.types import Digest


class LogSource(Protocol):
    """One party's log, as far as somebody has it, under one checkpoint."""

    @property
    def head(self) -> LogHead:
        """The checkpoint, and the anchor if there is one."""
        ...

    @property
    def key_statements(self) -> Sequence[Digest]:
        """Digests of its key statements, in log order."""
        ...

    def statement(self, digest: Digest) -> LoggedStatement | None:
        """Return a statement with its proof to the checkpoint; None when it is not there."""
        ...


class OwnLog:
    """A log on this machine as a source.

    Parameters
    ----------
    log
        Open; its envelopes are read once, here.
    anchor
        Gives the anchor of a checkpoint, with the consistency proof it may need; by default there
        is none.

    Raises
    ------
    NotFound
        The log is empty.
    """

    def __init__(
        self, log: Log, anchor: Callable[[Checkpoint], AnchorProof | None] | None = None
    ) -> None:
        note = log.checkpoint()
        checkpoint = Checkpoint.from_text(parse_note(note).text)
        if not checkpoint.size:
            raise NotFound(f"the log {log.origin} is empty")
        self._log = log
        self._size = checkpoint.size
        self._head = LogHead(log.origin, note, None if anchor is None else anchor(checkpoint))
        self._places: dict[Digest, int] = {}
        self._keys: list[Digest] = []
        for entry in log.entries(0, checkpoint.size):
            if entry.envelope is None:
                continue
            envelope = dsse.Envelope.from_bytes(entry.envelope)
            if envelope.payload_type != PAYLOAD_TYPE:
                continue
            digest = statement_digest(envelope.payload)
            self._places.setdefault(digest, entry.index)
            if b'"https://usufruct.dev/party/v1"' in envelope.payload and isinstance(
                read_predicate(read_statement(envelope)), Party
            ):
                self._keys.append(digest)

    @property
    def head(self) -> LogHead:
        """The checkpoint over the whole log, and its anchor."""
        return self._head

    @property
    def key_statements(self) -> Sequence[Digest]:
        """Digests of its key statements, in log order."""
        return tuple(self._keys)

    def statement(self, digest: Digest) -> LoggedStatement | None:
        """Return a statement with its proof to the checkpoint; None when it is not there."""
        index = self._places.get(digest)
        if index is None:
            return None
        entry = self._log.get(index)
        if entry.envelope is None or entry.salt is None:
            return None
        nodes = tuple(self._log.inclusion_proof(index, self._size))
        envelope = dsse.Envelope.from_bytes(entry.envelope)
        return LoggedStatement(envelope, self._head.origin, index, entry.salt, nodes)


@dataclass(frozen=True, slots=True)
class GivenLog:
    """A log as far as one bundle shows it."""

    head: LogHead
    key_statements: tuple[Digest, ...]
    statements: Mapping[Digest, LoggedStatement]

    def statement(self, digest: Digest) -> LoggedStatement | None:
        """Return a statement with its proof to the checkpoint; None when it is not there."""
        return self.statements.get(digest)


def sources_of(bundle: Bundle) -> tuple[GivenLog, ...]:
    """Return the logs a bundle shows, as sources; the bundle is verified first.

    Raises
    ------
    VerificationError
        The bundle does not prove its own claim.
    """
    verify_bundle(bundle)
    mine: dict[str, dict[Digest, LoggedStatement]] = {}
    keys: dict[str, list[Digest]] = {}
    for item in bundle.statements:
        statement = read_statement(item.envelope)
        mine.setdefault(item.origin, {})[statement.digest] = item
        if isinstance(read_predicate(statement), Party):
            keys.setdefault(item.origin, []).append(statement.digest)
    return tuple(
        GivenLog(head, tuple(keys[head.origin]), mine[head.origin]) for head in bundle.logs
    )


def build_bundle(
    claim: Claim, sources: Iterable[LogSource], *, manifest: Manifest | None = None
) -> Bundle:
    """Gather what a claim rests on and return the bundle, verified.

    Parameters
    ----------
    claim
        What it is to prove.
    sources
        Preferred ones first; of one log the first that has all that is needed is taken.
    manifest
        Of the claimed version, for a version's claim.

    Raises
    ------
    NotFound
        A statement or a log is in none of the sources.
    VerificationError
        What was found does not prove the claim.
    """
    known = list(sources)
    needed: dict[str, set[Digest]] = {}
    seen: set[Digest] = set()
    todo = [claim.statement]
    deep = isinstance(claim, PredictionClaim) or (isinstance(claim, VersionClaim) and claim.lineage)
    while todo:
        digest = todo.pop()
        if digest in seen:
            continue
        seen.add(digest)
        item = _find(known, digest)
        needed.setdefault(item.origin, set()).add(digest)
        predicate = read_predicate(read_statement(item.envelope))
        if deep:
            todo.extend(needed_by(predicate))
    statements: list[LoggedStatement] = []
    heads: list[LogHead] = []
    for origin, digests in sorted(needed.items()):
        head, found = _choose(known, origin, digests)
        heads.append(head)
        statements.extend(sorted(found, key=lambda item: item.index))
    bundle = Bundle(claim, tuple(statements), tuple(heads), manifest)
    verify_bundle(bundle)
    return bundle


def _find(sources: Sequence[LogSource], digest: Digest) -> LoggedStatement:
    for source in sources:
        item = source.statement(digest)
        if item is not None:
            return item
    raise NotFound(
        f"statement {digest} is in no log or bundle at hand",
        hint="ask its publisher for the evidence of the version",
    )


def _choose(
    sources: Sequence[LogSource], origin: str, digests: set[Digest]
) -> tuple[LogHead, list[LoggedStatement]]:
    """Return one source's head and statements; all proofs must lead to one checkpoint."""
    for source in sources:
        if source.head.origin != origin or not source.key_statements:
            continue
        wanted = {*digests, *source.key_statements}
        found = [item for item in map(source.statement, sorted(wanted)) if item is not None]
        if len(found) == len(wanted):
            return source.head, found
    raise NotFound(
        f"no log or bundle at hand shows all that is needed of '{origin}'",
        hint="ask its owner for newer evidence",
    )
