from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.engine import CHAIN, OTHER, TREASURY, open_engine, raw

from usufruct.errors import BadInput, Damaged, NotAllowed, Unavailable
from usufruct.ledger import gateway as module
from usufruct.ledger.account import Account
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.gateway import Gateway
from usufruct.ledger.transport import Call, HttpTransport, RpcError
from usufruct.ledger.treasury import Treasury

FORBIDDEN = [
    *("anvil_setBalance", "anvil_impersonateAccount", "evm_mine", "evm_setNextBlockTimestamp"),
    *("hardhat_reset", "debug_traceTransaction", "eth_sendTransaction", "eth_signTransaction"),
    *("personal_unlockAccount", "txpool_content", "trace_block", "eth_subscribe"),
]


class Mock:
    """A ledger that answers with what it was asked."""

    def request(self, method: str, params: list[Any]) -> Any:
        return self.request_many([(method, params)])[0]

    def request_many(self, calls: Sequence[Call]) -> list[Any]:
        if any(method == "damaged" for method, _ in calls):
            raise Damaged("/secret/path is damaged")
        if any(method == "slow" for method, _ in calls):
            threading.Event().wait(0.5)
        return [[method, params] for method, params in calls]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def mock() -> Iterator[Gateway]:
    with Gateway(Mock(), network=b'{"signed":"\xc3\xa9"}') as gateway:
        yield gateway


def _post(
    gateway: Gateway, body: bytes, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any]]:
    host, port = gateway.url.removeprefix("http://").rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    given = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    try:
        connection.request(method, "/", body, given)
        answer = connection.getresponse()
        assert answer.getheader("Access-Control-Allow-Origin") is None
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def _ask(number: Any = 1, method: Any = "eth_x", params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or []}


def test_requests_and_batches(mock: Gateway) -> None:
    client = HttpTransport(mock.url)
    assert client.request("eth_x", [1]) == ["eth_x", [1]]
    assert client.request_many([("a", []), ("b", [2])]) == [["a", []], ["b", [2]]]
    assert client.request("usufruct_network", []) == '{"signed":"é"}'
    client.close()
    without = {"jsonrpc": "2.0", "id": "text", "method": "m"}
    assert _post(mock, json.dumps(without).encode())[1]["result"] == ["m", []]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 200_000, -32700),
        (b"[]", -32600),
        (json.dumps([_ask()] * 501).encode(), -32600),
        (b"7", -32600),
        (b"null", -32600),
        (json.dumps(_ask() | {"jsonrpc": "1.0"}).encode(), -32600),
        (json.dumps(_ask(None)).encode(), -32600),
        (json.dumps(_ask(True)).encode(), -32600),
        (json.dumps(_ask(1.5)).encode(), -32600),
        (json.dumps(_ask("x" * 65)).encode(), -32600),
        (json.dumps(_ask(10**30)).encode(), -32600),
        (json.dumps(_ask(method=7)).encode(), -32600),
        (json.dumps(_ask(params={"a": 1})).encode(), -32600),
        (json.dumps(_ask(method="usufruct_fund", params=["0x"])).encode(), -32601),
        (json.dumps(_ask(method="usufruct_other")).encode(), -32601),
    ],
)
def test_bad_requests(mock: Gateway, body: bytes, code: int) -> None:
    status, answer = _post(mock, body)
    assert status == 200
    assert answer["error"]["code"] == code


def test_a_bad_request_spoils_no_other(mock: Gateway) -> None:
    _, answers = _post(mock, json.dumps([_ask(1), 5, _ask(3)]).encode())
    assert [answer["id"] for answer in answers] == [1, None, 3]
    assert ["result" in answer for answer in answers] == [True, False, True]


def test_http_refusals(mock: Gateway) -> None:
    good = json.dumps(_ask()).encode()
    assert _post(mock, b"", "GET")[0] == 405
    assert _post(mock, b"", "OPTIONS")[0] == 405
    assert _post(mock, good, Content_Type="text/plain")[0] == 415
    assert _post(mock, good, Host="evil.example")[0] == 403
    assert _post(mock, good, Host="localhost:99")[0] == 200
    assert _post(mock, good, Host="[::1]:99")[0] == 200
    assert _post(mock, b" " * (module.MAX_BODY + 1))[0] == 413
    assert _post(mock, good + b" " * (module.MAX_BODY - len(good)))[0] == 200


