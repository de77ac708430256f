"""Signed requests: what eth_account signs is taken, and nothing that differs in anything."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account as Judge
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.peer.shelf import BUYER, CHAIN, NOW, SELLER

from usufruct.errors import BadInput, NotAllowed
from usufruct.ledger.account import Account
from usufruct.peer import requests
from usufruct.peer.requests import (
    MAX_LIFETIME,
    SignedRequest,
    check_request,
    read_request,
    request_digest,
    sign_request,
)
from usufruct.types import Address

ME = Account(BUYER.account_secret)
WHERE: dict[str, Any] = {"chain_id": CHAIN, "node": SELLER.address}
WHAT: dict[str, Any] = {**WHERE, "method": "POST", "path": "/a?b=c", "body": b"{}"}


def headers(**more: Any) -> dict[str, str]:
    return sign_request(ME, now=NOW, **(WHAT | more))


def test_a_request_is_its_senders_and_no_other():
    sent = headers()
    assert check_request(read_request(sent), now=NOW, **WHAT) == BUYER.address
    lowered = {name.lower(): value for name, value in sent.items()}
    assert read_request(lowered) == read_request(sent)
    for other in (
        {"chain_id": CHAIN + 1},
        {"node": BUYER.address},
        {"method": "GET"},
        {"path": "/a?b=d"},
        {"path": "/a"},
        {"path": "/A?b=c"},
        {"body": b""},
        {"body": b"{} "},
    ):
        with pytest.raises(NotAllowed, match="signature"):
            check_request(read_request(sent), now=NOW, **(WHAT | other))
    for name, value in (
        (requests.ACCOUNT, SELLER.address),
        (requests.NONCE, "00" * 32),
        (requests.DEADLINE, str(NOW + 61)),
        (requests.SIGNATURE, "00" * 65),
        (requests.SIGNATURE, sent[requests.SIGNATURE][:-2] + "05"),
    ):
        with pytest.raises(NotAllowed):
            check_request(read_request(sent | {name: value}), now=NOW, **WHAT)


def test_deadlines():
    signed = read_request(headers(lifetime=10))
    assert check_request(signed, now=NOW + 10, **WHAT)
    with pytest.raises(NotAllowed, match="passed"):
        check_request(signed, now=NOW + 11, **WHAT)
    far = read_request(sign_request(ME, now=NOW + 1, lifetime=MAX_LIFETIME, **WHAT))
    with pytest.raises(NotAllowed, match="too far"):
        check_request(far, now=NOW, **WHAT)
    assert check_request(far, now=NOW + 1, **WHAT)
    for lifetime in (0, -1, MAX_LIFETIME + 1):
        with pytest.raises(BadInput):
            headers(lifetime=lifetime)


def test_every_request_has_a_nonce_of_its_own():
    assert len({headers()[requests.NONCE] for _ in range(20)}) == 20


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    st.binary(max_size=200),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**64 - 1),
    st.integers(1, 2**63),
)
def test_an_outside_judge_signs_the_same(method, path, body, nonce, deadline, chain):
    from hashlib import sha256

    domain = {
        "name": "Usufruct Node",
        "version": "1",
        "chainId": chain,
        "verifyingContract": SELLER.address,
    }
    types = {
        "Request": [
            {"name": "method", "type": "string"},
            {"name": "path", "type": "string"},
            {"name": "body", "type": "bytes32"},
            {"name": "nonce", "type": "bytes32"},
            {"name": "deadline", "type": "uint64"},
        ]
    }
    message = {
        "method": method,
        "path": "/" + path,
        "body": sha256(body).digest(),
        "nonce": nonce,
        "deadline": deadline,
    }
    judge = Judge.from_key(BUYER.account_secret)
    signature = bytes(judge.sign_typed_data(domain, types, message).signature)
    whom = {"chain_id": chain, "node": SELLER.address, "method": method, "path": "/" + path}
    signed = SignedRequest(Address(judge.address.lower()), nonce, deadline, signature)
    now = max(0, deadline - 100)
    assert check_request(signed, now=now, body=body, **whom) == BUYER.address
    digest = request_digest(body=body, nonce=nonce, deadline=deadline, **whom)
    assert ME.sign_digest(digest)[:64] == signature[:64]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(headers())), st.text(max_size=150))
def test_hostile_headers_are_bad_input(name: str, value: str):
    sent = headers() | {name: value}
    try:
        signed = read_request(sent)
    except BadInput:
        return
    if sent[name] != value or signed != read_request(headers()):
        with pytest.raises(NotAllowed):
            check_request(signed, now=NOW, **WHAT)


@pytest.mark.parametrize("name", sorted(headers()))
def test_missing_headers_and_odd_digits(name: str):
    sent = headers()
    del sent[name]
    with pytest.raises(BadInput, match=name):
        read_request(sent)
    for value in ("", "x" * 10**5, "٣" * 64, "+1", "01", "1_0", " 1", "0x" + "0" * 64):
        with pytest.raises(BadInput):
            read_request(sent | {name: value})


@pytest.mark.parametrize(
    "bad", [{"method": "get"}, {"method": ""}, {"path": "a"}, {"path": "/ü"}, {"path": ""}]
)
def test_what_no_request_can_be(bad: dict[str, Any]):
    with pytest.raises(BadInput):
        headers(**bad)
