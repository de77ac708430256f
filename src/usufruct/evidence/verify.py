"""Verifying a bundle: what it proves, whose word the rest is, and what a ledger confirms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from usufruct.errors import Mismatch, UsageError, VerificationError
from usufruct.evidence.anchoring import TrustedLedger
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import FileClaim, Opening, PredictionClaim, RowClaim, VersionClaim
from usufruct.evidence.confirm import LedgerCheck, Ledgers, Standing
from usufruct.evidence.fields import unhex
from usufruct.evidence.opening import Evidence, Opened, open_bundle
from usufruct.evidence.predicates import Draft, Party, Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.report import Compared, ContentCheck, Grade, Report, Step, plain
from usufruct.evidence.walk import Walk
from usufruct.evidence.work import Prediction, Round
from usufruct.types import Address


def verify_bundle(
    bundle: Bundle | bytes,
    *,
    confirm: LedgerCheck | None = None,
    pinned: Mapping[int, bytes] | None = None,
    network: TrustedLedger | None = None,
    content: Mapping[str, ContentCheck] | None = None,
) -> Report:
    """Check a bundle and say how far each step of it can be relied on.

    Parameters
    ----------
    bundle
        Or its bytes, untrusted.
    confirm
        A ledger to ask; what it contradicts stands in `Report.failed`.
    pinned
        Block hashes the reader trusts (32 bytes by number) on `network`.
    network
        The ledger that anchors must be on; left out, that of `confirm`.
    content
        By content root (64 hexadecimal digits): what comparing the bytes at hand gave, or a call
        that compares them. Without, or after a sample alone, a version's content is *attested*,
        not *proved*.

    Raises
    ------
    VerificationError
        The bundle does not prove its claim: nothing else is raised for anything in it. Errors of
        `confirm` and of the calls in `content` pass through.
    """
    try:
        if isinstance(bundle, bytes):
            bundle = Bundle.from_bytes(bundle)
        evidence = open_bundle(bundle)
        walk = Walk(evidence, bundle.claim)
        proofs = _check_claim(bundle, walk)
    except UsageError as error:
        raise VerificationError(f"the bundle cannot be used: {error.message}") from None
    teller = _Teller(evidence, Ledgers(confirm, pinned, network), content or {})
    for item in walk.order:
        teller.tell(item)
        if item is walk.version[0]:
            teller.steps.extend(proofs)
    teller.tell_rounds(walk.rounds)
    teller.check_content_used()
    item, version = walk.version
    return Report(
        bundle.claim.to_dict()["type"],
        bundle.claim.statement,
        version.asset,
        version.version,
        version.content_root,
        item.owner,
        tuple(teller.steps),
        tuple(teller.failed),
    )


def _check_claim(bundle: Bundle, walk: Walk) -> list[Step]:
    """Check what the claim adds to its statements; return the steps that tell of it."""
    claim, version = bundle.claim, walk.version[1]
    if bundle.manifest is not None and not isinstance(claim, VersionClaim):
        raise VerificationError("only a version's claim comes with a manifest")
    root = unhex(version.content_root, "content root")
    subject, about = _subject(walk.version[0]), walk.version[0].digest
    if isinstance(claim, FileClaim | RowClaim):
        leaf = claim.proof.leaf
        claim.proof.verify(root)
        if (leaf.count, leaf.algorithm) != (version.files, version.algorithm):
            raise VerificationError("a proof speaks of another number of files, or another digest")
        if leaf.size > version.size or leaf.row_count > version.rows:
            raise VerificationError("a proof's file is larger than the whole version")
        place, detail = f"'{plain(leaf.path)}'", ""
        if isinstance(claim, RowClaim):
            place = f"row {claim.proof.row} of {place}"
            # or the reader would have to believe the sender what the row says
            detail = plain(json.dumps(claim.proof.values, ensure_ascii=False), 400)
        return [Step(subject, f"contains {place}", Grade.PROVED, (), detail, about)]
    if isinstance(claim, PredictionClaim) and isinstance(walk.start.predicate, Prediction):
        return _openings(claim, walk.start.predicate, walk)
    if bundle.manifest is None:
        return []
    manifest = bundle.manifest
    totals = (len(manifest.files), manifest.size, manifest.rows, manifest.algorithm)
    if manifest.content_root != root:
        raise VerificationError("the manifest has another content root than the statement")
    if totals != (version.files, version.size, version.rows, version.algorithm):
        raise VerificationError("the manifest and the statement count differently")
    said = f"consists of the {version.files} files of the manifest"
    return [Step(subject, said, Grade.PROVED, statement=about)]


def _openings(claim: PredictionClaim, said: Prediction, walk: Walk) -> list[Step]:
    steps = []
    pairs: tuple[tuple[str, Opening | None, str], ...] = (
        ("input", claim.input, said.input),
        ("output", claim.output, said.output),
    )
    for name, opening, digest in pairs:
        if opening is None:
            continue
        if opening.digest != digest:
            raise VerificationError(f"the prediction's {name} is not the one that was signed")
        shown = ", ".join(
            f"{plain(key)}={plain(json.dumps(text, ensure_ascii=False), 200)}"
            for key, text in opening.value.items()
        )
        step = Step("prediction", f"its {name} is the one signed for", Grade.PROVED)
        steps.append(replace(step, detail=plain(shown, 400), statement=walk.start.digest))
    return steps


class _Teller:
    """Tells what was found, one statement after the other."""

    def __init__(
        self, evidence: Evidence, ledgers: Ledgers, content: Mapping[str, ContentCheck]
    ) -> None:
        self._evidence = evidence
        self._ledgers = ledgers
        self._content = content
        self._standings: dict[Address, Standing] = {}
        self._used: set[str] = set()
        self.steps: list[Step] = []
        self.failed: list[Mismatch] = []

    def tell(self, item: Opened) -> None:
        """Add the steps of one statement; of its signers too, when they are met first."""
        for party in item.signers:
            if party not in self._standings:
                self._tell_party(party)
        log = self._evidence.logs[item.owner]
        standing = self._standings[item.owner]
        subject, by = _subject(item), tuple(map(self._name, item.signers))
        claim, detail = _saying(item)
        self.steps.append(Step(subject, claim, Grade.ATTESTED, by, detail, item.digest))
        place = f"entry {item.index} of {log.checkpoint.size} in the log of its signer"
        grade = standing.of(item.index)
        why = standing.detail if item.index < standing.covered else "logged after the anchor"
        self.steps.append(Step(subject, place, grade, by[:1], why, item.digest))
        if isinstance(item.predicate, Version):
            self._tell_content(item, item.predicate)

    def tell_rounds(self, rounds: tuple[Round, ...]) -> None:
        """Add the step that the rounds form chains."""
        if rounds:
            subject = "1 round" if len(rounds) == 1 else f"{len(rounds)} rounds"
            claim = "each begins with the state in which the one before ended"
            self.steps.append(Step(subject, claim, Grade.PROVED))

    def check_content_used(self) -> None:
        """Note content that was handed in but belongs to no version of the bundle."""
        for root in sorted(set(self._content) - self._used):
            why = f"no version in the bundle has the content root {plain(root)}"
            self.failed.append(Mismatch("unrelated", detail=why))

    def _tell_party(self, party: Address) -> None:
        log = self._evidence.logs[party]
        standing = self._ledgers.standing(party, log.checkpoint, log.anchored)
        grade, detail, mismatch = self._ledgers.keys(
            log.history, standing, self._evidence.last[party]
        )
        self._standings[party] = standing
        self.failed.extend(replace(m, party=self._name(party)) for m in standing.failed)
        if mismatch is not None:
            self.failed.append(replace(mismatch, party=self._name(party)))
        if log.history.revoked is not None:
            detail += f"; revoked at entry {log.history.revoked}"
        name = self._name(party)
        claim, signed = "its signing key belongs to its account", "the account signed for the key"
        said = detail if grade is Grade.PROVED else signed
        self.steps.append(Step(name, claim, Grade.PROVED, (name,), said))
        if grade is not Grade.PROVED:
            self.steps.append(Step(name, "its keys are its latest", grade, (name,), detail))

    def _tell_content(self, item: Opened, version: Version) -> None:
        check = self._content.get(version.content_root)
        owner = self._name(item.owner)
        subject, claim = _subject(item), "content is what was published"
        self._used.add(version.content_root)
        if check is None:
            detail = "the files are not at hand"
            self.steps.append(Step(subject, claim, Grade.ATTESTED, (owner,), detail, item.digest))
            return
        gave = check() if callable(check) else check
        found = gave if isinstance(gave, Compared) else Compared(tuple(gave))
        self.failed.extend(m if m.party else replace(m, party=owner) for m in found.mismatches)
        grade, detail = Grade.PROVED if found.whole else Grade.ATTESTED, found.detail
        if found.mismatches:
            grade, detail = Grade.FAILED, f"{len(found.mismatches)} differences"
        self.steps.append(Step(subject, claim, grade, (owner,), detail, item.digest))

    def _name(self, party: Address) -> str:
        return f"{self._evidence.logs[party].history.latest.name} ({party})"


def _subject(item: Opened) -> str:
    match item.predicate:
        case Version() as version:
            return f"{version.kind} '{plain(version.title)}' version {version.version}"
        case Draft() as draft:
            return f"draft of {draft.kind} '{plain(draft.title)}'"
        case Round() as this:
            return f"round {this.number}"
        case Run() as run:
            return f"run '{plain(run.invocation)}'"
        case Prediction():
            return "prediction"
        case Party() as party:
            return f"keys of {party.identity.address}"


def _saying(item: Opened) -> tuple[str, str]:
    match item.predicate:
        case Version() as version:
            return "published", f"content root {version.content_root}, {version.created}"
        case Draft() as draft:
            return f"announced with {len(draft.parents)} parents", draft.created
        case Round() as this:
            return f"step '{plain(this.step)}' by {len(this.members)} members", this.created
        case Run() as run:
            return f"made '{plain(run.title)}' from {len(run.inputs)} inputs", run.finished
        case Prediction() as prediction:
            return "given by the model", prediction.created
        case Party() as party:
            return party.action, party.created
