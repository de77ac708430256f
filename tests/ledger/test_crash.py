"""A program that writes to the ledger is killed at random moments; nothing it was told is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.ledger.engine import binary, chain, open_engine, raw

pytestmark = pytest.mark.engine

# sends transactions from three threads and writes each acknowledged hash to its own pipe
_WRITER = """
import os, sys, threading
from pathlib import Path
from tests.ledger.engine import open_engine, raw
from usufruct.ledger.account import Account
folder, first = Path(sys.argv[1]), int(sys.argv[2])
engine = open_engine(folder, dump_every=60)
os.write(1, b"open\\n")
def work(account, nonce):
    while True:
        names = engine.request_many(
            [("eth_sendRawTransaction", [raw(nonce + n, account)]) for n in range(account_size)]
        )
        os.write(1, "".join(f"{name}\\n" for name in names).encode())
        nonce += account_size
account_size = 3
parties = [Account(bytes([n + 1]) * 32) for n in range(3)]
def nonce(account):
    return int(engine.request("eth_getTransactionCount", [account.address, "latest"]), 16)
threads = [threading.Thread(target=work, args=(party, nonce(party))) for party in parties]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def _fund(folder: Path) -> None:
    from usufruct.ledger.account import Account

    with open_engine(folder) as engine:
        for n in range(3):
            party = Account(bytes([n + 1]) * 32)
            engine.request("eth_sendRawTransaction", [raw(n, to=party.address, value=10**20)])


def _engines(folder: Path) -> list[int]:
    done = subprocess.run(["ps", "axww", "-o", "pid=,command="], capture_output=True, text=True)
    wanted = f"--ipc {folder}"
    return [int(line.split()[0]) for line in done.stdout.splitlines() if wanted in line]


def _round(folder: Path, rng: random.Random, *, kill_engine: bool) -> list[str]:
    """Let a writer work for a moment, kill it, and return what was acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder), "0"], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    lines: list[bytes] = []
    try:
        assert writer.stdout.readline() == b"open\n"
        time.sleep(rng.uniform(0.0, 0.35))
        if kill_engine:
            for pid in _engines(folder):
                os.kill(pid, signal.SIGKILL)
            time.sleep(rng.uniform(0.0, 0.5))
    finally:
        writer.kill()
        lines = writer.stdout.read().split(b"\n")[:-1]
        writer.stdout.close()
        writer.wait()
    return [line.decode() for line in lines]


def _check(folder: Path, acknowledged: list[str], before: list[str]) -> list[str]:
    with open_engine(folder, dump_every=60) as engine:
        found = engine.request_many([("eth_getTransactionReceipt", [n]) for n in acknowledged])
        assert all(receipt and receipt["status"] == "0x1" for receipt in found)
        hashes = chain(engine)
        assert hashes[: len(before)] == before
        return hashes


def _crash(folder: Path, seed: int, rounds: int) -> int:
    rng = random.Random(seed)
    binary()
    _fund(folder)
    acknowledged: list[str] = []
    hashes: list[str] = []
    for _ in range(rounds):
        acknowledged += _round(folder, rng, kill_engine=rng.random() < 0.3)
        hashes = _check(folder, acknowledged, hashes)
    (folder / "engine-state").unlink(missing_ok=True)
    assert _check(folder, acknowledged, hashes) == hashes  # the journal alone gives the same chain
    return len(acknowledged)


@pytest.mark.parametrize("seed", range(4))
def test_kill_twice(tmp_path: Path, seed: int) -> None:
    """Four seeds of two crashes: eight in all."""
    assert _crash(tmp_path, seed, 2) >= 0


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(100, 120))
def test_kill_often(tmp_path: Path, seed: int) -> None:
    assert _crash(tmp_path, seed, 15) > 0
