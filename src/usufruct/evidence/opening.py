"""Opening a bundle: every log, key, signature and inclusion proof checked, one statement at a time.

What the statements say of each other comes after, in ``walk``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from usufruct.crypto import dsse, merkle
from usufruct.crypto.notes import Checkpoint, open_checkpoint, parse_note
from usufruct.errors import VerificationError
from usufruct.evidence.anchoring import Anchored, owner_of
from usufruct.evidence.bundle import Bundle, LoggedStatement, LogHead
from usufruct.evidence.keys import KeyHistory, KeyStep
from usufruct.evidence.predicates import Party
from usufruct.evidence.reading import Predicate, read_predicate
from usufruct.evidence.statements import read_statement
from usufruct.evidence.work import Round
from usufruct.types import Address, Digest


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A party's log as far as the bundle shows it, checked."""

    owner: Address
    history: KeyHistory
    checkpoint: Checkpoint
    anchored: Anchored | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A statement, checked to be signed by its log's owner and to stand in the log.

    Parameters
    ----------
    signers
        The owner first, then whoever else signed.
    """

    digest: Digest
    predicate: Predicate
    owner: Address
    origin: str
    index: int
    signers: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a bundle holds, each piece checked on its own.

    Parameters
    ----------
    statements
        By digest.
    logs, key_statements, last
        By owner: the log, the digests of its key statements, the last entry shown.
    """

    statements: Mapping[Digest, Opened]
    logs: Mapping[Address, OpenLog]
    key_statements: Mapping[Address, frozenset[Digest]]
    last: Mapping[Address, int]


def open_bundle(bundle: Bundle) -> Evidence:
    """Check every statement of a bundle on its own.

    Raises
    ------
    VerificationError
        A signature, key, checkpoint, inclusion proof or anchor does not hold.
    BadInput
        A statement cannot be read.
    """
    read: list[tuple[LoggedStatement, Digest, Predicate]] = []
    keys: dict[str, list[KeyStep]] = {}
    for item in bundle.statements:
        statement = read_statement(item.envelope)
        predicate = read_predicate(statement)
        read.append((item, statement.digest, predicate))
        if isinstance(predicate, Party):
            step = KeyStep(item.index, predicate, item.envelope)
            keys.setdefault(item.origin, []).append(step)
    logs = {head.origin: _open_log(head, keys.get(head.origin, [])) for head in bundle.logs}
    owners = _key_owners(logs)
    statements: dict[Digest, Opened] = {}
    for item, digest, predicate in read:
        log = logs[item.origin]
        if digest in statements:
            raise VerificationError(f"statement {digest} stands in the bundle twice")
        _check_logged(item, log)
        if isinstance(predicate, Party):
            signers: tuple[Address, ...] = (log.owner,)  # checked with the key history
        else:
            signers = _check_signed(item, predicate, log, owners)
        statements[digest] = Opened(digest, predicate, log.owner, item.origin, item.index, signers)
    own: dict[Address, set[Digest]] = {}
    for opened in statements.values():
        if isinstance(opened.predicate, Party):
            own.setdefault(opened.owner, set()).add(opened.digest)
    return Evidence(
        statements,
        {log.owner: log for log in logs.values()},
        {owner: frozenset(digests) for owner, digests in own.items()},
        {logs[item.origin].owner: item.index for item in bundle.statements},
    )


def _open_log(head: LogHead, steps: list[KeyStep]) -> OpenLog:
    owner = owner_of(head.origin)
    history = KeyHistory.build(owner, steps)
    checkpoint = open_checkpoint(
        head.checkpoint, head.origin, history.latest.signing_key, origin=head.origin
    )
    note = parse_note(head.checkpoint)
    # a line nobody checks could be altered, so there is none
    if len(note.signatures) != 1 or note.to_bytes() != head.checkpoint:
        raise VerificationError(f"the checkpoint of {owner} is not signed by its owner alone")
    anchored = None if head.anchor is None else head.anchor.verify(checkpoint)
    return OpenLog(owner, history, checkpoint, anchored)


def _key_owners(logs: Mapping[str, OpenLog]) -> dict[str, tuple[Address, bytes]]:
    owners: dict[str, tuple[Address, bytes]] = {}
    for log in logs.values():
        for key_id, key in log.history.keys().items():
            if owners.setdefault(key_id, (log.owner, key))[0] != log.owner:
                raise VerificationError(f"{log.owner} uses the signing key of another party")
    return owners


def _check_logged(item: LoggedStatement, log: OpenLog) -> None:
    try:
        merkle.verify_inclusion(
            merkle.leaf_hash(item.entry),
            item.index,
            log.checkpoint.size,
            item.nodes,
            log.checkpoint.root,
        )
    except VerificationError as error:
        raise VerificationError(
            f"entry {item.index} is not in the log of {log.owner}: {error.message}"
        ) from None


def _check_signed(
    item: LoggedStatement,
    predicate: Predicate,
    log: OpenLog,
    owners: Mapping[str, tuple[Address, bytes]],
) -> tuple[Address, ...]:
    """Return who signed, the log's owner first; every signature is checked."""
    key = log.history.at(item.index)
    keys = {key.key_id: key.signing_key}
    signers = [log.owner]
    members = {m.party for m in predicate.members} if isinstance(predicate, Round) else set()
    for signature in item.envelope.signatures:
        if signature.keyid in keys:
            continue
        party, public = owners.get(signature.keyid, (None, b""))
        if party is None or party not in members or party in signers:
            raise VerificationError(f"entry {item.index} of {log.owner} has a stranger's signature")
        keys[signature.keyid] = public
        signers.append(party)
    dsse.verify(item.envelope, keys, threshold=len(keys))
    return tuple(signers)
