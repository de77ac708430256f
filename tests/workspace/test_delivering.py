"""From a seller's home to a buyer's folder: sealed copies, keys, evidence, and every lie."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.peer.shelf import BUYER, CHAIN, LICENCE, NOW, Handler, Node
from tests.workspace.crashing import calls, play
from tests.workspace.homes import PASSPHRASE, ROWS, Command

from usufruct.assets.delivery import (
    delivery_info,
    open_delivery,
    open_probe,
    pick_chunk,
    probe_seed,
)
from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import Identity
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
)
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.statements import PAYLOAD_TYPE
from usufruct.evidence.verify import verify_bundle
from usufruct.ledger.account import Account, recover
from usufruct.ledger.bindings import licences
from usufruct.peer.requests import check_request, read_request
from usufruct.ports import SILENT
from usufruct.types import Address, AssetId, Digest
from usufruct.vault import Vault
from usufruct.workspace import sealing
from usufruct.workspace.delivering import Deliveries, prepare
from usufruct.workspace.fetching import Fetched, check_sealed_list, fetch
from usufruct.workspace.home import Home
from usufruct.workspace.session import Session
from usufruct.workspace.verifying import verify

BIG = bytes(range(256)) * 9000
HOLDER = {"licence": LICENCE, "holder": BUYER.address}
BLOCK_HASH = "0x" + "ab" * 32
CONTRACT = Address("0x" + "77" * 20)


def seller(home: Path) -> Identity:
    return Home.open(home).unlock(lambda: PASSPHRASE)


@contextlib.contextmanager
def session(home: Path) -> Iterator[Session]:
    with Session(Home.open(home), passphrase=lambda: PASSPHRASE) as opened:
        yield opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(exist_ok=True)
    (folder / "people.csv").write_text(ROWS)
    (folder / "sub").mkdir()
    (folder / "sub" / "big").write_bytes(BIG)
    (folder / "empty").touch()
    return folder


@pytest.fixture
def asset(usufruct: Command, data: Path) -> AssetId:
    return AssetId(usufruct.ok("publish", data, "--title", "d")["asset"])


@pytest.fixture
def deliveries(home: Path, asset: AssetId) -> Iterator[Deliveries]:
    with session(home) as opened:
        prepare(opened, asset)
    made = Deliveries(home, seller(home))
    yield made
    made.close()


def test_prepare_seals_once_what_was_published_open(home: Path, asset: AssetId, data: Path):
    with session(home) as opened:
        with pytest.raises(NotFound, match="no sealed copy"):
            Deliveries(home, opened.identity).sealed(asset, 1)
        sealed = prepare(opened, asset)
        written = {path: path.stat().st_mtime_ns for path in (home / "vault").iterdir()}
        assert len(written) == 5
        assert prepare(opened, asset, 1) == sealed
        assert {p: p.stat().st_mtime_ns for p in (home / "vault").iterdir()} == written
        assert opened.records.unfinished() == []
        with pytest.raises(NotFound):
            prepare(opened, asset, 2)
        with pytest.raises(NotFound):
            prepare(opened, AssetId("00" * 32))
        shutil.rmtree(data)
        assert prepare(opened, asset) == sealed
    for path in (home / "vault").iterdir():
        assert b"person 7" not in path.read_bytes()


def test_keys_are_those_of_a_version_published_sealed(usufruct: Command, home: Path, data: Path):
    made = usufruct.ok("publish", data, "--title", "s", "--sealed")
    with session(home) as opened:
        sealed = prepare(opened, made["asset"])
        deliveries = Deliveries(home, opened.identity)
        message = deliveries.grant(
            made["asset"], 1, **HOLDER, encryption_key=BUYER.public.encryption_key
        )
        root = Digest(made["content_root"])
        info = delivery_info(made["asset"], 1, LICENCE, BUYER.address, root)
        keys = open_delivery(BUYER, message, info, sealed=sealed)
        vault = Vault(home / "vault")
        parts = [bytes(c) for c in vault.get(sealed.files[2].object_id, keys.file(2))]
        assert b"".join(parts) == BIG
        deliveries.close()
        # a broken copy of what only stands here is not quietly made anew
        (home / "vault" / f"{sealed.files[0].object_id}.sealed").unlink()
        with pytest.raises(VerificationError, match="broken"):
            prepare(opened, made["asset"])


def test_a_source_that_changed_or_went(home: Path, asset: AssetId, data: Path):
    (data / "sub" / "big").write_bytes(BIG[:-1] + b"x")
    with session(home) as opened:
        with pytest.raises(BadInput, match="cannot be sealed"):
            prepare(opened, asset)
        assert list((home / "vault").iterdir()) == []
        assert opened.records.unfinished() == []
        (data / "sub" / "big").write_bytes(BIG)
        (data / "more").write_text("is no harm: only what was published is sealed")
        prepare(opened, asset)
        # a damaged copy is made again while the source stands
        largest = max((home / "vault").iterdir(), key=lambda path: path.stat().st_size)
        largest.write_bytes(b"")
        prepare(opened, asset)
        assert largest.stat().st_size > len(BIG)
        largest.unlink()
        shutil.rmtree(data)
        with pytest.raises(NotFound, match="not where they were"):
            prepare(opened, asset)


def test_another_identity_of_the_home_prepares_nothing(
    usufruct: Command, home: Path, asset: AssetId
):
    usufruct.ok("id", "new", "Zoe")
    usufruct.ok("id", "use", "Zoe")
    with session(home) as opened:
        with pytest.raises(NotAllowed):
            prepare(opened, asset)
        theirs = Deliveries(home, opened.identity)
        for ask in (theirs.sealed, theirs.version, theirs.evidence):
            with pytest.raises(NotFound):
                ask(asset, 1)
        theirs.close()


CRASH = """
from pathlib import Path
from usufruct.workspace.session import Session
from usufruct.workspace.home import Home
from usufruct.workspace.delivering import prepare
import os
identity = Home.open(Path("home")).unlock(lambda: os.environ["USUFRUCT_PASSPHRASE"])
with Session(Home.open(Path("home")), identity=identity) as session:
    asset = session.assets_store.assets()[0].id
    armed()
    prepare(session, asset)
