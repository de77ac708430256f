"""A member at the table: rows that stay, keys that sign only what was computed again.

The member trusts nobody at the table. It remembers, durably when it has a memory, which draft and
start it agreed to, which updates it released and which statements it signed, and refuses a second
statement in the place of one that it signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, Damaged, NotFound, VerificationError
from usufruct.evidence.predicates import Draft, Reference
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement
from usufruct.evidence.work import Round
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import Address, Digest
from usufruct.workspace.rounds import Place, round_statement, start_statement

if TYPE_CHECKING:
    from usufruct.learn import LocalParty
    from usufruct.learn._numpy import Vector
    from usufruct.learn.journal import Checkpoint
    from usufruct.learn.parties import Description, Evaluation, Part, Update
    from usufruct.learn.plan import Own, RoundPlan
    from usufruct.learn.records import Start
    from usufruct.learn.statistics import Scaling, Statistics

FORMAT = "usufruct/member/v1"
_MOST = 16 * 1024 * 1024


class Seat:
    """A party of a federation that also signs its rounds; a ``usufruct.learn.Party``.

    Parameters
    ----------
    party
        Holds the rows; signs its updates with `identity`.
    identity
        The member's keys.
    dataset
        The published version that the rows are from.
    memory
        A file that survives a crash; None remembers only as long as this object lives.
    """

    def __init__(
        self, party: LocalParty, identity: Identity, dataset: Reference, memory: Path | None = None
    ) -> None:
        self.party = party
        self.identity = identity
        self.dataset = dataset
        self._path = memory
        self._places: tuple[Place, ...] = ()
        self._memory: dict[str, Any] = {}

    @property
    def address(self) -> Address:
        """The member's account."""
        return self.identity.public.address

    @property
    def place(self) -> Place:
        """The member as all others know it."""
        key = self.identity.public.signing_key
        return Place(self.party.name, self.address, key, self.dataset)

    # -- what a Party of usufruct.learn does; the rows stay where they are ---------------------

    @property
    def name(self) -> str:
        """The party's name."""
        return self.party.name

    def describe(self) -> Description:
        """Say what the rows are like."""
        return self.party.describe()

    def statistics(self) -> Statistics:
        """Release the sums that a federated mean and sd need."""
        return self.party.statistics()

    def update(self, weights: Vector, task: RoundPlan) -> Update:
        """Learn on own rows, and remember which update was released in which round."""
        released = self.party.update(weights, task)
        known = self._memory.setdefault("released", {})
        key, digest = str(task.number), str(released.ref.digest)
        if known.get(key, digest) != digest:
            raise VerificationError(f"{self.name} released another update in round {task.number}")
        known[key] = digest
        self._save()
        return released

    def evaluate(self, weights: Vector, scaling: Scaling | Own | None, part: Part) -> Evaluation:
        """Count right answers on own rows."""
        return self.party.evaluate(weights, scaling, part)

    # -- what a member agrees to and signs -----------------------------------------------------

    def agree(self, draft: dsse.Envelope, places: Sequence[Place]) -> None:
        """Take a seat: remember the draft and who else sits there.

        Raises
        ------
        VerificationError
            This member or its dataset is not among them, a dataset is not a parent of the draft,
            or the member's memory is of another draft.
        """
        statement = read_statement(draft)
        announced = read_predicate(statement)
        if not isinstance(announced, Draft):
            raise VerificationError("what members agree to is a draft")
        if self.place not in places or len({p.address for p in places}) != len(places):
            raise VerificationError(f"{self.name} is not at the table as it should be")
        if not {place.dataset for place in places} <= set(announced.parents):
            raise VerificationError("the draft does not name every dataset as a parent")
        self._places = tuple(places)
        self._memory = self._load()
        if self._memory.setdefault("draft", statement.digest) != statement.digest:
            raise VerificationError(f"the memory of {self.name} is of another draft")
        self._save()

    def cosign_start(
        self, envelope: dsse.Envelope, start: Start, statistics: Mapping[str, Statistics]
    ) -> dsse.Envelope:
        """Sign the statement of the start, after computing mean and sd again from all sums.

        Raises
        ------
        VerificationError
            It is not the statement this member would make.
        """
        from usufruct.learn import verify_start

        verify_start(start, statistics)
        mine, own = statistics.get(self.name), self.party.statistics()
        if mine is None or (mine.count, mine.digest) != (own.count, own.digest):
            raise VerificationError(f"the statistics are not those {self.name} released")
        said = self._said(envelope)
        self._expect(said, start_statement(self._draft, self._places, start, said.created))
        return self._sign(envelope, said, {"start": start.digest, "model": start.initial})

    def cosign(
        self, envelope: dsse.Envelope, start: Start, checkpoint: Checkpoint
    ) -> dsse.Envelope:
        """Sign the statement of a round, after computing the new model again from all updates.

        Raises
        ------
        VerificationError
            It is not the statement this member would make.
        """
        from usufruct.learn import verify_round

        record = checkpoint.round
        keys = {place.name: place.signing_key for place in self._places}
        verify_round(record, checkpoint.updates, keys=keys)
        remembered = (self._memory.get("start"), start.digest, record.start)
        if len(set(remembered)) != 1:
            raise VerificationError(
                "the round is of another federation than was agreed",
                hint="a member that was restarted needs its memory file",
            )
        if dict(record.parameters) != start.plan.to_dict():
            raise VerificationError("the round follows another plan than was agreed")
        if [(u.party, u.weight) for u in record.updates] != [
            (m.party, m.rows) for m in start.members
        ]:
            raise VerificationError("the round has other members or row counts than the start")
        sent = {u.party: u.digest for u in record.updates}
        if sent.get(self.name) != self._memory.get("released", {}).get(str(record.number)):
            raise VerificationError(f"the round holds another update than {self.name} released")
        self._check_metrics(start, checkpoint)
        said = self._said(envelope)
        if self._signed(said) is None and record.model_in != self._memory.get("model"):
            raise VerificationError("the round begins with another model than the last one ended")
        previous = self._memory.get("signed", {}).get(str(record.number))
        if previous is None:
            raise VerificationError(f"{self.name} has not signed the round before this one")
        expected = round_statement(
            self._draft, self._places, Digest(previous), record, said.created
        )
        self._expect(said, expected)
        return self._sign(envelope, said, {"model": record.model_out})

    @property
    def _draft(self) -> Digest:
        if "draft" not in self._memory:
            raise BadInput(f"{self.name} has not agreed to a draft yet")
        return Digest(self._memory["draft"])

    def _check_metrics(self, start: Start, checkpoint: Checkpoint) -> None:
        """Check this member's own counts, and that the pooled ones are the members' sums."""
        from usufruct.learn.evaluate import metrics
        from usufruct.learn.parties import Evaluation

        scaling: Any = "own" if start.plan.normalise == "local" else start.scaling
        for part in ("train", "test"):
            told = dict(checkpoint.round.metrics.get(part) or {})
            if not told and part == "test" and not self.party.describe().test_rows:
                continue
            try:
                found = {
                    item["party"]: Evaluation(item["correct"], item["rows"], float(item["loss"]))
                    for item in told["parties"]
                }
                if set(found) <= {place.name for place in self._places} and metrics(found) == told:
                    own = self.party.evaluate(checkpoint.weights, scaling, part)
                    if (
                        metrics({self.name: own})["pooled"]
                        == metrics({self.name: found[self.name]})["pooled"]
                    ):
                        continue
            except (KeyError, TypeError, ValueError, BadInput):
                pass
            raise VerificationError(f"the round's {part} figures are not those {self.name} counted")

    def _said(self, envelope: dsse.Envelope) -> Round:
        said = read_predicate(read_statement(envelope))
        if not isinstance(said, Round):
            raise VerificationError("a member signs rounds only")
        return said

    @staticmethod
    def _expect(said: Round, expected: Round) -> None:
        if said != expected:
            raise VerificationError(
                f"the statement of round {said.number} is not the one its members would make"
            )

    def _signed(self, said: Round) -> str | None:
        known = self._memory.get("signed", {}).get(str(said.number))
        return None if known is None else str(known)

    def _sign(
        self, envelope: dsse.Envelope, said: Round, learned: Mapping[str, str]
    ) -> dsse.Envelope:
        digest = read_statement(envelope).digest
        known = self._signed(said)
        if known not in (None, digest):
            raise VerificationError(
                f"{self.name} has signed another statement of round {said.number}"
            )
        if known is None:
            self._memory.setdefault("signed", {})[str(said.number)] = digest
            self._memory |= learned
            # remembered before the signature exists: never two for one place
            self._save()
        return dsse.add_signature(envelope, self.identity)

    def _load(self) -> dict[str, Any]:
        if self._path is None:
            return self._memory
        try:
            data = read_bytes(self._path, limit=_MOST)
        except NotFound:
            return {}
        try:
            memory = canonical.loads(data)
        except BadInput as error:
            raise Damaged(f"{self._path} is damaged: {error.message}") from error
        if not isinstance(memory, dict) or memory.pop("format", None) != FORMAT:
            raise Damaged(f"{self._path} is not a member's memory")
        return memory

    def _save(self) -> None:
        if self._path is not None:
            make_folder(self._path.parent)
            write_atomic(self._path, canonical.dumps({"format": FORMAT, **self._memory}))
