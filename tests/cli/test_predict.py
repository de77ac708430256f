"""``usufruct predict``: answers with a statement, from a model learned here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import Command, passphrase, use

from usufruct.crypto.identity import Identity
from usufruct.workspace import open_home
from usufruct.workspace.home import Home
from usufruct.workspace.training import Seat

HEAD = "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal\n"
ROW = "54,1,4,140,239,0,0,160,1,1.2,?,?,?\n"


@pytest.fixture(scope="module")
def with_model(plain_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("numpy")
    from usufruct.examples import heart_disease
    from usufruct.learn import LocalParty, Plan
    from usufruct.learn.heart import HEART_SCHEMA, hospital_tables

    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(plain_home, folder / "home")
    seats, bundles = [], []
    for number, (who, (rows, test)) in enumerate(sorted(hospital_tables().items())[:2], 1):
        identity = Identity(who, bytes([number]) * 32)
        with Home.create(folder / who) as made:
            made.add(identity, "x")
        shutil.copyfile(heart_disease()[who], folder / f"{who}.data")
        with open_home(folder / who, identity=identity) as ws:
            ws.publish(folder / f"{who}.data", title=who)
            ws.prove(who, folder / f"{who}.json")
            dataset = ws.reference(who)
        bundles.append(folder / f"{who}.json")
        party = LocalParty.from_table(who, rows, test=test, signer=identity)
        seats.append(Seat(party, identity, dataset))
    with open_home(folder / "home", passphrase=passphrase) as ws:
        names = [ws.receive(bundle).id for bundle in bundles]
        ws.draft("model", parents=names)
        plan = Plan(rounds=2, local_steps=2, batch_size=16, seed=1)
        ws.train("model", seats, plan, schema=HEART_SCHEMA)
    return folder / "home"


@pytest.fixture
def model(with_model: Path, tmp_path: Path, monkeypatch, capsys) -> Command:
    # the model stays where it was published; each test has a home of its own
    shutil.copytree(with_model, tmp_path / "home")
    use(tmp_path / "home", tmp_path, monkeypatch)
    (tmp_path / "patient.csv").write_text(HEAD + ROW)
    return Command(tmp_path / "home", capsys)


def test_an_answer(model: Command):
    made = model.ok("predict", "model", "--data", "patient.csv")
    assert 0 < float(made["answers"][0]["probability"]) < 1
    assert Path(made["bundle"]).exists()
    model.ok("predict", "model", "--data", "patient.csv", "-o", "answer.json")
    assert model.ok("verify", "answer.json")["ok"]
    folder = model.ok("asset", "show", "model")["source"]
    found = model.ok("verify", "answer.json", "--data", folder)
    assert any("computed again" in step["claim"] for step in found["steps"])
    assert "statement" in model("predict", folder, "--data", "patient.csv").out
    assert "rounds" in model("verify", "model").out
    assert "model" in model("lineage", "model").out


def test_what_cannot_be_answered(model: Command, tmp_path: Path):
    size = model.ok("log", "status")["size"]
    (tmp_path / "text").write_text("text")
    model.ok("publish", "text", "--title", "text")
    model.fails(2, "predict", "text", "--data", "patient.csv")
    model.fails(2, "predict", "nothing", "--data", "patient.csv")
    model.fails(2, "predict", "model", "--data", "none.csv")
    model.fails(2, "predict", "model", "--data", tmp_path)
    model.fails(2, "predict", "model", "--data", "patient.csv", "-o", tmp_path / "no" / "x")
    model.fails(2, "predict", "model", "--data", "patient.csv", "-o", "text")
    rows = tmp_path / "rows.csv"
    for bad in (b"", HEAD.encode(), b"\xff\xfe", b"a,b\n1,2\n", (HEAD + "1,2\n").encode()):
        rows.write_bytes(bad)
        assert model.fails(2, "predict", "model", "--data", rows)["message"]
    for bad in ("nan", "inf", "1e999", "x" * 1000, ""):
        rows.write_text(HEAD + ROW.replace("54", bad, 1))
        assert model("predict", "model", "--data", rows).code == 2
    assert model.ok("log", "status")["size"] == size + 1


def test_a_changed_model_answers_nothing(model: Command, with_model: Path):
    (weights,) = model.home.glob("runs/*/model/*.safetensors")
    source = Path(model.ok("asset", "show", "model")["source"])
    changed = source / weights.name
    whole = changed.read_bytes()
    try:
        changed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        error = model.fails(1, "predict", "model", "--data", "patient.csv")
        assert error["mismatches"][0]["file"] == weights.name
        assert model.fails(1, "verify", "model", "--full")["mismatches"]
    finally:
        changed.write_bytes(whole)
    assert "phrase" not in json.dumps(model.ok("predict", "model", "--data", "patient.csv"))
