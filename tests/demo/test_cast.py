"""The demo's stage: folders it may replace, folders it may not, and its ledger's process."""

from __future__ import annotations

from pathlib import Path

import pytest

from usufruct.demo.cast import MARKER, Stage, default_folder, ledger, run_cli
from usufruct.errors import AlreadyExists, Unavailable, UsufructError
from usufruct.workspace import create


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_stage_is_replaced_only_if_it_is_a_demos(tmp_path: Path, cache: Path):
    first = Stage.build(None)
    assert first.folder == default_folder() == cache / "usufruct" / "demo"
    words = first.passphrase()
    assert len(words) >= 20 and (first.passphrase_file.stat().st_mode & 0o077) == 0
    assert Stage.build(None).passphrase() != words
    (first.folder / MARKER).unlink()
    with pytest.raises(AlreadyExists):
        Stage.build(None)
    kept = Stage.build(tmp_path / "kept")
    assert kept.home("builder") == tmp_path / "kept" / "builder" / "home"
    with pytest.raises(AlreadyExists):
        Stage.build(tmp_path / "kept")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsufructError):
        Stage.build(tmp_path / "file")


def test_a_ledger_that_does_not_start_says_why(tmp_path: Path):
    stage = Stage.build(tmp_path / "stage")
    with (
        pytest.raises(Unavailable, match="is not a home") as caught,
        ledger(stage, tmp_path / "network.json"),
    ):
        pass
    assert caught.value.hint


@pytest.mark.engine
def test_a_ledger_as_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    stage = Stage.build(tmp_path / "stage")
    create(stage.home("operator"), name="operator", passphrase=stage.passphrase)
    with ledger(stage, tmp_path / "network.json") as said:
        code, status = run_cli("ledger", "status", "--network", str(tmp_path / "network.json"))
        assert code == 0 and status["chain_id"] == said["chain_id"]
    code, status = run_cli("ledger", "status", "--network", str(tmp_path / "network.json"))
    assert code == 3 and status["error"] == "LedgerUnreachable"
