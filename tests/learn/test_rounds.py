from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from usufruct.crypto import canonical, ed25519
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    Damaged,
    HomeBusy,
    UsufructError,
    VerificationError,
)
from usufruct.learn import (
    Federation,
    LocalParty,
    Plan,
    Round,
    RoundJournal,
    Start,
    Statistics,
    Update,
    pooled,
    verify_chain,
    verify_round,
    verify_start,
)
from usufruct.learn._numpy import vector_digest
from usufruct.learn.evaluate import evaluate
from usufruct.learn.heart import HEART_PLAN, HEART_SCHEMA, HOSPITALS, hospital_party
from usufruct.learn.journal import Checkpoint

from .conftest import SMALL, make_party


def test_round_by_hand(done):
    start, result = done.result.start, done.result
    assert [m.party for m in start.members] == ["a", "b", "ç"]
    assert [m.rows for m in start.members] == [31, 24, 12]
    assert [c.round for c in done.checkpoints] == list(result.rounds)
    assert [r.number for r in result.rounds] == [1, 2, 3, 4]
    assert result.rounds[0].model_in == start.initial == vector_digest(np.zeros(4))
    assert vector_digest(result.weights) == result.rounds[-1].model_out
    last = done.checkpoints[-1]
    mean = sum(u.weights * u.rows for u in last.updates) / 67
    np.testing.assert_allclose(result.weights, mean, rtol=1e-14)
    told = last.round.metrics["test"]["pooled"]
    again = pooled(evaluate(done.parties, result.weights, start.scaling))
    assert (told["correct"], told["rows"]) == (again.correct, 12)
    assert told["loss"] == repr(again.loss)


def test_learning_learns(done):
    first, last = (done.result.rounds[i].metrics["train"]["pooled"]["loss"] for i in (0, -1))
    assert float(last) < float(first) < np.log(2)


def test_order_of_parties_does_not_matter(done, parties):
    other = Federation(parties[::-1], SMALL).run()
    assert other.rounds == done.result.rounds
    assert other.weights.tobytes() == done.result.weights.tobytes()


def test_seed_and_plan_matter(done, parties):
    for change in ({"seed": 6}, {"batch_size": 0}, {"l2": 0.0}, {"normalise": "none"}):
        other = Federation(parties, replace(SMALL, **change, learning_rate=1e-4)).run()
        assert other.weights.tobytes() != done.result.weights.tobytes()


def test_records_round_trip_and_are_canonical(done):
    start = done.result.start
    assert Start.from_dict(canonical.loads(canonical.dumps(start.to_dict()))) == start
    for record in done.result.rounds:
        back = Round.from_dict(canonical.loads(canonical.dumps(record.to_dict())))
        assert back.digest == record.digest
        assert back == record


def test_members_verify(done):
    verify_start(done.result.start, {p.name: p.statistics() for p in done.parties})
    for checkpoint in done.checkpoints:
        verify_round(checkpoint.round, checkpoint.updates[::-1])
    assert verify_chain(done.result.start, done.result.rounds) == vector_digest(done.result.weights)


def _nudged(update: Update) -> Update:
    weights = update.weights.copy()
    weights[0] = np.nextafter(weights[0], np.inf)
    return replace(update, weights=weights)


ODD = (None, True, 0, -1, 2**60, "", "x", "AB" * 32, "0x" + "ab" * 32, [], {}, [{}], {"a": 1})


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    if isinstance(value, list):
        for i in range(len(value)):
            yield from _places(value[i], (*path, i))


