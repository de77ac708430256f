"""The durable memory: many threads, kill -9, damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.node.stub import HOLDER, NOW, Licensed

from usufruct.errors import Damaged, NotAllowed, Unavailable
from usufruct.node import memory as module
from usufruct.node.memory import Acknowledgement, Memory, SignedUse
from usufruct.types import AssetId, LicenceId

LICENCE = LicenceId("0a" * 32)


def record(uses: int = 100, used: int = 0) -> Licensed:
    return Licensed(LICENCE, "0" * 48, AssetId("0" * 64), HOLDER.address, uses=uses, used=used)


def test_one_of_many_takes_a_nonce(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "node.sqlite")
    with ThreadPoolExecutor(16) as pool:

        def take(number: int) -> bool:
            nonce = (number % 50).to_bytes(32, "big")
            return memory.use_nonce(HOLDER.address, nonce, NOW + 60, NOW)

        assert sum(pool.map(take, range(400))) == 50
    memory.close()
    with pytest.raises(Unavailable):
        memory.use_nonce(HOLDER.address, bytes(32), NOW + 60, NOW)
    memory.close()


def test_room_for_nonces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NONCES", 3)
    memory = Memory(tmp_path / "node.sqlite")
    for number in range(3):
        assert memory.use_nonce(HOLDER.address, bytes([number]) * 32, NOW + 60, NOW)
    with pytest.raises(Unavailable):
        memory.use_nonce(HOLDER.address, b"x" * 32, NOW + 60, NOW)
    memory.prune(NOW + 500)
    assert memory.use_nonce(HOLDER.address, b"x" * 32, NOW + 600, NOW + 500)
    memory.close()


def test_a_refused_write_takes_no_other_with_it(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "node.sqlite")

    def take(total: int) -> bool:
        try:
            return memory.take_use(SignedUse(LICENCE, total, b"s", b"r"), record(), NOW)
        except NotAllowed:
            return False

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(100, 0, -1)))
        acks = pool.map(
            lambda n: memory.keep_acknowledgement(
                Acknowledgement(LicenceId(f"{n:064x}"), b"r" * 32, b"s"), NOW
            ),
            range(50),
        )
        list(acks)
    assert memory.total(LICENCE) >= 1
    assert all(memory.acknowledgement(LicenceId(f"{n:064x}")) for n in range(50))
    memory.close()


WRITER = """
import sys
from pathlib import Path
from usufruct.node.memory import Memory
memory = Memory(Path(sys.argv[1]))
number = 0
while True:
    assert memory.use_nonce("0x" + "0" * 40, number.to_bytes(32, "big"), 2**40, 0)
    print(number, flush=True)
    number += 1
"""


def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    seen += [int(line) for line in rest.split("\n")[:-1]]
    memory = Memory(path)
    for number in seen:
        assert not memory.use_nonce("0x" + "0" * 40, number.to_bytes(32, "big"), 2**40, 0)
    memory.close()


def test_damage_is_named_and_not_healed(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Damaged):
        Memory(path)
    assert path.read_bytes().startswith(b"no database")
