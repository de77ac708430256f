#!/usr/bin/env python3
"""Compile Hostile.sol into hostile.json with the compiler that contracts/ is compiled with."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent.parent / "scripts" / "compile_contracts.py"


def main() -> None:
    """Run the script."""
    spec = importlib.util.spec_from_file_location("compile_contracts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    compiler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiler)
    source = (HERE / "Hostile.sol").read_text("utf-8")
    outputs = ["abi", "evm.bytecode.object"]
    request = {
        "language": "Solidity",
        "sources": {"Hostile.sol": {"content": source}},
        "settings": compiler.SETTINGS | {"outputSelection": {"*": {"*": outputs}}},
    }
    done = subprocess.run(
        ["node", str(SCRIPT.with_name("solc.mjs")), str(compiler.install())],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    output = json.loads(done.stdout)["output"]
    if errors := [e for e in output.get("errors", []) if e["severity"] == "error"]:
        raise SystemExit("\n".join(e["formattedMessage"] for e in errors))
    contracts = {
        name: {"abi": made["abi"], "bytecode": made["evm"]["bytecode"]["object"]}
        for name, made in output["contracts"]["Hostile.sol"].items()
        if made["evm"]["bytecode"]["object"]
    }
    digest = hashlib.sha256(source.encode()).hexdigest()
    made = {"source_sha256": digest, "contracts": contracts}
    (HERE / "hostile.json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{len(contracts)} contracts written")


if __name__ == "__main__":
    main()
