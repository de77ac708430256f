"""The walk from a claim to everything it rests on, by digests alone.

Checks what statements say of each other: that a reference names the very version it says, that a
run made that content from those inputs, that rounds follow one another without a gap, that
everybody speaks of his own assets only. Every statement of the bundle is met, or it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from usufruct.errors import VerificationError
from usufruct.evidence.claims import Claim, PredictionClaim, VersionClaim
from usufruct.evidence.opening import Evidence, Opened
from usufruct.evidence.predicates import Draft, Party, Reference, Version, asset_id
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import needed_by
from usufruct.evidence.work import Prediction, Round
from usufruct.types import Address, AssetKind, Digest

Kind = TypeVar("Kind", Version, Draft, Run, Round, Prediction)


class Walk:
    """A finished walk.

    Parameters
    ----------
    evidence
        Opened, so each statement holds on its own.
    claim
        Where the walk begins.

    Raises
    ------
    VerificationError
        Something the claim rests on is missing, contradicts the rest, or is not needed.
    """

    def __init__(self, evidence: Evidence, claim: Claim) -> None:
        self._evidence = evidence
        self._parents: dict[Digest, frozenset[Reference]] = {}
        self.order: list[Opened] = []
        """Statements in walking order, parties' key statements left out."""
        self.start = self._find(claim.statement)
        deep = isinstance(claim, PredictionClaim)
        if isinstance(claim, PredictionClaim):
            self._expect(self.start, Prediction)
        else:
            self._expect(self.start, Version)
            deep = isinstance(claim, VersionClaim) and claim.lineage
            if deep and not needed_by(self.start.predicate):
                raise VerificationError("the claim promises a lineage that the version lacks")
        self._visit(deep)
        if deep:
            for item in self.order:
                self._check_links(item)
        self._check_unique()
        self._check_used()

    @property
    def version(self) -> tuple[Opened, Version]:
        """The version the claim is about; of a prediction, the model's."""
        predicate = self.start.predicate
        if isinstance(predicate, Prediction):
            return self._version(self.start, predicate.model)
        return self.start, self._expect(self.start, Version)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds met, the last first."""
        return tuple(item.predicate for item in self.order if isinstance(item.predicate, Round))

    def _visit(self, deep: bool) -> None:
        seen: set[Digest] = set()
        todo = [self.start]
        while todo:
            item = todo.pop()
            if item.digest in seen:
                continue
            seen.add(item.digest)
            self.order.append(item)
            self._check_own(item)
            if deep:
                for digest in reversed(needed_by(item.predicate)):
                    needed = self._find(digest)
                    if needed.origin == item.origin and needed.index >= item.index:
                        raise VerificationError(
                            f"entry {item.index} of {item.owner} refers to what was logged later"
                        )
                    todo.append(needed)

    def _find(self, digest: Digest) -> Opened:
        item = self._evidence.statements.get(digest)
        if item is None:
            raise VerificationError(f"statement {digest} is needed but not in the bundle")
        return item

    @staticmethod
    def _expect(item: Opened, kind: type[Kind]) -> Kind:
        if not isinstance(item.predicate, kind):
            raise VerificationError(f"statement {item.digest} is not a {kind.__name__.lower()}")
        return item.predicate

    def _version(self, item: Opened, reference: Reference) -> tuple[Opened, Version]:
        found = self._find(reference.statement)
        version = self._expect(found, Version)
        if version.reference(found.digest) != reference:
            raise VerificationError(
                f"entry {item.index} of {item.owner} refers to another version than it names"
            )
        return found, version

    @staticmethod
    def _check_own(item: Opened) -> None:
        match item.predicate:
            case Version() | Draft() as made:
                if made.owner != item.owner:
                    raise VerificationError(f"{item.owner} speaks for the assets of {made.owner}")
                if asset_id(made.owner, made.salt) != made.asset:
                    raise VerificationError(f"asset {made.asset} does not belong to {made.owner}")
            case Run() as run:
                if run.builder != item.owner:
                    raise VerificationError(f"{item.owner} speaks for the runs of {run.builder}")
            case Party():
                raise VerificationError("a key statement is no part of a claim")

    def _check_links(self, item: Opened) -> None:
        match item.predicate:
            case Version() as version:
                for reference in version.inputs:
                    self._version(item, reference)
                if version.run is not None:
                    self._check_run(version, self._expect(self._find(version.run), Run))
            case Draft() as draft:
                for reference in draft.parents:
                    self._version(item, reference)
            case Run() as run:
                self._check_inputs(item, run)
            case Round() as this:
                self._check_round(item, this)
            case Prediction() as prediction:
                _, model = self._version(item, prediction.model)
                if model.kind is not AssetKind.MODEL:
                    raise VerificationError("a prediction names something that is not a model")

    def _check_run(self, version: Version, run: Run) -> None:
        if run.content_root != version.content_root:
            raise VerificationError("a version names a run that made something else")
        if set(run.inputs) != set(version.inputs):
            raise VerificationError("a version and its run name different inputs")
        if run.draft is not None:
            draft = self._expect(self._find(run.draft), Draft)
            if (draft.asset, draft.kind) != (version.asset, version.kind):
                raise VerificationError("a version's run worked on the draft of another asset")

    def _check_inputs(self, item: Opened, run: Run) -> None:
        for reference in run.inputs:
            self._version(item, reference)
        if run.draft is not None:
            draft = self._expect(self._find(run.draft), Draft)
            if not set(run.inputs) <= set(draft.parents):
                raise VerificationError("a run used what its draft does not name as a parent")
        if run.last_round is not None:
            last = self._expect(self._find(run.last_round), Round)
            if last.draft != run.draft:
                raise VerificationError("a run and its rounds are of different drafts")

    def _check_round(self, item: Opened, this: Round) -> None:
        draft = self._expect(self._find(this.draft), Draft)
        parents = self._parents.setdefault(this.draft, frozenset(draft.parents))
        parties = [member.party for member in this.members]
        if len(set(parties)) != len(parties):
            raise VerificationError(f"round {this.number} names a member twice")
        for member in this.members:
            _, version = self._version(item, member.dataset)
            if version.owner != member.party or member.dataset not in parents:
                raise VerificationError(f"round {this.number} used data that its draft lacks")
            # rows are weights: more of them than there are would outvote the others
            if member.rows > version.rows > 0:
                raise VerificationError(
                    f"round {this.number} counts {member.rows} rows of {member.party},"
                    f" whose data has {version.rows}"
                )
        if (this.number == 1) != (this.previous is None):
            raise VerificationError(f"round {this.number} does not follow on round 1")
        if this.previous is not None:
            before = self._expect(self._find(this.previous), Round)
            if (before.number + 1, before.draft) != (this.number, this.draft):
                raise VerificationError(f"round {this.number} does not follow on the one it names")
            if before.after != this.before:
                raise VerificationError(f"round {this.number} begins with another state")

    def _check_unique(self) -> None:
        versions = (item.predicate for item in self.order if isinstance(item.predicate, Version))
        places = [(version.asset, version.version) for version in versions]
        if len(set(places)) != len(places):
            raise VerificationError("one version of an asset was published twice, differently")
        steps = [(this.draft, this.number) for this in self.rounds]
        if len(set(steps)) != len(steps):
            raise VerificationError("one round of a federation was committed twice, differently")

    def _check_used(self) -> None:
        used = {item.digest for item in self.order}
        for party in _parties(self.order):
            used |= self._evidence.key_statements.get(party, frozenset())
        unused = len(self._evidence.statements) - len(used)
        if unused:
            raise VerificationError(f"the bundle holds {unused} statements the claim does not need")


def _parties(order: Iterable[Opened]) -> list[Address]:
    return sorted({party for item in order for party in item.signers})