"""


@pytest.mark.long
def test_killed_at_every_touch_of_the_disk(home: Path, asset: AssetId, tmp_path: Path):
    kept = tmp_path / "kept"
    shutil.copytree(home, kept)
    count = None
    at = 0.5
    while count is None or at <= count:
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        code, said = play(CRASH, at if count is not None else 0, tmp_path)
        if count is None:
            assert code == 0
            count = calls(said)
            continue
        with session(home) as opened:
            sealed = prepare(opened, asset)
            assert opened.records.unfinished() == []
        names = {f"{one.object_id}.sealed" for one in sealed.objects}
        left = {p.name for p in (home / "vault").iterdir() if p.suffix == ".sealed"}
        assert left == names
        at += 0.5


def test_a_crash_in_the_middle_leaves_nothing(home: Path, asset: AssetId, tmp_path: Path):
    _, said = play(CRASH, 0, tmp_path)
    shutil.rmtree(home / "vault")
    code, _ = play(CRASH, calls(said) // 2, tmp_path)
    assert code == -9
    with session(home) as opened:
        sealed = prepare(opened, asset)
        assert opened.records.unfinished() == []
    names = {f"{one.object_id}.sealed" for one in sealed.objects}
    assert {p.name for p in (home / "vault").iterdir() if p.suffix == ".sealed"} == names


def test_what_is_handed_out(deliveries: Deliveries, home: Path, asset: AssetId):
    root, statement = deliveries.version(asset, 1)
    sealed = deliveries.sealed(asset, 1)
    for one in sealed.objects:
        path = deliveries.object_path(asset, 1, one.object_id)
        assert path.parent == home / "vault" and path.stat().st_size == one.sealed_size
    bundle = Bundle.from_bytes(deliveries.evidence(asset, 1))
    report = verify_bundle(bundle)
    assert (report.content_root, report.statement) == (root, statement)
    assert bundle.manifest is None
    assert deliveries.evidence(asset, 1) == bundle.to_bytes()
    seed = bytes([3]) * 32
    key = BUYER.public.encryption_key
    message = deliveries.probe(asset, 1, **HOLDER, encryption_key=key, seed=seed)
    info = delivery_info(asset, 1, LICENCE, BUYER.address, root)
    place = pick_chunk(sealed, seed)
    probe = open_probe(BUYER, message, info, place)
    path = deliveries.object_path(asset, 1, sealed.files[place[0]].object_id)
    step = (1 << 20) + 48
    probe.check(sealed, path.read_bytes()[place[1] * step :][:step], root)
    for number in (0, 2, -1, True, "1"):
        with pytest.raises(NotFound):
            deliveries.sealed(asset, number)  # type: ignore[arg-type]
    for text in ("", asset[:8], asset.upper() + "0", "d", "../" + asset):
        with pytest.raises(NotFound):
            deliveries.version(AssetId(text), 1)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../assets.sqlite", "/etc/passwd", "a\0b", "x" * 300, "home.json"]
)
def test_nothing_outside_the_vault(deliveries: Deliveries, asset: AssetId, name: str):
    with pytest.raises(NotFound):
        deliveries.object_path(asset, 1, name)


def test_an_object_that_is_a_link_or_gone(deliveries: Deliveries, asset: AssetId, tmp_path: Path):
    one = deliveries.sealed(asset, 1).files[0]
    path = deliveries.object_path(asset, 1, one.object_id)
    path.rename(tmp_path / "away")
    with pytest.raises(NotFound):
        deliveries.object_path(asset, 1, one.object_id)
    path.symlink_to(tmp_path / "away")
    with pytest.raises(NotFound):
        deliveries.object_path(asset, 1, one.object_id)


def test_it_sees_what_a_writer_does_meanwhile(
    usufruct: Command, deliveries: Deliveries, home: Path, asset: AssetId, data: Path
):
    before = deliveries.evidence(asset, 1)
    (data / "more").write_text("more")
    with session(home) as writer:  # holds the lock
        assert deliveries.sealed(asset, 1)
        with pytest.raises(NotFound):
            deliveries.version(asset, 2)
        assert writer.home.path == home
    usufruct.ok("publish", data, "--update", "d")
    with pytest.raises(NotFound, match="no sealed copy"):
        deliveries.sealed(asset, 2)
    with session(home) as writer:
        prepare(writer, asset)
    assert len(deliveries.sealed(asset, 2).files) == 4
    assert deliveries.version(asset, 1) != deliveries.version(asset, 2)
    after = deliveries.evidence(asset, 1)
    assert after != before and verify_bundle(after).version == 1


@dataclass
class Market:
    """A seller's node over `Deliveries`, and a buyer whose ledger says what `licence` says."""

    node: Node
    deliveries: Deliveries
    asset: AssetId
    operator: Identity
    buyer: Any
    licence: licences.Licence
    acknowledged: list[bytes] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    granted: int = 0

    @property
    def root(self) -> Digest:
        return self.deliveries.version(self.asset, 1)[0]

    def fetch(self, target: Path, **more: Any) -> Fetched:
        about: dict[str, Any] = {
            "asset": self.asset,
            "version": 1,
            "licence": LICENCE,
            "node_url": self.node.url,
            "node_address": self.operator.address,
            "target": target,
            "root": self.root,
            "timeout": 5.0,
        }
        return fetch(self.buyer, **(about | more))

    def answer(self, handler: Handler) -> bool:
        path = handler.path
        if path == "/node":
            said = {"format": "usufruct/node/v1", "party": self.operator.public.to_dict()}
            return handler.say(200, json.dumps(said | {"chain_id": CHAIN}).encode()) or True
        if path.endswith("/evidence"):
            return handler.say(200, self.deliveries.evidence(self.asset, 1)) or True
        signed = read_request(handler.headers)
        about: dict[str, Any] = {"chain_id": CHAIN, "node": self.operator.address}
        about |= {"method": handler.command, "path": path, "body": handler.body}
        assert check_request(signed, now=NOW, **about) == BUYER.address
        if "/sealed?" in path:
            data = self.deliveries.sealed(self.asset, 1).to_bytes()
            return handler.say(200, data) or True
        if "/objects/" in path:
            name = path.rpartition("/")[2].split("?")[0]
            self.node.shelf.folder = self.deliveries.object_path(self.asset, 1, name).parent
            return self.node.part(handler, name) or True
        body = json.loads(handler.body)
        keys: dict[str, Any] = {
            **HOLDER,
            "encryption_key": bytes.fromhex(body["encryption_key"]),
        }
        if path.endswith("/probe"):
            seed = probe_seed(BLOCK_HASH, LICENCE, 1)
            message = self.deliveries.probe(self.asset, 1, **keys, seed=seed)
            said = {"grant": canonical.b64(message)}
            return handler.say(200, json.dumps(said).encode()) or True
        if "acknowledgement" in body:
            self.acknowledged.append(bytes.fromhex(body["acknowledgement"]["signature"]))
        elif self.licence.refund_deadline:
            return handler.say(403, b'{"error":"NotAllowed","message":"acknowledge"}') or True
        if "use" in body:
            where = licences.domain(CHAIN, CONTRACT)
            digest = licences.use_digest(where, LICENCE, body["use"]["total"])
            assert recover(digest, bytes.fromhex(body["use"]["signature"])) == BUYER.address
            self.totals.append(body["use"]["total"])
        self.granted += 1
        envelope = dsse.sign(PAYLOAD_TYPE, self.statement, [self.operator])
        said = {"grant": canonical.b64(self.deliveries.grant(self.asset, 1, **keys))}
        said |= {"statement": envelope.to_dict()}
        return handler.say(200, json.dumps(said).encode()) or True

    @property
    def statement(self) -> bytes:
        from usufruct.evidence.statements import CONTENT_ROOT, Subject, make_statement

        subject = Subject("d", CONTENT_ROOT, self.root)
        return make_statement("https://usufruct.dev/grant/v1", (subject,), {"licence": LICENCE})


