"""Signed requests: what an attacker who sees or makes them can do with them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from tests.node.stub import (
    ASSET,
    CHAIN,
    ELSE,
    HOLDER,
    OBJECT,
    OTHER,
    Node,
    grant_body,
    node,
    offer,
)

from usufruct.node.limits import Limits, peer_key
from usufruct.node.rates import Rates

GRANT = f"/assets/{ASSET}/versions/1/grant"


def sealed(licence: str, asset: str = ASSET) -> str:
    return f"/assets/{asset}/versions/1/sealed?licence={licence}"


def test_a_request_is_good_once(running: Node) -> None:
    path = sealed(running.index.sell(offer()))
    headers = running.sign("GET", path)
    assert running.ask("GET", path, headers=headers).status == 200
    again = running.ask("GET", path, headers=headers)
    assert again.status == 401
    assert again.json["error"] == "NotAllowed"
    assert "before" in again.json["message"]
    # the same words in other clothes are the same request
    account = "0x" + headers["Usufruct-Account"][2:].upper()
    assert running.ask("GET", path, headers=headers | {"Usufruct-Account": account}).status == 401
    # nor does the other form of the recovery byte make it another one
    last = int(headers["Usufruct-Signature"][128:], 16)
    changed = headers["Usufruct-Signature"][:128] + f"{last + 27:02x}"
    assert running.ask("GET", path, headers=headers | {"Usufruct-Signature": changed}).status == 401


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    with node(tmp_path / "node") as first:
        path = sealed(first.index.sell(offer()))
        headers = first.sign("GET", path)
        assert first.ask("GET", path, headers=headers).status == 200
    with node(tmp_path / "node") as second:
        second.index.sell(offer())
        assert second.ask("GET", path, headers=headers).status == 401
        assert second.signed("GET", path).status == 200


def test_deadlines(running: Node) -> None:
    path = sealed(running.index.sell(offer()))
    headers = running.sign("GET", path, lifetime=60)
    running.clock[0] += 61
    assert running.ask("GET", path, headers=headers).status == 401
    running.clock[0] -= 61
    assert running.ask("GET", path, headers=headers).status == 200
    far = running.sign("GET", path, now=running.clock[0] + 300, lifetime=300)
    assert running.ask("GET", path, headers=far).status == 401


def test_what_is_signed_cannot_be_swapped(running: Node) -> None:
    licence = running.index.sell(offer())
    other = running.index.sell(offer(asset=ELSE))
    body = grant_body(licence)
    signed = running.sign("POST", GRANT, body)
    good = {"method": "POST", "path": GRANT, "body": body, "headers": signed}
    for swapped in (
        {"body": grant_body(licence, encryption_key="22" * 32)},
        {"body": body + b" "},
        {"body": b""},
        {"path": f"/assets/{ELSE}/versions/1/grant"},
        {"path": f"/assets/{ASSET}/versions/2/grant"},
        {"path": GRANT + "?x=1"},
        {"path": GRANT.replace("/grant", "/probe")},
        {"path": GRANT.replace("grant", "gr%61nt")},
        {"headers": signed | {"Usufruct-Account": OTHER.address}},
        {"headers": signed | {"Usufruct-Nonce": "00" * 32}},
        {"headers": signed | {"Usufruct-Deadline": str(running.clock[0] + 61)}},
    ):
        assert running.ask(**(good | swapped)).status == 401, swapped  # type: ignore[arg-type]
    path = sealed(licence)
    asked = running.sign("GET", path)
    for swapped_path in (sealed(other), sealed(licence, ELSE), path + "&x"):
        assert running.ask("GET", swapped_path, headers=asked).status == 401
    assert running.ask("POST", GRANT, body, running.sign("PUT", GRANT, body)).status == 401
    assert running.ask(**good).status == 200  # type: ignore[arg-type]


def test_another_node_and_another_chain(running: Node) -> None:
    path = sealed(running.index.sell(offer()))
    elsewhere = {"node": "0x" + "11" * 20}
    assert running.signed("GET", path, **elsewhere).status == 401
    assert running.signed("GET", path, chain_id=CHAIN + 1).status == 401
    assert running.signed("GET", path).status == 200


@pytest.mark.parametrize("name", ["Account", "Nonce", "Deadline", "Signature"])
def test_malformed_headers(running: Node, name: str) -> None:
    path = sealed(running.index.sell(offer()))
    name = "Usufruct-" + name
    for value in ("", "0", "-1", "x" * 300, "0x" + "g" * 40, "9" * 30, "ÿ", "00" * 65, "1e9"):
        answer = running.ask("GET", path, headers=running.sign("GET", path) | {name: value})
        assert answer.status == 401, value
        assert answer.headers["www-authenticate"]
        assert set(answer.json) == {"error", "message", "hint"}
    headers = running.sign("GET", path)
    del headers[name]
    assert running.ask("GET", path, headers=headers).status == 401


def test_the_deny_list_is_read_again(running: Node) -> None:
    path = sealed(running.index.sell(offer()))
    deny = running.folder / "deny.txt"
    assert running.signed("GET", path).status == 200
    deny.write_text(f"# people\n{HOLDER.address.upper().replace('0X', '0x')}  # why\n")
    denied = running.signed("GET", path)
    assert (denied.status, denied.json["error"]) == (403, "NotAllowed")
    deny.write_text("this is no address\n")
    assert running.signed("GET", path).status == 403
    deny.write_text("\n")
    assert running.signed("GET", path).status == 200
    deny.unlink()
    assert running.signed("GET", path).status == 200


def test_too_many_requests(tmp_path: Path) -> None:
    limits = Limits(account_rate=0.01, account_burst=3)
    with node(tmp_path / "node", limits=limits) as made:
        path = sealed(made.index.sell(offer()))
        assert [made.signed("GET", path).status for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = made.signed("GET", path)
        assert 1 <= int(answer.headers["retry-after"]) <= 100
        # another account is not held up by that one
        assert made.signed("GET", path, account=OTHER).status == 403
    limits = Limits(rate=0.01, burst=2)
    with node(tmp_path / "node", limits=limits) as made:
        assert [made.ask("GET", "/health").status for _ in range(4)] == [200, 200, 429, 429]


def test_buckets() -> None:
    now = [0.0]
    rates = Rates(2.0, 3, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(3)] == [0.0] * 3
    assert rates.take("a") == 0.5
    assert rates.take("b") == 0.0
    now[0] += 0.5
    assert rates.take("a") == 0.0
    assert rates.take("a") == 0.5
    now[0] += 1000
    assert [rates.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_who_is_one_caller() -> None:
    assert peer_key("1.2.3.4") == "1.2.3.4" == peer_key("::ffff:1.2.3.4")
    assert peer_key("2001:db8::1") == peer_key("2001:db8::ffff:1") != peer_key("2001:db8:0:1::1")
    assert peer_key("testclient") == "testclient"


def test_a_body_is_read_up_to_the_limit(running: Node) -> None:
    licence = running.index.sell(offer())
    body = grant_body(licence) + b" " * (64 * 1024)
    answer = running.signed("POST", GRANT, body)
    assert answer.status == 413
    for nonsense in (b"", b"[]", b"{", b"\xff", b"null", b"[" * 60_000, b'{"licence":1}'):
        answer = running.signed("POST", GRANT, nonsense)
        assert answer.status == 400, nonsense
        assert answer.json["error"] == "BadInput"
    for extra in ({"more": 1}, {"licence": None}, {"encryption_key": "11" * 31}, {"use": {}}):
        assert running.signed("POST", GRANT, grant_body(licence, **extra)).status == 400


@pytest.mark.parametrize(
    "name", ["..", "../../identity.json", "%2e%2e%2fnode.sqlite", "..%2f..", "a/b", "%00", "A" * 40]
)
def test_paths_lead_nowhere(running: Node, name: str) -> None:
    licence = running.index.sell(offer())
    for path in (
        f"/assets/{ASSET}/versions/1/objects/{name}?licence={licence}",
        f"/assets/{name}/versions/1/sealed?licence={licence}",
        f"/assets/{name}",
        f"/assets/{ASSET}/terms/{name}",
    ):
        assert running.signed("GET", path).status in (400, 404)
    good = f"/assets/{ASSET}/versions/1/objects/{OBJECT}?licence={licence}"
    assert running.signed("GET", good).status == 200


def test_nonces_are_forgotten_after_their_deadline(running: Node) -> None:
    path = sealed(running.index.sell(offer()))

    def kept() -> Any:
        with sqlite3.connect(running.folder / "node.sqlite") as connection:
            return connection.execute("SELECT COUNT(*) FROM nonces").fetchone()[0]

    for _ in range(3):
        assert running.signed("GET", path).status == 200
    assert kept() == 3
    running.clock[0] += 1000
    assert running.signed("GET", path).status == 200
    assert kept() == 1


def test_nothing_secret_is_logged(running: Node) -> None:
    licence = running.index.sell(offer())
    body = grant_body(licence)
    headers = running.sign("POST", GRANT, body)
    assert running.ask("POST", GRANT, body, headers).status == 200
    # a request is logged after it is answered
    for _ in range(3000):
        if HOLDER.address in (running.folder / "log").read_text():
            break
        time.sleep(0.01)
    running.state.log.close()
    text = (running.folder / "log").read_text()
    assert HOLDER.address in text
    for secret in (headers["Usufruct-Signature"], headers["Usufruct-Nonce"], "11" * 32, licence):
        assert secret not in text
