"""A member signs what it computed again, and nothing else: every cheat a coordinator may try."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from usufruct.crypto.dsse import Envelope
from usufruct.crypto.keystore import new_identity
from usufruct.errors import Damaged, VerificationError
from usufruct.evidence.predicates import Draft, Reference, asset_id
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement, sign_statement
from usufruct.evidence.work import Round
from usufruct.learn import Federation, LocalParty, Plan
from usufruct.learn.journal import Checkpoint
from usufruct.learn.records import Start
from usufruct.types import AssetKind, Digest
from usufruct.workspace.rounds import round_statement, start_statement, state
from usufruct.workspace.seats import Seat

NOW = "2026-01-01T00:00:00Z"
PLAN = Plan(rounds=3, local_steps=2, learning_rate=0.1, l2=0.0)


def _seat(number: int, memory: Path | None = None) -> Seat:
    random = np.random.default_rng(number)
    rows = random.normal(size=(30, 2))
    target = (rows[:, 0] > 0).astype(float)
    identity, _ = new_identity(f"member {number}")
    party = LocalParty(
        f"member {number}", rows[:20], target[:20], test=(rows[20:], target[20:]), signer=identity
    )
    digest = Digest(f"{number:064x}")
    reference = Reference(asset_id(identity.public.address, bytes(16)), 1, digest, digest)
    return Seat(party, identity, reference, memory)


class Table:
    """A coordinator and its members; `cheat` changes what members are asked to sign."""

    def __init__(self, memory: Path | None = None) -> None:
        self.coordinator, _ = new_identity("coordinator")
        self.seats = [_seat(n, memory / f"{n}.json" if memory else None) for n in (1, 2, 3)]
        self.places = tuple(seat.place for seat in self.seats)
        owner = self.coordinator.public.address
        parents = tuple(seat.dataset for seat in self.seats)
        draft = Draft(
            asset_id(owner, bytes(16)), bytes(16), AssetKind.MODEL, "m", owner, NOW, parents
        )
        self.draft = sign_statement(draft.payload(), [self.coordinator])
        self.digest = read_statement(self.draft).digest
        self.last = Digest("")
        self.start: Start
        self.cheat: Callable[[Any], Any] = lambda thing: thing
        self.cheat_statement: Callable[[Round], Round] = lambda said: said
        self.at = 2
        self.signed: list[Envelope] = []

    def agree(self) -> None:
        for seat in self.seats:
            seat.agree(self.draft, self.places)

    def run(self) -> None:
        self.agree()
        Federation(self.seats, PLAN, on_start=self._start, on_round=self._round).run()

    def _ask(self, said: Round, sign: Callable[[Envelope, Seat], Envelope]) -> None:
        if said.number == self.at:
            said = self.cheat_statement(said)
        envelope = sign_statement(said.payload(), [self.coordinator])
        for seat in self.seats:
            envelope = sign(envelope, seat)
        self.last = read_statement(envelope).digest
        self.signed.append(envelope)

    def _start(self, start: Start) -> None:
        self.start = start
        sums = {seat.name: seat.statistics() for seat in self.seats}
        said = start_statement(self.digest, self.places, start, NOW)
        self._ask(said, lambda envelope, seat: seat.cosign_start(envelope, start, sums))

    def _round(self, checkpoint: Checkpoint) -> None:
        if checkpoint.round.number + 1 == self.at:
            checkpoint = self.cheat(checkpoint)
        said = round_statement(self.digest, self.places, self.last, checkpoint.round, NOW)
        self._ask(said, lambda envelope, seat: seat.cosign(envelope, self.start, checkpoint))


def test_honest_rounds_are_signed_by_all() -> None:
    table = Table()
    table.run()
    assert len(table.signed) == PLAN.rounds + 1
    for envelope in table.signed:
        assert len(envelope.signatures) == 1 + len(table.seats)


def _other(said: Round, **changes: Any) -> Round:
    return dataclasses.replace(said, **changes)


ELSEWHERE = Digest("ab" * 32)
STATEMENT_CHEATS: dict[str, Callable[[Round], Round]] = {
    "another draft": lambda s: _other(s, draft=ELSEWHERE),
    "another number": lambda s: _other(s, number=s.number + 7),
    "another previous": lambda s: _other(s, previous=ELSEWHERE),
    "another step": lambda s: _other(s, step="median"),
    "another state before": lambda s: _other(s, before=ELSEWHERE),
    "another state after": lambda s: _other(s, after=ELSEWHERE),
    "a member left out": lambda s: _other(s, members=s.members[1:]),
    "another dataset": lambda s: _other(
        s,
        members=(
            dataclasses.replace(s.members[0], dataset=s.members[1].dataset),
            *s.members[1:],
        ),
    ),
    "another update": lambda s: _other(
        s, members=(*s.members[:-1], dataclasses.replace(s.members[-1], update=ELSEWHERE))
    ),
    "more rows": lambda s: _other(
        s, members=(*s.members[:-1], dataclasses.replace(s.members[-1], rows=10**6))
    ),
    "a false start": lambda s: _other(s, metadata={**s.metadata, "start": ELSEWHERE}),
    "false figures": lambda s: _other(s, metadata={**s.metadata, "metrics": "{}"}),
    "more metadata": lambda s: _other(s, metadata={**s.metadata, "note": "approved"}),
}


@pytest.mark.parametrize("name", sorted(STATEMENT_CHEATS))
@pytest.mark.parametrize("number", [1, 3])
def test_a_statement_that_says_anything_else_is_not_signed(name: str, number: int) -> None:
    table = Table()
    table.at, table.cheat_statement = number, STATEMENT_CHEATS[name]
    with pytest.raises(VerificationError):
        table.run()


def _with_weights(checkpoint: Checkpoint, party: int) -> Checkpoint:
    """Forge one member's update and make record and model fit the forgery."""
    from usufruct.learn._numpy import vector_digest
    from usufruct.learn.aggregate import aggregate
    from usufruct.learn.records import update_root

    updates = list(checkpoint.updates)
    updates[party] = dataclasses.replace(updates[party], weights=updates[party].weights + 1.0)
    refs = tuple(u.ref for u in updates)
    model = aggregate("fedavg", {u.party: (u.weights, u.rows) for u in updates})
    record = dataclasses.replace(
        checkpoint.round,
        updates=refs,
        update_root=update_root(
            checkpoint.round.start, checkpoint.round.number, checkpoint.round.model_in, refs
        ),
        model_out=vector_digest(model),
    )
    return Checkpoint(record, model, tuple(updates))


