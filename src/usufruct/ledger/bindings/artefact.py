"""Compiled contracts as they ship in the package.

``scripts/compile_contracts.py`` writes them from ``contracts/``; ``make contracts`` compiles anew
and compares. Users need no compiler.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from usufruct.errors import BadInput, Damaged

FORMAT = "usufruct/artefact/v1"
NAMES = (
    *("Anchors", "Assets", "Channels", "DepositCollector", "Licences", "Multicall3", "Parties"),
    *("Splits", "TestDollar"),
)


@dataclass(frozen=True, slots=True)
class Artefact:
    """One compiled contract.

    Parameters
    ----------
    contract
        Its name.
    compiler
        The compiler's full version.
    sources
        keccak256 of each source file, in hexadecimal, by path.
    abi
        The standard JSON description of functions, events and errors.
    bytecode
        What a deployment runs, without the constructor's arguments.
    deployed_bytecode
        What stays on the ledger, zeros where immutables go.
    immutables
        Where in it each immutable's 32 bytes go.
    """

    contract: str
    compiler: str
    sources: Mapping[str, str]
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    immutables: Mapping[str, tuple[int, ...]]

    def runtime_code(self, **immutables: bytes) -> bytes:
        """Return the code a deployment leaves, to compare with ``eth_getCode``.

        Parameters
        ----------
        **immutables
            The 32-byte word of each immutable, by name.
        """
        if set(immutables) != set(self.immutables):
            raise BadInput(f"{self.contract} has the immutables {sorted(self.immutables)}")
        code = bytearray(self.deployed_bytecode)
        for name, word in immutables.items():
            if len(word) != 32:
                raise BadInput(f"the immutable {name} takes 32 bytes")
            for start in self.immutables[name]:
                code[start : start + 32] = word
        return bytes(code)


@cache
def load_artefact(contract: str) -> Artefact:
    """Return the artefact of a contract, one of :data:`NAMES`.

    Raises
    ------
    BadInput
        No such contract.
    Damaged
        The package's own file is not what was shipped.
    """
    if contract not in NAMES:
        raise BadInput(f"there is no contract '{contract}'", hint=f"one of {', '.join(NAMES)}")
    place = resources.files("usufruct.ledger") / "artefacts" / f"{contract}.json"
    try:
        document = json.loads(place.read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        return Artefact(
            contract=document["contract"],
            compiler=document["compiler"],
            sources=document["sources"],
            abi=tuple(document["abi"]),
            bytecode=bytes.fromhex(document["bytecode"]),
            deployed_bytecode=bytes.fromhex(document["deployedBytecode"]),
            immutables={name: tuple(at) for name, at in document["immutables"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"the compiled contract {contract} in the package cannot be read: {error}",
            hint="install the package again",
        ) from error
