"""The log: durable appends from 16 threads, and integrating pre-signed envelopes.

``python bench/log.py [--entries 1000000] [--seconds 5] [--folder DIR] [--json]``
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

from usufruct.crypto.ed25519 import SecretKey
from usufruct.log import Log
from usufruct.log.tree import Edge

THREADS = 16
SIZE = 1024
GROUP = 8192


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def durable(folder: Path, seconds: float) -> dict[str, float]:
    log = Log.open(folder, origin="bench/log", signer=SecretKey(b"b" * 32))
    counts, slowest = [0] * THREADS, [0.0] * THREADS
    start_cpu, start = cpu(), time.perf_counter()

    def work(number: int) -> None:
        envelope = os.urandom(SIZE)
        while (before := time.perf_counter()) - start < seconds:
            log.append(envelope)
            counts[number] += 1
            slowest[number] = max(slowest[number], time.perf_counter() - before)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, used = time.perf_counter() - start, cpu() - start_cpu
    log.close()
    total = sum(counts)
    return {
        "durable appends per second (16 threads)": total / wall,
        "CPU us per durable append": used / total * 1e6,
        "slowest append, ms": max(slowest) * 1e3,
    }


def integrate(folder: Path, entries: int) -> dict[str, float]:
    from hashlib import sha256

    block = [os.urandom(SIZE) for _ in range(GROUP)]
    scale = 1_000_000 / entries
    start, edge = cpu(), Edge()
    for at in range(0, entries, GROUP):
        part = block[: min(GROUP, entries - at)]
        random = os.urandom(32 * len(part))
        hashes = [sha256(random[32 * i : 32 * i + 32] + e).digest() for i, e in enumerate(part)]
        edge, _ = edge.extended(hashes)
    edge.root()
    hashed = cpu() - start

    log = Log.open(folder, origin="bench/log", signer=SecretKey(b"b" * 32))
    start, clock = cpu(), time.perf_counter()
    for at in range(0, entries, GROUP):
        log.append_many(block[: min(GROUP, entries - at)])
    log.checkpoint()
    stored, wall = cpu() - start, time.perf_counter() - clock
    log.close()
    start = time.perf_counter()
    Log.open(folder, origin="bench/log", signer=SecretKey(b"b" * 32)).close()
    return {
        "hash and integrate 1 M, CPU s": hashed * scale,
        "the same, stored durably with tiles, CPU s": stored * scale,
        "the same, stored durably with tiles, s": wall * scale,
        f"open a log of {entries}, s": time.perf_counter() - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="scaled to 1 M")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = durable(Path(folder) / "a", options.seconds)
        found |= integrate(Path(folder) / "b", options.entries)
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))
        return
    for name, value in found.items():
        print(f"{name:<48}{value:>14,.2f}")


if __name__ == "__main__":
    main()
