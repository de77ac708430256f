from __future__ import annotations

import pytest
from tests.contracts.evm import Contracts, Evm, events, refused

from usufruct.ledger.bindings import anchors
from usufruct.ledger.bindings.calls import Call

pytestmark = pytest.mark.engine

NAME = anchors.log_name("example.org/log")
ROOT = bytes(range(32))
LARGEST = 2**64 - 1


def head(on: Contracts, size: int, root: bytes = ROOT, name: bytes = NAME) -> Call:
    return anchors.anchor(on.anchors, name=name, size=size, root=root)


def test_log_never_anchored_has_no_head(evm: Evm, on: Contracts) -> None:
    assert evm.ask(anchors.head(on.anchors, evm.accounts[1], NAME)) is None


def test_anchor_keeps_the_head_and_says_so(evm: Evm, on: Contracts) -> None:
    receipt = evm.send(head(on, 7), evm.accounts[1])
    assert events(anchors, receipt) == [anchors.Anchored(evm.accounts[1], NAME, 7, ROOT)]
    held = evm.ask(anchors.head(on.anchors, evm.accounts[1], NAME))
    assert held == anchors.Head(7, ROOT[:24])
    assert held is not None
    assert held.matches(7, ROOT)
    assert not held.matches(8, ROOT)
    assert not held.matches(7, bytes(32))
    assert not held.matches(7, ROOT[:24])


def test_sizes_grow_to_the_largest(evm: Evm, on: Contracts) -> None:
    for size in (1, 2, 1000, LARGEST):
        evm.send(head(on, size, bytes([size % 251]) * 32), evm.accounts[1])
    held = evm.ask(anchors.head(on.anchors, evm.accounts[1], NAME))
    assert held == anchors.Head(LARGEST, bytes([LARGEST % 251]) * 24)


@pytest.mark.parametrize("size", [0, 1, 6, 7])
def test_size_that_does_not_grow_is_refused(evm: Evm, on: Contracts, size: int) -> None:
    evm.send(head(on, 7), evm.accounts[1])
    with refused("NotGrowing", name=NAME.hex(), anchored=7, size=size):
        evm.send(head(on, size), evm.accounts[1])
    held = evm.ask(anchors.head(on.anchors, evm.accounts[1], NAME))
    assert held == anchors.Head(7, ROOT[:24])


def test_empty_log_cannot_be_anchored(evm: Evm, on: Contracts) -> None:
    with refused("NotGrowing", name=NAME.hex(), anchored=0, size=0):
        evm.send(head(on, 0), evm.accounts[1])


def test_heads_of_parties_and_logs_are_apart(evm: Evm, on: Contracts) -> None:
    other = anchors.log_name("example.org/other")
    evm.send(head(on, 7), evm.accounts[1])
    evm.send(head(on, 3, bytes(32)), evm.accounts[2])
    evm.send(head(on, 2, b"\xff" * 32, other), evm.accounts[1])
    assert evm.ask(anchors.head(on.anchors, evm.accounts[1], NAME)) == anchors.Head(7, ROOT[:24])
    assert evm.ask(anchors.head(on.anchors, evm.accounts[2], NAME)) == anchors.Head(3, bytes(24))
    assert evm.ask(anchors.head(on.anchors, evm.accounts[1], other)) == anchors.Head(
        2, b"\xff" * 24
    )


def test_size_beyond_64_bits_is_refused_by_the_abi(evm: Evm, on: Contracts) -> None:
    data = head(on, 7).data.replace((7).to_bytes(32, "big"), (2**64 + 7).to_bytes(32, "big"))
    with refused(""):
        evm.send(Call(on.anchors, data), evm.accounts[1])


def test_note_is_an_event_alone(evm: Evm, on: Contracts) -> None:
    for _ in range(2):  # nothing is stored, so the same note again is as good
        receipt = evm.send(anchors.note(on.anchors, ROOT), evm.accounts[1])
        assert events(anchors, receipt) == [anchors.Noted(evm.accounts[1], ROOT)]