FREE = licences.Licence(BUYER.address, 0, licences.UNCOUNTED, 0, 0)


@pytest.fixture
def market(deliveries: Deliveries, home: Path, asset: AssetId, tmp_path: Path) -> Iterator[Market]:
    from tests.peer.shelf import serving

    (tmp_path / "buyer").mkdir()
    network = SimpleNamespace(chain_id=CHAIN, address=lambda name: CONTRACT)
    made: list[Market] = []

    def call(view: Any) -> Any:
        # the second view of a licence is when it was challenged
        data = bytes(view.call.data) if hasattr(view, "call") else bytes(view.data)
        return made[0].licence if data[:4] == licences._LICENCE_VIEW else 0

    buyer = SimpleNamespace(
        account=Account(BUYER.account_secret),
        identity=BUYER,
        public=BUYER.public,
        clock=lambda: NOW,
        progress=SILENT,
        home=SimpleNamespace(path=tmp_path / "buyer"),
        connection=SimpleNamespace(network=network),
        ledger=SimpleNamespace(call=call),
        index=SimpleNamespace(
            licence=lambda licence: SimpleNamespace(block=7),
            block_hash=lambda block: BLOCK_HASH if block == 7 else None,
        ),
    )
    with serving() as node:
        made.append(Market(node, deliveries, asset, seller(home), buyer, FREE))
        node.shelf = SimpleNamespace(path=lambda name: home / "vault" / f"{name}.sealed")  # type: ignore[assignment]
        node.lie("", made[0].answer)
        yield made[0]


