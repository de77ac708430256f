"""What several tests of the embedded ledger share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from usufruct.errors import EngineMissing
from usufruct.ledger.account import Account
from usufruct.ledger.binary import find_engine
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.genesis import make_genesis

CHAIN = 424_242
TIME = 1_700_000_000
TREASURY = Account(b"\x4c" * 32)
OTHER = Account(b"\x4d" * 32)


def binary() -> Path:
    try:
        return find_engine()
    except EngineMissing as error:
        pytest.skip(str(error))


def genesis() -> dict[str, Any]:
    return make_genesis(CHAIN, TREASURY.address, TIME)


def open_engine(folder: Path, **options: Any) -> EmbeddedEngine:
    return EmbeddedEngine(folder, genesis=genesis(), binary=binary(), **options)


def raw(nonce: int, account: Account = TREASURY, **changed: Any) -> str:
    fields = {
        "chainId": CHAIN,
        "nonce": nonce,
        "maxFeePerGas": 3 * 10**9,
        "maxPriorityFeePerGas": 0,
        "gas": 21_000,
        "to": "0x" + "22" * 20,
        "value": 1,
    }
    return "0x" + account.sign_transaction(fields | changed).hex()


def send(engine: EmbeddedEngine, *raws: str) -> list[Any]:
    return engine.request_many([("eth_sendRawTransaction", [one]) for one in raws])


def chain(engine: EmbeddedEngine) -> list[str]:
    """Return all block hashes."""
    numbers = range(engine.height + 1)
    blocks = engine.request_many([("eth_getBlockByNumber", [hex(n), False]) for n in numbers])
    return [block["hash"] for block in blocks]
