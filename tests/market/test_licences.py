"""Licences: one reason for every refusal, and signatures that the contract would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import ASSET, address, offer

from usufruct.errors import NotAllowed, VerificationError
from usufruct.ledger.account import Account
from usufruct.ledger.bindings.licences import UNCOUNTED
from usufruct.ledger.bindings.offers import licence_id
from usufruct.market.licences import (
    UseMeter,
    check_use,
    domain,
    granted,
    in_window,
    remaining,
    sign_acknowledgement,
    sign_use,
    verify_acknowledgement,
    verify_use,
)
from usufruct.types import ZERO_ADDRESS, Address, AssetId, Use

HOLDER = Account(b"\1" * 32)
OTHER = Account(b"\2" * 32)
NOW = 1_800_000_000
CONTRACT = address(0xC0)
WHERE = domain(31337, CONTRACT)
LICENCE = licence_id(offer().offer_id, 3)


@dataclass(frozen=True, slots=True)
class Record:
    holder: Address = HOLDER.address
    state: str = "settled"
    expiry: int = 0
    uses: int | None = UNCOUNTED
    refund_deadline: int = 0
    used: int = 0


def check(record: Record | None, **fields: Any) -> None:
    asked: dict[str, Any] = {"asset": ASSET, "use": Use.DOWNLOAD, "holder": HOLDER.address}
    asked |= {"now": NOW, "offer": offer(), "licence": LICENCE, **fields}
    check_use(record, asked.pop("offer"), **asked)


def test_good_licences() -> None:
    check(Record())
    check(Record(expiry=NOW + 1))
    check(Record(uses=None))
    check(Record(uses=3, used=2))
    check(Record(refund_deadline=NOW + 5, state="window"))


@pytest.mark.parametrize(
    ("record", "fields", "says"),
    [
        (None, {}, "never sold, or was refunded"),
        (Record(state="refunded"), {}, "refunded"),
        (Record(holder=ZERO_ADDRESS), {"holder": ZERO_ADDRESS}, "refunded"),
        (Record(), {"asset": AssetId("b6" * 32)}, "is for the asset a5a5"),
        (Record(), {"use": Use.LEARN}, "to download, not to learn"),
        (Record(), {"holder": OTHER.address}, f"held by {HOLDER.address}"),
        # at its end a licence is not good any more, as in the contract
        (Record(expiry=NOW), {}, "ended at 2027-01-15T08:00:00Z"),
        (Record(expiry=1), {}, "ended at 1970"),
        (Record(uses=3, used=3), {}, "all 3 uses"),
        (Record(uses=3, used=1), {"signed": 3}, "all 3 uses"),
        (Record(uses=0), {}, "all 0 uses"),
        (Record(), {"licence": licence_id(offer(salt=8).offer_id, 3)}, "not of the offer"),
        (Record(), {"offer": offer(salt=8)}, "not of the offer"),
    ],
)
def test_every_refusal_has_its_reason(record: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(NotAllowed, match=says):
        check(record, **fields)


def test_counting() -> None:
    assert granted(Record()) is None
    assert remaining(Record()) is None
    assert remaining(Record(uses=5, used=2)) == 3
    assert remaining(Record(uses=5, used=2), signed=4) == 1
    assert remaining(Record(uses=5, used=2), signed=1) == 3
    assert remaining(Record(uses=5, used=9)) == 0
    assert in_window(Record(refund_deadline=1))
    assert not in_window(Record())


@settings(deadline=None)
@given(st.integers(0, 20), st.lists(st.integers(0, 25), max_size=40))
def test_the_meter_counts_one_by_one_up_to_what_is_granted(most: int, totals: list[int]) -> None:
    meter = UseMeter(most)
    taken = 0
    for total in totals:
        if total == taken + 1 <= most:
            assert meter.next_total() == total
            meter = meter.take(total)
            taken += 1
        else:
            with pytest.raises(NotAllowed):
                meter.take(total)
        assert (meter.total, meter.left) == (taken, most - taken)
    with pytest.raises(NotAllowed, match="not counted"):
        UseMeter(None).next_total()
    assert UseMeter.of(Record(uses=9, used=4), signed=6).next_total() == 7


def test_uses_and_acknowledgements_are_signed_as_the_contract_reads_them() -> None:
    judge = pytest.importorskip("eth_account")
    from eth_account.messages import encode_typed_data

    where = {"name": "Usufruct Licences", "version": "1", "chainId": 31337}
    where |= {"verifyingContract": CONTRACT}
    licence, root = int(LICENCE, 16), b"\7" * 32
    for name, types, value, made in (
        ("Use", ["uint256", "uint32"], {"licence": licence, "total": 4},
         sign_use(HOLDER, WHERE, LICENCE, 4)),
        ("Acknowledgement", ["uint256", "bytes32"], {"licence": licence, "root": root},
         sign_acknowledgement(HOLDER, WHERE, LICENCE, root)),
    ):  # fmt: skip
        fields = [{"name": n, "type": t} for n, t in zip(value, types, strict=True)]
        message = encode_typed_data(where, {name: fields}, value)
        assert judge.Account.recover_message(message, signature=made).lower() == HOLDER.address
        assert made[64] in (27, 28)


def test_signatures_are_kept_in_the_contracts_form() -> None:
    signature = sign_use(HOLDER, WHERE, LICENCE, 4)
    bare = signature[:64] + bytes([signature[64] - 27])
    for given_ in (signature, bare):
        assert verify_use(WHERE, LICENCE, 4, given_, HOLDER.address) == signature
    root = b"\7" * 32
    signed = sign_acknowledgement(HOLDER, WHERE, LICENCE, root)
    assert verify_acknowledgement(WHERE, LICENCE, root, signed, HOLDER.address) == signed


@pytest.mark.parametrize(
    "change",
    [
        {"total": 5},
        {"licence": licence_id(offer().offer_id, 4)},
        {"where": domain(1, CONTRACT)},
        {"where": domain(31337, address(1))},
        {"holder": OTHER.address},
        {"signature": bytes(65)},
        {"signature": b"short"},
        {"signature": sign_acknowledgement(HOLDER, WHERE, LICENCE, (4).to_bytes(32, "big"))},
    ],
)
def test_a_use_of_something_else(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"where": WHERE, "licence": LICENCE, "total": 4}
    good |= {"signature": sign_use(HOLDER, WHERE, LICENCE, 4), "holder": HOLDER.address}
    verify_use(**good)
    with pytest.raises(VerificationError):
        verify_use(**{**good, **change})


def test_an_acknowledgement_of_another_root() -> None:
    signature = sign_acknowledgement(HOLDER, WHERE, LICENCE, b"\7" * 32)
    for root, holder in ((b"\6" * 32, HOLDER.address), (b"\7" * 32, OTHER.address)):
        with pytest.raises(VerificationError):
            verify_acknowledgement(WHERE, LICENCE, root, signature, holder)
