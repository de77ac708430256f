"""A node over a made-up index: HTTP, signatures and limits without a ledger."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usufruct.crypto.dsse import Envelope
from usufruct.crypto.hash import sha256
from usufruct.crypto.identity import Identity
from usufruct.errors import NotFound
from usufruct.evidence.statements import sign_statement
from usufruct.ledger.account import Account
from usufruct.ledger.bindings.licences import UNCOUNTED
from usufruct.ledger.bindings.offers import Offer, licence_id
from usufruct.ledger.records import AssetRecord, PartyRecord, VersionRecord
from usufruct.market.statements import Grant
from usufruct.node.app import create_app
from usufruct.node.auth import Gate
from usufruct.node.captions import Caption
from usufruct.node.catalogue import Catalogue
from usufruct.node.delivery import Desk
from usufruct.node.denylist import DenyList
from usufruct.node.librarian import Librarian
from usufruct.node.limits import Limits
from usufruct.node.logs import RequestLog
from usufruct.node.memory import Memory
from usufruct.node.metrics import Metrics
from usufruct.node.server import NodeServer, many_files
from usufruct.node.slots import Slots
from usufruct.node.state import About, NodeState
from usufruct.peer.requests import sign_request
from usufruct.types import ZERO_ADDRESS, AssetId, AssetKind, AssetState, Digest, LicenceId, Use

CHAIN = 31337
NOW = 1_800_000_000
OPERATOR = Identity("operator", b"\1" * 32)
HOLDER = Account(b"\2" * 32)
OTHER = Account(b"\3" * 32)
CONTRACT = "0x" + "ab" * 20
ASSET = AssetId("a1" * 32)
ELSE = AssetId("b2" * 32)
TERMS = b"You may read it.\n"
OBJECT = "0" * 40


def offer(**changes: Any) -> Offer:
    fields: dict[str, Any] = {
        "asset": ASSET,
        "use": Use.DOWNLOAD,
        "price": 5,
        "token": ZERO_ADDRESS,
        "period": 0,
        "uses": 0,
        "cap": 0,
        "refund_window": 0,
        "royalty": 0,
        "transferable": False,
        "allow_root": bytes(32),
        "terms": sha256(TERMS),
        "salt": 0,
    }
    return Offer(**(fields | changes))


@dataclass(frozen=True, slots=True)
class Made:
    offer_id: str
    offer: Offer
    open: bool = True
    sold: int = 1


@dataclass(frozen=True, slots=True)
class Licensed:
    licence: LicenceId
    offer_id: str
    asset: AssetId
    holder: str
    expiry: int = 0
    uses: int = UNCOUNTED
    used: int = 0
    refund_deadline: int = 0
    state: str = "settled"
    block: int = 1


@dataclass
class StubIndex:
    """What the ledger is said to hold."""

    made: dict[str, AssetRecord] = field(default_factory=dict)
    sold: dict[str, Licensed] = field(default_factory=dict)
    terms: dict[str, Made] = field(default_factory=dict)

    def asset(self, asset: str) -> AssetRecord | None:
        return self.made.get(asset)

    def assets(self) -> list[AssetRecord]:
        return list(self.made.values())

    def versions(self, asset: str) -> list[VersionRecord]:
        return []

    def party(self, address: str) -> PartyRecord | None:
        return None

    def parties(self) -> list[PartyRecord]:
        key = bytes(32)
        return [PartyRecord(OPERATOR.address, key, key, "operator", "", 1, NOW, "0x")]

    def block_hash(self, block: int) -> str | None:
        return "0x" + "ab" * 32

    def parents(self, asset: str) -> list[AssetId]:
        return [ELSE] if asset == ASSET else []

    def offers(self, asset: str | None = None, open_only: bool = False) -> list[Made]:
        return [
            one
            for one in self.terms.values()
            if asset in (None, one.offer.asset) and (one.open or not open_only)
        ]

    def offer(self, offer_id: str) -> Made | None:
        return self.terms.get(offer_id)

    def licence(self, licence: str) -> Licensed | None:
        return self.sold.get(licence)

    def licences(self, *, asset: str | None = None) -> list[Licensed]:
        return [one for one in self.sold.values() if asset in (None, one.asset)]

    def sell(self, terms: Offer, **changes: Any) -> LicenceId:
        """Sell a licence to the holder."""
        self.terms[terms.offer_id] = Made(terms.offer_id, terms)
        serial = len(self.sold) + 1
        id_ = licence_id(terms.offer_id, serial)
        fields: dict[str, Any] = {"asset": terms.asset, "holder": HOLDER.address}
        if terms.uses:
            fields["uses"] = terms.uses
        self.sold[id_] = Licensed(id_, terms.offer_id, **(fields | changes))
        return id_

    def change(self, licence: LicenceId, **changes: Any) -> None:
        self.sold[licence] = replace(self.sold[licence], **changes)

    def add(self, asset: AssetId, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "asset": asset,
            "creator": OPERATOR.address,
            "owner": OPERATOR.address,
            "kind": AssetKind.DATASET,
            "state": AssetState.ACTIVE,
            "versions": 1,
            "latest_root": b"\7" * 32,
            "split_hash": bytes(32),
            "metadata": bytes.fromhex(asset),
            "uri": "",
            "salt": bytes(16),
            "block": 1,
            "timestamp": NOW,
            "tx_hash": "0x",
        }
        self.made[asset] = AssetRecord(**(fields | changes))


@dataclass
class StubChain:
    """A ledger that is read when asked; `news` happens at the next reading."""

    lag: float = 0.0
    readings: int = 0
    final: int = 10**9
    news: list[Any] = field(default_factory=list)

    def newer_than(self, moment: float) -> bool:
        self.readings += 1
        while self.news:
            self.news.pop()()
        return True

    def is_final(self, block: int) -> bool:
        return block <= self.final


class Sealed:
    digest = Digest("5e" * 32)
    files = ()

    def to_bytes(self) -> bytes:
        return b'{"sealed":"digests"}'


class StubDeliveries:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.granted: list[Any] = []
        self.probed: list[bytes] = []

    def version(self, asset: AssetId, number: int) -> tuple[Digest, Digest]:
        if asset not in (ASSET, ELSE) or number != 1:
            raise NotFound("no such version")
        return Digest("77" * 32), Digest("78" * 32)

    def sealed(self, asset: AssetId, number: int) -> Any:
        self.version(asset, number)
        return Sealed()

    def object_path(self, asset: AssetId, number: int, object_id: str) -> Path:
        self.version(asset, number)
        if object_id != OBJECT:
            raise NotFound("no such object")
        return self.path

    def grant(self, asset: AssetId, number: int, **about: Any) -> bytes:
        self.granted.append((asset, number, about))
        return b"keys"

    def probe(self, asset: AssetId, number: int, *, seed: bytes, **about: Any) -> bytes:
        self.probed.append(seed)
        return b"key"

    def evidence(self, asset: AssetId, number: int) -> bytes:
        self.version(asset, number)
        return b"bundle"


class StubCaptions:
    def changed(self) -> bool:
        return False

    def read(self) -> None:
        pass

    def of(self, index: Any, asset: AssetRecord) -> Caption | None:
        if asset.asset == ASSET:
            return Caption(ASSET, "Heart disease, Cleveland", "303 patients, 14 columns")
        return None


@dataclass
class Node:
    """A node under test."""

    state: NodeState
    app: Any
    index: StubIndex
    chain: StubChain
    deliveries: StubDeliveries
    memory: Memory
    folder: Path
    clock: list[int]
    server: NodeServer | None = None

    def sign(self, method: str, path: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        named: dict[str, Any] = {
            "chain_id": CHAIN,
            "node": OPERATOR.address,
            "method": method,
            "path": path,
            "body": body,
            "now": self.clock[0],
        }
        account = changes.pop("account", HOLDER)
        return sign_request(account, **(named | changes))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        assert self.server is not None
        host, port = self.server.url.partition("://")[2].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request(method, path, body or None, headers or {})
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def signed(self, method: str, path: str, body: bytes = b"", **more: Any) -> Answer:
        extra = more.pop("headers", {})
        return self.ask(method, path, body, self.sign(method, path, body, **more) | extra)

    def connect(self, source: str | None = None) -> socket.socket:
        assert self.server is not None
        host, port = self.server.url.partition("://")[2].rsplit(":", 1)
        return socket.create_connection(
            (host, int(port)), timeout=20, source_address=None if source is None else (source, 0)
        )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def grant_body(licence: Any, /, **more: Any) -> bytes:
    fields: dict[str, Any] = {"licence": licence, "encryption_key": "11" * 32}
    return json.dumps(fields | more).encode()


@contextlib.contextmanager
def node(
    folder: Path, *, serve: bool = True, limits: Limits | None = None, size: int = 100_000
) -> Iterator[Node]:
    folder.mkdir(exist_ok=True)
    data = folder / "object"
    if not data.exists():
        data.write_bytes(os.urandom(size))
    limits = limits or Limits()
    index, chain, deliveries = StubIndex(), StubChain(), StubDeliveries(data)
    index.add(ASSET)
    index.add(ELSE, kind=AssetKind.MODEL, owner=OTHER.address)
    clock = [NOW]
    with ExitStack() as stack:
        stack.enter_context(many_files())
        memory = Memory(folder / "node.sqlite")
        stack.callback(memory.close)
        catalogue = Catalogue(folder / "catalogue.sqlite")
        stack.callback(catalogue.close)
        pool = stack.enter_context(ThreadPoolExecutor(8))
        index.terms[offer().offer_id] = Made(offer().offer_id, offer())
        Librarian(catalogue, index, StubCaptions(), deliveries, OPERATOR.address).refresh()
        metrics = Metrics(lambda: chain.lag)

        def refused(reason: str) -> None:
            metrics.refused.labels(reason).inc()

        def stated(record: Any, terms: Offer, asset: AssetId, number: int, root: Any) -> Envelope:
            grant = Grant(
                record.licence,
                record.offer_id,
                Digest(terms.terms.hex()),
                record.holder,
                asset,
                number,
                root,
                Sealed.digest,
                "2027-01-15T08:00:00Z",
            )
            return sign_statement(grant.payload(), [OPERATOR])

        stream = stack.enter_context((folder / "log").open("a"))
        log = RequestLog(stream)
        stack.callback(log.close)
        state = NodeState(
            about=lambda: About(
                OPERATOR.public.to_dict(), CHAIN, "stub", {"Licences": CONTRACT}, "http://x"
            ),
            index=index,
            chain=chain,
            catalogue=catalogue,
            deliveries=deliveries,
            terms=lambda digest: TERMS if digest == sha256(TERMS) else None,
            gate=Gate(
                CHAIN,
                OPERATOR.address,
                memory,
                DenyList(folder / "deny.txt"),
                workers=pool,
                limits=limits,
                clock=lambda: clock[0],
                refused=refused,
            ),
            desk=Desk(
                index,
                chain,
                deliveries,
                memory,
                chain_id=CHAIN,
                licences=CONTRACT,
                state=stated,
                clock=lambda: clock[0],
                refused=refused,
            ),
            slots=Slots(limits.downloads, limits.downloads_per_account, metrics.downloads),
            metrics=metrics,
            log=log,
            workers=pool,
            readers=pool,
            limits=limits,
        )
        made = Node(state, create_app(state), index, chain, deliveries, memory, folder, clock)
        if serve:
            made.server = stack.enter_context(NodeServer(made.app, limits=limits))
        yield made
