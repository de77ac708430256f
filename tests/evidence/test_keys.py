"""Which key counts where: rotation and revocation by order in the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.evidence.factory import WHEN, FakeLedger, Home, table, version

from usufruct.crypto import dsse, secp256k1
from usufruct.crypto.ed25519 import SecretKey
from usufruct.crypto.identity import PublicIdentity, binding_message
from usufruct.crypto.notes import Checkpoint, cosign, sign_checkpoint
from usufruct.errors import VerificationError
from usufruct.evidence.bundle import Bundle, LoggedStatement, LogHead
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.keys import KeyHistory, KeyStep
from usufruct.evidence.predicates import Party
from usufruct.evidence.report import Grade
from usufruct.evidence.statements import sign_statement, statement_digest
from usufruct.evidence.verify import verify_bundle
from usufruct.ports import Signer


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path, "Rotator")
    yield made
    made.log.close()


def successor(home: Home, secret: bytes = b"n" * 32) -> tuple[SecretKey, PublicIdentity]:
    """Return another signing key of the same party, bound by its account."""
    key, public = SecretKey(secret), home.identity.public
    message = binding_message(public.address, key.public_key, public.encryption_key)
    binding = secp256k1.sign_digest(
        home.identity.account_secret, secp256k1.personal_digest(message)
    )
    return key, replace(public, signing_key=key.public_key, binding=binding)


def step(index: int, party: Party, *signers: Signer) -> KeyStep:
    return KeyStep(index, party, sign_statement(party.payload(), signers))


def bundle_of(
    home: Home, signer: Signer, indices: tuple[int, ...], note: bytes | None = None
) -> Bundle:
    """Bundle entries of a log for a claim of the last one, under a checkpoint signed here."""
    log, head = home.log, home.checkpoint()
    items = []
    for index in indices:
        entry = log.get(index)
        envelope = dsse.Envelope.from_bytes(entry.envelope or b"")
        nodes = tuple(log.inclusion_proof(index))
        items.append(LoggedStatement(envelope, log.origin, index, entry.salt or b"", nodes))
    note = note or sign_checkpoint(head, signer, log.origin)
    claim = VersionClaim(statement_digest(items[-1].envelope.payload))
    return Bundle(claim, tuple(items), (LogHead(log.origin, note),))


def data(home: Home, title: str) -> bytes:
    return version(home.address, table([["1"]], "rows.csv", title), title).payload()


def test_rotation_in_a_bundle(home: Home) -> None:
    key, public = successor(home)
    home.append(sign_statement(data(home, "before"), [home.identity]))
    home.say(Party("rotate", public, WHEN).payload(), (key,))
    home.append(sign_statement(data(home, "after"), [key]))
    home.append(sign_statement(data(home, "stolen"), [home.identity]))
    assert verify_bundle(bundle_of(home, key, (0, 2, 3))).ok
    with pytest.raises(VerificationError, match="stranger"):
        verify_bundle(bundle_of(home, key, (0, 2, 4)))
    # with the rotation left out, neither the new key nor the new checkpoint counts
    with pytest.raises(VerificationError):
        verify_bundle(bundle_of(home, key, (0, 3)))
    with pytest.raises(VerificationError):
        verify_bundle(bundle_of(home, home.identity, (0, 2, 3)))


def test_old_entries_stay_good_after_rotation(home: Home) -> None:
    key, public = successor(home)
    home.append(sign_statement(data(home, "before"), [home.identity]))
    home.say(Party("rotate", public, WHEN).payload(), (key,))
    bundle = bundle_of(home, key, (0, 1, 2))
    before = bundle.statements[1]
    claim = VersionClaim(statement_digest(before.envelope.payload))
    assert verify_bundle(replace(bundle, claim=claim)).ok


def test_left_out_rotation_is_told_by_the_ledger(home: Home) -> None:
    """What no file can show: the thief of an old key leaves its rotation out."""
    key, public = successor(home)
    home.say(Party("rotate", public, WHEN).payload(), (key,))
    home.append(sign_statement(data(home, "stolen"), [home.identity]))
    forged = bundle_of(home, home.identity, (0, 2))
    assert verify_bundle(forged).ok
    ledger = FakeLedger()
    ledger.keys[home.address] = (public.signing_key, public.encryption_key, 1)
    report = verify_bundle(forged, confirm=ledger)
    assert not report.ok
    assert report.failed[0].what == "key"
    with pytest.raises(VerificationError):
        report.require()


def test_revocation(home: Home) -> None:
    home.append(sign_statement(data(home, "before"), [home.identity]))
    home.say(Party("revoke", home.identity.public, WHEN).payload())
    home.append(sign_statement(data(home, "after"), [home.identity]))
    with pytest.raises(VerificationError, match="revoked"):
        verify_bundle(bundle_of(home, home.identity, (0, 2, 3)))
    bundle = bundle_of(home, home.identity, (0, 1, 2))
    claim = VersionClaim(statement_digest(bundle.statements[1].envelope.payload))
    report = verify_bundle(replace(bundle, claim=claim))
    assert "revoked at entry 2" in report.steps[0].detail
    assert report.steps[0].grade is Grade.PROVED


def test_wrong_histories(home: Home) -> None:
    me, other = home.identity, Home.make(home.log.static_folder.parent.parent, "Other")
    other.log.close()
    key, public = successor(home)
    third, third_public = successor(home, b"t" * 32)
    add, rotate = Party("add", me.public, WHEN), Party("rotate", public, WHEN)
    first = step(0, add, me)
    good = [
        first,
        step(5, rotate, me, key),
        step(9, Party("rotate", third_public, WHEN), key, third),
    ]
    history = KeyHistory.build(me.address, good)
    assert [history.at(i).signing_key for i in (1, 5, 6, 9, 10)] == [
        me.public_key, me.public_key, key.public_key, key.public_key, third.public_key,
    ]  # fmt: skip
    with pytest.raises(VerificationError):
        history.at(0)
    foreign = Party("add", other.identity.public, WHEN)
    unbound = Party("rotate", replace(public, binding=me.public.binding), WHEN)
    revoke = Party("revoke", me.public, WHEN)
    wrong: list[list[KeyStep]] = [
        [],
        [step(1, add, me)],
        [step(0, rotate, me, key)],
        [step(0, revoke, me)],
        [step(0, add, key)],
        [step(0, add, me, key)],
        [step(0, foreign, other.identity)],
        [step(0, Party("add", replace(me.public, address=other.address), WHEN), me)],
        [first, step(1, add, me)],
        [first, step(1, rotate, key)],
        [first, step(1, rotate, me)],
        [first, step(1, unbound, me, key)],
        [first, step(1, Party("rotate", me.public, WHEN), me)],
        [*good, step(12, Party("rotate", public, WHEN), third, key)],
        [first, step(1, Party("revoke", public, WHEN), key)],
        [first, step(1, revoke, key)],
        [first, step(1, revoke, me), step(2, rotate, me, key)],
        [first, step(1, foreign, other.identity)],
    ]
    for number, steps in enumerate(wrong):
        with pytest.raises(VerificationError):
            KeyHistory.build(me.address, steps)
            pytest.fail(f"history {number} was accepted")


def test_checkpoints_that_do_not_fit(home: Home) -> None:
    home.append(sign_statement(data(home, "x"), [home.identity]))
    head, origin = home.checkpoint(), home.log.origin
    good = sign_checkpoint(head, home.identity, origin)
    assert verify_bundle(bundle_of(home, home.identity, (0, 1), good)).ok
    key, _ = successor(home)
    bad = [
        cosign(good, key, "witness"),
        sign_checkpoint(head, home.identity, "usufruct/other"),
        sign_checkpoint(Checkpoint("usufruct/x", head.size, head.root), home.identity, origin),
        sign_checkpoint(Checkpoint(origin, head.size + 1, head.root), home.identity, origin),
        sign_checkpoint(Checkpoint(origin, 1, head.root), home.identity, origin),
        sign_checkpoint(Checkpoint(origin, head.size, bytes(32)), home.identity, origin),
        sign_checkpoint(head, key, origin),
        b"nonsense",
        b"",
    ]
    for note in bad:
        if note:
            with pytest.raises(VerificationError):
                verify_bundle(bundle_of(home, home.identity, (0, 1), note).to_bytes())
