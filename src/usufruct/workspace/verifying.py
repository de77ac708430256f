"""What `verify` is pointed at, and the bytes at hand that it can be held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usufruct.assets.check import CheckResult, check_path
from usufruct.assets.sidecar import MAX_EVIDENCE, evidence_path, read_evidence
from usufruct.errors import BadInput, Mismatch, NotFound
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.content import Manifest
from usufruct.evidence.report import Grade, Report, Step
from usufruct.evidence.verify import verify_bundle
from usufruct.ports import SILENT, Progress
from usufruct.store import read_bytes
from usufruct.workspace import gathering, recomputing
from usufruct.workspace.anchoring import Confirming
from usufruct.workspace.connection import Connection, load_network, reach
from usufruct.workspace.home import Home, default_home
from usufruct.workspace.session import Session

_START = b'{"checksum":"'


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification that found nothing wrong.

    Parameters
    ----------
    target
        As it was given.
    report
        What was found about the evidence.
    checked
        What was found about the bytes at hand, by content root.
    extra
        Steps beyond the bundle: models recomputed.
    """

    target: str
    report: Report
    checked: tuple[tuple[str, CheckResult], ...]
    extra: tuple[Step, ...] = ()
    chain_id: int | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in walking order."""
        return (*self.report.steps, *self.extra)

    @property
    def summary(self) -> str:
        """Say in a line how much of it rests on what."""
        counts = {grade: sum(s.grade is grade for s in self.steps) for grade in Grade}
        parts = [f"{count} {grade}" for grade, count in counts.items() if count]
        return ", ".join(parts) + (f"; {self._at_hand()}" if self.checked else "")

    def _at_hand(self) -> str:
        results = [result for _, result in self.checked]
        if len(results) == 1 or any(result.mode != "full" for result in results):
            return "; ".join(result.detail for result in results)
        return f"every byte of {sum(result.files for result in results)} files read"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        document = self.report.as_dict()
        document["target"] = self.target
        document["steps"] = [step.as_dict() for step in self.steps]
        document["ledger"] = self.chain_id
        document["checked"] = [
            {
                "content_root": root,
                "files": result.files,
                "bytes": result.bytes,
                "rows": result.rows,
                "mode": result.mode,
                "detail": result.detail,
            }
            for root, result in self.checked
        ]
        return document


@dataclass(frozen=True, slots=True)
class _Found:
    """What a target turned out to be: its bundle, and the data to hold it against."""

    bundle: Bundle
    path: Path | None = None
    manifest: Manifest | None = None
    session: Session | None = None


class _Reading:
    """How data is read: whole, by cache, or a sample."""

    def __init__(self, full: bool, sample: int | None, progress: Progress) -> None:
        self.full = full
        self.sample = sample
        self.progress = progress
        self.results: list[tuple[str, CheckResult]] = []

    def check(self, path: Path, manifest: Manifest, session: Session | None) -> list[Mismatch]:
        mode: Any = ("sample", self.sample) if self.sample else "full"
        cache = session.cache if session is not None else None
        if not self.full and not self.sample and cache is not None:
            mode = "cached"
        result = check_path(path, manifest, mode=mode, cache=cache, progress=self.progress)
        self.results.append((manifest.content_root.hex(), result))
        return list(result.mismatches)


def verify(
    target: str,
    *,
    home: Path | None = None,
    ledger: bool = False,
    network: Path | None = None,
    full: bool = False,
    sample: int | None = None,
    data: Sequence[Path] = (),
    evidence: Path | None = None,
    progress: Progress = SILENT,
    passphrase: Callable[[], str] | None = None,
) -> Verified:
    """Verify a file or folder with its evidence, a bundle, or an asset of a home.

    Parameters
    ----------
    target
        A path, or the id or title of an asset.
    ledger, network
        Ask a ledger too: the home's, or that of a network file.
    full
        Read every byte; by default a home's cache of unchanged files is believed.
    sample
        Read so many chunks chosen at random.
    data
        Files and folders with their evidence, to check what the target was made from.
    evidence
        A bundle with a manifest for `target`, if it does not stand beside it.

    Raises
    ------
    VerificationError
        Something does not hold; `mismatches` says where.
    NotFound, BadInput
        There is nothing to verify.
    """
    with ExitStack() as stack:
        found = _find(target, home, evidence, stack, passphrase)
        reading = _Reading(full, sample, progress)
        content: dict[str, list[Mismatch]] = {}
        places: dict[str, Path] = {}
        if found.path is not None and found.manifest is not None:
            root = found.manifest.content_root.hex()
            content[root] = reading.check(found.path, found.manifest, found.session)
            places[root] = found.path
        for path in data:
            beside = _evidence_of(path, None)
            if beside.manifest is None:
                raise BadInput(f"the evidence of {path} has no manifest")
            root = beside.manifest.content_root.hex()
            verify_bundle(beside)
            content[root] = reading.check(path, beside.manifest, None)
            places[root] = path
        connection = _connection(found, ledger, network, home, stack, passphrase)
        confirm = Confirming(connection) if connection is not None else None
        report = verify_bundle(found.bundle, confirm=confirm, content=content)
        report.require()
        extra = recomputing.recompute(found.bundle, places)
    return Verified(
        target,
        report,
        tuple(reading.results),
        extra,
        connection.network.chain_id if connection is not None else None,
    )


def _find(
    target: str,
    home: Path | None,
    evidence: Path | None,
    stack: ExitStack,
    passphrase: Callable[[], str] | None,
) -> _Found:
    path = Path(target)
    if evidence is not None:
        bundle = _evidence_of(path, evidence)
        return _Found(bundle, path if bundle.manifest else None, bundle.manifest)
    if path.exists() or path.is_symlink():
        if path.is_file() and _is_bundle(path):
            return _Found(read_bundle(path))
        if evidence_path(path).exists():
            bundle = _evidence_of(path, None)
            return _Found(bundle, path, bundle.manifest)
    session = _session(home, stack, passphrase)
    if session is None:
        if path.exists():
            raise NotFound(
                f"there is no evidence beside {target}",
                hint=f"usufruct publish {target} makes it; or give --evidence BUNDLE",
            )
        raise NotFound(
            f"there is no file or folder {target}, and no home to look for such an asset",
            hint="give a path, or name a home with --home",
        )
    return _of_home(session, target, path)


def _of_home(session: Session, target: str, path: Path) -> _Found:
    store = session.assets_store
    if path.exists():
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
            return _Found(gathering.gather(session, VersionClaim(digest, deep)), session=session)
    bundle = gathering.gather(session, claim_of(session, version.statement))
    source = version.source
    if source is None or not source.exists():
        return _Found(bundle, session=session)
    return _Found(bundle, source, store.manifest(version.asset, version.number), session)


def claim_of(session: Session, statement: str) -> VersionClaim:
    """Return the widest claim for a version: with its lineage if it has one."""
    from usufruct.evidence.predicates import Version

    for digest, predicate in gathering.statements(session):
        if digest == statement and isinstance(predicate, Version):
            return VersionClaim(digest, bool(predicate.inputs or predicate.run))
    raise NotFound(f"the statement {statement} is not in this home's log")


def read_bundle(path: Path) -> Bundle:
    """Return an untrusted bundle from a file; nothing in it is verified yet."""
    return Bundle.from_bytes(read_bytes(path, limit=MAX_EVIDENCE))


def _evidence_of(path: Path, evidence: Path | None) -> Bundle:
    if evidence is not None:
        return read_bundle(evidence)
    return Bundle.from_bytes(read_evidence(path))


def _is_bundle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_START)) == _START
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _session(
    home: Path | None, stack: ExitStack, passphrase: Callable[[], str] | None
) -> Session | None:
    try:
        opened = Home.open(home or default_home())
    except NotFound:
        if home is not None:
            raise
        return None
    return stack.enter_context(Session(opened, write=False, passphrase=passphrase))


def _connection(
    found: _Found,
    ledger: bool,
    network: Path | None,
    home: Path | None,
    stack: ExitStack,
    passphrase: Callable[[], str] | None,
) -> Connection | None:
    if network is not None:
        connection = reach(load_network(network)[0])
        stack.callback(connection.ledger.close)
        return connection
    if not ledger:
        return None
    session = found.session or _session(home, stack, passphrase)
    if session is None:
        raise NotFound(
            "--ledger needs to know which ledger, and there is no home",
            hint="give --network FILE, or --home",
        )
    return session.connection