def _record(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return dataclasses.replace(checkpoint, round=dataclasses.replace(checkpoint.round, **changes))


def _figures(checkpoint: Checkpoint, party: int) -> Checkpoint:
    from usufruct.learn.evaluate import metrics
    from usufruct.learn.parties import Evaluation

    told = checkpoint.round.metrics["test"]
    found = {
        item["party"]: Evaluation(item["correct"], item["rows"], float(item["loss"]))
        for item in told["parties"]
    }
    name = sorted(found)[party]
    rows = found[name].rows
    better = rows if found[name].correct != rows else rows - 1
    found[name] = dataclasses.replace(found[name], correct=better)
    return _record(checkpoint, metrics={**checkpoint.round.metrics, "test": metrics(found)})


RECORD_CHEATS: dict[str, Callable[[Checkpoint], Checkpoint]] = {
    "my update forged": lambda c: _with_weights(c, 0),
    "the last member's update forged": lambda c: _with_weights(c, 2),
    "another model out": lambda c: _record(c, model_out=ELSEWHERE),
    "another model in": lambda c: _record(c, model_in=ELSEWHERE),
    "another start": lambda c: _record(c, start=ELSEWHERE),
    "an update dropped": lambda c: dataclasses.replace(c, updates=c.updates[1:]),
    "my figures bettered": lambda c: _figures(c, 0),
    "the last member's figures bettered": lambda c: _figures(c, 2),
    "no figures": lambda c: _record(c, metrics={}),
    "an unsigned update": lambda c: dataclasses.replace(
        c, updates=(dataclasses.replace(c.updates[0], signature=b""), *c.updates[1:])
    ),
}


@pytest.mark.parametrize("name", sorted(RECORD_CHEATS))
@pytest.mark.parametrize("number", [2, 4])
def test_a_round_that_does_not_recompute_is_not_signed(name: str, number: int) -> None:
    table = Table()
    table.at, table.cheat = number, RECORD_CHEATS[name]
    with pytest.raises(VerificationError):
        table.run()


def test_a_false_mean_is_not_signed() -> None:
    table = Table()
    table.agree()
    started: list[Start] = []
    Federation([seat.party for seat in table.seats], PLAN, on_start=started.append).run()
    start = started[0]
    assert start.scaling is not None
    false = dataclasses.replace(start.scaling, mean=tuple(m + 1 for m in start.scaling.mean))
    lie = dataclasses.replace(start, scaling=false)
    sums = {seat.name: seat.statistics() for seat in table.seats}
    said = start_statement(table.digest, table.places, lie, NOW)
    envelope = sign_statement(said.payload(), [table.coordinator])
    with pytest.raises(VerificationError):
        table.seats[0].cosign_start(envelope, lie, sums)
    with pytest.raises(VerificationError):
        table.seats[0].cosign_start(envelope, start, {})


def test_a_second_statement_for_one_round_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.run()
    first = read_predicate(read_statement(table.signed[0]))
    assert isinstance(first, Round)
    sums = {seat.name: seat.statistics() for seat in table.seats}
    later = start_statement(table.digest, table.places, table.start, "2026-01-02T00:00:00Z")
    again = sign_statement(later.payload(), [table.coordinator])
    same = sign_statement(first.payload(), [table.coordinator])
    seat = table.seats[0]
    reborn = Seat(seat.party, seat.identity, seat.dataset, tmp_path / "1.json")
    reborn.agree(table.draft, table.places)
    for member in (seat, reborn):
        with pytest.raises(VerificationError, match="another statement of round 1"):
            member.cosign_start(again, table.start, sums)
        assert len(member.cosign_start(same, table.start, sums).signatures) == 2


def test_a_table_that_was_not_agreed_is_refused(tmp_path: Path) -> None:
    table = Table(tmp_path)
    with pytest.raises(VerificationError):
        table.seats[0].agree(table.draft, table.places[1:])
    stranger = _seat(9)
    with pytest.raises(VerificationError, match="parent"):
        table.seats[0].agree(table.draft, (*table.places, stranger.place))
    table.agree()
    other = Table()
    with pytest.raises(VerificationError):
        table.seats[0].agree(other.draft, table.places)


def test_a_damaged_memory_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.agree()
    (tmp_path / "1.json").write_bytes(b"{}")
    with pytest.raises(Damaged):
        table.seats[0].agree(table.draft, table.places)


def test_the_state_binds_start_and_model() -> None:
    a, b = "11" * 32, "22" * 32
    assert len({state(a, b), state(b, a), state(a, a)}) == 3
