from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.evm import Contracts, Evm

from usufruct.ledger.account import contract_address
from usufruct.ledger.bindings import anchors, artefact, assets, parties
from usufruct.types import Address

ROOT = Path(__file__).resolve().parents[2]
SHOP = Address("0x" + "ab" * 20)


@pytest.mark.engine
def test_deployed_code_is_what_the_package_says(evm: Evm, on: Contracts) -> None:
    def code(at: Address) -> bytes:
        return bytes.fromhex(evm.rpc("eth_getCode", at, "latest")[2:])

    assert code(on.parties) == parties.runtime_code()
    assert code(on.anchors) == anchors.runtime_code()
    assert code(on.assets) == assets.runtime_code()
    with_shop = evm.deploy(assets.deploy_data(SHOP))
    assert code(with_shop) == assets.runtime_code(SHOP) != assets.runtime_code()


@pytest.mark.engine
def test_deployed_market_is_what_the_package_says(evm: Evm) -> None:
    on = evm.deploy_market()

    def same(at: Address, contract: str, **immutables: Address) -> bool:
        words = {name: bytes(12) + bytes.fromhex(a[2:]) for name, a in immutables.items()}
        code = bytes.fromhex(evm.rpc("eth_getCode", at, "latest")[2:])
        return code == artefact.load_artefact(contract).runtime_code(**words)

    clone = contract_address(on.splits, 1)
    common = {"assets": on.assets, "implementation": clone}
    assert same(on.assets, "Assets", licences=on.licences, splits=on.splits)
    assert same(on.licences, "Licences", splits=on.splits, **common)
    assert same(on.splits, "Splits", licences=on.licences, **common)
    assert same(on.dollar, "TestDollar")


@pytest.mark.parametrize("name", artefact.NAMES)
def test_code_fits_the_limit_and_names_no_machine(name: str) -> None:
    compiled = artefact.load_artefact(name)
    assert 0 < len(compiled.deployed_bytecode) <= 24_576  # EIP-170
    assert b"ipfs" not in compiled.deployed_bytecode
    assert compiled.compiler.startswith("0.8.37+commit.")
    assert all(path.startswith(("contracts/", "@openzeppelin/")) for path in compiled.sources)


@pytest.mark.parametrize("name", artefact.NAMES)
def test_own_sources_are_those_that_were_compiled(name: str) -> None:
    """A contract edited without `make contracts` is found even where there is no compiler."""
    from usufruct.crypto.hash import keccak256

    for path, digest in artefact.load_artefact(name).sources.items():
        if path.startswith("contracts/"):
            assert keccak256((ROOT / path).read_bytes()).hex() == digest, path


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="compiling needs node and npm")
def test_compiling_anew_gives_the_same_artefacts() -> None:
    script = ROOT / "scripts" / "compile_contracts.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
