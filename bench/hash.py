#!/usr/bin/env python3
"""How fast files are hashed in chunks, beside model-signing hashing the same bytes.

    python bench/hash.py [--json] [--size MIB] [--files N] [--rounds N] [--no-peer]

Figures are bytes or files a CPU-second (all threads counted), the best of some rounds, with warm
page cache. model-signing is installed by pip into a virtual environment of its own under the
user's cache folder; where that cannot be done the report says why and shows ours alone. Ours here
is the walk and the chunk digests; manifests with salts and roots are measured with the assets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from usufruct.crypto.hash import digest_chunk, digest_file_chunks

MIB = 1024 * 1024
SMALL = 1000
LIMIT = "limit: BLAKE3 of bytes in memory"
BARS = {"large": 1.4, "small": 6.0}
PEER = ("model-signing", "pyopenssl")

PEER_CODE = """
import importlib.metadata, json, sys, time
from model_signing import hashing
folders, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
ways = {
    "defaults (SHA-256)": {},
    "blake3": {"hashing_algorithm": "blake3"},
    "blake3, 1 worker": {"hashing_algorithm": "blake3", "max_workers": 1},
}
rows = []
for what, folder in folders.items():
    for way, options in ways.items():
        best = None
        for _ in range(rounds):
            cpu, wall = time.process_time(), time.perf_counter()
            hashing.Config().use_file_serialization(**options).hash(folder)
            spent = (time.process_time() - cpu, time.perf_counter() - wall)
            best = min(best or spent, spent)
        rows.append([what, way, *best])
print(json.dumps({"version": importlib.metadata.version("model-signing"), "rows": rows}))
"""


@dataclass(frozen=True)
class Row:
    """One tool's best round over one folder."""

    what: str
    tool: str
    cpu_seconds: float
    wall_seconds: float
    per_cpu_second: float
    unit: str


def walk(folder: str) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry.path


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    best: tuple[float, float] | None = None
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        best = min(best or spent, spent)
    if best is None:
        raise SystemExit("at least one round")
    return best


def make_data(folder: Path, size: int, files: int) -> dict[str, str]:
    large, small = folder / "large", folder / "small"
    large.mkdir()
    block = os.urandom(MIB)
    with (large / "weights.bin").open("wb") as file:
        for _ in range(size):
            file.write(block)
    for number in range(files):
        place = small / f"{number // 500:03}"
        if number % 500 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}.bin").write_bytes(os.urandom(SMALL))
    return {"large": str(large), "small": str(small)}


def measure_ours(folders: dict[str, str], rounds: int) -> list[tuple[str, str, float, float]]:
    def hash_all(folder: str, algorithm: str) -> None:
        for path in walk(folder):
            digest_file_chunks(path, algorithm=algorithm)  # type: ignore[arg-type]

    return [
        (
            what,
            f"usufruct, {algorithm}",
            *timed(lambda f=folder, a=algorithm: hash_all(f, a), rounds),
        )
        for what, folder in folders.items()
        for algorithm in ("blake3", "sha256")
    ]


def measure_limit(size: int, rounds: int) -> tuple[str, str, float, float]:
    """Hash as many bytes that are in memory already: no tool reads files faster than this."""
    data = memoryview(bytearray(os.urandom(MIB)) * size)

    def work() -> None:
        for start in range(0, len(data), MIB):
            digest_chunk(data[start : start + MIB])

    return "large", LIMIT, *timed(work, rounds)


def peer_python() -> Path:
    """Return the interpreter of the peer's own environment, made on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "usufruct" / "bench" / "model-signing"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PEER]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        (home / "ready").touch()
    return python


def measure_peer(
    folders: dict[str, str], rounds: int
) -> tuple[str, list[tuple[str, str, float, float]]]:
    try:
        command = [str(peer_python()), "-c", PEER_CODE, json.dumps(folders), str(rounds)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"model-signing could not be run here: {told[-1] if told else error}", []
    found = json.loads(out.stdout)
    name = f"model-signing {found['version']}"
    return name, [(what, f"{name}, {way}", cpu, wall) for what, way, cpu, wall in found["rows"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--files", type=int, default=50_000, help="how many small files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    if min(options.size, options.files, options.rounds) < 1:
        parser.error("size, files and rounds are 1 or more")
    with tempfile.TemporaryDirectory(prefix="usufruct-bench-") as folder:
        folders = make_data(Path(folder), options.size, options.files)
        measured = measure_ours(folders, options.rounds)
        measured.append(measure_limit(options.size, options.rounds))
        peer = "not asked for"
        if not options.no_peer:
            peer, theirs = measure_peer(folders, options.rounds)
            measured += theirs
    amounts = {"large": (options.size * MIB / 1e9, "GB"), "small": (options.files, "files")}
    rows = [
        Row(what, tool, cpu, wall, amounts[what][0] / cpu, amounts[what][1])
        for what, tool, cpu, wall in sorted(measured)
    ]
    ratios = {}
    for what in folders:
        ours = max(r.per_cpu_second for r in rows if r.what == what and "usufruct" in r.tool)
        others = [r.per_cpu_second for r in rows if r.what == what and "model-signing" in r.tool]
        ratios[what] = ours / max(others) if others else None
    if options.json:
        report = {
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
            "python": platform.python_version(),
            "peer": peer,
            "rows": [asdict(row) for row in rows],
            "times_the_peer": ratios,
            "bars": BARS,
        }
        print(json.dumps(report, indent=2))
        return
    for row in rows:
        rate = f"{row.per_cpu_second:10.2f}" if row.unit == "GB" else f"{row.per_cpu_second:10,.0f}"
        print(f"{row.what:6} {row.tool:44} {rate} {row.unit}/CPU-s, {row.wall_seconds:6.2f} s")
    for what, ratio in ratios.items():
        if ratio is not None:
            print(f"{what}: {ratio:.2f} times the peer's best (bar {BARS[what]})")
    if not any(ratios.values()):
        print(f"peer: {peer}")


if __name__ == "__main__":
    sys.exit(main())
