"""Downloading sealed assets: one large one, and many at once; client and server two processes.

``python bench/delivery.py [--size 2048] [--many 64] [--each 32] [--folder DIR] [--json]``
(sizes in MiB). Two servers. ``node``: our node's HTTP side with signatures, nonces and limits, over
an index made up by its tests. ``sendfile``: the smallest server that can be, so that what is
measured is the client: ranges, opening, holding each chunk against the manifest, writing, fsync.
Beside it in the same run: curl and wget fetching the same ciphertext, and curl from Python's
http.server; these neither open nor check anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from usufruct.assets.delivery import delivery_info, make_delivery, open_delivery
from usufruct.assets.manifest import build_manifest
from usufruct.assets.sealing import SealedAsset, SealKeys, seal_asset
from usufruct.crypto.identity import Identity
from usufruct.evidence.content import Manifest
from usufruct.ledger.account import Account
from usufruct.peer.client import NodeClient
from usufruct.peer.downloads import Source, load_files, load_manifest
from usufruct.peer.partial import Partial
from usufruct.types import AssetId, Digest, LicenceId
from usufruct.units import MIB
from usufruct.vault import Vault

ASSET, LICENCE = AssetId("a1" * 32), LicenceId("c3" * 32)
BUYER = Identity("Bea", bytes([9]) * 32)
SECRET = bytes(32)

# as in tests/node/stub.py
CHAIN, NOW, HOLDER = 31337, 1_800_000_000, b"\2" * 32
OPERATOR = Identity("operator", b"\1" * 32).address


class Serve(socketserver.StreamRequestHandler):
    """Answers ``GET .../objects/ID`` with a range of a file."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        while True:
            head = b""
            while line := self.rfile.readline(65536):
                head += line
                if line == b"\r\n":
                    break
            if not head:
                return
            name = head.split(b" ")[1].split(b"?")[0].rpartition(b"/")[2].decode()
            with Path(sys.argv[2], f"{name}.sealed").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                found = re.search(rb"(?i)range: bytes=(\d+)-(\d+)", head)
                first, last = map(int, found.groups()) if found else (0, size - 1)
                status = b"206 P" if found else b"200 OK"
                span = f"Content-Range: bytes {first}-{last}/{size}\r\n".encode() if found else b""
                length = b"Content-Length: %d\r\n\r\n" % (last + 1 - first)
                self.wfile.write(b"HTTP/1.1 " + status + b"\r\n" + span + length)
                while first <= last:
                    first += os.sendfile(
                        self.connection.fileno(), file.fileno(), first, last + 1 - first
                    )


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 256
    daemon_threads = True
    allow_reuse_address = True


