"""The round loop: statistics first, then rounds; each is checkpointed, then announced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

from usufruct.errors import AlreadyExists, BadInput, Damaged, VerificationError
from usufruct.learn._numpy import Vector, np, vector, vector_digest
from usufruct.learn.aggregate import aggregate
from usufruct.learn.audit import verify_chain, verify_round, verify_start, zero_digest
from usufruct.learn.evaluate import evaluate, metrics
from usufruct.learn.journal import Checkpoint, RoundJournal
from usufruct.learn.model import LogisticModel
from usufruct.learn.parties import Party, Update
from usufruct.learn.plan import Own, Plan, RoundPlan
from usufruct.learn.records import Member, Round, Start, check_name, update_root
from usufruct.learn.schema import Schema
from usufruct.learn.statistics import Scaling, combine

__all__ = ["Federation", "OnRound", "Result"]


class OnRound(Protocol):
    """Announces a round: signs it, logs it, sends it. Handed in by the workspace."""

    def __call__(self, checkpoint: Checkpoint) -> None:
        """Announce one round that is safely on disk.

        After a crash the same round may come once more, equal to the byte:
        ``checkpoint.round.digest`` tells. An error raised here stops the federation, which can
        be resumed.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A finished federation: its start, its rounds, the last model's weights."""

    start: Start
    rounds: tuple[Round, ...]
    weights: Vector

    def model(self, schema: Schema | None = None) -> LogisticModel:
        """Return the model that predicts from raw rows, if `schema` is given, or from arrays.

        Raises
        ------
        BadInput
            The parties normalised each by its own, so no single model for raw rows exists; or
            the schema's features are not the federation's columns.
        """
        if self.start.plan.normalise == "local":
            raise BadInput(
                "each party normalised by its own mean and sd; there is no model for raw rows",
                hint="use normalise='federated'",
            )
        if schema is not None and schema.features != self.start.columns:
            raise BadInput("the schema's features are not the federation's columns")
        size = len(self.start.columns)
        scaling = self.start.scaling or Scaling((0.0,) * size, (1.0,) * size)
        return LogisticModel(
            self.start.columns, scaling, self.weights[:-1], float(self.weights[-1]), schema
        )


