"""From files to an asset: read, sign, log, register, leave the evidence beside the files.

Nothing is written before everything that can be refused has been asked. Then the work is promised
in one durable record, and each step after that may be repeated: a crash at any point leaves work
that the next command finishes (`resume`), never half an asset.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usufruct.assets.publish import check_title, new_salt, prepare
from usufruct.assets.sidecar import evidence_path, read_evidence
from usufruct.assets.versions import AssetRecord, VersionRecord
from usufruct.assets.walk import printable
from usufruct.crypto import canonical
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    VerificationError,
)
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.predicates import Draft, Reference, Version, asset_id
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement, sign_statement
from usufruct.types import AssetId, AssetKind, AssetState, Digest
from usufruct.workspace import gathering, registering, sealing, splitting
from usufruct.workspace.finishing import DRAFT, VERSION, finish_draft, finish_version, resume
from usufruct.workspace.session import Session


@dataclass(frozen=True, slots=True)
class Published:
    """A version that was published.

    Parameters
    ----------
    asset, version, content_root
        What.
    statement, index
        Digest of the signed statement, and its entry in the log.
    files, size, rows
        Totals; size in bytes.
    evidence
        Where the evidence lies beside the data; None for a sealed asset.
    transaction
        That registered it on the ledger; None without a ledger.
    run
        Statement of the run that made it, if one did.
    """

    asset: AssetId
    version: int
    content_root: Digest
    statement: Digest
    index: int
    title: str
    kind: AssetKind
    files: int
    size: int
    rows: int
    evidence: str | None
    transaction: str | None
    run: Digest | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return asdict(self)


def reference(session: Session, text: str) -> Reference:
    """Return how statements refer to the newest version of an asset, own or another's.

    Raises
    ------
    NotFound
        This home knows no such asset, or no version of it.
    """
    try:
        record = session.assets_store.find(text)
    except NotFound:
        digest, version, _ = gathering.find_given(session, text)
        return version.reference(digest)
    newest = session.assets_store.version(record.id)
    return Reference(record.id, newest.number, newest.content_root, newest.statement)


def publish(
    session: Session,
    path: Path,
    *,
    title: str | None = None,
    kind: AssetKind = AssetKind.DATASET,
    update: str | None = None,
    rows: bool = True,
    sealed: bool = False,
    inputs: Sequence[Reference] = (),
    run: Digest | None = None,
    metadata: Mapping[str, str] | None = None,
    algorithm: str = "blake3",
    follow_links: bool = False,
    salt_root: bytes | None = None,
) -> Published:
    """Publish what stands at `path` as a new asset, or as a new version of one.

    Parameters
    ----------
    title
        Needed for a new asset; by default the name of the file or folder.
    update
        An asset of this home that gets a new version; a draft gets its first.
    rows
        Evidence for each row of tables.
    sealed
        Keep an encrypted copy in the vault, and no evidence beside the data.
    inputs, run
        What it was made from, and the statement of the run that made it.
    salt_root
        32 secret bytes for the manifest's salts, when the root had to be known before.

    Raises
    ------
    BadInput, NotFound, NotAllowed, TransactionReverted
        It cannot be published; nothing was written.
    LedgerUnreachable
        The ledger does not answer. If that happens after the work was promised, the next
        command that signs finishes it.
    """
    _check_place(session, path)
    # what is cheap to refuse is refused before hours of hashing
    _ = session.identity
    finished = resume(session)
    record, number = _which(session, path, title, kind, update, inputs, finished)
    if session.has_ledger:
        _ = session.connection
    prepared = prepare(
        path,
        algorithm=algorithm,
        rows=rows,
        salt_root=salt_root,
        cache=session.cache,
        follow_links=follow_links,
        evidence=not sealed,
        progress=session.progress,
    )
    created = session.now()

    def describe(more: Mapping[str, str]) -> Version:
        return prepared.version(
            owner=record.owner,
            salt=record.salt,
            number=number,
            kind=record.kind,
            title=record.title,
            created=created,
            inputs=tuple(inputs),
            run=run,
            metadata={**(metadata or {}), **more},
        )

    version = describe({})
    if session.has_ledger:
        registering.catch_up(session, record.id)
        registering.rehearse(session, version)
    sealing_work = None
    try:
        if sealed:
            sealing_work = sealing.promise(session, prepared.manifest, version)
            version = describe(
                sealing.seal(session, path, prepared.manifest, version, follow_links)
            )
        envelope = sign_statement(version.payload(), [session.identity])
        statement = read_statement(envelope)
        work = session.records.promise(
            VERSION,
            {
                "envelope": canonical.b64(envelope.to_bytes()),
                "path": None if sealed else os.fsencode(path.resolve()).hex(),
                "digest": statement.digest,
            },
        )
        kept = VersionRecord(
            asset=version.asset,
            number=number,
            content_root=version.content_root,
            statement=statement.digest,
            log_index=None,
            source=path.resolve(),
            sealed=sealed,
            created=session.clock(),
        )
        session.assets_store.add_version(
            kept, prepared.manifest, asset=record if number == 1 and update is None else None
        )
    finally:
        if sealing_work is not None:
            sealing.settle(session, sealing_work)
    index, evidence, transaction = finish_version(session, work)
    return Published(
        version.asset,
        number,
        version.content_root,
        statement.digest,
        index,
        version.title,
        version.kind,
        prepared.files,
        prepared.size,
        prepared.rows,
        evidence,
        transaction,
        run,
    )


def published(session: Session, record: VersionRecord) -> Published:
    """Return what an earlier command said of a version of this home's own.

    Raises
    ------
    NotFound
        Its statement is not in the log.
    """
    for digest, made in gathering.statements(session):
        if digest == record.statement and isinstance(made, Version):
            beside = None if record.source is None else evidence_path(record.source)
            return Published(
                made.asset,
                made.version,
                made.content_root,
                digest,
                record.log_index or 0,
                made.title,
                made.kind,
                made.files,
                made.size,
                made.rows,
                str(beside) if beside is not None and beside.exists() else None,
                None,
                made.run,
            )
    raise NotFound(f"the statement {record.statement} is not in this home's log")


def draft(
    session: Session,
    title: str,
    *,
    parents: Sequence[Reference],
    kind: AssetKind = AssetKind.MODEL,
    split: Sequence[tuple[Any, str]] = (),
    terms: Mapping[str, str] | None = None,
) -> tuple[AssetRecord, Digest]:
    """Announce an asset before it is made, naming its parents; return it and the statement.

    Raises
    ------
    NotAllowed, TransactionReverted
        The ledger refuses it, for instance because a parent is not registered.
    """
    resume(session)
    salt, owner = new_salt(), session.public.address
    if splitting.has_market(session):
        split = splitting.shares_with_royalties(session, split, [one.asset for one in parents])
    record = AssetRecord(
        asset_id(owner, salt),
        check_title(title),
        kind,
        owner,
        salt,
        AssetState.DRAFT,
        session.clock(),
    )
    announced = Draft(
        record.id,
        salt,
        kind,
        record.title,
        owner,
        session.now(),
        tuple(parents),
        tuple(split),
        dict(terms or {}),
    )
    if session.has_ledger:
        registering.rehearse(session, announced)
    envelope = sign_statement(announced.payload(), [session.identity])
    work = session.records.promise(DRAFT, {"envelope": canonical.b64(envelope.to_bytes())})
    session.assets_store.add_asset(record)
    finish_draft(session, work)
    return record, read_statement(envelope).digest


def _check_place(session: Session, path: Path) -> None:
    """Refuse what is not there, and what changes while it is published: the home itself."""
    if not os.path.lexists(path):
        raise NotFound(f"there is nothing at {printable(str(path))}")
    home = os.path.realpath(session.home.path)
    place = os.path.realpath(path)
    if os.path.commonpath((home, place)) == place:
        raise BadInput(
            f"{printable(str(path))} holds this home, which changes while it is published",
            hint="publish the folder of the data, without the home",
        )


def _check_beside(path: Path) -> None:
    """Refuse to replace evidence of something else by a publish that names nothing."""
    try:
        beside = Bundle.from_bytes(read_evidence(path))
        version = next(
            made
            for made in (read_predicate(read_statement(i.envelope)) for i in beside.statements)
            if isinstance(made, Version) and made.content_root
        )
    except (NotFound, BadInput, VerificationError, StopIteration):
        return
    raise AlreadyExists(
        f"there is evidence beside {printable(str(path))} already, of '{version.title}'",
        hint=f"a new version: --update '{version.title}'; in its place another asset: --title",
    )


def _which(
    session: Session,
    path: Path,
    title: str | None,
    kind: AssetKind,
    update: str | None,
    inputs: Sequence[Reference],
    finished: frozenset[Digest],
) -> tuple[AssetRecord, int]:
    store, owner = session.assets_store, session.public.address
    if update is None:
        name = check_title(path.resolve().name if title is None else title)
        for same in store.assets():
            if same.title != name or same.owner != owner:
                continue
            hint = f"give another --title, or publish a new version: --update '{name}'"
            if any(v.statement in finished for v in store.versions(same.id)):
                hint = "a command that was cut short began it, and it is finished now: " + (
                    f"usufruct verify '{name}'"
                )
            raise BadInput(f"there is an asset '{name}' in this home already", hint=hint)
        if title is None:
            _check_beside(path)
        salt = new_salt()
        made = AssetRecord(
            asset_id(owner, salt), name, kind, owner, salt, AssetState.ACTIVE, session.clock()
        )
        return made, 1
    record = store.find(update)
    if record.owner != owner:
        raise NotAllowed(
            f"'{record.title}' belongs to {record.owner}", hint="usufruct id use its owner's name"
        )
    if record.state in (AssetState.RETIRED, AssetState.REVOKED):
        raise NotAllowed(f"'{record.title}' is {record.state} and takes no new version")
    versions = store.versions(record.id)
    return record, len(versions) + 1