def test_fetched_and_verified_anywhere(market: Market, data: Path, tmp_path: Path):
    got = market.fetch(tmp_path / "out")
    assert (got.files, got.size, got.version) == (3, len(ROWS) + len(BIG), 1)
    assert (tmp_path / "out" / "sub" / "big").read_bytes() == BIG
    assert (tmp_path / "out" / "people.csv").read_text() == ROWS
    assert (tmp_path / "out" / "empty").read_bytes() == b""
    report = verify(str(tmp_path / "out"), full=True, home=tmp_path / "no-home")
    assert report.checked[0][0] == market.root
    assert got.statement is not None
    assert dsse.Envelope.from_bytes(got.statement.read_bytes()).payload == market.statement
    assert market.acknowledged == [] and market.totals == []
    with pytest.raises(AlreadyExists):
        market.fetch(tmp_path / "out")
    (tmp_path / "out" / "sub" / "big").write_bytes(BIG[:-1] + b"x")
    with pytest.raises(VerificationError):
        verify(str(tmp_path / "out"), full=True, home=tmp_path / "no-home")


def test_a_small_asset_is_acknowledged_without_a_probe(market: Market, tmp_path: Path):
    market.licence = replace(FREE, refund_deadline=NOW + 100)
    market.fetch(tmp_path / "out")
    assert not any("probe" in path for _, path, _ in market.node.seen)
    assert len(market.acknowledged) == 1


