"""The client against a node that lies in every way it can think of."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.peer.shelf import ASSET, BUYER, CHAIN, LICENCE, NOW, SELLER, Handler, Node, serving

from usufruct.assets.sealing import SealedAsset
from usufruct.crypto import aead, canonical, dsse
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
    WrongNetwork,
)
from usufruct.peer import connection
from usufruct.peer.answers import NodeBusy
from usufruct.peer.client import NodeClient
from usufruct.peer.lists import check_list
from usufruct.vault import SealedObject


@pytest.fixture
def node() -> Iterator[Node]:
    with serving() as node:
        yield node


def test_every_endpoint(node: Node):
    terms = "Do no harm.\n"
    digest = hashlib.sha256(terms.encode()).hexdigest()
    envelope = dsse.sign("application/vnd.in-toto+json", b"{}", [SELLER])
    node.json("^/health$", {"status": "ok"})
    node.bytes("^/metrics$", b"usufruct_x 1\n")
    node.json(r"^/assets\?q=a\+b%2F&limit=2$", {"assets": [{"id": ASSET}], "next": "n"})
    node.json("^/assets$", {"assets": [], "next": None})
    node.json(f"^/assets/{ASSET}$", {"id": ASSET})
    node.bytes(f"/terms/{digest}$", terms.encode())
    node.bytes("/evidence$", b"bundle")
    node.json("/grant$", {"grant": "AAAA", "statement": envelope.to_dict()})
    node.json("/probe$", {"grant": "AAAA"})
    with node.client() as client:
        assert client.health() == {"status": "ok"}
        assert client.metrics() == "usufruct_x 1\n"
        assert client.about().party == SELLER.public
        assert client.assets(q="a b/", limit=2) == ([{"id": ASSET}], "n")
        assert client.assets() == ([], None)
        assert client.asset(ASSET) == {"id": ASSET}
        assert client.terms(ASSET, digest) == terms
        assert client.evidence(ASSET, 1) == b"bundle"
        got = client.grant(
            ASSET,
            1,
            licence=LICENCE,
            encryption_key=bytes(32),
            use=(3, bytes(65)),
            acknowledgement=bytes(65),
        )
        assert (got.grant, got.statement) == (bytes(3), envelope)
        assert client.probe(ASSET, 1, licence=LICENCE, encryption_key=bytes(32)) == bytes(3)


def test_whose_node_it_is(node: Node):
    assert node.client(chain_id=None, node=None).about().chain_id == CHAIN
    with pytest.raises(VerificationError, match=f"not {BUYER.address}"):
        node.client(node=BUYER.address).about()
    with pytest.raises(WrongNetwork):
        node.client(chain_id=1).about()
    good = {"format": "usufruct/node/v1", "chain_id": CHAIN}
    stolen = replace(SELLER.public, encryption_key=BUYER.public.encryption_key)
    node.json("^/node$", good | {"party": stolen.to_dict()})
    with pytest.raises(VerificationError):
        node.client().about()


@pytest.mark.parametrize(
    "value",
    [
        *([], 1, None, "x", {}, {"format": "usufruct/node/v1"}),
        {"format": "usufruct/node/v2", "party": SELLER.public.to_dict(), "chain_id": CHAIN},
        {"format": "usufruct/node/v1", "party": SELLER.public.to_dict(), "chain_id": True},
        {"format": "usufruct/node/v1", "party": SELLER.public.to_dict(), "chain_id": "1"},
        {"format": "usufruct/node/v1", "party": {"name": 1}, "chain_id": CHAIN},
    ],
)
def test_a_node_that_tells_nonsense_of_itself(node: Node, value: Any):
    node.json("^/node$", value)
    with pytest.raises(Unavailable, match="cannot be used"):
        node.client().about()


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        *(
            (404, "NotFound", NotFound),
            (403, "NotAllowed", NotAllowed),
            (400, "BadInput", BadInput),
        ),
        *((409, "AlreadyExists", AlreadyExists), (409, "Damaged", AlreadyExists)),
        *((500, "NotFound", Unavailable), (503, "Unavailable", Unavailable)),
        # a stranger's word neither breaks our evidence nor names our other errors
        *((400, "VerificationError", BadInput), (418, "SystemExit", Unavailable)),
        *((404, ["x"], NotFound), (429, None, NodeBusy)),
    ],
)
def test_errors_come_back_as_ours(node: Node, status: int, name: Any, kind: type[UsufructError]):
    said = {"error": name, "message": "no\x1b[31m\nway" + "y" * 10_000, "hint": ["x"]}
    node.json("^/assets/", said, status)
    with pytest.raises(kind, match=r"says: no \[31m way") as caught:
        node.client().asset(ASSET)
    assert type(caught.value) is (NodeBusy if kind is Unavailable and status >= 500 else kind)
    assert len(caught.value.message) < 700 and caught.value.message.isprintable()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff" * 50, b"[" * 10**6, b'{"error":1}'])
def test_errors_without_sense(node: Node, body: bytes):
    node.bytes("^/assets/", body, 404)
    with pytest.raises(NotFound, match="HTTP status 404"):
        node.client().asset(ASSET)


@pytest.mark.parametrize(("said", "wait"), [("7", 7), ("99999", 60), ("-1", 0), ("9" * 99, 0)])
def test_retry_after(node: Node, said: str, wait: int):
    node.lie("^/assets/", lambda handler: handler.say(429, b"", Retry_After=said) or True)
    with pytest.raises(NodeBusy) as caught:
        node.client().asset(ASSET)
    assert caught.value.wait == wait


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304, 201, 204, 206])
def test_redirects_are_not_followed(node: Node, status: int):
    with serving() as other:
        answer = {"Location": f"{other.url}/health"}
        node.lie("^/health", lambda handler: handler.say(status, b"", **answer) or True)
        with pytest.raises(Unavailable):
            node.client().health()
        assert other.seen == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"1", b"nul", b"{", b'{"a":NaN}', b'{"a":Infinity}', b"\xef\xbb\xbf{}"),
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\xff"}',
    ],
)
def test_json_that_is_none(node: Node, body: bytes):
    node.bytes("^/health", body)
    with pytest.raises(Unavailable, match="cannot be used"):
        node.client().health()


HEAD = b"HTTP/1.1 200 OK\r\n"
RAW = {
    "nothing": b"",
    "not http": b"SSH-2.0-OpenSSH_9.9\r\n",
    "half a head": HEAD + b"Content-",
    "long line": HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": HEAD + b"X: y\r\n" * 500 + b"\r\n",
    "cut short": HEAD + b"Content-Length: 10\r\n\r\n{}",
    "huge": HEAD + b"Content-Length: 99999999999\r\n\r\n{}",
    "more digits": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}" + b" " * (9 << 20),
    "bad chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}",
    "chunks cut": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "packed": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "odd status": b"HTTP/1.1 99999 OK\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_broken_http(node: Node, raw: bytes):
    node.lie("^/health", lambda handler: handler.raw(raw))
    with pytest.raises(Unavailable):
        node.client().health()


@pytest.mark.parametrize("chunked", [True, False])
def test_endless_answers_are_cut(node: Node, chunked: bool):
    def endless(handler: Handler) -> bool:
        coding = b"Transfer-Encoding: chunked\r\n" if chunked else b"Connection: close\r\n"
        handler.wfile.write(HEAD + coding + b"\r\n")
        piece = b" " * 65536
        while True:  # until the client hangs up
            handler.wfile.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)

    node.lie("^/health", endless)
    with pytest.raises(Unavailable, match="longer than"):
        node.client().health()


@pytest.mark.parametrize("where", ["silent", "head", "body", "continue"])
def test_drips_end(node: Node, where: str, monkeypatch: pytest.MonkeyPatch):
    """No single wait is long, but all together are."""
    over = threading.Event()

    def drip(handler: Handler) -> bool:
        if where == "silent":
            over.wait(20)
        if where == "body":
            handler.wfile.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        while not over.wait(0.1):
            handler.wfile.write(b"HTTP/1.1 100 C\r\n\r\n" if where == "continue" else b" ")
        return handler.raw()

    node.lie("^/health", drip)
    began = time.monotonic()
    try:
        with pytest.raises(Unavailable, match="in time"):
            node.client(timeout=1.0).health()
        assert time.monotonic() - began < 10
    finally:
        over.set()


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="nothing listens"):
        NodeClient(f"http://127.0.0.1:{port}").health()
    with pytest.raises(Unavailable, match="no such host"):
        NodeClient("http://nowhere.invalid").health()


def test_https_to_what_speaks_http(node: Node):
    with pytest.raises(Unavailable):
        NodeClient(node.url.replace("http:", "https:"), timeout=5).health()


def test_a_connection_that_went_away_is_opened_again_with_a_new_signature(node: Node):
    nonces: list[str] = []
    node.lie("/sealed", lambda handler: nonces.append(handler.headers["Usufruct-Nonce"]) or False)

    def once(handler: Handler) -> bool:
        if len(nonces) == 2:
            return handler.raw()
        return handler.say(404, b"{}") or True

    node.lie("/sealed", once)
    with node.client() as client:
        for _ in range(2):
            with pytest.raises(NotFound):
                client.sealed(ASSET, 1, licence=LICENCE)
    assert len(nonces) == 3 == len(set(nonces))


def test_signed_calls_need_to_know_whom():
    for missing in ("account", "chain_id", "node"):
        with serving() as node, pytest.raises(BadInput, match="signed"):
            node.client(**{missing: None}).sealed(ASSET, 1, licence=LICENCE)


def test_arguments_never_reach_the_path(node: Node):
    client = node.client()
    calls: list[Any] = [
        lambda: client.asset("../health"),  # type: ignore[arg-type]
        lambda: client.evidence(ASSET, 0),
        lambda: client.evidence(ASSET, True),
        lambda: client.sealed(ASSET, 1, licence="x"),  # type: ignore[arg-type]
        lambda: client.terms(ASSET, "y"),
        lambda: client.grant(ASSET, 1, licence=LICENCE, encryption_key=b""),
    ]
    for call in calls:
        with pytest.raises(BadInput):
            call()
    assert node.seen == []


def test_other_terms(node: Node):
    node.bytes("/terms/", b"All your data are ours.\n")
    with pytest.raises(VerificationError, match="other terms"):
        node.client().terms(ASSET, "00" * 32)


def sealed_object(name: str, size: int = 5) -> SealedObject:
    digests = bytes(32 * aead.chunk_count(size))
    return SealedObject(name, size, aead.sealed_size(size), "blake3", digests)


def test_lists_of_sealed_objects(node: Node):
    good = SealedAsset(sealed_object("m"), (sealed_object("a"), sealed_object("b", 3 << 20)))
    check_list(good)
    first = good.files[0]
    lies = (
        replace(first, object_id="../../etc/passwd"),
        replace(first, object_id="b"),
        replace(first, object_id=".hidden"),
        replace(first, object_id="a/b"),
        replace(first, object_id="a\n"),
        replace(first, object_id=""),
        replace(first, size=6),
        replace(first, size=1 << 52, sealed_size=aead.sealed_size(1 << 52)),
        replace(first, sealed_size=first.sealed_size + 1),
        replace(first, digests=bytes(64)),
        replace(first, algorithm="md5"),
    )
    for lie in lies:
        wrong = replace(good, files=(lie, *good.files[1:]))
        with pytest.raises(BadInput):
            check_list(wrong)
        node.lies.clear()
        node.bytes("/sealed", wrong.to_bytes())
        with pytest.raises(Unavailable, match="cannot be used"):
            node.client().sealed(ASSET, 1, licence=LICENCE)
    for data in (b"", b"{}", json.dumps(canonical.loads(good.to_bytes())).encode()):
        node.lies.clear()
        node.bytes("/sealed", data)
        with pytest.raises(Unavailable):
            node.client().sealed(ASSET, 1, licence=LICENCE)


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"grant": 1}, {"grant": "A"}, {"grant": "AAAA"}),
        {"grant": "AAAA", "statement": {"payload": "", "payloadType": "x", "signatures": 1}},
    ],
)
def test_grants_that_are_none(node: Node, value: Any):
    node.json("/grant", value)
    with pytest.raises(Unavailable, match="cannot be used"):
        node.client().grant(ASSET, 1, licence=LICENCE, encryption_key=bytes(32))


def test_the_clock_of_the_node_counts(node: Node):
    assert connection.LEAST_SPEED > 0
    late = node.client(clock=lambda: NOW - 10_000)
    with pytest.raises(Unavailable):  # the small node of these tests just hangs up
        late.sealed(ASSET, 1, licence=LICENCE)
