"""Sealed assets: the vault's ciphertext is held against what the statement signs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import ROWS, Command

from usufruct.errors import Unavailable
from usufruct.workspace import open_home, sealing


@pytest.fixture
def sealed(usufruct: Command, tmp_path: Path) -> dict[str, object]:
    data = tmp_path / "data"
    (data / "people.csv").write_text(ROWS)
    (data / "big").write_bytes(bytes(3 << 20))
    return usufruct.ok("publish", data, "--title", "secret", "--sealed")


def largest(home: Path) -> Path:
    return max((home / "vault").iterdir(), key=lambda path: path.stat().st_size)


def test_with_and_without_the_source(usufruct: Command, sealed, tmp_path: Path, home: Path):
    assert sealed["evidence"] is None and not (tmp_path / "data" / ".usufruct").exists()
    assert usufruct.ok("asset", "show", "secret")["sealed"] is True
    for _ in range(2):
        found = usufruct.ok("verify", "secret")
        (step,) = [step for step in found["steps"] if "sealed copy" in step["claim"]]
        assert step["grade"] == "proved"
        usufruct.ok("prove", "secret", "--file", "big", "-o", "p.json", "--force")
        usufruct.ok("verify", "p.json")
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
    assert "sealed copy" in usufruct("verify", "secret").out
    usufruct.fails(2, "prove", "secret", "--file", "people.csv", "--row", 2, "-o", "r.json")
    for path in (home / "vault").iterdir():
        assert b"person 7" not in path.read_bytes()


def test_every_kind_of_damage_to_the_vault(usufruct: Command, sealed, tmp_path: Path, home: Path):
    shutil.rmtree(tmp_path / "data")
    path = largest(home)
    whole = path.read_bytes()
    for data in (whole[:-1], whole[: 1 << 20], whole + b"x", b"", whole[::-1]):
        path.write_bytes(data)
        (found,) = usufruct.fails(1, "verify", "secret")["mismatches"]
        assert (found["file"], found["party"]) == ("big", "Ann")
    spoilt = bytearray(whole)
    spoilt[2 << 20] ^= 1
    path.write_bytes(spoilt)
    (found,) = usufruct.fails(1, "verify", "secret")["mismatches"]
    assert (found["what"], found["file"], found["chunk"]) == ("changed", "big", 1)
    path.unlink()
    (found,) = usufruct.fails(1, "verify", "secret")["mismatches"]
    assert (found["what"], found["file"]) == ("missing", "big")
    path.write_bytes(whole)
    usufruct.ok("verify", "secret")


def test_the_list_of_sealed_objects(usufruct: Command, sealed, home: Path):
    (path,) = (home / "vault").glob("*.json")
    whole = path.read_bytes()
    for data in (whole[:-1], b"", b"{}", whole.replace(b'"sealed_size":', b'"sealed_size":1', 1)):
        path.write_bytes(data)
        assert usufruct.fails(1, "verify", "secret")["mismatches"]
    path.unlink()
    usufruct.fails(1, "verify", "secret")
    path.write_bytes(whole)
    usufruct.ok("verify", "secret")


def test_nothing_is_left_when_sealing_fails(
    usufruct: Command, home: Path, table: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*args: object, **kwargs: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "write_atomic", fail)
        usufruct.fails(3, "publish", table, "--title", "s", "--sealed")
    assert list((home / "vault").iterdir()) == []
    with open_home(home) as ws:
        assert ws.records.unfinished() == []
    usufruct.ok("publish", table, "--title", "s", "--sealed")
    second = usufruct.ok("publish", table, "--update", "s", "--sealed")
    assert second["version"] == 2 and len(list((home / "vault").glob("*.json"))) == 2
    usufruct.ok("verify", "s")
