"""How fast the embedded engine takes, replays and reopens: ``python bench/ledger.py [COUNT]``.

Prints transactions a second in blocks of 500, one caller with batches of 500 and 16 callers
with one at a time, then opening by replay alone and by the saved state.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from usufruct.ledger.account import Account
from usufruct.ledger.binary import find_engine
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.genesis import make_genesis

CHAIN = 424_242
BLOCK = 500


def sign(account: Account, count: int, first: int = 0) -> list[str]:
    fields = {"chainId": CHAIN, "gas": 21_000, "value": 1, "to": "0x" + "22" * 20}
    fees = {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 0}
    return [
        "0x" + account.sign_transaction(fields | fees | {"nonce": first + n}).hex()
        for n in range(count)
    ]


def main(count: int) -> None:
    account = Account(b"\x4c" * 32)
    options = {
        "genesis": make_genesis(CHAIN, account.address, 1_700_000_000),
        "binary": find_engine(),
    }
    raws = sign(account, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        engine = EmbeddedEngine(path, dump_every=10**9, **options)
        begin = time.perf_counter()
        for start in range(0, count, BLOCK):
            block = raws[start : start + BLOCK]
            engine.request_many([("eth_sendRawTransaction", [raw]) for raw in block])
        took = time.perf_counter() - begin
        print(f"blocks of {BLOCK}: {count / took:,.0f} tx/s ({count} in {took:.2f} s)")
        engine.close()
        (path / "engine-state").unlink(missing_ok=True)

        begin = time.perf_counter()
        engine = EmbeddedEngine(path, **options)
        print(f"opening by replay of {count}: {time.perf_counter() - begin:.2f} s")
        begin = time.perf_counter()
        engine.close()
        print(f"closing with the state saved: {time.perf_counter() - begin:.2f} s")
        begin = time.perf_counter()
        engine = EmbeddedEngine(path, **options)
        print(f"opening by the saved state: {time.perf_counter() - begin:.2f} s")

        parties = [Account(bytes([n + 1]) * 32) for n in range(16)]
        gifts = [
            account.sign_transaction(
                {"chainId": CHAIN, "gas": 21_000, "value": 10**18, "to": party.address}
                | {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 0, "nonce": count + n}
            )
            for n, party in enumerate(parties)
        ]
        engine.request_many([("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in gifts])
        signed = [sign(party, 100) for party in parties]
        height = engine.height

        def send(raws: list[str]) -> None:
            for raw in raws:
                engine.request("eth_sendRawTransaction", [raw])

        begin = time.perf_counter()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(send, signed))
        took = time.perf_counter() - begin
        blocks = engine.height - height
        print(f"16 callers, one at a time: {1600 / took:,.0f} tx/s, {1600 / blocks:.0f} a block")
        lone = sign(parties[0], 50, 100)
        begin = time.perf_counter()
        send(lone)
        print(f"one caller, one at a time: {(time.perf_counter() - begin) / 50 * 1e3:.1f} ms each")
        engine.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_001)
