#!/usr/bin/env python3
"""Compile contracts/ and write, or with --check compare, the artefacts in the package.

The compiler and OpenZeppelin come from npm at the versions and integrity hashes of
contracts/package-lock.json, into a cache folder outside the checkout. Needs node and npm. The same
sources give the same artefacts on every machine: no metadata hash, fixed settings, fixed names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTEFACTS = ROOT / "src" / "usufruct" / "ledger" / "artefacts"
PACKAGES = ("package.json", "package-lock.json", ".npmrc")
NAMES = (
    *("Anchors", "Assets", "Channels", "DepositCollector", "Licences", "Multicall3", "Parties"),
    *("Splits", "TestDollar"),
)
FORMAT = "usufruct/artefact/v1"
# Compiled through Yul: 2,500 gas less a purchase. The others stay as networks already have them.
THROUGH_YUL = ("Channels", "DepositCollector", "Licences", "Splits", "TestDollar")
SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "optimizer": {"enabled": True, "runs": 20000},
    "viaIR": False,
    "metadata": {"bytecodeHash": "none"},
}


def main() -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on difference")
    check = parser.parse_args().check
    try:
        artefacts = compile_contracts(install())
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    stale = sorted(
        path.name
        for path in (set(ARTEFACTS.glob("*.json")) | {ARTEFACTS / name for name in artefacts})
        if not path.exists() or artefacts.get(path.name) != path.read_text("utf-8")
    )
    if check:
        for name in stale:
            print(f"differs from contracts/: {name}")
        if not stale:
            print(f"{len(artefacts)} artefacts equal what contracts/ compiles to")
        return 1 if stale else 0
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in artefacts:
            (ARTEFACTS / name).write_text(artefacts[name], "utf-8")
            print(f"wrote {name}")
        else:
            (ARTEFACTS / name).unlink()
            print(f"removed {name}")
    return 0


def install() -> Path:
    """Return a folder holding node_modules as the lock file says, installed once a lock file."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError("node and npm are needed to compile the contracts; install Node.js 20+")
    contents = b"".join((CONTRACTS / name).read_bytes() for name in PACKAGES)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "usufruct" / "contracts" / hashlib.sha256(contents).hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Installed beside and renamed, so that an interrupted install is never taken for a whole one.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        for name in PACKAGES:
            shutil.copy(CONTRACTS / name, fresh)
        print("installing the compiler and OpenZeppelin from npm", file=sys.stderr)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise RuntimeError(f"npm ci failed: {done.stderr.strip()[-2000:]}")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: its install is as good
                raise
    return folder


def compile_contracts(folder: Path) -> dict[str, str]:
    """Return the text of each artefact by file name."""
    sources = {f"contracts/{p.name}": p.read_text("utf-8") for p in CONTRACTS.glob("*.sol")}
    plain = [name for name in NAMES if name not in THROUGH_YUL]
    return compile_some(folder, sources, plain, SETTINGS) | compile_some(
        folder, sources, THROUGH_YUL, SETTINGS | {"viaIR": True}
    )


def compile_some(
    folder: Path, sources: dict[str, str], names: Sequence[str], settings: dict[str, Any]
) -> dict[str, str]:
    """Return the text of the named artefacts by file name, compiled with these settings."""
    outputs = ["abi", "evm.bytecode.object", "evm.deployedBytecode", "metadata"]
    wanted = {f"contracts/{name}.sol": {name: outputs} for name in names} | {"*": {"": ["ast"]}}
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(sources.items())},
        "settings": settings | {"outputSelection": wanted},
    }
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("solc.mjs")), str(folder)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(f"the compiler stopped: {done.stderr.strip()[-2000:]}")
    answer = json.loads(done.stdout)
    output = answer["output"]
    if complaints := [e["formattedMessage"] for e in output.get("errors", []) if not known(e)]:
        raise RuntimeError("warnings count as errors\n" + "\n".join(complaints))
    variables = {
        node["id"]: node["name"]
        for source in output["sources"].values()
        for node in walk(source["ast"])
        if node.get("nodeType") == "VariableDeclaration"
    }
    return {
        f"{name}.json": render(name, answer["version"], output["contracts"], variables, settings)
        for name in names
    }


def known(complaint: dict[str, Any]) -> bool:
    """Tell whether a warning is the library's own: it uses transient storage, and clears it."""
    place = complaint.get("sourceLocation", {}).get("file", "")
    return complaint["errorCode"] == "2394" and place.startswith("@openzeppelin/")


def render(
    name: str,
    version: str,
    contracts: dict[str, Any],
    variables: dict[int, str],
    settings: dict[str, Any],
) -> str:
    """Return one artefact as text."""
    compiled = contracts[f"contracts/{name}.sol"][name]
    deployed = compiled["evm"]["deployedBytecode"]
    used = sorted(json.loads(compiled["metadata"])["sources"].items())
    artefact = {
        "format": FORMAT,
        "contract": name,
        "compiler": re.sub(r"\.Emscripten\.clang$", "", version),
        "settings": settings,
        "sources": {path: entry["keccak256"].removeprefix("0x") for path, entry in used},
        "abi": compiled["abi"],
        "bytecode": compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": deployed["object"],
        "immutables": {
            variables[int(key)]: sorted(place["start"] for place in places)
            for key, places in sorted(deployed.get("immutableReferences", {}).items())
        },
    }
    return json.dumps(artefact, indent=1, sort_keys=True) + "\n"


def walk(node: Any) -> Any:
    """Yield every object in a syntax tree."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from walk(child)


if __name__ == "__main__":
    sys.exit(main())
