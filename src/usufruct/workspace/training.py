"""Learning together with evidence: draft, statistics, rounds, run and model as statements.

Each round is signed by the coordinator and by every member that computed it again and found it
right. What was signed is kept beside the round's checkpoint before it is logged, so that a
federation that is resumed logs the very same statements.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.crypto import canonical, dsse
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.evidence.predicates import Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import PAYLOAD_TYPE, read_statement, sign_statement
from usufruct.evidence.work import Round
from usufruct.store import fsync_folder, make_folder, read_bytes, write_atomic
from usufruct.types import AssetKind, Digest
from usufruct.workspace import finishing, gathering, publishing
from usufruct.workspace.recomputing import BUILD_TYPE
from usufruct.workspace.rounds import AVERAGE, round_statement, start_statement
from usufruct.workspace.seats import Seat
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.assets.versions import VersionRecord
    from usufruct.learn import Plan, Schema
    from usufruct.learn.journal import Checkpoint
    from usufruct.learn.records import Start

_MOST = 4 * 1024 * 1024


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

    Called again after a crash it goes on after the last round that was logged; called again
    after it has finished it returns what was published.

    Raises
    ------
    VerificationError
        A member found a round that is not right.
    NotFound, BadInput
        There is no such draft in this home, or a dataset is not known here or not its member's.
    """
    finishing.resume(session)
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
        self._announcement, self._announced = _draft_of(session, self._record.id)
        self._draft = read_statement(self._announcement).digest
        _check_seats(session, self._seats)
        self._folder = session.home.path / "runs" / self._record.id[:16]
        make_folder(self._folder)
        self._places = tuple(seat.place for seat in self._seats)
        for seat in self._seats:
            seat.agree(self._announcement, self._places)
        self._begun: Start
        self._statements: list[Digest] = []
        self._metrics: list[dict[str, object]] = []

    def run(self) -> Trained:
        from usufruct.learn import Federation, RoundJournal
        from usufruct.models.safe import save_model

        federation = Federation(
            self._seats,
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
            # beside and renamed: a model folder is whole, and holds nothing else
            draft = self._folder / "model-draft"
            shutil.rmtree(draft, ignore_errors=True)
            save_model(draft, spec, tensors)
            draft.rename(target)
            fsync_folder(self._folder)
        return self._publish(target)

    def _publish(self, target: Path) -> Trained:
        from usufruct.assets.publish import prepare

        session = self._session
        inputs = tuple(seat.dataset for seat in self._seats)
        known = session.assets_store.versions(self._record.id)
        if known:
            published = self._published_before(known[0])
            return Trained(
                published, self._draft, tuple(self._statements), tuple(self._metrics), target
            )
        root = prepare(target, evidence=False, salt_root=self._salt_root()).content_root
        run = Run(
            self._record.title,
            root,
            BUILD_TYPE,
            {"plan": canonical.dumps(self._plan.to_dict()).decode()},
            self._draft,
            self._statements[-1],
            inputs,
            session.public.address,
            f"federation {self._record.id[:16]}",
            self._announced,
            session.now(),
        )
        envelope = self._kept("run", lambda: sign_statement(run.payload(), [session.identity]))
        finishing.append(session, envelope)
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

    def _published_before(self, version: VersionRecord) -> publishing.Published:
        """Return what an earlier call published.

        Raises
        ------
        BadInput
            The draft's version is not the outcome of this federation.
        """
        try:
            ours = read_statement(self._kept("run", None)).digest
        except NotFound:
            ours = None
        published = publishing.published(self._session, version)
        if ours is None or published.run != ours:
            raise BadInput(
                f"'{self._record.title}' has been published already, and not by this training",
                hint="announce another draft to train again",
            )
        return published

    def _salt_root(self) -> bytes:
        """Return the salts of the model's manifest, fixed once: the run names its root."""
        import secrets

        return self._fixed("salt", lambda: secrets.token_bytes(32))

    def _start(self, start: Start) -> None:
        statistics = {seat.name: seat.statistics() for seat in self._seats}
        self._begun = start

        def sign(envelope: dsse.Envelope, seat: Seat) -> dsse.Envelope:
            return seat.cosign_start(envelope, start, statistics)

        self._commit(start_statement(self._draft, self._places, start, self._session.now()), sign)

    def _round(self, checkpoint: Checkpoint) -> None:
        record, start = checkpoint.round, self._begun
        for earlier in range(len(self._statements) + 1, record.number + 1):
            self._again(earlier)

        def sign(envelope: dsse.Envelope, seat: Seat) -> dsse.Envelope:
            return seat.cosign(envelope, start, checkpoint)

        previous, now = self._statements[-1], self._session.now()
        self._commit(round_statement(self._draft, self._places, previous, record, now), sign)
        metrics = dict(record.metrics)
        self._metrics.append(metrics)
        if self._on_round is not None:
            self._on_round(record.number, metrics)

    def _commit(self, said: Round, sign: Callable[[dsse.Envelope, Seat], dsse.Envelope]) -> None:
        """Have a statement signed by all, and log it; after a crash the very same one."""

        def make() -> dsse.Envelope:
            # members sign once only, so what they are asked to sign is fixed before
            payload = self._fixed(f"payload-{said.number:06}", said.payload)
            envelope = sign_statement(payload, [self._session.identity])
            for seat in self._seats:
                envelope = sign(envelope, seat)
            return envelope

        envelope = self._kept(f"{said.number:06}", make)
        found = read_predicate(read_statement(envelope))
        if not isinstance(found, Round) or replace(found, created=said.created) != said:
            raise VerificationError(f"the kept statement of round {said.number} is of another one")
        finishing.append(self._session, envelope)
        self._statements.append(read_statement(envelope).digest)

    def _fixed(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self._folder / name
        try:
            return read_bytes(path, limit=_MOST)
        except NotFound:
            write_atomic(path, make())
            return read_bytes(path, limit=_MOST)

    def _again(self, number: int) -> None:
        """Take in the statement of a round that was logged before a crash."""
        envelope = self._kept(f"{number:06}", None)
        finishing.append(self._session, envelope)
        statement = read_statement(envelope)
        self._statements.append(statement.digest)
        said = read_predicate(statement)
        if isinstance(said, Round) and said.step == AVERAGE:
            self._metrics.append(json.loads(said.metadata["metrics"]))

    def _kept(self, name: str, make: Callable[[], dsse.Envelope] | None) -> dsse.Envelope:
        path = self._folder / f"statement-{name}.json"
        try:
            return dsse.Envelope.from_bytes(read_bytes(path, limit=_MOST))
        except NotFound:
            if make is None:
                raise
        write_atomic(path, make().to_bytes())
        return dsse.Envelope.from_bytes(read_bytes(path, limit=_MOST))


def _check_seats(session: Session, seats: Sequence[Seat]) -> None:
    """Refuse what could never be verified: each dataset is known here, and its member's own."""
    wanted = {seat.dataset.statement for seat in seats}
    known = {d: made for d, made in gathering.statements(session) if d in wanted}
    for seat in seats:
        made = known.get(seat.dataset.statement)
        if not isinstance(made, Version):
            raise NotFound(
                f"the evidence of {seat.party.name}'s dataset is not in this home",
                hint="its owner proves it, and you add it: usufruct asset add BUNDLE",
            )
        if made.owner != seat.address:
            raise BadInput(
                f"the dataset '{made.title}' is not {seat.party.name}'s own",
                hint="each member brings a dataset that it published itself",
            )


def _draft_of(session: Session, asset: str) -> tuple[dsse.Envelope, str]:
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
            return envelope, predicate.created
    raise NotFound(f"there is no draft of the asset {asset} in this home's log")
