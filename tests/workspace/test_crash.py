"""``kill -9`` at seeded moments of publishing and training: the next command puts it right."""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.workspace.crashing import calls, play
from tests.workspace.homes import PASSPHRASE, ROWS, party, passphrase

from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput
from usufruct.examples import heart_disease
from usufruct.workspace import gathering, open_home, verify
from usufruct.workspace.home import Home
from usufruct.workspace.workspace import Workspace

PUBLISH = f"""
from usufruct.workspace import open_home
from usufruct.workspace.workspace import Workspace
armed()
with open_home(passphrase=lambda: {PASSPHRASE!r}) as ws:
    ws.publish("data", title="first")
    ws.publish("people.csv", title="sealed", sealed=True, parents=["first"])
    ws.publish("data", update="first")
"""

TRAIN = f"""
from pathlib import Path
from usufruct.crypto.identity import Identity
from usufruct.learn import LocalParty, Plan
from usufruct.learn.heart import HEART_SCHEMA, hospital_tables
from usufruct.workspace import open_home
from usufruct.workspace.training import Seat

seats = []
for number, (who, (rows, test)) in enumerate(sorted(hospital_tables().items()), 1):
    identity = Identity(who, bytes([number]) * 32)
    seats.append((who, identity, rows, test))
armed()
with open_home(passphrase=lambda: {PASSPHRASE!r}) as ws:
    table = []
    for who, identity, rows, test in seats:
        party = LocalParty.from_table(who, rows, test=test, signer=identity)
        memory = Path("members", who + ".json").absolute()
        table.append(Seat(party, identity, ws.reference("data of " + who), memory))
    if not any(asset.title == "model" for asset in ws.assets()):
        ws.draft("model", parents=["data of " + who for who, *_ in seats])
    plan = Plan(rounds=3, local_steps=4, batch_size=16, seed=1)
    made = ws.train("model", table, plan, schema=HEART_SCHEMA)
    import hashlib
    print("model", hashlib.sha256((made.folder / "weights.safetensors").read_bytes()).hexdigest())
    print("rounds", len(made.rounds), len(made.metrics))
    print("statement", made.published.statement)
"""


def moments(seeds: int) -> list[object]:
    quick = [pytest.param(seed, id=f"seed{seed}") for seed in range(8)]
    more = [pytest.param(s, id=f"seed{s}", marks=pytest.mark.long) for s in range(8, seeds)]
    return [*quick, *more]


def versions(ws: Workspace) -> Counter[tuple[str, int]]:
    """Count the version statements in the log, by asset and version."""
    from usufruct.evidence.predicates import Version

    log = ws.own_log_or_none()
    assert log is not None
    log.check()
    found = [made for _, made in gathering.own_statements(log)]
    return Counter((made.title, made.version) for made in found if isinstance(made, Version))


def objects(home: Path) -> set[str]:
    return {p.name for p in (home / "vault").glob("*")} if (home / "vault").exists() else set()