def test_faults_show_nothing_of_the_inside(mock: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        _, answer = _post(mock, json.dumps(_ask(method="damaged", params=["0xsecret"])).encode())
    assert answer["error"]["code"] == -32603
    assert "secret" not in json.dumps(answer)
    assert "secret" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("usufruct")
    )


def test_slow_ledger_and_slow_caller(mock: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(module, "_BODY_SECONDS", 0.2)
    _, answer = _post(mock, json.dumps(_ask(method="slow")).encode())
    assert answer["error"]["code"] == -32002
    port = int(mock.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert caller.recv(100).startswith(b"HTTP/1.1 408")


def test_too_large_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 200)
    answer = Gateway(Mock()).answer(json.dumps(_ask(params=["x" * 300])).encode())
    assert json.loads(answer)["error"]["code"] == -32005


def test_port_in_use_and_bad_host(mock: Gateway) -> None:
    port = int(mock.url.rsplit(":", 1)[1])
    with pytest.raises(Unavailable, match="cannot listen"):
        Gateway(Mock(), port=port).start()
    with pytest.raises(BadInput):
        Gateway(Mock(), "no such host.invalid").start()


def test_stop_and_start_again() -> None:
    gateway = Gateway(Mock())
    gateway.stop()
    gateway.start()
    first = gateway.url
    gateway.stop()
    gateway.stop()
    gateway.start()
    assert gateway.url == first
    gateway.stop()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedEngine, Gateway]]:
    with open_engine(tmp_path_factory.mktemp("served")) as engine:
        treasury = Treasury(engine, b"\x4c" * 32, gift=10**18, cap=3 * 10**18)
        with Gateway(engine, treasury=treasury) as gateway:
            yield engine, gateway


@pytest.mark.engine
def test_fund_once_and_up_to_the_cap(ledger: tuple[EmbeddedEngine, Gateway]) -> None:
    engine, gateway = ledger
    client = HttpTransport(gateway.url)
    first = client.request("usufruct_fund", [OTHER.address])
    height = engine.height
    assert client.request("usufruct_fund", [OTHER.address.upper().replace("0X", "0x")]) == first
    assert engine.height == height
    assert client.request("eth_getBalance", [OTHER.address, "latest"]) == hex(10**18)
    assert client.request("eth_getTransactionReceipt", [first])["status"] == "0x1"
    for number in (1, 2):
        client.request("usufruct_fund", ["0x" + bytes([number] * 20).hex()])
    with pytest.raises(RpcError, match="paid out"):
        client.request("usufruct_fund", ["0x" + "77" * 20])
    for params in ([], ["0x1"], [7], [OTHER.address, 1], [{}]):
        with pytest.raises(RpcError) as caught:
            client.request("usufruct_fund", params)
        assert caught.value.code == -32602
    with pytest.raises(RpcError, match="not available"):
        client.request("usufruct_network", [])
    client.close()


@pytest.mark.engine
@pytest.mark.parametrize(
    "method",
    FORBIDDEN,
)
def test_what_drives_the_engine_is_refused(
    ledger: tuple[EmbeddedEngine, Gateway], method: str
) -> None:
    client = HttpTransport(ledger[1].url)
    with pytest.raises(RpcError) as caught:
        client.request(method, [])
    assert caught.value.code == -32601
    client.close()


@pytest.mark.engine
@pytest.mark.engine
@pytest.mark.parametrize(
    ("method", "gas", "more"),
    [
        ("eth_call", {}, []),
        ("eth_call", {"gas": hex(2**62)}, ["latest"]),
        ("eth_call", {"gasLimit": hex(2**62)}, ["latest"]),
        ("eth_call", {}, ["latest", {}, {"gasLimit": hex(2**62)}]),
        ("eth_createAccessList", {"gas": hex(2**62)}, ["latest"]),
        ("eth_estimateGas", {"gas": hex(2**62)}, ["latest"]),
    ],
)
def test_nobody_keeps_the_engine_at_work_for_ever(
    ledger: tuple[EmbeddedEngine, Gateway], method: str, gas: dict[str, str], more: list[Any]
) -> None:
    """Code that loops until its gas is gone, with more gas than could ever be used up."""
    client = HttpTransport(ledger[1].url, timeout=20)
    endless = {"data": "0x5b600056"}
    begun = time.monotonic()
    with pytest.raises(RpcError):
        client.request(method, [endless | gas, *more])
    assert time.monotonic() - begun < 15
    client.close()


