"""Real ``kill -9`` at seeded moments: the resumed run ends with the same bits."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[4])
from usufruct.learn import Federation, Plan, RoundJournal
from usufruct.learn.heart import HOSPITALS, hospital_party

folder, mode, at = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
calls = 0

def mine(real):
    # every write to disk is a possible last moment, before it or right after
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls + 0.5 == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

if mode == "call":
    os.fsync, os.rename, os.replace, os.open = map(
        mine, (os.fsync, os.rename, os.replace, os.open)
    )
print("ready", flush=True)

announced = os.open(folder.parent / "announced", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def announce(checkpoint):
    line = f"{checkpoint.round.number} {checkpoint.round.digest}\\n"
    os.write(announced, line.encode())

plan = Plan(rounds=8, local_steps=4, batch_size=16, seed=1)
parties = [hospital_party(h.key) for h in HOSPITALS]
result = Federation(parties, plan, journal=RoundJournal(folder), on_round=announce).resume()
print(result.rounds[-1].model_out, result.rounds[-1].digest)
"""


def play(folder: Path, mode: str = "free", at: float = 0) -> tuple[int, str]:
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), mode, str(at), source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        if mode == "time":
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(at)
            child.kill()
        out, problems = child.communicate(timeout=60)
    assert child.returncode in (0, -signal.SIGKILL), problems
    return child.returncode, out.strip().removeprefix("ready\n")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[str, list[str]]:
    folder = tmp_path_factory.mktemp("whole")
    code, out = play(folder / "run")
    assert code == 0
    return out, (folder / "announced").read_text().splitlines()


def crash_until_done(tmp_path: Path, moments: list[tuple[str, float]]) -> tuple[int, str]:
    kills = 0
    for mode, at in moments:
        code, _ = play(tmp_path / "run", mode, at)
        kills += code != 0
    code, out = play(tmp_path / "run")
    assert code == 0
    return kills, out


def check(tmp_path: Path, out: str, undisturbed: tuple[str, list[str]]) -> None:
    expected, lines = undisturbed
    assert out == expected
    announced = (tmp_path / "announced").read_text().splitlines()
    # a round may be announced twice, never differently, never out of order, never left out
    assert [line for i, line in enumerate(announced) if line not in announced[:i]] == lines
    numbers = [int(line.split()[0]) for line in announced]
    assert numbers == sorted(numbers)
    files = {path.name for path in (tmp_path / "run").iterdir()}
    rounds = {f"round-{i:06d}.ckpt" for i in range(1, 9)}
    assert files == rounds | {"start.json", "committed", "lock"}


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_writes(seed, tmp_path, undisturbed):
    chosen = random.Random(seed)
    moments = [("call", chosen.randrange(2, 80) / 2) for _ in range(4)]
    kills, out = crash_until_done(tmp_path, moments)
    assert kills >= 1
    check(tmp_path, out, undisturbed)


def test_killed_at_any_time(tmp_path, undisturbed):
    chosen = random.Random(7)
    moments = [("time", chosen.uniform(0.001, 0.12)) for _ in range(5)]
    kills, out = crash_until_done(tmp_path, moments)
    assert kills >= 1
    check(tmp_path, out, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_killed_often(seed, tmp_path, undisturbed):
    chosen = random.Random(seed)
    moments = [("call", chosen.randrange(2, 80) / 2) for _ in range(5)]
    _, out = crash_until_done(tmp_path, moments)
    check(tmp_path, out, undisturbed)