@pytest.fixture(scope="module")
def undisturbed(plain_home: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = make(plain_home, tmp_path_factory.mktemp("undisturbed"))
    code, said = play(PUBLISH, 0, folder, USUFRUCT_HOME=str(folder / "home"))
    assert code == 0
    return calls(said)


def make(plain_home: Path, folder: Path) -> Path:
    shutil.copytree(plain_home, folder / "home")
    (folder / "data").mkdir()
    (folder / "data" / "one").write_text("one")
    (folder / "people.csv").write_text(ROWS)
    return folder


@pytest.mark.parametrize("seed", moments(150))
def test_publishing_is_finished_or_forgotten(
    plain_home: Path, tmp_path: Path, undisturbed: int, seed: int, monkeypatch
):
    folder = make(plain_home, tmp_path)
    home = folder / "home"
    at = random.Random(seed).randrange(2, 2 * undisturbed) / 2
    code, _ = play(PUBLISH, at, folder, USUFRUCT_HOME=str(home))
    assert code == -signal.SIGKILL
    monkeypatch.chdir(folder)
    with open_home(home, passphrase=passphrase) as ws:
        for title, path, options in (
            ("first", "data", {}),
            ("sealed", "people.csv", {"sealed": True, "parents": ["first"]}),
            ("last", "people.csv", {}),
        ):
            try:
                ws.publish(path, title=title, **options)
            except BadInput as error:
                assert "in this home already" in error.message
        assert ws.records.unfinished() == []
        counted = versions(ws)
        assert set(counted.values()) == {1}
        for asset in ws.assets():
            assert [v.number for v in ws.history(asset.id)] == list(range(1, asset.version + 1))
            assert sum(n for (title, _), n in counted.items() if title == asset.title) == (
                asset.version
            )
        assert {asset.title for asset in ws.assets()} == {"first", "sealed", "last"}
    for title in ("first", "sealed", "last"):
        assert verify(title, home=home).report.ok
    assert verify(folder / "data").report.ok
    # the vault holds the objects of the one sealed version: two, and their list
    assert len([name for name in objects(home) if not name.startswith(".usufruct-tmp")]) == 3


@pytest.fixture(scope="module")
def trained(plain_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    pytest.importorskip("numpy")
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(plain_home, folder / "home")
    from usufruct.learn.heart import HOSPITALS

    for number, key in enumerate(sorted(hospital.key for hospital in HOSPITALS), 1):
        identity = Identity(key, bytes([number]) * 32)
        with Home.create(folder / key) as made:
            made.add(identity, "x")
        path = folder / f"{key}.data"
        shutil.copyfile(heart_disease()[key], path)
        with open_home(folder / key, identity=identity) as ws:
            ws.publish(path, title=f"data of {key}")
            ws.prove(f"data of {key}", folder / f"{key}.json")
    with open_home(folder / "home", passphrase=passphrase) as ws:
        for hospital in HOSPITALS:
            ws.receive(folder / f"{hospital.key}.json")
    template = folder / "template"
    shutil.copytree(folder / "home", template)
    code, said = play(TRAIN, 0, folder, USUFRUCT_HOME=str(folder / "home"))
    assert code == 0
    return template, calls(said), outcome(said)["model"]


def outcome(said: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in said.splitlines())


@pytest.mark.parametrize("seed", moments(60))
def test_training_goes_on_to_the_same_model(
    tmp_path: Path, trained: tuple[Path, int, str], seed: int
):
    template, total, model = trained
    home = tmp_path / "home"
    shutil.copytree(template, home)
    at = random.Random(seed).randrange(2, 2 * total) / 2
    code, _ = play(TRAIN, at, tmp_path, USUFRUCT_HOME=str(home))
    assert code == -signal.SIGKILL
    code, said = play(TRAIN, 0, tmp_path, USUFRUCT_HOME=str(home))
    assert (code, outcome(said)["model"]) == (0, model)
    assert outcome(said)["rounds"] == "4 3"
    with open_home(home, passphrase=passphrase) as ws:
        counted = versions(ws)
        assert set(counted.values()) == {1} and counted["model", 1] == 1
        assert ws.records.unfinished() == []
        ws.prove("model", tmp_path / "model.json")
    found = verify(tmp_path / "model.json", data=[model_of(home)])
    assert found.report.ok
    assert any("weights are those of its 4 rounds" in step.claim for step in found.steps)
    assert verify("model", home=home).report.ok


def model_of(home: Path) -> Path:
    (model,) = home.glob("runs/*/model")
    return model


def test_training_again_returns_what_was_made(tmp_path: Path, trained: tuple[Path, int, str]):
    shutil.copytree(trained[0], tmp_path / "home")
    first = play(TRAIN, 0, tmp_path, USUFRUCT_HOME=str(tmp_path / "home"))[1]
    again = play(TRAIN, 0, tmp_path, USUFRUCT_HOME=str(tmp_path / "home"))[1]
    for word in ("model", "rounds", "statement"):
        assert outcome(first)[word] == outcome(again)[word]


LEDGER = f"""
from usufruct.workspace import open_home
from usufruct.workspace.workspace import Workspace
import usufruct.ledger.client
armed()
with open_home(passphrase=lambda: {PASSPHRASE!r}) as ws:
    ws.publish("people.csv", title="first")
    ws.anchor()
    ws.publish("people.csv", update="first")
    ws.anchor()
"""


@pytest.mark.engine
@pytest.mark.parametrize("seed", moments(60))
def test_publishing_and_anchoring_on_a_ledger(
    served, tmp_path: Path, seed: int, plain_home: Path, monkeypatch
):
    from usufruct.ledger.bindings import assets

    folder = tmp_path
    home = party(served, folder / "home", f"Party {seed}")
    (folder / "people.csv").write_text(ROWS)
    at = random.Random(seed).randrange(2, 2 * 110) / 2
    code, said = play(LEDGER, at, folder, USUFRUCT_HOME=str(home))
    assert code == -signal.SIGKILL or calls(said) < at
    monkeypatch.chdir(folder)
    with open_home(home, passphrase=passphrase) as ws:
        try:
            ws.publish("people.csv", title="first")
        except BadInput as error:
            assert "in this home already" in error.message
        last = ws.publish("people.csv", update="first")
        anchored = ws.anchor()
        assert anchored.size == ws.log.size
        assert set(versions(ws).values()) == {1}
        assert ws.records.unfinished() == []
        call = assets.asset(served.network.address("Assets"), last.asset)
        known = served.ledger.call(call)
        assert known is not None and known.versions == last.version == ws.asset("first").version
    found = verify("first", home=home, ledger=True)
    assert "confirmed" in found.summary and "logged" not in found.summary
