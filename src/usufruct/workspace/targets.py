"""What `verify` is pointed at: data with its evidence, a bundle, or an asset of a home."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.assets.sidecar import MAX_EVIDENCE, evidence_path, read_evidence
from usufruct.assets.versions import VersionRecord
from usufruct.assets.walk import printable
from usufruct.errors import BadInput, Mismatch, NotFound, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.content import Manifest
from usufruct.store import read_bytes
from usufruct.workspace import gathering
from usufruct.workspace.home import Home, default_home
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    pass

_START, _LOOK = b'{"checksum":"', 65_536
_FORMAT = b'"format":"usufruct/bundle/'


@dataclass(frozen=True, slots=True)
class Found:
    """What a target turned out to be: its bundle, and the data to hold it against."""

    bundle: Bundle
    path: Path | None = None
    manifest: Manifest | None = None
    session: Session | None = None
    sealed: VersionRecord | None = None


def find(
    target: str,
    home: Path | None,
    evidence: Path | None,
    stack: ExitStack,
    passphrase: Callable[[], str] | None,
) -> Found:
    """Return what a target turns out to be (NotFound, BadInput, VerificationError)."""
    path = Path(target)
    there = _is_there(path)
    if evidence is not None:
        if not there:
            raise NotFound(f"there is nothing at {printable(target)}")
        bundle = evidence_of(path, evidence)
        if bundle.manifest is None:
            raise BadInput(
                f"{evidence} has no manifest to hold {printable(target)} against",
                hint="give the file that was written beside the data when it was published",
            )
        return Found(bundle, path, bundle.manifest)
    if there:
        if os.path.lexists(evidence_path(path)):
            # what has evidence beside it is data, also when it looks like a bundle itself
            bundle = evidence_of(path, None)
            return Found(bundle, path, bundle.manifest)
        if path.is_file() and _is_bundle(path):
            return Found(read_bundle(path))
    session = open_session(home, stack, passphrase)
    if session is None:
        if there:
            raise NotFound(
                f"there is no evidence beside {target}",
                hint=f"usufruct publish {target} makes it; or give --evidence BUNDLE",
            )
        raise NotFound(
            f"there is no file or folder {target}, and no home to look for such an asset",
            hint="give a path, or name a home with --home",
        )
    return _of_home(session, target, path if there else None)


def _is_there(path: Path) -> bool:
    """Say whether something stands at a path; a title may be too long to be one."""
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def _of_home(session: Session, target: str, path: Path | None) -> Found:
    store = session.assets_store
    if path is not None:
        known = store.by_source(path.resolve())
        if not known:
            raise NotFound(
                f"there is no evidence beside {target}, and this home did not publish it",
                hint=f"usufruct publish {target} makes it",
            )
        version = known[-1]
    else:
        try:
            version = store.version(store.find(target).id)
        except NotFound:
            digest, given, _ = gathering.find_given(session, target)
            deep = bool(given.inputs or given.run)
            return Found(gathering.gather(session, VersionClaim(digest, deep)), session=session)
    bundle = gathering.gather(session, claim_of(session, version.statement))
    source = version.source
    sealed = version if version.sealed else None
    if source is None or not source.exists():
        return Found(bundle, session=session, sealed=sealed)
    manifest = store.manifest(version.asset, version.number)
    return Found(bundle, source, manifest, session, sealed)


def claim_of(session: Session, statement: str) -> VersionClaim:
    """Return the widest claim for a version: with its lineage if it has one."""
    from usufruct.evidence.predicates import Version

    for digest, predicate in gathering.statements(session):
        if digest == statement and isinstance(predicate, Version):
            return VersionClaim(digest, bool(predicate.inputs or predicate.run))
    raise NotFound(
        f"the statement {statement} is not in this home's log",
        hint="a command was cut short; the next one that signs finishes it, such as publish",
    )


def read_bundle(path: Path) -> Bundle:
    """Return an untrusted bundle from a file; nothing in it is verified yet.

    Raises
    ------
    VerificationError
        It is no bundle, or was changed: bytes that prove nothing.
    NotFound, BadInput
        There is no such file, or it cannot be read.
    """
    return _parse(read_bytes(path, limit=MAX_EVIDENCE), path)


def evidence_of(path: Path, evidence: Path | None) -> Bundle:
    """Return the evidence given, or the one beside `path`, which must hold its manifest.

    Raises
    ------
    VerificationError
        It is no bundle, or was exchanged or cut, so that the data cannot be held against it.
    """
    if evidence is not None:
        return read_bundle(evidence)
    bundle = _parse(read_evidence(path), evidence_path(path))
    if not isinstance(bundle.claim, VersionClaim) or bundle.manifest is None:
        why = "it is no manifest of the data beside it, so the data cannot be held against it"
        raise VerificationError(
            f"the evidence beside {printable(str(path))} was exchanged or cut: {why}",
            mismatches=(Mismatch("evidence", file=str(evidence_path(path)), detail=why),),
            hint="get it again from its publisher",
        )
    return bundle


def _parse(data: bytes, path: Path) -> Bundle:
    try:
        return Bundle.from_bytes(data)
    except BadInput as error:
        raise VerificationError(
            f"the evidence in {printable(str(path))} cannot be used: {error.message}",
            mismatches=(Mismatch("evidence", file=str(path), detail=error.message),),
            hint="get it again from its publisher",
        ) from error


def _is_bundle(path: Path) -> bool:
    """Say whether a file means to be a bundle, even a broken one."""
    try:
        with path.open("rb") as file:
            head = file.read(_LOOK)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return head.startswith(_START) or (head[:1] == b"{" and _FORMAT in head)


def open_session(
    home: Path | None, stack: ExitStack, passphrase: Callable[[], str] | None
) -> Session | None:
    """Open a home for reading; None where there is none and none was asked for."""
    try:
        opened = Home.open(home or default_home())
    except NotFound:
        if home is not None:
            raise
        return None
    return stack.enter_context(Session(opened, write=False, passphrase=passphrase))
