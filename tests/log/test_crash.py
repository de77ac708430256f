"""``kill -9`` of concurrent appenders: what was acknowledged is there, what was signed holds."""

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.log.conftest import ORIGIN
from tests.log.tilereader import TileReader

from usufruct.crypto.merkle import verify_consistency
from usufruct.crypto.notes import open_checkpoint


def crash(folder, seed, rounds, open_log):
    chance = random.Random(seed)
    acknowledged, notes = {}, []
    for run in range(rounds):
        child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("appender.py"), ORIGIN, folder, str(run)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout.readline() == b"open\n"
        timer = threading.Timer(chance.uniform(0.005, 0.25), child.kill)
        timer.start()
        lines = child.stdout.read().split(b"\n")
        child.wait()
        timer.join()
        child.stdout.close()
        for line in lines[:-1]:
            kind, rest = line.split(b" ", 1)
            if kind == b"entry":
                index, envelope = rest.split(b" ", 1)
                assert acknowledged.setdefault(int(index), envelope) == envelope
            else:
                notes.append(bytes.fromhex(rest.decode()))
        if chance.random() < 0.5:
            wreck(folder, chance)
        log = open_log(folder)
        stored = {entry.index: entry.envelope for entry in log.entries()}
        assert sorted(stored) == list(range(log.size))
        assert acknowledged.items() <= stored.items()
        for note in notes:
            shown = open_checkpoint(note, ORIGIN, log.public_key)
            proof = log.consistency(shown.size)
            verify_consistency(shown.size, log.size, shown.root, log.root, proof)
            assert shown.size in log.published_sizes()
        if notes:
            TileReader(log.static_folder, ORIGIN, log.public_key).check()
        log.check()
        log.checkpoint()
        TileReader(log.static_folder, ORIGIN, log.public_key).check()
        log.close()
    return len(acknowledged), len(notes)


def wreck(folder, chance):
    """What loss of power may leave of files that were not fsynced."""
    files = sorted(p for p in (folder / "static").rglob("*") if p.is_file())
    for file in chance.sample(files, min(3, len(files))):
        if chance.random() < 0.5 and file.name != "checkpoint":
            file.write_bytes(bytes(chance.choice([0, 10, file.stat().st_size])))
        else:
            file.unlink()


@pytest.mark.parametrize("seed", range(8))
def test_kill_nine(tmp_path, open_log, seed):
    entries, _ = crash(tmp_path / "log", seed, 2, open_log)
    assert entries


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 130))
def test_kill_nine_often(tmp_path, open_log, seed):
    entries, notes = crash(tmp_path / "log", seed, 8, open_log)
    assert entries and notes
