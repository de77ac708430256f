"""The network file: strict, signed, and bound to its operator's account."""

import copy
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.ledger.network import PAYLOAD_TYPE, Network, read_network, sign_network

OPERATOR = Identity("operator", b"\1" * 32)
MALLORY = Identity("mallory", b"\2" * 32)
NETWORK = Network(
    name="hospitals",
    chain_id=7_331,
    rpc=("http://127.0.0.1:8545", "https://ledger.example.org/v1"),
    genesis_hash="0x" + "ab" * 32,
    contracts={
        name: {"address": f"0x{number:040x}", "code_hash": f"0x{number:064x}"}
        for number, name in enumerate(("Parties", "Anchors", "Assets"), 1)
    },
    finality={"mode": "latest", "confirmations": 0},
    operator=OPERATOR.public,
    created="2026-11-22T12:00:00Z",
)
FILE = sign_network(NETWORK, OPERATOR)


def test_round_trip():
    assert read_network(FILE) == NETWORK
    assert read_network(FILE, operator=OPERATOR.address.upper().replace("X", "x")) == NETWORK
    assert NETWORK.address("Assets") == "0x" + "0" * 39 + "3"
    with pytest.raises(NotFound):
        NETWORK.address("Licences")


def test_another_operator():
    with pytest.raises(VerificationError, match="signed by"):
        read_network(FILE, operator=MALLORY.address)
    with pytest.raises(BadInput):
        sign_network(NETWORK, MALLORY)


def signed(document, signer=OPERATOR, kind=PAYLOAD_TYPE):
    return dsse.sign(kind, canonical.dumps(document), [signer]).to_bytes()


def test_signature_must_be_the_operators():
    with pytest.raises(VerificationError):
        read_network(signed(NETWORK.to_dict(), MALLORY))
    envelope = json.loads(FILE)
    envelope["payload"] = canonical.b64(
        canonical.dumps(NETWORK.to_dict() | {"rpc": ["http://evil.example"]})
    )
    with pytest.raises(VerificationError):
        read_network(canonical.dumps(envelope))
    envelope = json.loads(FILE)
    envelope["signatures"] = []
    with pytest.raises(VerificationError):
        read_network(canonical.dumps(envelope))


def test_operator_must_own_the_account():
    # Mallory's signing key under the operator's account
    forged = dataclasses.replace(MALLORY.public, address=OPERATOR.address)
    with pytest.raises(VerificationError):
        read_network(signed(NETWORK.to_dict() | {"operator": forged.to_dict()}, MALLORY))
    forged = dataclasses.replace(OPERATOR.public, signing_key=MALLORY.public.signing_key)
    with pytest.raises(VerificationError):
        read_network(signed(NETWORK.to_dict() | {"operator": forged.to_dict()}, MALLORY))


def test_other_documents():
    with pytest.raises(BadInput):
        read_network(signed(NETWORK.to_dict(), kind="application/vnd.in-toto+json"))
    for data in (b"", b"{}", b"[]", FILE + b" ", FILE[:-1], b"\xff", b"[" * 100_000):
        with pytest.raises(BadInput):
            read_network(data)


CONTRACT = NETWORK.to_dict()["contracts"]["Assets"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "usufruct/network/v2"},
        {"name": ""},
        {"name": "a\x1b[31m"},
        {"name": 5},
        {"chain_id": 0},
        {"chain_id": True},
        {"chain_id": "1"},
        {"chain_id": -5},
        {"rpc": "http://127.0.0.1"},
        {"rpc": ["file:///etc/passwd"]},
        {"rpc": ["http://x y"]},
        {"rpc": [None]},
        {"rpc": ["http://a"] * 17},
        {"genesis_hash": "ab" * 32},
        {"genesis_hash": None},
        {"contracts": []},
        {"contracts": {"../Assets": CONTRACT}},
        {"contracts": {"Assets": {**CONTRACT, "address": CONTRACT["address"].upper()}}},
        {"contracts": {"Assets": {**CONTRACT, "address": "0x" + "AB" * 20}}},
        {"contracts": {"Assets": {**CONTRACT, "code_hash": "0x"}}},
        {"contracts": {"Assets": {**CONTRACT, "more": 1}}},
        {"contracts": {"Assets": "0x"}},
        {"finality": {"mode": "latest"}},
        {"finality": {"mode": "latest", "confirmations": 1}},
        {"finality": {"mode": "safe", "confirmations": 0}},
        {"finality": {"mode": ["latest"], "confirmations": 0}},
        {"finality": {"mode": "confirmations", "confirmations": 0}},
        {"finality": {"mode": "confirmations", "confirmations": True}},
        {"finality": {"mode": "confirmations", "confirmations": 10**9}},
        {"operator": {}},
        {"operator": None},
        {"created": "yesterday"},
        {"start_block": -1},
        {"start_block": "0"},
        {"extra": 1},
    ],
)
def test_strict_fields(change):
    with pytest.raises(BadInput):
        read_network(signed(NETWORK.to_dict() | change))
    missing = next(iter(change))
    if missing != "extra":
        document = NETWORK.to_dict()
        del document[missing]
        with pytest.raises(BadInput):
            read_network(signed(document))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(data):
    changed = bytearray(copy.copy(FILE))
    place = data.draw(st.integers(0, len(FILE) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BadInput, VerificationError)):
        read_network(bytes(changed))
