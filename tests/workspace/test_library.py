"""The library as a program uses it: light, with what is installed, errors as words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workspace.homes import PASSPHRASE, ROWS, environment, passphrase

import usufruct
from usufruct.errors import HomeBusy, NotFound, VerificationError

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
"""
EXTRAS = ("coincurve", "eth_account", "eth_abi", "httpx", "uvicorn", "numpy", "safetensors")


def python(script: str, cwd: Path, home: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light(tmp_path: Path):
    said = python("import sys, usufruct; print(*sorted(sys.modules))", tmp_path).split()
    heavy = {"numpy", "httpx", "coincurve", "rich", "typer", "blake3", "sqlite3", "cryptography"}
    assert not heavy & {name.split(".")[0] for name in said}
    assert sorted(usufruct.__all__) == dir(usufruct)


def test_open_publish_verify(plain_home: Path, tmp_path: Path, table: Path):
    shutil.copytree(plain_home, tmp_path / "home")
    with usufruct.open(tmp_path / "home", passphrase=passphrase) as ws:
        assert isinstance(ws, usufruct.Workspace)
        made = ws.publish(table, title="people")
        with pytest.raises(HomeBusy):
            usufruct.open(tmp_path / "home")
    assert usufruct.verify(table).report.content_root == made.content_root
    table.write_text(ROWS.replace("7", "8"))
    with pytest.raises(VerificationError) as caught:
        usufruct.verify(table)
    assert caught.value.mismatches[0].line == 9
    with pytest.raises(NotFound):
        usufruct.open(tmp_path / "none")
    made_home = usufruct.create(tmp_path / "new", name="New", passphrase=passphrase)
    assert made_home.identity.phrase not in repr(made_home)
    with pytest.raises(AttributeError):
        usufruct.nonsense  # noqa: B018


def test_everything_but_the_extras(plain_home: Path, tmp_path: Path, table: Path):
    """Publish, prove, verify, log, asset and lineage with neither ledger nor learn installed."""
    shutil.copytree(plain_home, tmp_path / "home")
    script = BLOCKED.replace("{names}", repr(EXTRAS)) + (
        """
from usufruct.cli.run import run
for command in (
    "init --name A --home other", "publish people.csv --title people", "verify people.csv",
    "verify people", "prove people --row 3 -o row.json", "verify row.json", "log show",
    "log status", "asset list", "asset show people", "lineage people", "setup --no-engine",
    "publish people.csv --title sealed --sealed", "verify sealed", "id list",
):
    code = run(command.split())
    assert code == 0, command
codes = [run(command.split()) for command in (
    "init --name B --home third --network embedded", "log anchor", "demo --keep d",
)]
print(codes)
assert not {"numpy", "httpx", "coincurve"} & set(sys.modules)
"""
    )
    said = python(script, tmp_path, tmp_path / "home")
    assert said.splitlines()[-1] in ("[3, 3, 3]",)


def test_verify_needs_no_home(plain_home: Path, tmp_path: Path, table: Path):
    shutil.copytree(plain_home, tmp_path / "home")
    with usufruct.open(tmp_path / "home", passphrase=passphrase) as ws:
        ws.publish(table, title="people")
        ws.prove("people", tmp_path / "bundle.json")
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "empty").mkdir()
    for target in ("people.csv", "bundle.json", "people.csv.usufruct"):
        done = subprocess.run(
            [sys.executable, "-m", "usufruct", "verify", target, "--json"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path / "empty"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["ok"]
    assert not list((tmp_path / "empty").iterdir())


def test_the_passphrase_stays_where_it_is(plain_home: Path, tmp_path: Path, table: Path):
    shutil.copytree(plain_home, tmp_path / "home")
    with usufruct.open(tmp_path / "home", passphrase=passphrase) as ws:
        ws.publish(table, title="people", sealed=True)
        assert PASSPHRASE not in repr(vars(ws)) and PASSPHRASE not in repr(ws.identity)
        phrase = ws.identity.export_phrase()
        secret = ws.identity.account_secret
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert PASSPHRASE.encode() not in data and secret not in data
            assert phrase.encode() not in data and secret.hex().encode() not in data


@pytest.mark.parametrize("after", ["BEGIN IMMEDIATE", "COMMIT"])
def test_an_interrupt_while_a_database_opens(tmp_path: Path, after: str):
    """Ctrl-C right after BEGIN or COMMIT stays Ctrl-C, and the file can be opened again."""
    import contextlib
    import sqlite3
    from unittest import mock

    from usufruct.store import connect

    class Interrupted(sqlite3.Connection):
        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            done = super().execute(sql, *more)
            if sql == after:
                raise KeyboardInterrupt
            return done

    real_connect = sqlite3.connect

    def interrupted(*args: object, **options: object) -> sqlite3.Connection:
        return real_connect(*args, factory=Interrupted, **options)  # type: ignore[call-overload]

    schema = ("CREATE TABLE t (x)",)
    with mock.patch("sqlite3.connect", interrupted), pytest.raises(KeyboardInterrupt):
        connect(tmp_path / "f.sqlite", schema=schema, application="test")
    with contextlib.closing(
        connect(tmp_path / "f.sqlite", schema=schema, application="test")
    ) as opened:
        assert opened.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_databases_and_folders_that_cannot_be_made(tmp_path: Path, monkeypatch):
    import errno
    import os
    import sqlite3

    from usufruct.errors import Damaged, Unavailable
    from usufruct.store import connect, make_folder

    with pytest.raises(Unavailable):
        connect(tmp_path, schema=("CREATE TABLE t (x)",), application="test")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE t (y)")
    other.close()
    with pytest.raises(Damaged):
        connect(tmp_path / "other.sqlite", schema=("CREATE TABLE t (x)",), application="test")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable):
        make_folder(tmp_path / "new")