class Federation:
    """Parties who learn one model together.

    Parameters
    ----------
    parties
        At least one; their order does not matter, names decide.
    plan
        The arithmetic.
    journal
        Where rounds survive a crash; None keeps them in memory only.
    on_start
        Called with the `Start` before the first round, and again on every resume.
    on_round
        Called with each `Checkpoint` once it is durable.

    Raises
    ------
    BadInput
        No parties, or two of one name.
    """

    def __init__(
        self,
        parties: Sequence[Party],
        plan: Plan,
        *,
        journal: RoundJournal | None = None,
        on_start: Callable[[Start], None] | None = None,
        on_round: OnRound | None = None,
    ) -> None:
        self._parties = sorted(parties, key=lambda p: check_name(p.name))
        names = [party.name for party in self._parties]
        if not names:
            raise BadInput("a federation needs at least one party")
        if len(set(names)) != len(names):
            raise BadInput("two parties of a federation have one name")
        self._plan = plan
        self._journal = journal
        self._on_start = on_start
        self._on_round = on_round

    def run(self) -> Result:
        """Run from the beginning.

        Raises
        ------
        AlreadyExists
            The journal holds a federation that was begun; `resume` it.
        BadInput
            A party's columns, sums, update or count cannot be used; the message names it.
        """
        return self._run(resume=False)

    def resume(self) -> Result:
        """Go on after the last committed round, or begin if nothing has begun.

        A round that was checkpointed but maybe not announced is announced again unchanged. The
        final model has the same bits as without interruption.

        Raises
        ------
        BadInput
            There is no journal, or it belongs to another plan, other parties or other rows.
        Damaged
            A file of the journal is not what was written.
        """
        if self._journal is None:
            raise BadInput("a federation without a journal cannot be resumed")
        return self._run(resume=True)

    def _run(self, *, resume: bool) -> Result:
        with self._journal or nullcontext():
            begun = self._journal.start() if self._journal else None
            if begun is not None and not resume:
                raise AlreadyExists(
                    "a federation was begun in this journal", hint="resume it, or take another"
                )
            start = self._start()
            if begun is not None and begun.digest != start.digest:
                raise BadInput(
                    f"the journal belongs to another federation: {_difference(begun, start)}"
                )
            if self._journal and begun is None:
                self._journal.begin(start)
            if self._on_start:
                self._on_start(start)
            return self._rounds(start)

    def _start(self) -> Start:
        columns = self._parties[0].describe().columns
        if not columns:
            raise BadInput(f"{self._parties[0].name} has no columns")
        rows: list[int] = []
        for party in self._parties:
            description = party.describe()
            if description.columns != columns:
                raise BadInput(
                    f"{party.name} has other columns than {self._parties[0].name}",
                    hint="all parties need the same features in the same order",
                )
            if type(description.rows) is not int or description.rows < 1:
                raise BadInput(f"{party.name} has no rows to learn from")
            rows.append(description.rows)
        digests, scaling = [""] * len(rows), None
        if self._plan.normalise == "federated":
            statistics = [party.statistics() for party in self._parties]
            for party, own, count in zip(self._parties, statistics, rows, strict=True):
                if own.count != count or len(own.sums) != len(columns):
                    raise BadInput(f"the statistics of {party.name} are not over its rows")
            scaling = combine(statistics)
            digests = [str(own.digest) for own in statistics]
        members = tuple(
            Member(party.name, count, digest)
            for party, count, digest in zip(self._parties, rows, digests, strict=True)
        )
        start = Start(self._plan, columns, members, scaling, zero_digest(len(columns)))
        verify_start(start)
        return start

    def _rounds(self, start: Start) -> Result:
        weights: Vector = np.zeros(len(start.columns) + 1, dtype=np.float64)
        records: list[Round] = []
        committed = self._journal.committed if self._journal else 0
        for number in range(1, self._plan.rounds + 1):
            checkpoint = self._journal.load(number) if self._journal else None
            if checkpoint is None and number <= committed:
                raise Damaged(f"round {number} was committed but its checkpoint is gone")
            if checkpoint is None:
                checkpoint = self._round(start, number, weights)
                if self._journal:
                    self._journal.save(checkpoint)
            else:
                _check_saved(checkpoint, start, weights)
            records.append(checkpoint.round)
            weights = checkpoint.weights
            if number > committed:
                if self._on_round:
                    self._on_round(checkpoint)
                if self._journal:
                    self._journal.commit(number)
        verify_chain(start, records)
        return Result(start, tuple(records), weights)

    def _round(self, start: Start, number: int, weights: Vector) -> Checkpoint:
        before = vector_digest(weights)
        scaling: Scaling | Own | None = "own" if self._plan.normalise == "local" else start.scaling
        task = RoundPlan(number, self._plan, start.digest, scaling)
        updates = tuple(
            self._update(party, member, weights, task)
            for party, member in zip(self._parties, start.members, strict=True)
        )
        model = aggregate(self._plan.rule, {u.party: (u.weights, u.rows) for u in updates})
        refs = tuple(update.ref for update in updates)
        measured = {
            "train": metrics(evaluate(self._parties, model, scaling, "train")),
            "test": metrics(evaluate(self._parties, model, scaling, "test")),
        }
        record = Round(
            number=number,
            start=start.digest,
            model_in=before,
            model_out=vector_digest(model),
            updates=refs,
            update_root=update_root(start.digest, number, before, refs),
            rule=self._plan.rule,
            parameters=self._plan.to_dict(),
            seed=self._plan.seed,
            metrics=measured,
        )
        return Checkpoint(record, model, updates)

    def _update(self, party: Party, member: Member, weights: Vector, task: RoundPlan) -> Update:
        update = party.update(weights, task)
        if update.party != member.party or update.rows != member.rows:
            raise BadInput(
                f"{member.party} sent an update of '{update.party}' over {update.rows} rows, "
                f"not of itself over {member.rows}"
            )
        checked = vector(update.weights, f"the update of {member.party}", size=weights.size)
        return Update(update.party, checked, update.rows, update.signature)


def _check_saved(checkpoint: Checkpoint, start: Start, weights: Vector) -> None:
    record = checkpoint.round
    try:
        verify_round(record, checkpoint.updates)
    except VerificationError as error:
        raise Damaged(f"a checkpoint does not hold: {error}") from None
    before = (record.start, record.model_in, record.model_out)
    if before != (start.digest, vector_digest(weights), vector_digest(checkpoint.weights)):
        raise Damaged(f"the checkpoint of round {record.number} holds another model")


def _difference(before: Start, now: Start) -> str:
    if before.plan != now.plan:
        return "the plan differs"
    if before.columns != now.columns:
        return "the columns differ"
    old, new = {m.party: m for m in before.members}, {m.party: m for m in now.members}
    if set(old) != set(new):
        return "the parties differ"
    changed = [name for name in sorted(old) if old[name] != new[name]]
    return f"the rows of {changed[0]} differ" if changed else "its record differs"
