"""Ctrl-C at many moments: exit code 130, no traceback, and the next command works."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.workspace.homes import Command, killed, passphrase, spawn

from usufruct.workspace import open_home


def moments(quick: int, seeds: int) -> list[object]:
    more = [pytest.param(seed, marks=pytest.mark.long) for seed in range(quick, seeds)]
    return [*range(quick), *more]


def interrupt(child, after: float) -> tuple[int, str, str]:
    if after:
        assert child.stdout.readline() == "\n"
        time.sleep(after)
    child.send_signal(signal.SIGINT)
    try:
        out, err = child.communicate(timeout=30)
    except BaseException:
        killed(child)
        raise
    return child.returncode, out, err


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "files"
    for number in range(40):
        (folder / str(number)).mkdir(parents=True)
        for inner in range(50):
            (folder / str(number) / str(inner)).write_text(f"{number} {inner}")
    return folder


@pytest.mark.parametrize("seed", moments(4, 60))
def test_publish(usufruct: Command, many: Path, home: Path, tmp_path: Path, seed: int):
    shutil.copytree(many, tmp_path / "data", dirs_exist_ok=True)
    child = spawn("publish", str(tmp_path / "data"), "--title", "many", home=home, ready=True)
    code, _, err = interrupt(child, 0.001 + 0.8 * random.Random(seed).random())
    assert code in (0, 130), (code, err)
    assert "Traceback" not in err and "Exception" not in err
    for folder in (tmp_path / "data", home):
        assert not list(folder.rglob(".usufruct-tmp-*"))
    again = usufruct("publish", tmp_path / "data", "--title", "many", "--json")
    assert again.code in (0, 2), again
    usufruct.ok("verify", tmp_path / "data")
    with open_home(home, passphrase=passphrase) as ws:
        assert ws.records.unfinished() == []
        assert ws.log_status()["size"] == 2


@pytest.mark.parametrize("seed", moments(4, 40))
def test_init(usufruct: Command, tmp_path: Path, seed: int):
    new = tmp_path / "new"
    child = spawn("init", "--name", "N", "--json", "--home", str(new), ready=True)
    code, out, err = interrupt(child, 0.001 + 0.6 * random.Random(seed).random())
    assert code in (0, 130), (code, out, err)
    assert "Traceback" not in err and "Exception" not in err
    assert not out or json.loads(out)
    if code == 130 and not (new / "home.json").exists():
        assert not new.exists()
        usufruct.ok("init", "--name", "N", "--home", new)
    usufruct.ok("log", "status", "--home", new)
    assert len(usufruct.ok("id", "export", "--home", new)["phrase"].split()) == 24


@pytest.mark.engine
@pytest.mark.parametrize("seed", moments(2, 30))
def test_serve(home: Path, seed: int):
    from usufruct.ledger.binary import find_engine

    find_engine()
    child = spawn("ledger", "serve", "--json", home=home, ready=True)
    code, out, err = interrupt(child, 0.001 + 1.8 * random.Random(seed).random())
    assert code in (0, 130), (code, err)
    assert "Traceback" not in err and "Exception" not in err
    assert not out or json.loads(out)
    assert code == 0 or "url" not in out
    again = spawn("ledger", "serve", "--json", home=home)
    assert again.stdout is not None
    assert again.stdout.readline() == "{\n"
    assert interrupt(again, 0)[0] == 0
