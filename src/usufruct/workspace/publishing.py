"""From files to an asset: read, sign, log, register, leave the evidence beside the files.

Nothing is written before everything that can be refused has been asked. Then the work is promised
in one durable record, and each step after that may be repeated: a crash at any point leaves work
that the next command finishes (`resume`), never half an asset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usufruct.assets.publish import check_title, new_salt, prepare
from usufruct.assets.sidecar import write_evidence
from usufruct.assets.versions import AssetRecord, VersionRecord
from usufruct.crypto import canonical, dsse
from usufruct.errors import BadInput, NotAllowed, NotFound
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.predicates import Draft, Reference, Version, asset_id
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement, sign_statement
from usufruct.types import AssetId, AssetKind, AssetState, Digest
from usufruct.workspace import gathering, registering, sealing
from usufruct.workspace.records import Work
from usufruct.workspace.session import Session

VERSION, DRAFT = "version", "draft"


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
    record, number = _which(session, path, title, kind, update, inputs)
    resume(session)
    version = prepared.version(
        owner=record.owner,
        salt=record.salt,
        number=number,
        kind=record.kind,
        title=record.title,
        created=session.now(),
        inputs=tuple(inputs),
        run=run,
        metadata=metadata,
    )
    if session.has_ledger:
        registering.rehearse(session, version)
    extra = dict(version.metadata)
    if sealed:
        extra |= sealing.seal(session, path, prepared.manifest, version, follow_links)
        version = prepared.version(
            owner=record.owner,
            salt=record.salt,
            number=number,
            kind=record.kind,
            title=record.title,
            created=version.created,
            inputs=tuple(inputs),
            run=run,
            metadata=extra,
        )
    envelope = sign_statement(version.payload(), [session.identity])
    statement = read_statement(envelope)
    work = session.records.promise(
        VERSION,
        {
            "envelope": canonical.b64(envelope.to_bytes()),
            "path": None if sealed else str(path.resolve()),
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
    index, evidence, transaction = _finish_version(session, work)
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
    )


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
    _finish_draft(session, work)
    return record, read_statement(envelope).digest


def append(session: Session, envelope: dsse.Envelope) -> int:
    """Log an envelope once and return its entry, also when it was logged before a crash."""
    from hashlib import sha256

    data = envelope.to_bytes()
    log = session.signed_log
    found = log.find(sha256(data).digest())
    return log.append(data).index if found is None else found


def resume(session: Session) -> None:
    """Finish what an earlier command promised and did not come to do."""
    for work in session.records.unfinished():
        if work.kind == VERSION:
            _finish_version(session, work)
        elif work.kind == DRAFT:
            _finish_draft(session, work)


def _which(
    session: Session,
    path: Path,
    title: str | None,
    kind: AssetKind,
    update: str | None,
    inputs: Sequence[Reference],
) -> tuple[AssetRecord, int]:
    store, owner = session.assets_store, session.public.address
    if update is None:
        name = check_title(title or path.resolve().name)
        if any(a.title == name and a.owner == owner for a in store.assets()):
            raise BadInput(
                f"there is an asset '{name}' in this home already",
                hint=f"give another --title, or publish a new version: --update '{name}'",
            )
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


def _finish_version(session: Session, work: Work) -> tuple[int, str | None, str | None]:
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
    path = work.document["path"]
    if path is not None and Path(path).exists():
        manifest = session.assets_store.manifest(record.asset, record.number)
        bundle = gathering.gather(session, VersionClaim(digest), manifest)
        evidence = str(write_evidence(Path(path), bundle.to_bytes()))
    transaction = registering.register(session, version) if session.has_ledger else None
    session.records.finish(work)
    return index, evidence, transaction


def _finish_draft(session: Session, work: Work) -> None:
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
