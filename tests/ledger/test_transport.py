from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from usufruct.errors import BadInput, LedgerUnreachable
from usufruct.ledger import transport
from usufruct.ledger.transport import HttpTransport, RpcError

Answer = Callable[[Any], bytes]


class _Server(ThreadingHTTPServer):
    answer: Answer
    status = 200


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        data = self.server.answer(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ledger(server: _Server) -> Iterator[HttpTransport]:
    client = HttpTransport(f"http://127.0.0.1:{server.server_port}", timeout=5)
    yield client
    client.close()


def _echo(message: Any) -> bytes:
    def one(request: Any) -> Any:
        if request["method"] == "bad":
            error = {"code": -32000, "message": "no", "data": "0x01"}
            return {"jsonrpc": "2.0", "id": request["id"], "error": error}
        return {"jsonrpc": "2.0", "id": request["id"], "result": request["params"]}

    if isinstance(message, list):
        return json.dumps([one(request) for request in reversed(message)]).encode()
    return json.dumps(one(message)).encode()


def test_one_request(server: _Server, ledger: HttpTransport) -> None:
    server.answer = _echo
    assert ledger.request("x", [1, "a"]) == [1, "a"]


def test_error_keeps_code_and_data(server: _Server, ledger: HttpTransport) -> None:
    server.answer = _echo
    with pytest.raises(RpcError) as caught:
        ledger.request("bad", [])
    assert (caught.value.code, caught.value.message, caught.value.data) == (-32000, "no", "0x01")


def test_batch_in_any_order(
    server: _Server, ledger: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_BATCH", 3)
    server.answer = _echo
    results = ledger.request_many([("x", [n]) for n in range(7)] + [("bad", [])])
    assert results[:7] == [[n] for n in range(7)]
    assert isinstance(results[7], RpcError)
    assert ledger.request_many([]) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"7",
        b'{"jsonrpc":"2.0","id":99999,"result":1}',
        b'{"jsonrpc":"2.0"}',
        b'{"error":5}',
        b'{"error":{"code":"x","message":"y"}}',
        b'{"error":{"code":1}}',
        b'{"id":1,"result":NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_nonsense_is_one_error(server: _Server, ledger: HttpTransport, answer: bytes) -> None:
    server.answer = lambda _: answer
    with pytest.raises(LedgerUnreachable):
        ledger.request("x", [])


@pytest.mark.parametrize(
    "answer",
    [b"{}", b"[]", b'[{"id":1},{"id":1}]', b'[{"id":[]},7]', b'[{"id":1,"result":1}]', b"null"],
)
def test_nonsense_in_a_batch(server: _Server, ledger: HttpTransport, answer: bytes) -> None:
    server.answer = lambda _: answer
    with pytest.raises(LedgerUnreachable):
        ledger.request_many([("x", []), ("y", [])])


def test_batch_refused_as_a_whole(server: _Server, ledger: HttpTransport) -> None:
    server.answer = lambda _: b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}'
    with pytest.raises(RpcError):
        ledger.request_many([("x", [])])


def test_http_status_is_named(server: _Server, ledger: HttpTransport) -> None:
    server.answer = lambda _: b"no"
    server.status = 401
    with pytest.raises(LedgerUnreachable, match="401"):
        ledger.request("x", [])


def test_too_long_an_answer(
    server: _Server, ledger: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE", 100)
    server.answer = lambda _: b'"' + b"a" * 1000 + b'"'
    with pytest.raises(LedgerUnreachable, match="longer"):
        ledger.request("x", [])


def test_nobody_there(server: _Server, ledger: HttpTransport) -> None:
    closed = HttpTransport("http://user:secret@127.0.0.1:1/path-key", timeout=2)
    with pytest.raises(LedgerUnreachable) as caught:
        closed.request("x", [])
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(closed)
    assert "path-key" not in str(caught.value) + repr(closed)
    closed.close()
    closed.close()
    with pytest.raises(LedgerUnreachable):
        closed.request("x", [])


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://x", "http://", "http://[", "http://x:y"]
)
def test_bad_url(url: str) -> None:
    with pytest.raises(BadInput):
        HttpTransport(url)


def test_unwritable_parameters(ledger: HttpTransport) -> None:
    with pytest.raises(BadInput):
        ledger.request("x", [float("nan")])
    with pytest.raises(BadInput):
        ledger.request("x", [b"bytes"])


def test_depth_is_refused_whatever_the_recursion_limit() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        for deep in (b"[" * 200_000, b'{"a":' * 200_000, b'["\\"[", ' * 100_000):
            with pytest.raises(ValueError, match="too deep"):
                transport.read_json(deep)
    finally:
        sys.setrecursionlimit(limit)
    text = "[" * 300 + '\\"' + "{" * 300
    assert transport.read_json(json.dumps([text] * 50).encode()) == [text] * 50
    nested = {"a": [[1]] * 500}
    assert transport.read_json(json.dumps(nested).encode()) == nested
