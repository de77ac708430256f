"""Speed and size of evidence, beside OpenSSF model-signing in the same run.

    python bench/evidence.py [--json] [--small] [--no-peer]

The peer is installed from PyPI into a throw-away environment below ``.cache/bench`` and hashes
the same files through its own API; without a network it is left out. CPU-seconds are user and
system time of all threads, the best of several runs, files in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usufruct.assets.cache import DigestCache
from usufruct.assets.check import check_path
from usufruct.assets.manifest import build_manifest
from usufruct.evidence.content import Manifest

CACHE = Path(os.environ.get("USUFRUCT_BENCH_CACHE", Path(__file__).parent.parent / ".cache/bench"))
PEER = "model-signing"
PEER_PACKAGES = (PEER, "blake3", "pyopenssl")  # it imports the last without asking for it
PEER_CODE = r"""
import json, sys, time
from pathlib import Path
from importlib.metadata import version
import model_signing

def best(path, configs, runs):
    found = None
    for name, make in configs:
        for _ in range(runs):
            try:
                config = make()
                cpu, wall = time.process_time(), time.perf_counter()
                config.hash(path)
                one = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                       "config": name}
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                break
            if found is None or one["cpu"] < found["cpu"]:
                found = one
    return found

Config = model_signing.hashing.Config

def files(algorithm):
    return lambda: Config().use_file_serialization(hashing_algorithm=algorithm)

def shards(algorithm):
    return lambda: Config().use_shard_serialization(hashing_algorithm=algorithm)

configs = [("default", Config)]
for algorithm in ("blake2", "blake3"):
    configs.append((f"files {algorithm}", files(algorithm)))
    configs.append((f"shards {algorithm}", shards(algorithm)))
