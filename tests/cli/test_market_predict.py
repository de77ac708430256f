"""A model that was bought answers at the buyer's, and its answers verify."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_predict import HEAD, ROW, with_model  # noqa: F401
from tests.workspace.homes import Command, party, use
from tests.workspace.marketplace import node

pytestmark = pytest.mark.engine


def test_a_downloaded_model_answers(
    served: Any,
    with_model: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(with_model, tmp_path / "maker")
    run = Command(use(tmp_path / "maker", tmp_path, monkeypatch), capsys)
    source = run.ok("asset", "show", "model")["source"]
    shutil.copytree(source, tmp_path / "files", ignore=shutil.ignore_patterns(".usufruct*"))
    seller, buyer = (party(served, tmp_path / name, name) for name in ("Mo", "Clinic"))
    made = run.ok("publish", "files", "--title", "risk", "--kind", "model", "--home", seller)
    offer = run.ok("offer", "risk", "--use", "download", "--price", 3, "--home", seller)
    run.ok("faucet", "--home", buyer)
    (tmp_path / "patient.csv").write_text(HEAD + ROW)
    with node(seller) as url:
        run.ok("buy", offer["id"], "-y", "--node", url, "--home", buyer)
        got = run.ok("download", made["asset"], "--node", url, "-o", "got", "--home", buyer)
    assert run.ok("verify", "got", "--home", buyer)["ok"]
    run.ok("predict", "got", "--data", "patient.csv", "-o", "answer.json", "--home", buyer)
    assert run.ok("verify", "answer.json", "--data", got["path"], "--home", buyer)["ok"]
    # by its title, too, once it is known
    weights = next(p for p in Path("got").rglob("*") if p.is_file() and p.suffix == ".safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    failed = run("predict", "got", "--data", "patient.csv", "--home", buyer)
    assert failed.code == 1 and "not those that were published" in failed.err
