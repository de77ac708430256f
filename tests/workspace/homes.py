"""What the tests of the workspace and of the command line share: homes, and commands in them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from usufruct.workspace import create

PASSPHRASE = "correct horse"
ROWS = "name,age\n" + "".join(f"person {n},{20 + n % 60}\n" for n in range(50))


def passphrase() -> str:
    return PASSPHRASE


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything beside it is a failure of the test."""
        return json.loads(self.out)


def environment(home: Path | None = None, **more: str | None) -> dict[str, str]:
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    base |= {"USUFRUCT_PASSPHRASE": PASSPHRASE, "COLUMNS": "200"}
    for name in ("XDG_CACHE_HOME", "USUFRUCT_ANVIL"):
        if name in os.environ:
            base[name] = os.environ[name]
    if home is not None:
        base["USUFRUCT_HOME"] = str(home)
    for name, value in more.items():
        base.pop(name, None)
        if value is not None:
            base[name] = value
    return base


READY = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from usufruct.cli import main
os.write(1, b"\\n")
main()
"""
"""The command after a line that says that Python is up; Ctrl-C works in background jobs too."""


def spawn(
    *arguments: str,
    home: Path | None = None,
    cwd: Path | None = None,
    ready: bool = False,
    **env: str | None,
) -> subprocess.Popen[str]:
    """Start the real command."""
    start = ["-c", READY] if ready else ["-m", "usufruct"]
    return subprocess.Popen(
        [sys.executable, *start, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(home, **env),
    )


def real(
    *arguments: str, home: Path | None = None, cwd: Path | None = None, **env: str | None
) -> Ran:
    """Run the real command to its end."""
    with spawn(*arguments, home=home, cwd=cwd, **env) as child:
        out, err = child.communicate(timeout=60)
    assert "Traceback" not in err, err
    return Ran(child.returncode, out, err)


class Command:
    """Runs commands in this process, as one party."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        from usufruct.cli.run import run

        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        assert "\x1b" not in said.out + said.err
        return Ran(code, said.out, said.err)

    def ok(self, *arguments: object) -> Any:
        """Run with ``--json``; return the document of a command that succeeds."""
        ran = self(*arguments, "--json")
        assert ran.code == 0, ran.out + ran.err
        assert ran.err == ""
        return ran.json

    def fails(self, code: int, *arguments: object) -> Any:
        """Run in words and with ``--json``; return the document of the error."""
        words = self(*arguments)
        assert (words.code, words.out) == (code, ""), words
        assert "error:" in words.err or "failed:" in words.err
        ran = self(*arguments, "--json")
        assert (ran.code, ran.err) == (code, ""), ran
        document = ran.json
        assert document["message"] and "error" in document
        return document


@pytest.fixture(scope="session")
def plain_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without a ledger, never to be changed."""
    path = tmp_path_factory.mktemp("template") / "home"
    create(path, name="Ann", passphrase=passphrase)
    return path


@pytest.fixture
def home(plain_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, which commands use unless told otherwise."""
    path = tmp_path / "home"
    shutil.copytree(plain_home, path)
    return use(path, tmp_path, monkeypatch)


def use(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USUFRUCT_HOME", str(path))
    monkeypatch.setenv("USUFRUCT_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "data").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def usufruct(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(home, capsys)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shared ledger; its server object."""
    from tests.ledger.chain import served as serve

    with serve(tmp_path_factory.mktemp("ledger"), name="shared") as server:
        yield server


@pytest.fixture(scope="session")
def joined_template(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("joined") / "home"
    create(path, name="Ben", network=str(served.network_path), passphrase=passphrase)
    return path


def party(served: Any, path: Path, name: str) -> Path:
    """Make a home of another party on the shared ledger."""
    create(path, name=name, network=str(served.network_path), passphrase=passphrase)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return all that a folder holds, but for files that only SQLite and locks care for."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm", "lock", "cache.sqlite"))
    }


def killed(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()