print(json.dumps({"version": version("model-signing"),
                  "large": best(Path(sys.argv[1]), configs, int(sys.argv[3])),
                  "small": best(Path(sys.argv[2]), configs, int(sys.argv[3]))}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--small", action="store_true", help="a twentieth of the data")
    parser.add_argument("--no-peer", action="store_true", help="leave model-signing out")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    scale = 20 if options.small else 1
    with tempfile.TemporaryDirectory(prefix="usufruct-bench-") as name:
        result = measure(Path(name), scale, options.runs, peer=not options.no_peer)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0


def measure(folder: Path, scale: int, runs: int, *, peer: bool) -> dict[str, Any]:
    large_bytes, count, rows = (1 << 30) // scale, 50_000 // scale, 1_000_000 // scale
    large, small, table = folder / "large", folder / "small", folder / "table.csv"
    make_large(large / "data.bin", large_bytes)
    make_small(small, count)
    with table.open("w") as file:
        file.writelines(f"{i},{i % 97},{i * 7 % 1013}.5,note {i}\n" for i in range(rows))

    big = best(lambda: build_manifest(large).content_root, runs)
    one = best(lambda: build_manifest(small).content_root, runs)
    manifest = build_manifest(small)
    saved = manifest.to_bytes()
    with DigestCache(folder / "cache.sqlite") as cache:
        time.sleep(0.2)  # what was written a moment ago is not trusted
        check_path(small, manifest, cache=cache)
        again = best(
            lambda: check_path(small, Manifest.from_bytes(saved), mode="cached", cache=cache), runs
        )
        result = check_path(small, manifest, mode="cached", cache=cache)
    full = best(lambda: check_path(small, manifest), runs)
    read = best(lambda: build_manifest(table).content_root, 1)
    measured: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "large_file": {
            "bytes": large_bytes,
            "gb_per_cpu_second": large_bytes / big["cpu"] / 1e9,
            "gb_per_second": large_bytes / big["wall"] / 1e9,
        },
        "small_files": {"files": count, "files_per_cpu_second": count / one["cpu"]},
        "unchanged_verify": {
            "files": count,
            "seconds": again["wall"],
            "seconds_reading_all": full["wall"],
            "files_from_cache": result.files_cached,
        },
        "table": {
            "rows": rows,
            "rows_per_cpu_second": rows / read["cpu"],
            "row_proof_bytes": row_proof_bytes(table),
        },
        "peer": None,
    }
    if peer:
        measured["peer"] = run_peer(large, small, runs, large_bytes, count)
    return measured


def best(work: Callable[[], object], runs: int) -> dict[str, float]:
    found: dict[str, float] | None = None
    for _ in range(runs):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        one = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        if found is None or one["cpu"] < found["cpu"]:
            found = one
    assert found is not None
    return found


def make_large(path: Path, size: int) -> None:
    path.parent.mkdir()
    with path.open("wb") as file:
        left = size
        while left:
            left -= file.write(secrets.token_bytes(min(left, 1 << 20)))


def make_small(folder: Path, count: int) -> None:
    for number in range(count):
        if number % 100 == 0:
            inside = folder / f"{number // 100:04d}"
            inside.mkdir(parents=True)
        (inside / f"{number % 100:02d}.bin").write_bytes(secrets.token_bytes(256))


def row_proof_bytes(table: Path) -> int | None:
    """Size of the proof of one row in the middle, as canonical JSON."""
    try:
        from usufruct.crypto import canonical
        from usufruct.evidence.proofs import prove_row
    except ImportError:
        return None
    manifest = build_manifest(table)
    number = manifest.rows // 2
    from usufruct.assets.tables import read_rows

    fields = next(
        fields
        for row, (fields, _) in enumerate(read_rows([table.read_bytes()], ","))
        if row == number
    )
    proof = prove_row(manifest, table.name, number + 1, fields)
    proof.verify(manifest.content_root)
    return len(canonical.dumps(proof.to_dict()))


def run_peer(large: Path, small: Path, runs: int, size: int, count: int) -> dict[str, Any] | None:
    python = CACHE / "model-signing/bin/python"
    try:
        if not python.exists():
            shutil.rmtree(python.parent.parent, ignore_errors=True)
            python.parent.parent.parent.mkdir(parents=True, exist_ok=True)
            make = [sys.executable, "-m", "venv", str(python.parent.parent)]
            subprocess.run(make, check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "-q", *PEER_PACKAGES]
            subprocess.run(install, check=True, capture_output=True, timeout=600)
        done = subprocess.run(
            [str(python), "-c", PEER_CODE, str(large), str(small), str(runs)],
            check=True,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return {
            "name": f"{PEER} {found['version']}",
            "gb_per_cpu_second": size / found["large"]["cpu"] / 1e9,
            "large_config": found["large"]["config"],
            "files_per_cpu_second": count / found["small"]["cpu"],
            "small_config": found["small"]["config"],
        }
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        shutil.rmtree(python.parent.parent, ignore_errors=True)
        detail = getattr(error, "stderr", None) or str(error)
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail
        print(f"{PEER} is left out: {text.strip()[-300:]}", file=sys.stderr)
        return None


def show(result: dict[str, Any]) -> None:
    peer = result["peer"] or {}
    verify, table = result["unchanged_verify"], result["table"]
    files = verify["files"]
    theirs = "{:.2f} ({})".format(peer["gb_per_cpu_second"], peer["large_config"]) if peer else "-"
    small = (
        "{:,.0f} ({})".format(peer["files_per_cpu_second"], peer["small_config"]) if peer else "-"
    )
    proof = table["row_proof_bytes"]
    lines = [
        ("", "usufruct", peer.get("name", "peer left out")),
        (
            f"large file of {result['large_file']['bytes'] >> 20} MiB, GB per CPU-second",
            f"{result['large_file']['gb_per_cpu_second']:.2f}",
            theirs,
        ),
        (
            f"{files:,} small files, files per CPU-second",
            f"{result['small_files']['files_per_cpu_second']:,.0f}",
            small,
        ),
        (f"unchanged verify of {files:,} files, seconds", f"{verify['seconds']:.2f}", "-"),
        (f"full verify of {files:,} files, seconds", f"{verify['seconds_reading_all']:.2f}", "-"),
        ("table rows per CPU-second", f"{table['rows_per_cpu_second']:,.0f}", "-"),
        (
            f"proof of one row of {table['rows']:,}, bytes",
            "-" if proof is None else f"{proof:,}",
            "-",
        ),
    ]
    print(result["machine"])
    for label, ours, other in lines:
        print(f"{label:<48} {ours:>12}  {other}")


if __name__ == "__main__":
    raise SystemExit(main())
