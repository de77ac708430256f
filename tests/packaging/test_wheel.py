"""The built wheel, in an empty environment outside the checkout, plays the demo just so."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT)
    (found,) = target.glob("usufruct-*.whl")
    return found


def test_the_wheel_holds_the_package_its_data_and_its_licence_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "usufruct/py.typed",
        "usufruct/examples/heart_disease/processed.cleveland.data",
        "usufruct/examples/heart_disease/README.md",
        "usufruct/ledger/artefacts/Assets.json",
    } <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [n for n in names if not n.startswith(("usufruct/", "usufruct-"))]


def test_the_base_install_is_light(wheel: Path) -> None:
    (path,) = (n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("METADATA"))
    metadata = zipfile.ZipFile(wheel).read(path).decode()
    base = [r for r in re.findall(r"^Requires-Dist: (.+)$", metadata, re.M) if "extra ==" not in r]
    assert len(base) <= 8
    assert not re.search(r"numpy|httpx|eth-|coincurve|uvicorn", " ".join(base))


@pytest.mark.engine
@pytest.mark.xdist_group("wheel")
def test_the_wheel_alone_plays_the_demo(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "empty"
    venv.create(place, with_pip=True)
    # the versions that are locked, without their hashes: pip takes no hashed constraints
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    pins = re.findall(r"^([a-z0-9_.-]+==[^ \\;]+)", lock, re.M | re.I)
    (tmp_path / "constraints.txt").write_text("\n".join(pins))
    python = place / "bin" / "python"
    quiet = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    _run(python, *quiet, "-c", tmp_path / "constraints.txt", f"{wheel}[demo]")
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = _run(
        place / "bin" / "usufruct", "demo", "--json", "--keep", tmp_path / "kept",
        cwd=tmp_path, env=clean,
    )  # fmt: skip
    outcome = json.loads(done.stdout)
    assert outcome["tampered"]["exit_code"] == 1
    (place_found,) = outcome["tampered"]["mismatches"]
    assert place_found["file"] == "processed.hungarian.data"
    assert {"party", "chunk", "row", "line"} <= {k for k, v in place_found.items() if v is not None}
    assert float(outcome["accuracy"]["pooled"]) > 0.75
    grades = {step["grade"] for step in outcome["verify"]}
    assert {"proved", "attested", "confirmed"} <= grades and "failed" not in grades
