"""Split proposals: only the right signatures over the right splits count."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import ASSET, SPLITS, address, split_of

from usufruct.crypto import canonical
from usufruct.errors import BadInput, NotAllowed, VerificationError
from usufruct.ledger.account import Account
from usufruct.ledger.bindings.splits import Split
from usufruct.market.proposals import FORMAT, SplitProposal, split_from_dict, split_to_dict
from usufruct.types import AssetId

ONE, TWO, THREE = sorted((Account(bytes([n]) * 32) for n in (1, 2, 3)), key=lambda a: a.address)


def proposal(**fields: Any) -> SplitProposal:
    old = split_of({ONE.address: 500_000, TWO.address: 300_000, THREE.address: 200_000})
    new = split_of({ONE.address: 100_000, TWO.address: 200_000, THREE.address: 700_000}, version=2)
    return SplitProposal(
        **{"chain_id": 31337, "contract": SPLITS, "old": old, "new": new, **fields}
    )


def test_signed_by_everyone_who_loses() -> None:
    made = proposal()
    assert made.needed == made.missing == (ONE.address, TWO.address)
    with pytest.raises(NotAllowed, match="2 of 2"):
        made.consents()
    left, right = made.sign(ONE), SplitProposal.from_bytes(made.to_bytes()).sign(TWO)
    both = left.merge(SplitProposal.from_bytes(right.to_bytes()))
    assert not both.missing
    both.verify()
    assert both.consents() == (both.signatures[ONE.address], both.signatures[TWO.address])
    # as OpenZeppelin's ECDSA takes them
    assert all(signature[64] in (27, 28) for signature in both.consents())
    assert SplitProposal.from_bytes(both.to_bytes()) == both


def test_eth_account_signs_and_recovers_the_same() -> None:
    judge = pytest.importorskip("eth_account")
    from eth_account.messages import encode_typed_data

    made = proposal()
    message = encode_typed_data(
        {"name": "Usufruct Splits", "version": "1", "chainId": 31337, "verifyingContract": SPLITS},
        {
            "Succession": [
                {"name": "asset", "type": "uint256"},
                {"name": "from", "type": "bytes32"},
                {"name": "to", "type": "bytes32"},
            ]
        },
        {"asset": int(ASSET, 16), "from": made.old.digest, "to": made.new.digest},
    )
    secret = next(
        bytes([n]) * 32 for n in (1, 2, 3) if Account(bytes([n]) * 32).address == ONE.address
    )
    signed = judge.Account.sign_message(message, secret)
    assert made.add(ONE.address, bytes(signed.signature)) == made.sign(ONE)


def test_nobody_else_signs() -> None:
    made = proposal()
    with pytest.raises(NotAllowed, match="does not fall"):
        made.sign(THREE)
    signature = made.sign(ONE).signatures[ONE.address]
    with pytest.raises(VerificationError):
        made.add(TWO.address, signature)
    with pytest.raises(BadInput, match="nothing from it"):
        replace(made, signatures={THREE.address: signature})


@pytest.mark.parametrize(
    "other",
    [
        {"chain_id": 1},
        {"contract": address(9)},
        {"new": split_of({ONE.address: 99_999, TWO.address: 200_000, THREE.address: 1}, version=2)},
    ],
)
def test_a_signature_counts_for_one_proposal_only(other: dict[str, Any]) -> None:
    signature = proposal().sign(ONE).signatures[ONE.address]
    with pytest.raises(VerificationError):
        proposal(**other).add(ONE.address, signature)
    smuggled = replace(proposal(**other), signatures={ONE.address: signature})
    with pytest.raises(VerificationError):
        smuggled.verify()
    with pytest.raises(BadInput):
        proposal().merge(smuggled)


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\xff" * 65, bytes(64), bytes(66)])
def test_malformed_signatures(signature: bytes) -> None:
    with pytest.raises(VerificationError):
        proposal().add(ONE.address, signature)


def test_a_high_s_is_refused_as_the_contract_does() -> None:
    good = proposal().sign(ONE).signatures[ONE.address]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(good[32:64], "big")
    with pytest.raises(VerificationError):
        proposal().add(ONE.address, good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]]))


def test_what_does_not_follow() -> None:
    for wrong in (
        {"new": split_of({ONE.address: 1}, version=3)},
        {"new": split_of({ONE.address: 1}, version=1)},
        {"new": split_of({ONE.address: 1}, AssetId("b6" * 32), version=2)},
    ):
        with pytest.raises(BadInput):
            proposal(**wrong)


def document() -> dict[str, Any]:
    value = canonical.loads(proposal().sign(ONE).to_bytes())
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"format": "usufruct/split-proposal/v2"}, {"chain_id": 0}, {"chain_id": "1"},
        {"splits": SPLITS.upper()}, {"splits": 5}, {"signatures": []}, {"signatures": {"0x1": ""}},
        {"signatures": {ONE.address: "00"}}, {"signatures": {ONE.address: None}},
        {"signatures": {THREE.address: "00" * 65}}, {"old": None}, {"new": {}}, {"more": 1},
        {"signatures": {f"0x{n:040x}": "00" * 65 for n in range(65)}},
    ],
)  # fmt: skip
def test_hostile_files(change: dict[str, Any]) -> None:
    SplitProposal.from_bytes(canonical.dumps(document()))
    with pytest.raises(BadInput):
        SplitProposal.from_bytes(canonical.dumps({**document(), **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "x"}, {"version": 0}, {"version": 2**32}, {"version": True}, {"shares": {}},
        {"shares": {ONE.address: 1_000_001}}, {"shares": {ONE.address: 999_999}}, {"shares": []},
        {"shares": {ONE.address: 0, TWO.address: 1_000_000}}, {"shares": {"0x" + "0" * 40: 10**6}},
        {"shares": {f"0x{n:040x}": 1 for n in range(1, 66)}}, {"shares": {ONE.address: "1"}},
    ],
)  # fmt: skip
def test_hostile_splits(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        split_from_dict({**split_to_dict(proposal().old), **change})


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(BadInput):
        SplitProposal.from_bytes(data)


def test_other_encodings_and_sizes() -> None:
    data = proposal().to_bytes()
    for wrong in (
        data + b"\n", json.dumps(json.loads(data)).encode(), b"[" * 5000, data + b" " * 70_000,
    ):  # fmt: skip
        with pytest.raises(BadInput):
            SplitProposal.from_bytes(wrong)
    assert FORMAT.encode() in data


@settings(deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 99).map(address), st.integers(1, 15_000), min_size=1, max_size=64
    )
)
def test_splits_as_documents(shares: Any) -> None:
    made: Split = split_of(shares)
    assert split_from_dict(split_to_dict(made)) == made
