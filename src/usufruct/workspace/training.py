"""Learning together with evidence: draft, statistics, rounds, run and model as statements.

Each round is signed by the coordinator and by every member that computed it again and found it
right. What was signed is kept beside the round's checkpoint before it is logged, so that a
federation that is resumed logs the very same statements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.evidence.predicates import Reference
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import PAYLOAD_TYPE, read_statement, sign_statement
from usufruct.evidence.work import Member as Part
from usufruct.evidence.work import Round as RoundStatement
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import Address, AssetKind, Digest
from usufruct.workspace import publishing
from usufruct.workspace.recomputing import state
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.learn import LocalParty, Plan, Schema
    from usufruct.learn.journal import Checkpoint
    from usufruct.learn.records import Start

BUILD_TYPE = "https://usufruct.dev/federation/v1"
STATISTICS, AVERAGE = "statistics", "average"
_MOST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seat:
    """A member at the table: its rows, its keys, and the dataset version it stands for.

    The rows stay inside `party`; the keys sign only what the member has computed again.
    """

    party: LocalParty
    identity: Identity
    dataset: Reference

    @property
    def address(self) -> Address:
        """The member's account."""
        return self.identity.public.address

    def cosign(self, envelope: dsse.Envelope, checkpoint: Checkpoint | Start) -> dsse.Envelope:
        """Return the envelope signed by this member too, after checking what it says.

        Raises
        ------
        VerificationError
            The statement is not what the round's own record gives when computed again.
        """
        from usufruct.learn import Start, verify_round, verify_start

        said = read_predicate(read_statement(envelope))
        if not isinstance(said, RoundStatement):
            raise VerificationError("a member signs rounds only")
        mine = [part for part in said.members if part.party == self.address]
        if [part.dataset for part in mine] != [self.dataset]:
            raise VerificationError(f"{self.party.name} is not in the round as it should be")
        if not isinstance(checkpoint, Start):
            record = checkpoint.round
            verify_round(record, checkpoint.updates)
            sent = {u.party: u.digest for u in record.updates}
            if mine[0].update != sent.get(self.party.name):
                raise VerificationError(f"the round holds another update of {self.party.name}")
            if said.before != state(record.start, record.model_in):
                raise VerificationError("the round's statement begins with another model")
            if said.after != state(record.start, record.model_out):
                raise VerificationError("the round's statement ends with another model")
        else:
            verify_start(checkpoint)
            own = next(m for m in checkpoint.members if m.party == self.party.name)
            released = self.party.statistics()
            if (own.rows, own.statistics) != (released.count, released.digest):
                raise VerificationError(f"the statistics are not those {self.party.name} released")
            if said.after != state(checkpoint.digest, checkpoint.initial):
                raise VerificationError("the statement is of another start")
        return dsse.add_signature(envelope, self.identity)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was learned together and published."""

    published: publishing.Published
    draft: Digest
    rounds: tuple[Digest, ...]
    metrics: tuple[dict[str, object], ...]
    folder: Path


def train(
    session: Session,
    seats: Sequence[Seat],
    plan: Plan,
    *,
    draft: str,
    schema: Schema | None = None,
    on_round: Callable[[int, dict[str, object]], None] | None = None,
) -> Trained:
    """Learn one model from all seats and publish it as the first version of `draft`.

    Called again after a crash it goes on after the last round that was logged.

    Raises
    ------
    VerificationError
        A member found a round that is not right.
    NotFound
        There is no such draft in this home.
    """
    return _Training(session, seats, plan, draft, schema, on_round).run()


class _Training:
    def __init__(
        self,
        session: Session,
        seats: Sequence[Seat],
        plan: Plan,
        draft: str,
        schema: Schema | None,
        on_round: Callable[[int, dict[str, object]], None] | None,
    ) -> None:
        self._session = session
        self._seats = sorted(seats, key=lambda seat: seat.party.name)
        self._plan = plan
        self._schema = schema
        self._on_round = on_round
        self._record = session.assets_store.find(draft)
        self._draft, self._announced = _draft_of(session, self._record.id)
        self._folder = session.home.path / "runs" / self._record.id[:16]
        make_folder(self._folder)
        self._statements: list[Digest] = []
        self._metrics: list[dict[str, object]] = []

    def run(self) -> Trained:
        from usufruct.learn import Federation, RoundJournal
        from usufruct.models.safe import save_model

        federation = Federation(
            [seat.party for seat in self._seats],
            self._plan,
            journal=RoundJournal(self._folder / "rounds"),
            on_start=self._start,
            on_round=self._round,
        )
        result = federation.resume()
        for number in range(len(self._statements) + 1, self._plan.rounds + 2):
            self._again(number)
        model = result.model(self._schema)
        target = self._folder / "model"
        spec, tensors = model.to_parts()
        if not target.exists():
            save_model(target, spec, tensors)
        return self._publish(target)

    def _publish(self, target: Path) -> Trained:
        from usufruct.assets.publish import prepare

        session = self._session
        inputs = tuple(seat.dataset for seat in self._seats)
        known = session.assets_store.versions(self._record.id)
        if known:
            raise BadInput(
                f"'{self._record.title}' has been trained and published",
                hint="announce another draft to train again",
            )
        root = prepare(target, evidence=False, salt_root=self._salt_root()).content_root
        run = Run(
            self._record.title,
            root,
            BUILD_TYPE,
            {"plan": json.dumps(self._plan.to_dict(), sort_keys=True)},
            self._draft,
            self._statements[-1],
            inputs,
            session.public.address,
            f"federation {self._record.id[:16]}",
            self._announced,
            session.now(),
        )
        envelope = self._kept("run", lambda: sign_statement(run.payload(), [session.identity]))
        publishing.append(session, envelope)
        published = publishing.publish(
            session,
            target,
            update=self._record.id,
            inputs=inputs,
            run=read_statement(envelope).digest,
            salt_root=self._salt_root(),
        )
        return Trained(
            published, self._draft, tuple(self._statements), tuple(self._metrics), target
        )

    def _salt_root(self) -> bytes:
        """Return the salts of the model's manifest, fixed once: the run names its root."""
        import secrets

        path = self._folder / "salt"
        try:
            return read_bytes(path, limit=32)
        except NotFound:
            write_atomic(path, secrets.token_bytes(32))
            return read_bytes(path, limit=32)

    def _start(self, start: Start) -> None:
        parts = tuple(
            Part(seat.address, seat.dataset, Digest(member.statistics), member.rows)
            for seat, member in zip(self._seats, start.members, strict=True)
        )
        plan = canonical.dumps(self._plan.to_dict())
        self._commit(
            1,
            STATISTICS,
            before=Digest(_sha256(plan)),
            after=state(start.digest, start.initial),
            parts=parts,
            metadata={"start": start.digest, "record": canonical.dumps(start.to_dict()).decode()},
            checkpoint=start,
        )

    def _round(self, checkpoint: Checkpoint) -> None:
        record = checkpoint.round
        parts = tuple(
            Part(seat.address, seat.dataset, update.digest, update.weight)
            for seat, update in zip(self._seats, record.updates, strict=True)
        )
        self._commit(
            record.number + 1,
            AVERAGE,
            before=state(record.start, record.model_in),
            after=state(record.start, record.model_out),
            parts=parts,
            metadata={
                "start": record.start,
                "model_in": record.model_in,
                "model_out": record.model_out,
                "update_root": record.update_root,
                "rule": record.rule,
                "seed": str(record.seed),
                "metrics": json.dumps(dict(record.metrics), sort_keys=True),
            },
            checkpoint=checkpoint,
        )
        metrics = dict(record.metrics)
        self._metrics.append(metrics)
        if self._on_round is not None:
            self._on_round(record.number, metrics)

    def _commit(
        self,
        number: int,
        step: str,
        *,
        before: Digest,
        after: Digest,
        parts: tuple[Part, ...],
        metadata: dict[str, str],
        checkpoint: Checkpoint | Start,
    ) -> None:
        for earlier in range(len(self._statements) + 1, number):
            self._again(earlier)
        previous = self._statements[number - 2] if number > 1 else None

        def make() -> dsse.Envelope:
            said = RoundStatement(
                self._draft,
                number,
                previous,
                step,
                before,
                after,
                parts,
                self._session.now(),
                metadata,
            )
            envelope = sign_statement(said.payload(), [self._session.identity])
            for seat in self._seats:
                envelope = seat.cosign(envelope, checkpoint)
            return envelope

        envelope = self._kept(f"{number:06}", make)
        said = read_predicate(read_statement(envelope))
        if not isinstance(said, RoundStatement) or (said.before, said.after) != (before, after):
            raise VerificationError(f"the kept statement of round {number} is of another round")
        publishing.append(self._session, envelope)
        self._statements.append(read_statement(envelope).digest)

    def _again(self, number: int) -> None:
        """Take in the statement of a round that was logged before a crash."""
        envelope = self._kept(f"{number:06}", None)
        publishing.append(self._session, envelope)
        self._statements.append(read_statement(envelope).digest)

    def _kept(self, name: str, make: Callable[[], dsse.Envelope] | None) -> dsse.Envelope:
        path = self._folder / f"statement-{name}.json"
        try:
            return dsse.Envelope.from_bytes(read_bytes(path, limit=_MOST))
        except NotFound:
            if make is None:
                raise
        write_atomic(path, make().to_bytes())
        return dsse.Envelope.from_bytes(read_bytes(path, limit=_MOST))


def _sha256(data: bytes) -> str:
    from usufruct.crypto.hash import sha256

    return sha256(data).hex()


def _draft_of(session: Session, asset: str) -> tuple[Digest, str]:
    from usufruct.evidence.predicates import Draft

    for entry in session.signed_log.entries():
        if entry.envelope is None:
            continue
        envelope = dsse.Envelope.from_bytes(entry.envelope)
        if envelope.payload_type != PAYLOAD_TYPE:
            continue
        statement = read_statement(envelope)
        predicate = read_predicate(statement)
        if isinstance(predicate, Draft) and predicate.asset == asset:
            if predicate.kind is not AssetKind.MODEL:
                raise BadInput(f"the draft '{predicate.title}' is not of a model")
            return statement.digest, predicate.created
    raise NotFound(f"there is no draft of the asset {asset} in this home's log")
