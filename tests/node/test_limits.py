"""Callers who take what is not theirs to take: others are served meanwhile."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.stub import ASSET, OBJECT, Answer, Node, grant_body, node, offer

from usufruct.node.limits import Limits
from usufruct.node.server import NodeServer, many_files

IMPATIENT = Limits(
    idle_seconds=1.0, head_seconds=1.0, body_seconds=1.0, stall_seconds=2.0, stop_seconds=2.0
)
HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\n"
GRANT = f"/assets/{ASSET}/versions/1/grant"


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Node]:
    with node(tmp_path / "node", limits=IMPATIENT) as made:
        yield made


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the node closes; a cut connection has said all it had to say."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            data += part
    return bytes(data)


def well(running: Node) -> None:
    assert running.ask("GET", "/health").status == 200


def test_a_head_that_never_ends(impatient: Node) -> None:
    with impatient.connect() as drip, impatient.connect() as silent:
        stop = threading.Event()

        def send() -> None:
            drip.sendall(b"GET / HTTP/1.1\r\n")
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    drip.sendall(b"X-A: b\r\n")

        thread = threading.Thread(target=send)
        thread.start()
        well(impatient)
        # both are cut, however busy the one seems
        assert read_all(drip) == b""
        assert read_all(silent) == b""
        stop.set()
        thread.join()
    well(impatient)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(5_000)) + b"\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 3_000_000,
        HEAD + b"A" * 3_000_000,
    ],
    ids=["value", "many", "line", "endless line", "endless name"],
)
def test_heads_that_are_too_large(running: Node, head: bytes) -> None:
    with running.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
        answer = read_all(connection)
    # a peer that goes on writing may lose the answer; never is it served
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    well(running)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\r\n\r\n\x00\x01\x02",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http(running: Node, nonsense: bytes) -> None:
    with running.connect() as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer == b"" or answer.split()[1][:1] == b"4", answer
    assert b"Traceback" not in answer
    well(running)


def test_upgrades_are_not_taken(running: Node) -> None:
    with running.connect() as connection:
        connection.sendall(
            HEAD + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert not answer.startswith(b"HTTP/1.1 101")
    well(running)


def test_a_body_that_does_not_come(impatient: Node) -> None:
    licence = impatient.index.sell(offer())
    body = grant_body(licence)
    lines = "".join(f"{k}: {v}\r\n" for k, v in impatient.sign("POST", GRANT, body).items())
    head = f"POST {GRANT} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    with impatient.connect() as connection:
        connection.sendall(head.encode() + body[:5])
        well(impatient)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")
    well(impatient)


@pytest.mark.parametrize("path", [GRANT, "/health", "/nothing"])
def test_a_body_that_never_ends(impatient: Node, path: str) -> None:
    method = "POST" if path == GRANT else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with impatient.connect() as connection:
        connection.sendall(head.encode())
        chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
        sent = 0
        with pytest.raises(OSError):
            while True:
                connection.sendall(chunk)
                sent += len(chunk)
                assert sent < 2**31
        well(impatient)
    well(impatient)


def test_an_answer_that_is_not_read(tmp_path: Path) -> None:
    with node(tmp_path / "node", limits=IMPATIENT, size=50_000_000) as running:
        licence = running.index.sell(offer())
        path = f"/assets/{ASSET}/versions/1/objects/{OBJECT}?licence={licence}"
        lines = "".join(f"{k}: {v}\r\n" for k, v in running.sign("GET", path).items())
        with running.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            active = running.state.metrics.downloads
            deadline = time.monotonic() + 30
            while active._value.get() != 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            well(running)
            while active._value.get() != 0 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert active._value.get() == 0
            assert len(read_all(connection)) < 50_000_000
        assert len(running.signed("GET", path).body) == 50_000_000


def test_downloads_have_places(tmp_path: Path) -> None:
    limits = Limits(downloads=2, downloads_per_account=1)
    with node(tmp_path / "node", limits=limits, size=50_000_000) as running:
        licence = running.index.sell(offer())
        path = f"/assets/{ASSET}/versions/1/objects/{OBJECT}?licence={licence}"
        lines = "".join(f"{k}: {v}\r\n" for k, v in running.sign("GET", path).items())
        with running.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
            second = running.signed("GET", path)
            assert second.status == 429
            assert second.headers["retry-after"]
        # the place is free again once the node has seen that the other one left
        deadline = time.monotonic() + 30
        while running.signed("GET", path).status == 429 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.signed("GET", path).status == 200


def test_a_pipeline_is_answered_in_order(running: Node) -> None:
    with running.connect() as connection:
        connection.sendall((HEAD + b"\r\n") * 20 + HEAD + b"Connection: close\r\n\r\n")
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 21


def test_stopping_finishes_what_runs(tmp_path: Path) -> None:
    with node(tmp_path / "node", size=20_000_000) as running:
        licence = running.index.sell(offer())
        path = f"/assets/{ASSET}/versions/1/objects/{OBJECT}?licence={licence}"
        lines = "".join(f"{k}: {v}\r\n" for k, v in running.sign("GET", path).items())
        with running.connect() as idle, running.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            first = connection.recv(1000)
            assert running.server is not None
            stopping = threading.Thread(target=running.server.stop)
            stopping.start()
            rest = read_all(connection)
            stopping.join()
            assert len(first) + len(rest) > 20_000_000
            assert read_all(idle) == b""
            with pytest.raises(OSError):
                running.connect().close()


def test_a_fault_says_nothing_of_the_inside(running: Node) -> None:
    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("/secret/path and a key")

    running.index.offers = broken  # type: ignore[method-assign, assignment]
    answer = running.ask("GET", f"/assets/{ASSET}")
    assert answer.status == 500
    assert set(answer.json) == {"error", "message", "hint"}
    assert b"secret" not in answer.body
    running.state.log.close()
    log = (running.folder / "log").read_text()
    assert '"event":"fault"' in log
    assert "RuntimeError" in log
    assert "secret" not in log


def test_a_certificate(tmp_path: Path) -> None:
    from usufruct.errors import BadInput

    nothing = tmp_path / "nothing.pem"
    for cert, key in ((nothing, None), (None, nothing), (nothing, nothing)):
        with pytest.raises(BadInput):
            NodeServer(None, tls_cert=cert, tls_key=key)


def crowd(tmp_path: Path, count: int, limit: int) -> None:
    """Hold `count` connections to a node of another process while another user is served."""
    command = [sys.executable, "-m", "tests.node.crowd", str(tmp_path / "node"), str(limit)]
    with (
        many_files(),
        contextlib.ExitStack() as stack,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < count + 200:
            process.kill()
            pytest.skip("this machine allows too few open files")
        assert process.stdout is not None
        assert process.stdin is not None
        url, _licence = process.stdout.readline().split()
        host, port = url.removeprefix("http://").split(":")
        served = 0
        for number in range(count):
            # from many addresses, or the limit of one would be all that is tried
            source = (f"127.0.{1 + number // 200}.{1 + number % 200}", 0)
            one = socket.create_connection((host, int(port)), timeout=30, source_address=source)
            stack.enter_context(one)
            if number % 3 == 0:
                one.sendall(HEAD)
            if number % (count // 10) == 0:
                served += ask(host, int(port)).status == 200
        assert served == 10
        assert ask(host, int(port)).status == 200
        process.stdin.close()
        process.wait()
        assert process.returncode == 0


def ask(host: str, port: int) -> Answer:
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", "/assets?q=heart")
        got = connection.getresponse()
        return Answer(got.status, {}, got.read())
    finally:
        connection.close()


def test_a_thousand_idle_connections(tmp_path: Path) -> None:
    crowd(tmp_path, 1_000, limit=500)


@pytest.mark.long
def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    crowd(tmp_path, 10_000, limit=12_000)


def test_one_address_does_not_take_all_places(tmp_path: Path) -> None:
    limits = Limits(connections_per_peer=20)
    with node(tmp_path / "node", limits=limits) as running, contextlib.ExitStack() as stack:
        held = [stack.enter_context(running.connect()) for _ in range(60)]
        well(running)
        # the oldest went first
        assert read_all(held[0]) == b""
        held[-1].sendall(HEAD + b"Connection: close\r\n\r\n")
        assert read_all(held[-1]).startswith(b"HTTP/1.1 200 OK")