def test_calls_that_name_their_gas_badly(ledger: tuple[EmbeddedEngine, Gateway]) -> None:
    for params in ([], [1], [{"gas": 5}], [{"gas": "5"}], [{"gasLimit": "0x"}]):
        with pytest.raises(RpcError) as caught:
            ledger[0].request("eth_call", params)
        assert caught.value.code == -32602
    good = {"data": "0x", "gas": "0x186a0"}
    assert ledger[0].request("eth_call", [good, "latest"]) == "0x"


def test_transactions_are_journaled(ledger: tuple[EmbeddedEngine, Gateway]) -> None:
    engine, gateway = ledger
    client = HttpTransport(gateway.url)
    client.request("usufruct_fund", [OTHER.address])
    nonce = int(client.request("eth_getTransactionCount", [OTHER.address, "latest"]), 16)
    results = client.request_many(
        [("eth_sendRawTransaction", [raw(nonce + n, OTHER)]) for n in range(5)]
    )
    assert all(engine.journal.holds(bytes.fromhex(result[2:])) for result in results)
    with pytest.raises(RpcError, match="nonce too low"):
        client.request("eth_sendRawTransaction", [raw(nonce, OTHER, value=9)])
    assert int(client.request("eth_chainId", []), 16) == CHAIN
    client.close()


@pytest.mark.engine
def test_treasury_remembers_over_a_reopening(tmp_path: Path) -> None:
    secret = b"\x4c" * 32
    with open_engine(tmp_path) as engine:
        treasury = Treasury(engine, secret, gift=5)
        first = treasury.fund(OTHER.address)
        engine.journal.fund("0x" + "88" * 20, 5, b"\1" * 32)  # noted, then a crash
    with open_engine(tmp_path) as engine:
        treasury = Treasury(engine, secret, gift=5, cap=10)
        assert treasury.fund(OTHER.address) == first
        treasury.fund("0x" + "88" * 20)
        with pytest.raises(NotAllowed):
            treasury.fund("0x" + "99" * 20)
        with pytest.raises(BadInput):
            treasury.fund("nobody")
        assert TREASURY.address in repr(treasury)
        poor = Treasury(engine, b"\x66" * 32, gift=5)
        with pytest.raises(RpcError, match="insufficient funds"):
            poor.fund("0x" + "99" * 20)
        assert Account(secret).address == TREASURY.address


def test_pages_of_the_web_are_refused_whatever_name_they_use(mock: Gateway) -> None:
    """A page whose name was rebound to this host sends its origin, also to its own host."""
    body = json.dumps(_ask()).encode()
    for origin in ("http://evil.example", mock.url, "null", "https://localhost", ""):
        assert _post(mock, body, Origin=origin)[0] == 403, origin
    assert _post(mock, body, Origin="chrome-extension://abcdef")[0] == 200
    assert _post(mock, body)[0] == 200


def test_idle_connections_do_not_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(module, "_CONNECTIONS", 20)
    with Gateway(Mock()) as gateway:
        host, port = gateway.url.removeprefix("http://").rsplit(":", 1)
        idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
        for number, one in enumerate(idle):
            if number % 2:
                one.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        try:
            assert all(one.recv(1) == b"" for one in idle)
        except ConnectionResetError:
            pass
        assert _post(gateway, json.dumps(_ask()).encode())[0] == 200
        slow = json.dumps(_ask(method="slow")).encode()
        assert _post(gateway, slow)[0] == 200  # longer at work than idle ones may stand
        for one in idle:
            one.close()


def test_an_answer_nobody_reads_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.3)

    class Large(Mock):
        def request_many(self, calls: Sequence[Call]) -> list[Any]:
            return ["x" * 32_000_000 for _ in calls]

    with Gateway(Large()) as gateway:
        host, port = gateway.url.removeprefix("http://").rsplit(":", 1)
        body = json.dumps(_ask()).encode()
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as one:
            one.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            threading.Event().wait(1.5)
            got = 0
            try:
                while more := one.recv(1 << 20):
                    got += len(more)
            except ConnectionResetError:
                pass
        assert got < 32_000_000
