"""Anchors: what an event proves, what it covers, and what a ledger adds or contradicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.evidence.factory import ANCHORS, CHAIN, LEDGER, FakeLedger, Home, Story, anchor_receipt

from usufruct.crypto.notes import Checkpoint
from usufruct.errors import BadInput, VerificationError
from usufruct.evidence.anchoring import (
    ANCHORED_TOPIC,
    AnchorProof,
    TrustedLedger,
    find_anchor,
    origin_of,
    owner_of,
)
from usufruct.evidence.report import Grade, Report
from usufruct.evidence.verify import verify_bundle
from usufruct.types import Address

OTHER = Address("0x" + "77" * 20)


def grades(report: Report) -> list[Grade]:
    """Return the grades of the log steps."""
    return [step.grade for step in report.steps if step.claim.startswith("entry ")]


def head_at(home: Home, size: int) -> Checkpoint:
    return Checkpoint(home.log.origin, size, home.log.root_at(size))


def test_topic_is_the_contracts() -> None:
    eth_utils = pytest.importorskip("eth_utils")
    signature = "Anchored(address,bytes32,uint64,bytes32)"
    assert eth_utils.keccak(text=signature) == ANCHORED_TOPIC


@pytest.mark.parametrize(
    "origin", ["", "usufruct/", "usufruct/0x" + "a" * 40, "usufruct/" + "A" * 40]
)
def test_origins(origin: str) -> None:
    assert owner_of(origin_of(OTHER)) == OTHER
    with pytest.raises(BadInput):
        owner_of(origin)


def test_equal_smaller_and_larger_anchors(story: Story) -> None:
    log, ledger = story.builder.log, FakeLedger()
    now = story.builder.checkpoint()
    for size in range(1, now.size + 1):
        old = head_at(story.builder, size)
        proof = log.consistency(size, now.size)
        one = ledger.anchor(story.builder.address, old, against=now, consistency=proof)
        anchored = one.verify(now)
        assert (anchored.size, anchored.root, anchored.contract) == (size, old.root, ANCHORS)
        # and the other way round: the checkpoint is the older of both
        ledger.anchor(story.builder.address, now, against=old, consistency=proof).verify(old)
        assert AnchorProof.from_dict(one.to_dict()) == one


def test_anchors_that_do_not_fit(story: Story) -> None:
    home, now = story.builder, story.builder.checkpoint()
    old = head_at(home, now.size - 1)
    receipts = [
        anchor_receipt(OTHER, now, 1),
        anchor_receipt(home.address, story.hospital.checkpoint(), 1),
        anchor_receipt(home.address, replace(now, root=bytes(32)), 1),
        anchor_receipt(home.address, replace(now, size=now.size + 1), 1),
        anchor_receipt(home.address, old, 1),
        anchor_receipt(home.address, Checkpoint(now.origin, 0, now.root), 1),
        anchor_receipt(home.address, now, 1, status=0),
    ]
    for receipt in receipts:
        with pytest.raises(VerificationError):
            find_anchor(receipt, now)
        for event in (0, 1, 2, 2**40):
            with pytest.raises(VerificationError):
                AnchorProof(receipt, event).verify(now)
    good = anchor_receipt(home.address, now, 1)
    find_anchor(good, now)
    with pytest.raises(VerificationError):
        find_anchor(good, now, (bytes(32),))
    with pytest.raises(VerificationError):
        find_anchor(replace(good, tx_index=0), now)
    with pytest.raises(VerificationError):
        find_anchor(good, replace(now, origin="elsewhere"))


def test_grades_rise_with_what_the_reader_knows(story: Story) -> None:
    plain = story.bundle("prediction")
    assert set(grades(verify_bundle(plain))) == {Grade.LOGGED}
    ledger = story.anchor()
    data = story.bundle("prediction").to_bytes()
    assert set(grades(verify_bundle(data))) == {Grade.ANCHORED}
    confirmed = verify_bundle(data, confirm=ledger)
    assert confirmed.ok
    assert set(grades(confirmed)) == {Grade.CONFIRMED}
    assert [s.grade for s in confirmed.steps[:2]] == [Grade.PROVED, Grade.CONFIRMED]
    pinned = verify_bundle(data, pinned=ledger.blocks, network=LEDGER)
    assert set(grades(pinned)) == {Grade.CONFIRMED}
    some = verify_bundle(data, pinned={1: ledger.blocks[1]}, network=LEDGER)
    assert set(grades(some)) == {Grade.CONFIRMED, Grade.ANCHORED}
    # a pinned hash says nothing while it is not known whose block and contract it is
    assert set(grades(verify_bundle(data, pinned=ledger.blocks))) == {Grade.ANCHORED}
    for other in (TrustedLedger(CHAIN + 1, ANCHORS), TrustedLedger(CHAIN, OTHER)):
        report = verify_bundle(data, pinned=ledger.blocks, network=other)
        assert set(grades(report)) == {Grade.ANCHORED}
    # the ledger's head alone confirms a bundle without anchors
    assert set(grades(verify_bundle(plain, confirm=ledger))) == {Grade.CONFIRMED}


def test_a_contract_of_ones_own_is_not_confirmed(story: Story) -> None:
    """A liar deploys a contract of his own and emits whatever he likes, in a real block."""
    ledger = FakeLedger()
    home = story.hospital
    home.anchor = ledger.anchor(home.address, home.checkpoint(), contract=OTHER)
    ledger.heads.clear()
    report = verify_bundle(story.bundle("dataset"), confirm=ledger)
    assert set(grades(report)) == {Grade.ANCHORED}
    assert "another ledger or contract" in str(report.as_dict())


def test_entries_after_the_anchor_are_not_covered(story: Story) -> None:
    home, ledger = story.builder, FakeLedger()
    now = home.checkpoint()
    old = head_at(home, 4)
    proof = tuple(home.log.consistency(4, now.size))
    home.anchor = ledger.anchor(home.address, old, against=now, consistency=proof)
    report = verify_bundle(story.bundle("prediction"), confirm=ledger)
    assert report.ok
    for step in report.steps:
        if step.claim.startswith("entry ") and "Builder" in step.by[0]:
            index = int(step.claim.split()[1])
            assert step.grade is (Grade.CONFIRMED if index < 4 else Grade.LOGGED)


def test_a_ledger_that_contradicts(story: Story) -> None:
    ledger = story.anchor()
    data = story.bundle("prediction").to_bytes()
    blocks, heads, keys = dict(ledger.blocks), dict(ledger.heads), dict(ledger.keys)
    place = (story.builder.address, story.builder.log.origin)

    def failed() -> set[str]:
        report = verify_bundle(data, confirm=ledger)
        assert not report.ok
        assert Grade.FAILED in {step.grade for step in report.steps}
        assert all(m.party for m in report.failed)
        with pytest.raises(VerificationError):
            report.require()
        return {mismatch.what for mismatch in report.failed}

    ledger.blocks[2] = bytes(32)
    assert failed() == {"anchor"}
    del ledger.blocks[2]
    assert failed() == {"anchor"}
    ledger.blocks = blocks
    ledger.heads[place] = (heads[place][0], bytes(24))
    assert failed() == {"anchor"}
    ledger.heads[place] = (heads[place][0], heads[place][1][:23])
    assert failed() == {"anchor"}
    ledger.heads = heads
    ledger.keys[story.builder.address] = (bytes(32), bytes(32), 1)
    assert failed() == {"key"}
    # keys changed after the anchor: the entries are older than the change
    ledger.keys[story.builder.address] = (bytes(32), bytes(32), 2**33)
    assert verify_bundle(data, confirm=ledger).ok
    ledger.keys = keys
    del ledger.keys[story.builder.address]
    assert verify_bundle(data, confirm=ledger).ok
    wrong = verify_bundle(data, pinned={1: bytes(32)}, network=LEDGER)
    assert [m.what for m in wrong.failed] == ["anchor"]


def test_a_later_head_says_nothing_of_an_unanchored_bundle(story: Story) -> None:
    bundle = story.bundle("dataset")
    story.hospital.say(replace(story.versions["ours"], version=2).payload())
    ledger = story.anchor()
    report = verify_bundle(bundle, confirm=ledger)
    assert set(grades(report)) == {Grade.LOGGED}
    # a log told in two versions looks just like this, so the reader hears of the other head
    assert any("the ledger has a head at" in step.detail for step in report.steps)
