from __future__ import annotations

import pytest
from tests.contracts.evm import Contracts, Evm, events, refused

from usufruct.ledger.bindings import parties
from usufruct.ledger.bindings.calls import Call

pytestmark = pytest.mark.engine

SIGNING = b"\x01" * 32
ENCRYPTION = b"\x02" * 32


def entry(on: Contracts, **changes: object) -> Call:
    values: dict[str, object] = {
        "signing_key": SIGNING,
        "encryption_key": ENCRYPTION,
        "name": "Klinik Köln",
        "node": "https://node.example",
    }
    return parties.register(on.parties, **(values | changes))  # type: ignore[arg-type]


def test_unknown_party_has_no_keys(evm: Evm, on: Contracts) -> None:
    assert evm.ask(parties.keys(on.parties, evm.accounts[1])) is None


def test_register_stores_keys_and_says_so(evm: Evm, on: Contracts) -> None:
    receipt = evm.send(entry(on), evm.accounts[1])
    assert events(parties, receipt) == [
        parties.PartyRegistered(
            evm.accounts[1], SIGNING, ENCRYPTION, "Klinik Köln", "https://node.example"
        )
    ]
    held = evm.ask(parties.keys(on.parties, evm.accounts[1]))
    assert held == parties.Keys(SIGNING, ENCRYPTION, receipt.time)
    assert evm.ask(parties.keys(on.parties, evm.accounts[2])) is None


def test_register_again_replaces_the_whole_entry(evm: Evm, on: Contracts) -> None:
    evm.send(entry(on), evm.accounts[1])
    receipt = evm.send(
        entry(on, signing_key=b"\x03" * 32, encryption_key=b"\x04" * 32, name="B", node=""),
        evm.accounts[1],
    )
    held = evm.ask(parties.keys(on.parties, evm.accounts[1]))
    assert held == parties.Keys(b"\x03" * 32, b"\x04" * 32, receipt.time)
    assert events(parties, receipt)[0].node == ""


@pytest.mark.parametrize("field", ["signing_key", "encryption_key"])
def test_zero_key_is_refused(evm: Evm, on: Contracts, field: str) -> None:
    with refused("ZeroKey"):
        evm.send(entry(on, **{field: bytes(32)}), evm.accounts[1])


def test_name_has_1_to_128_bytes(evm: Evm, on: Contracts) -> None:
    evm.send(entry(on, name="n" * 128), evm.accounts[1])
    for name in ("", "n" * 129):
        with refused("BadName", length=len(name), limit=128):
            evm.send(entry(on, name=name), evm.accounts[1])


def test_node_has_at_most_512_bytes(evm: Evm, on: Contracts) -> None:
    evm.send(entry(on, node="n" * 512), evm.accounts[1])
    with refused("NodeTooLong", length=513, limit=512):
        evm.send(entry(on, node="n" * 513), evm.accounts[1])


def test_refused_entry_changes_nothing(evm: Evm, on: Contracts) -> None:
    evm.send(entry(on), evm.accounts[1])
    before = evm.ask(parties.keys(on.parties, evm.accounts[1]))
    receipt = evm.force(entry(on, name=""), evm.accounts[1])
    assert not receipt.ok
    assert not receipt.logs
    assert evm.ask(parties.keys(on.parties, evm.accounts[1])) == before


def test_name_that_is_not_utf8_is_read_with_marks(evm: Evm, on: Contracts) -> None:
    honest = entry(on, name="abcd").data
    receipt = evm.send(Call(on.parties, honest.replace(b"abcd", b"ab\xff\xfe")), evm.accounts[1])
    assert events(parties, receipt)[0].name == "ab��"


def test_limits_are_those_of_the_binding(evm: Evm, on: Contracts) -> None:
    assert evm.ask_abi(on.parties, "MAX_NAME()", [], "uint256") == parties.MAX_NAME
    assert evm.ask_abi(on.parties, "MAX_NODE()", [], "uint256") == parties.MAX_NODE
