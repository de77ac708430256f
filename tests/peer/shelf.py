"""A sealed version, and a small node that serves it honestly or lies by script."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from usufruct.assets.delivery import (
    GrantedKeys,
    delivery_info,
    make_delivery,
    open_delivery,
)
from usufruct.assets.manifest import build_manifest
from usufruct.assets.sealing import SealedAsset, SealKeys, seal_asset
from usufruct.crypto import canonical
from usufruct.crypto.identity import Identity
from usufruct.evidence.content import Manifest
from usufruct.ledger.account import Account
from usufruct.peer.client import NodeClient
from usufruct.peer.downloads import Source
from usufruct.peer.partial import Partial
from usufruct.peer.requests import check_request, read_request
from usufruct.types import AssetId, Digest, LicenceId
from usufruct.vault import Vault

CHAIN = 20_817
ASSET = AssetId("a1" * 32)
LICENCE = LicenceId("c3" * 32)
NOW = 1_800_000_000
SELLER = Identity("Sal", bytes([7]) * 32)
BUYER = Identity("Bea", bytes([9]) * 32)
OBJECTS = f"/assets/{ASSET}/versions/1/objects/"

Answer = Callable[["Handler"], bool]
"""Answers a request in its own way and returns True, or leaves it to the honest node."""


@dataclass
class Shelf:
    """A version in a vault, with all that its owner knows of it."""

    folder: Path
    data: Path
    manifest: Manifest
    keys: SealKeys
    sealed: SealedAsset

    @property
    def root(self) -> Digest:
        return Digest(self.manifest.content_root.hex())

    @property
    def info(self) -> bytes:
        return delivery_info(ASSET, 1, LICENCE, BUYER.address, self.root)

    def granted(self) -> GrantedKeys:
        number, chunks = len(self.sealed.files), self.sealed.manifest.chunks
        key = BUYER.public.encryption_key
        message = make_delivery(self.keys, number, chunks, key, self.info)
        return open_delivery(BUYER, message, self.info, sealed=self.sealed)

    def part(self, target: Path) -> Partial:
        return Partial(target, asset=ASSET, number=1, licence=LICENCE, root=self.root)

    def path(self, object_id: str) -> Path:
        return self.folder / f"{object_id}.sealed"


def make_shelf(folder: Path, files: dict[str, bytes], *, secret: bytes = bytes(32)) -> Shelf:
    data = folder / "source"
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    manifest = build_manifest(data)
    keys = SealKeys(secret)
    vault = folder / "vault"
    return Shelf(vault, data, manifest, keys, seal_asset(data, manifest, Vault(vault), keys))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Node

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            self._do()

    do_POST = do_GET

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, self.headers.get("Range")))
        for pattern, lie in list(self.server.lies):
            if re.search(pattern, self.path) and lie(self):
                return
        self.server.honest(self)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, *parts: bytes) -> bool:
        """Write bytes as they are, then hang up."""
        for part in parts:
            self.wfile.write(part)
        self.close_connection = True
        return True


@dataclass
class Node(ThreadingHTTPServer):
    """An honest node until `lies` says otherwise; `seen` has every request."""

    shelf: Shelf | None = None
    lies: list[tuple[str, Answer]] = field(default_factory=list)
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    clients: list[NodeClient] = field(default_factory=list)
    daemon_threads = True
    block_on_close = False

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    __hash__ = object.__hash__

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def client(self, **more: Any) -> NodeClient:
        known: dict[str, Any] = {
            "account": Account(BUYER.account_secret),
            "chain_id": CHAIN,
            "node": SELLER.address,
            "timeout": 5.0,
            "clock": lambda: NOW,
        }
        client = NodeClient(self.url, **(known | more))
        self.clients.append(client)
        return client

    def source(self, **more: Any) -> Source:
        assert self.shelf is not None
        return Source(self.client(**more), ASSET, 1, LICENCE, self.shelf.sealed)

    def lie(self, pattern: str, answer: Answer) -> None:
        self.lies.append((pattern, answer))

    def json(self, pattern: str, value: Any, status: int = 200) -> None:
        self.bytes(pattern, json.dumps(value).encode(), status)

    def bytes(self, pattern: str, body: bytes, status: int = 200) -> None:
        self.lie(pattern, lambda handler: handler.say(status, body) or True)

    def honest(self, handler: Handler) -> None:
        path = handler.path
        if path == "/node":
            said = {"format": "usufruct/node/v1", "party": SELLER.public.to_dict()}
            handler.say(200, json.dumps(said | {"chain_id": CHAIN}).encode())
            return
        who = check_request(
            read_request(handler.headers),
            chain_id=CHAIN,
            node=SELLER.address,
            method=handler.command,
            path=path,
            body=handler.body,
            now=NOW,
        )
        assert who == BUYER.address
        assert self.shelf is not None
        if path.startswith(OBJECTS):
            self.part(handler, path.removeprefix(OBJECTS).split("?")[0])
        elif "/sealed?" in path:
            handler.say(200, self.shelf.sealed.to_bytes())
        else:
            handler.say(404, canonical.dumps({"error": "NotFound", "message": "?", "hint": None}))

    def part(self, handler: Handler, object_id: str, spoil: Callable[[int, bytes], bytes] = max):
        """Send a range of an object, passed through `spoil(start, data)` if that is given."""
        assert self.shelf is not None
        path = self.shelf.path(object_id)
        size = path.stat().st_size
        first, last = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(last + 1 - first)
        if spoil is not max:
            data = spoil(first, data)
        handler.say(206, data, Content_Range=f"bytes {first}-{last}/{size}")


@contextlib.contextmanager
def serving(shelf: Shelf | None = None) -> Iterator[Node]:
    node = Node(shelf)
    thread = threading.Thread(target=node.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield node
    finally:
        for client in node.clients:
            client.close()
        node.shutdown()
        node.server_close()
        thread.join()