def peak(process: int | str = "self") -> float:
    """Return the most memory a process ever had, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def serve() -> None:
    with Server(("127.0.0.1", 0), Serve) as server:
        print(f"http://127.0.0.1:{server.server_address[1]} {LICENCE}", flush=True)
        server.serve_forever()


def serve_node() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.node.stub import node, offer

    from usufruct.node.limits import Limits

    vault = Path(sys.argv[2])
    many = {"downloads": 256, "downloads_per_account": 256, "account_rate": 1e6}
    limits = Limits(**many, rate=1e6, connections_per_peer=256)
    with tempfile.TemporaryDirectory() as folder, node(Path(folder), limits=limits) as made:
        made.deliveries.object_path = lambda asset, number, name: vault / f"{name}.sealed"
        licence = made.index.sell(offer())
        print(f"{made.server.url} {licence}", flush=True)
        while True:
            time.sleep(60)


def make(folder: Path, mebibytes: int) -> Path:
    """Publish and seal random bytes; return the folder of the shelf."""
    source = folder / "source"
    source.mkdir(parents=True)
    with (source / "data.bin").open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(MIB))
    manifest = build_manifest(source)
    sealed = seal_asset(source, manifest, Vault(folder / "vault"), SealKeys(SECRET))
    (folder / "manifest").write_bytes(manifest.to_bytes())
    (folder / "sealed").write_bytes(sealed.to_bytes())
    shutil.rmtree(source)
    return folder


def download(folder: Path, url: str, right: str, targets: list[Path]) -> dict[str, float]:
    """Download to each target in a thread of its own."""
    licence = LicenceId(right)
    manifest = Manifest.from_bytes((folder / "manifest").read_bytes())
    sealed = SealedAsset.from_bytes((folder / "sealed").read_bytes())
    root = Digest(manifest.content_root.hex())
    info = delivery_info(ASSET, 1, licence, BUYER.address, root)
    key = BUYER.public.encryption_key
    count, chunks = len(sealed.files), sealed.manifest.chunks
    message = make_delivery(SealKeys(SECRET), count, chunks, key, info)
    keys = open_delivery(BUYER, message, info, sealed=sealed)
    failed: list[BaseException] = []

    def one(target: Path) -> None:
        try:
            account = Account(HOLDER)
            client = NodeClient(
                url, account=account, chain_id=CHAIN, node=OPERATOR, clock=lambda: NOW
            )
            with client:
                source = Source(client, ASSET, 1, licence, sealed)
                found = load_manifest(source, keys, root)
                about = {"asset": ASSET, "number": 1, "licence": licence, "root": root}
                with Partial(target, **about) as part:
                    load_files(source, keys, found, part)
                    part.finish(len(found.files))
        except BaseException as error:
            failed.append(error)
            raise

    cpu, start = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if failed:
        raise failed[0]
    size = manifest.size * len(targets)
    return {
        "MB/s": size / seconds / 1e6,
        "client MB/s a CPU-second": size / (time.process_time() - cpu) / 1e6,
        "client peak RSS, MiB": peak(),
    }


def child(*arguments: object) -> dict[str, float]:
    os.sync()  # what was written before is not this measure's to wait for
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def timed(size: int, command: list[str]) -> float:
    os.sync()
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return size / (time.perf_counter() - start) / 1e6


@contextlib.contextmanager
def served(kind: str, vault: Path) -> Iterator[tuple[int, str, str]]:
    """Give process, URL and licence of a server over a vault."""
    command = [sys.executable, __file__, kind, str(vault)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url, licence = process.stdout.readline().split()
            yield process.pid, url, licence
        finally:
            process.kill()


def yardsticks(vault: Path, name: str, out: Path) -> dict[str, float]:
    size = (vault / name).stat().st_size
    tools = {"curl": ["curl", "-s", "-o"], "wget": ["wget", "-q", "-O"]}
    result: dict[str, float] = {}
    with served("--serve", vault) as (_, url, _):
        for tool, command in tools.items():
            if shutil.which(tool):
                link = f"{url}/{name.removesuffix('.sealed')}"
                result[f"sendfile to {tool}, no checks: MB/s"] = timed(
                    size, [*command, str(out), link]
                )
                out.unlink()
    if shutil.which("curl"):
        command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
        with subprocess.Popen(
            command, cwd=vault, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as plain:
            assert plain.stdout is not None
            port = plain.stdout.readline().split(b" port ")[1].split()[0].decode()
            curl = ["curl", "-s", "-o", str(out), f"http://127.0.0.1:{port}/{name}"]
            result["http.server to curl, no checks: MB/s"] = timed(size, curl)
            plain.kill()
        out.unlink()
    return result


def measure(folder: Path, size: int, many: int, each: int) -> dict[str, float]:
    large, small = make(folder / "large", size), make(folder / "small", each)
    name = max((large / "vault").iterdir(), key=lambda path: path.stat().st_size).name
    result = yardsticks(large / "vault", name, folder / "out")
    for label, kind in (("sendfile", "--serve"), ("node", "--serve-node")):
        for shelf, count, each_size in ((large, 1, size), (small, many, each)):
            targets = [folder / f"{kind}{number}-{each_size}" for number in range(count)]
            with served(kind, shelf / "vault") as (process, url, licence):
                found = child("--fetch", shelf, url, licence, *targets)
                found["server peak RSS, MiB"] = peak(process)
            case = f"{label}, {count} x {each_size} MiB"
            result |= {f"{case}: {figure}": value for figure, value in found.items()}
            for target in targets:
                shutil.rmtree(target)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--many", type=int, default=64)
    parser.add_argument("--each", type=int, default=32)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options.size, options.many, options.each)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{value:12.1f}  {name}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve()
    elif sys.argv[1:2] == ["--fetch"]:
        paths = [Path(text) for text in sys.argv[5:]]
        print(json.dumps(download(Path(sys.argv[2]), sys.argv[3], sys.argv[4], paths)))
    elif sys.argv[1:2] == ["--serve-node"]:
        serve_node()
    else:
        main()
