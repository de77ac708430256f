"""A verification: evidence, the bytes at hand, a ledger, and who is behind it, held together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usufruct.assets.check import CheckResult, check_path
from usufruct.assets.versions import VersionRecord
from usufruct.errors import NotFound, VerificationError
from usufruct.evidence.content import Manifest
from usufruct.evidence.report import Compared, ContentCheck, Grade, Report, Step
from usufruct.evidence.verify import verify_bundle
from usufruct.ports import SILENT, Progress
from usufruct.workspace import gathering, recomputing, sealing
from usufruct.workspace.anchoring import Confirming
from usufruct.workspace.connection import Connection, load_network, reach
from usufruct.workspace.publishers import Publisher, publisher
from usufruct.workspace.session import Session
from usufruct.workspace.targets import Found, evidence_of, find, open_session

if TYPE_CHECKING:
    from usufruct.ledger.network import Network


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
    publisher
        Who signed the claim; of a prediction, who answered.
    network
        The ledger that was asked.
    extra
        Steps beyond the bundle: models recomputed.
    """

    target: str
    report: Report
    checked: tuple[tuple[str, CheckResult], ...]
    publisher: Publisher
    extra: tuple[Step, ...] = ()
    network: Network | None = None

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
        document["publisher"] = asdict(self.publisher)
        document["ledger"] = None
        if self.network is not None:
            operator = self.network.operator
            document["ledger"] = {
                "chain_id": self.network.chain_id,
                "name": self.network.name,
                "operator": {"name": operator.name, "address": operator.address},
            }
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


class _Reading:
    """How data is read: whole, by cache, or a sample."""

    def __init__(self, full: bool, sample: int | None, progress: Progress) -> None:
        self.full = full
        self.sample = sample
        self.progress = progress
        self.results: list[tuple[str, CheckResult]] = []

    def check(self, path: Path, manifest: Manifest, session: Session | None) -> Compared:
        mode: Any = ("sample", self.sample) if self.sample else "full"
        cache = session.cache if session is not None else None
        if not self.full and not self.sample and cache is not None:
            mode = "cached"
        result = check_path(path, manifest, mode=mode, cache=cache, progress=self.progress)
        self.results.append((manifest.content_root.hex(), result))
        return Compared(
            tuple(result.mismatches), whole=result.mode != "sample", detail=result.detail
        )


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
    by: Sequence[str] = (),
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
    by
        Whom it must be published by: accounts, or names that the home knows.

    Raises
    ------
    VerificationError
        Something does not hold; `mismatches` says where.
    NotFound, BadInput
        There is nothing to verify.
    """
    with ExitStack() as stack:
        found = find(target, home, evidence, stack, passphrase)
        reading = _Reading(full, sample, progress)
        content: dict[str, ContentCheck] = {}
        places: dict[str, Path] = {}
        if found.path is not None and found.manifest is not None:
            root = found.manifest.content_root.hex()
            content[root] = reading.check(found.path, found.manifest, found.session)
            places[root] = found.path
        for path in data:
            beside = evidence_of(path, None)
            if beside.manifest is None:
                raise VerificationError(f"the evidence of {path} has no manifest")
            root = beside.manifest.content_root.hex()
            verify_bundle(beside)
            content[root] = reading.check(path, beside.manifest, None)
            places[root] = path
        connection = _connection(found, ledger, network, home, stack, passphrase)
        confirm = Confirming(connection) if connection is not None else None
        report = verify_bundle(found.bundle, confirm=confirm, content=content)
        report.require()
        known = found.session
        if by and known is None:
            # only names need a home to be looked up in; without, a broken one is no hindrance
            known = open_session(home, stack, passphrase)
        who = publisher(found.bundle, report, by, known)
        extra = () if sample else recomputing.recompute(found.bundle, places)
        if found.sealed is not None and found.session is not None:
            extra = (*extra, _check_sealed(found.session, found.sealed, progress))
    return Verified(
        target,
        report,
        tuple(reading.results),
        who,
        extra,
        connection.network if connection is not None else None,
    )


def _check_sealed(session: Session, version: VersionRecord, progress: Progress) -> Step:
    """Hold the sealed copy in the vault against what the version's statement says of it."""
    from usufruct.evidence.predicates import Version

    metadata: Mapping[str, str] = {}
    title = ""
    for digest, predicate in gathering.statements(session):
        if digest == version.statement and isinstance(predicate, Version):
            metadata, title = predicate.metadata, f"{predicate.kind} '{predicate.title}'"
    try:
        manifest = session.assets_store.manifest(version.asset, version.number)
    except NotFound:
        manifest = None
    sealed = sealing.check(
        session,
        version.asset,
        version.number,
        metadata,
        manifest=manifest,
        progress=progress,
    )
    return Step(
        f"{title} version {version.number}",
        "its sealed copy in the vault is what was signed",
        Grade.PROVED,
        detail=f"{len(sealed.objects)} objects read, ciphertext only",
        statement=version.statement,
    )


def _connection(
    found: Found,
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
    session = found.session or open_session(home, stack, passphrase)
    if session is None:
        raise NotFound(
            "--ledger needs to know which ledger, and there is no home",
            hint="give --network FILE, or --home",
        )
    return session.connection