def _put(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(copy[path[0]], path[1:], new)
    return copy


def test_odd_records_are_refused_or_another_record(done):
    for kind, record in ((Start, done.result.start), (Round, done.result.rounds[1])):
        data = record.to_dict()
        for path in _places(data):
            for odd in ODD:
                changed = _put(data, path, odd)
                try:
                    back = kind.from_dict(changed)
                except BadInput:
                    continue
                assert back.to_dict() == changed
                assert back.digest != record.digest or changed == data


CHEATS_BY_UPDATES = {
    "one bit": lambda u: [_nudged(u[0]), *u[1:]],
    "dropped": lambda u: u[1:],
    "none": lambda u: [],
    "doubled": lambda u: [*u, u[0]],
    "added": lambda u: [*u, replace(u[0], party="zz")],
    "rows": lambda u: [replace(u[0], rows=u[0].rows + 1), *u[1:]],
    "swapped": lambda u: [
        replace(u[0], weights=u[1].weights),
        replace(u[1], weights=u[0].weights),
        u[2],
    ],
    "renamed": lambda u: [replace(u[0], party="b"), replace(u[1], party="a"), u[2]],
    "NaN": lambda u: [replace(u[0], weights=np.full(4, np.nan)), *u[1:]],
    "short": lambda u: [replace(u[0], weights=u[0].weights[:-1]), *u[1:]],
    "text": lambda u: [replace(u[0], weights="abc"), *u[1:]],
    "negative zero for zero rows": lambda u: [replace(u[0], rows=0), *u[1:]],
}


@pytest.mark.parametrize("cheat", CHEATS_BY_UPDATES)
def test_altered_updates_are_found(done, cheat):
    checkpoint = done.checkpoints[1]
    with pytest.raises(VerificationError):
        verify_round(checkpoint.round, CHEATS_BY_UPDATES[cheat](list(checkpoint.updates)))


OTHER = "ab" * 32
CHEATS_BY_RECORD = {
    "model": lambda r: replace(r, model_out=OTHER),
    "model before": lambda r: replace(r, model_in=OTHER),
    "root": lambda r: replace(r, update_root=OTHER),
    "start": lambda r: replace(r, start=OTHER),
    "number": lambda r: replace(r, number=r.number + 1),
    "rule": lambda r: replace(r, rule="best"),
    "rule and parameters": lambda r: replace(
        r, rule="best", parameters=dict(r.parameters) | {"rule": "best"}
    ),
    "seed": lambda r: replace(r, seed=r.seed + 1),
    "weight": lambda r: replace(
        r, updates=(replace(r.updates[0], weight=r.updates[0].weight + 1), *r.updates[1:])
    ),
    "digest": lambda r: replace(r, updates=(replace(r.updates[0], digest=OTHER), *r.updates[1:])),
    "left out": lambda r: replace(r, updates=r.updates[1:]),
    "order": lambda r: replace(r, updates=r.updates[::-1]),
    "twice": lambda r: replace(r, updates=(r.updates[0], *r.updates)),
    "not hex": lambda r: replace(r, start="zz"),
    "negative": lambda r: replace(r, number=-1),
}


@pytest.mark.parametrize("cheat", CHEATS_BY_RECORD)
def test_altered_records_are_found(done, cheat):
    checkpoint = done.checkpoints[1]
    with pytest.raises(VerificationError):
        verify_round(CHEATS_BY_RECORD[cheat](checkpoint.round), checkpoint.updates)


def test_a_coordinator_who_leaves_a_party_out_is_found(done):
    # everything about the round is consistent, only the member is missing: the chain knows
    from usufruct.learn.aggregate import aggregate
    from usufruct.learn.records import update_root

    old = done.checkpoints[0]
    kept = old.updates[1:]
    refs = tuple(u.ref for u in kept)
    model = aggregate("fedavg", {u.party: (u.weights, u.rows) for u in kept})
    record = replace(
        old.round,
        updates=refs,
        model_out=vector_digest(model),
        update_root=update_root(old.round.start, 1, old.round.model_in, refs),
    )
    verify_round(record, kept)
    with pytest.raises(VerificationError, match="other members"):
        verify_chain(done.result.start, [record])


@pytest.mark.parametrize(
    "cheat",
    [
        lambda r: r[1:],
        lambda r: [r[0], r[2], r[3]],
        lambda r: [r[0], r[0], *r[1:]],
        lambda r: [r[1], r[0], *r[2:]],
        lambda r: [replace(r[0], start=OTHER), *r[1:]],
        lambda r: [replace(r[0], model_out=OTHER), *r[1:]],
        lambda r: [replace(r[0], parameters=Plan(rounds=9).to_dict()), *r[1:]],
    ],
)
def test_broken_chains_are_found(done, cheat):
    with pytest.raises(VerificationError):
        verify_chain(done.result.start, cheat(list(done.result.rounds)))


def test_false_starts_are_found(done):
    start = done.result.start
    sums = {p.name: p.statistics() for p in done.parties}
    moved = replace(start.scaling, mean=(0.0, *start.scaling.mean[1:]))
    for cheat in (
        replace(start, initial=OTHER),
        replace(start, scaling=None),
        replace(start, columns=start.columns[1:]),
        replace(start, scaling=moved),
        replace(start, members=start.members[1:]),
        replace(start, members=(replace(start.members[0], rows=3), *start.members[1:])),
    ):
        with pytest.raises(VerificationError):
            verify_start(cheat, sums)
    lied = sums | {"a": Statistics(31, (1.0,) * 3, (1.0,) * 3)}
    with pytest.raises(VerificationError, match="of a are not"):
        verify_start(start, lied)


def test_signed_updates(tmp_path):
    keys = {name: ed25519.SecretKey(name.encode() * 32) for name in "ab"}
    seen: list[Checkpoint] = []
    Federation(
        [make_party(n, signer=k) for n, k in keys.items()],
        replace(SMALL, rounds=2),
        journal=RoundJournal(tmp_path / "run"),
        on_round=seen.append,
    ).run()
    public = {name: key.public_key for name, key in keys.items()}
    one, two = seen
    verify_round(one.round, one.updates, keys=public)
    loaded = RoundJournal(tmp_path / "run").load(2)
    verify_round(loaded.round, loaded.updates, keys=public)
    unsigned = [replace(one.updates[0], signature=b""), one.updates[1]]
    replayed = [replace(one.updates[0], signature=two.updates[0].signature), one.updates[1]]
    for updates, known in (
        (unsigned, public),
        (replayed, public),
        (one.updates, {"a": public["a"]}),
        (one.updates, {"a": public["b"], "b": public["a"]}),
        (one.updates, {"a": b"", "b": b""}),
    ):
        with pytest.raises(VerificationError):
            verify_round(one.round, updates, keys=known)


class Odd:
    """A party that answers wrongly in one way."""

    def __init__(self, inner: LocalParty, **answers) -> None:
        self.inner, self.answers = inner, answers
        self.name = inner.name

    def __getattr__(self, name):
        if name in self.answers:
            return lambda *args: self.answers[name](getattr(self.inner, name)(*args))
        return getattr(self.inner, name)


@pytest.mark.parametrize(
    "answers",
    [
        {"describe": lambda d: replace(d, columns=("p", "q", "r"))},
        {"describe": lambda d: replace(d, columns=())},
        {"describe": lambda d: replace(d, rows=0)},
        {"describe": lambda d: replace(d, rows=d.rows + 1)},
        {"statistics": lambda s: replace(s, count=5)},
        {"statistics": lambda s: replace(s, sums=s.sums[1:], squares=s.squares[1:])},
        {"statistics": lambda s: replace(s, squares=(0.0, 0.0, 0.0))},
        {"statistics": lambda s: replace(s, sums=(float("nan"),) * 3)},
        {"update": lambda u: replace(u, party="a")},
        {"update": lambda u: replace(u, rows=10**6)},
        {"update": lambda u: replace(u, weights=u.weights[1:])},
        {"update": lambda u: replace(u, weights=u.weights * np.nan)},
        {"update": lambda u: replace(u, weights=np.full(4, 1.7e308))},
        {"evaluate": lambda e: replace(e, correct=e.rows + 1)},
        {"evaluate": lambda e: replace(e, rows=0, correct=0)},
        {"evaluate": lambda e: replace(e, loss=float("nan"))},
    ],
)
def test_parties_that_answer_wrongly_are_named(answers, parties):
    with pytest.raises(BadInput):
        Federation([Odd(parties[0], **answers), *parties[1:]], SMALL).run()


def test_bad_federations(parties, tmp_path):
    with pytest.raises(BadInput, match="at least one"):
        Federation([], SMALL)
    with pytest.raises(BadInput, match="one name"):
        Federation([*parties, make_party("a")], SMALL)
    with pytest.raises(BadInput, match="other columns"):
        Federation([*parties, make_party("z", columns=4)], SMALL).run()
    with pytest.raises(BadInput, match="without a journal"):
        Federation(parties, SMALL).resume()


def test_local_normalisation_makes_no_model_for_raw_rows(parties):
    result = Federation(parties, replace(SMALL, normalise="local")).run()
    assert result.start.scaling is None
    with pytest.raises(BadInput, match="no model for raw rows"):
        result.model()
    plain = Federation(parties, replace(SMALL, normalise="none", learning_rate=1e-4)).run()
    assert plain.model().scaling.sd == (1.0, 1.0, 1.0)


def test_journal_refuses_what_is_not_its_own(done, parties, tmp_path):
    folder = done.journal.folder
    with pytest.raises(AlreadyExists, match="was begun"):
        Federation(parties, SMALL, journal=RoundJournal(folder)).run()

    def resume(members, plan):
        return Federation(members, plan, journal=RoundJournal(folder)).resume()

    with pytest.raises(BadInput, match="plan differs"):
        resume(parties, replace(SMALL, rounds=5))
    with pytest.raises(BadInput, match="parties differ"):
        resume(parties[1:], SMALL)
    with pytest.raises(BadInput, match="rows of b differ"):
        resume([make_party("b", seed=9), *parties[1:]], SMALL)
    again = resume(parties, SMALL)
    assert again.weights.tobytes() == done.result.weights.tobytes()
    assert again.rounds == done.result.rounds
    with RoundJournal(folder), pytest.raises(HomeBusy):
        resume(parties, SMALL)


def test_announced_again_only_if_not_committed(parties, tmp_path):
    journal = RoundJournal(tmp_path / "run")
    seen: list[str] = []

    def announce(checkpoint: Checkpoint) -> None:
        seen.append(checkpoint.round.digest)
        if len(seen) == 2:
            raise UsufructError("the ledger is away")

    federation = Federation(parties, SMALL, journal=journal, on_round=announce)
    with pytest.raises(UsufructError, match="away"):
        federation.run()
    assert journal.committed == 1
    assert journal.load(2) is not None
    result = federation.resume()
    assert seen[1] == seen[2]
    assert [seen[0], *seen[2:]] == [r.digest for r in result.rounds]


def test_damage_is_told(done, parties):
    folder = done.journal.folder

    def resume():
        return Federation(parties, SMALL, journal=RoundJournal(folder)).resume()

    path = folder / "round-000002.ckpt"
    good = path.read_bytes()
    random = np.random.default_rng(0)
    for at in [0, len(good) - 1, *random.integers(0, len(good), 30)]:
        bad = bytearray(good)
        bad[at] ^= 1 << int(random.integers(8))
        path.write_bytes(bad)
        with pytest.raises(Damaged):
            resume()
    for cut in (0, 10, 40, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(Damaged):
            resume()
    path.write_bytes((folder / "round-000003.ckpt").read_bytes())
    with pytest.raises(Damaged, match="holds round 3"):
        resume()
    path.unlink()
    with pytest.raises(Damaged, match="gone"):
        resume()
    path.write_bytes(good)
    (folder / "committed").write_bytes(b"x\n")
    with pytest.raises(Damaged):
        resume()
    (folder / "committed").write_bytes(b"4\n")
    (folder / "start.json").write_bytes(b"{}")
    with pytest.raises(Damaged):
        resume()


def test_a_well_formed_checkpoint_of_another_model_is_damage(done, parties):
    folder = done.journal.folder
    old = done.journal.load(2)
    forged = Checkpoint(old.round, old.weights * 2, old.updates)
    (folder / "round-000002.ckpt").write_bytes(forged.to_bytes())
    with pytest.raises(Damaged, match="another model"):
        Federation(parties, SMALL, journal=RoundJournal(folder)).resume()


def test_checkpoint_format_is_fixed(done):
    old = done.checkpoints[0].to_bytes()
    assert old.startswith(b"usufruct/checkpoint/v1\n")
    assert Checkpoint.from_bytes(old).to_bytes() == old
    assert len(old) < 4_000


def test_hospitals_learn_what_design_says():
    parties = [hospital_party(h.key) for h in HOSPITALS]
    result = Federation(parties, HEART_PLAN).run()
    measured = pooled(evaluate(parties, result.weights, result.start.scaling))
    assert measured.rows == 254
    assert measured.accuracy > 0.75
    assert result.model(HEART_SCHEMA).weights_digest == result.rounds[-1].model_out
    with pytest.raises(BadInput, match="complete rows"):
        hospital_party("va", path=_swiss())
    with pytest.raises(BadInput, match="no hospital"):
        hospital_party("paris")


def _swiss():
    from usufruct.examples import heart_disease

    return heart_disease()["switzerland"]
