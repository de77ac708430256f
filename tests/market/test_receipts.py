"""Receipts: whatever a hash covers is compared with it, and a changed file is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import address, offer

from usufruct.crypto import canonical
from usufruct.errors import BadInput, UsufructError, VerificationError
from usufruct.ledger.bindings.offers import licence_id
from usufruct.market.receipts import MAX_RECEIPT, Receipt
from usufruct.market.terms import MAX_TERMS, TermsText
from usufruct.types import LicenceId

TERMS = TermsText('Use it "well".\n\tPay on time.\n')


def receipt(**fields: Any) -> Receipt:
    sold = fields.pop("offer", offer(terms=TERMS.digest, price=2**100))
    plain: dict[str, Any] = {
        "chain_id": 31337, "contract": address(0xC0), "transaction": "0x" + "7e" * 32,
        "offer": sold, "licence": licence_id(sold.offer_id, 2), "holder": address(1),
        "payer": address(2), "terms": TERMS, "time": "2026-03-01T12:00:00Z", "title": "Hearts é",
    }  # fmt: skip
    return Receipt(**{**plain, **fields})


def test_a_receipt_is_kept_whole() -> None:
    made = receipt()
    assert Receipt.from_bytes(made.to_bytes()) == made
    assert (made.price, made.token) == (2**100, offer().token)
    made.check_offer(made.offer.offer_id)
    with pytest.raises(VerificationError, match="not of"):
        made.check_offer(offer(salt=9).offer_id)
    bare = receipt(offer=offer(), terms=None)
    assert Receipt.from_bytes(bare.to_bytes()) == bare


def test_the_longest_terms_fit() -> None:
    terms = TermsText('"\n' * (MAX_TERMS // 2))
    data = receipt(offer=offer(terms=terms.digest), terms=terms, title="\\" * 4096).to_bytes()
    assert 2 * MAX_TERMS < len(data) < MAX_RECEIPT
    assert Receipt.from_bytes(data).terms == terms


@pytest.mark.parametrize(
    "change",
    [
        {"terms": None},
        {"terms": TermsText("other terms")},
        {"licence": licence_id(offer(salt=9).offer_id, 2)},
        {"offer": offer()},
    ],
)
def test_contradictions(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        receipt(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 0}, {"contract": address(0)}, {"contract": "x"}, {"holder": address(0)},
        {"payer": address(0)}, {"transaction": "7e" * 33}, {"transaction": "0x" + "7E" * 32},
        {"time": "yesterday"}, {"title": 5}, {"title": "x" * 4097}, {"licence": LicenceId("x")},
    ],
)  # fmt: skip
def test_fields_of_another_form(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        receipt(**change)


def changed(change: dict[str, Any]) -> bytes:
    document = canonical.loads(receipt().to_bytes())
    return canonical.dumps({**document, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"price": "1"}, {"token": address(3)}, {"offer_id": "00" * 24}, {"terms_digest": None},
        {"terms_digest": "00" * 32}, {"terms": TERMS.text + " "}, {"terms": None},
        {"licence": "00" * 32},
    ],
)  # fmt: skip
def test_somebody_changed_the_file(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        Receipt.from_bytes(changed(change))


@pytest.mark.parametrize("name", ["asset", "price", "period", "cap", "royalty", "terms", "salt"])
def test_somebody_changed_the_offer(name: str) -> None:
    document = canonical.loads(receipt().to_bytes())
    value = document["offer"][name]
    if isinstance(value, int):
        document["offer"][name] = value + 1
    else:
        document["offer"][name] = value[:-1] + ("1" if value[-1] != "1" else "2")
    with pytest.raises(VerificationError):
        Receipt.from_bytes(canonical.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "usufruct/receipt/v2"}, {"more": 1}, {"offer": None}, {"licence": "A5" * 32},
        {"licence": None}, {"price": 5}, {"price": "05"}, {"terms": ""}, {"terms": "a\x1b[2J"},
        {"terms": "x" * (MAX_TERMS + 1)}, {"time": 5}, {"chain_id": True}, {"holder": None},
    ],
)  # fmt: skip
def test_hostile_files(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Receipt.from_bytes(changed(change))


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(1, 255))
def test_any_flipped_byte_is_seen_or_is_another_receipt(place: int, mask: int) -> None:
    data = bytearray(receipt().to_bytes())
    place %= len(data)
    data[place] ^= mask
    try:
        other = Receipt.from_bytes(bytes(data))
    except (BadInput, VerificationError):
        return
    # chain, transaction, parties, time, title and serial are not under the offer's hash
    assert other.to_bytes() == bytes(data)
    same = {"chain_id", "contract", "transaction", "holder", "payer", "time", "title", "licence"}
    assert other == replace(receipt(), **{name: getattr(other, name) for name in same})


def test_a_field_less() -> None:
    for name in canonical.loads(receipt().to_bytes()):
        document = canonical.loads(receipt().to_bytes())
        del document[name]
        with pytest.raises(UsufructError):
            Receipt.from_bytes(canonical.dumps(document))