def test_a_refundable_licence_is_acknowledged_after_the_probe(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("usufruct.assets.delivery.LEAST_PROBED", 1)
    market.licence = replace(FREE, refund_deadline=NOW + 100)
    market.fetch(tmp_path / "out")
    asked = [path.split("?")[0].rpartition("/")[2] for _, path, _ in market.node.seen]
    assert asked.index("probe") > max(
        number for number, (_, path, _) in enumerate(market.node.seen) if "/objects/" in path
    )
    assert asked[-1] == "grant" and len(market.acknowledged) == 1
    where = licences.domain(CHAIN, CONTRACT)
    digest = licences.acknowledgement_digest(where, LICENCE, bytes.fromhex(market.root))
    assert recover(digest, market.acknowledged[0]) == BUYER.address
    assert (tmp_path / "out" / "sub" / "big").read_bytes() == BIG


def test_nothing_is_signed_for_ciphertext_of_something_else(
    market: Market, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The seller sealed zeros under the same keys, with a list that fits them."""
    monkeypatch.setattr("usufruct.assets.delivery.LEAST_PROBED", 1)
    market.licence = replace(FREE, refund_deadline=NOW + 100)
    fake = tmp_path / "fake"
    (fake / "sub").mkdir(parents=True)
    (fake / "people.csv").write_bytes(b"0" * len(ROWS))
    (fake / "sub" / "big").write_bytes(bytes(len(BIG)))
    (fake / "empty").touch()
    from usufruct.assets.manifest import build_manifest
    from usufruct.assets.sealing import seal_asset

    keys = market.deliveries._keys(market.deliveries._version(market.asset, 1))
    vault = home / "vault"
    (listed,) = vault.glob("*.json")
    shutil.rmtree(vault)
    sealed = seal_asset(fake, build_manifest(fake), Vault(vault), keys)
    listed.write_bytes(sealed.to_bytes())
    with pytest.raises(VerificationError, match="probe"):
        market.fetch(tmp_path / "out")
    assert market.acknowledged == [] and market.granted == 0
    assert not (tmp_path / "out").exists()


def test_a_counted_licence_pays_once_for_a_download_that_was_cut(market: Market, tmp_path: Path):
    market.licence = replace(FREE, uses=5, used=1)
    one = market.deliveries.sealed(market.asset, 1).files[2]
    pattern = f"/objects/{one.object_id}"
    market.node.lies.insert(0, (pattern, lambda handler: handler.say(404, b"{}") or True))
    with pytest.raises(NotFound):
        market.fetch(tmp_path / "out")
    market.node.lies.pop(0)
    market.fetch(tmp_path / "out")
    assert market.totals == [2]
    market.fetch(tmp_path / "again")  # the ledger does not know yet of the first
    assert market.totals == [2, 3]


def test_licences_that_are_not_ours(market: Market, tmp_path: Path):
    market.licence = replace(FREE, owner=CONTRACT)
    with pytest.raises(NotAllowed, match="held by"):
        market.fetch(tmp_path / "out")
    market.licence = None  # type: ignore[assignment]
    with pytest.raises(NotFound):
        market.fetch(tmp_path / "out")


def test_lies_about_the_version(
    market: Market, usufruct: Command, home: Path, tmp_path: Path, data: Path
):
    target = tmp_path / "out"
    with pytest.raises(VerificationError, match="another"):
        market.fetch(target, root=Digest("00" * 32))
    with pytest.raises(VerificationError, match="not"):
        market.fetch(target, node_address=BUYER.address)
    (data / "more").write_text("more")
    usufruct.ok("publish", data, "--update", "d")
    other = market.deliveries.evidence(market.asset, 2)
    for body in (other, b"", b"{}", other[:-2], b"[" * 100_000):
        market.node.lies.insert(
            0, ("/evidence", lambda handler, body=body: handler.say(200, body) or True)
        )
        with pytest.raises(VerificationError):
            market.fetch(target)
        market.node.lies.pop(0)
    with session(home) as writer:
        theirs = prepare(writer, market.asset, 2).to_bytes()
    market.node.lies.insert(0, ("/sealed", lambda handler: handler.say(200, theirs) or True))
    with pytest.raises(VerificationError, match="other files"):
        market.fetch(target)
    market.node.lies.pop(0)
    assert market.granted == 0
    market.fetch(target)


def test_grants_that_open_nothing(market: Market, tmp_path: Path):
    envelope = dsse.sign(PAYLOAD_TYPE, b"{}", [BUYER]).to_dict()
    said = json.dumps({"grant": canonical.b64(bytes(200)), "statement": envelope}).encode()
    market.node.lies.insert(0, ("/grant", lambda handler: handler.say(200, said) or True))
    with pytest.raises(VerificationError):
        market.fetch(tmp_path / "out")
    market.node.lies.pop(0)
    got = market.fetch(tmp_path / "out")
    assert got.statement is not None


def test_a_word_that_is_not_the_operators_is_not_kept(market: Market, tmp_path: Path):
    market.operator, real = BUYER, market.operator
    statement = dsse.sign(PAYLOAD_TYPE, market.statement, [BUYER]).to_dict()
    market.operator = real

    def answer(handler: Handler) -> bool:
        message = market.deliveries.grant(
            market.asset, 1, **HOLDER, encryption_key=BUYER.public.encryption_key
        )
        said = {"grant": canonical.b64(message), "statement": statement}
        return handler.say(200, json.dumps(said).encode()) or True

    market.node.lies.insert(0, ("/grant", answer))
    assert market.fetch(tmp_path / "out").statement is None


def test_a_list_that_is_not_the_signed_one(usufruct: Command, home: Path, data: Path):
    made = usufruct.ok("publish", data, "--title", "s", "--sealed")
    deliveries = Deliveries(home, seller(home))
    sealed = deliveries.sealed(made["asset"], 1)
    said = SimpleNamespace(files=3, size=made["size"], metadata={sealing.DIGEST: sealed.digest})
    check_sealed_list(sealed, said)  # type: ignore[arg-type]
    said.metadata = {sealing.DIGEST: "00" * 32}
    with pytest.raises(VerificationError, match="signed"):
        check_sealed_list(sealed, said)  # type: ignore[arg-type]
    deliveries.close()


def test_a_node_that_is_not_there(market: Market, tmp_path: Path):
    with pytest.raises(Unavailable):
        market.fetch(tmp_path / "out", node_url="http://127.0.0.1:1")
    with pytest.raises(BadInput):
        market.fetch(tmp_path / "out", node_url="file:///etc/passwd")
    with pytest.raises(UsufructError):
        market.fetch(tmp_path / "no" / "such" / "\0")
    assert not list(tmp_path.glob(".*part"))
