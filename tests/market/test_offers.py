"""Offers: exact values, refused nonsense, documents that read back and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.samples import ASSET, TOKEN, address, offer

from usufruct.errors import BadInput
from usufruct.ledger.bindings.offers import Offer
from usufruct.market.allowlist import AllowList
from usufruct.market.offers import make_offer, offer_from_dict, offer_to_dict, read_amount
from usufruct.market.terms import TermsText
from usufruct.types import AssetId, Use

DAY = 86400
UINT32 = st.integers(0, 2**32 - 2)
HASH = st.binary(min_size=32, max_size=32)
OFFERS = st.builds(
    Offer,
    asset=HASH.map(lambda b: AssetId(b.hex())),
    use=st.sampled_from(Use),
    price=st.integers(0, 2**128 - 1),
    token=st.integers(0, 2**160 - 1).map(address),
    period=UINT32,
    uses=UINT32,
    cap=UINT32,
    refund_window=st.integers(0, 30 * DAY),
    royalty=st.integers(0, 10**6),
    transferable=st.booleans(),
    allow_root=HASH,
    terms=HASH,
    salt=st.integers(0, 2**64 - 1),
)


def test_an_offer_as_a_seller_says_it() -> None:
    terms, allow = TermsText("for clinics"), AllowList([address(5)])
    made = make_offer(
        ASSET, "learn", price="5", token=TOKEN, decimals=6, period="30d", uses="100", cap=10,
        refund_window="2h", royalty="20%", allow=allow, terms=terms,
    )  # fmt: skip
    assert made == offer(
        use=Use.LEARN, price=5_000_000, period=30 * DAY, uses=100, cap=10, refund_window=7200,
        royalty=200_000, allow_root=allow.root, terms=terms.digest, salt=made.salt,
    )  # fmt: skip
    again = make_offer(ASSET, Use.DOWNLOAD, price=1, period=None, uses=None, cap=None)
    assert again.salt != make_offer(ASSET, Use.DOWNLOAD, price=1).salt
    assert again.period == again.uses == again.cap == again.refund_window == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"use": "call", "uses": "5", "royalty": "1%"}, "answers"),
        ({"price": "0", "refund_window": "1h"}, "nothing to refund"),
        ({"period": "1h", "refund_window": "1h"}, "paid back"),
        ({"use": "call"}, "never earn again"),
        ({"transferable": True, "uses": 3, "price": 1}, "cannot be counted"),
        ({"transferable": True, "allow": AllowList([address(1)])}, "get around"),
        ({"use": "sell"}, "no use 'sell'"),
        ({"use": 0}, "no use"),
        ({"period": "51y"}, "longer than 50 years"),
        ({"refund_window": "31d"}, "longer than 30 days"),
        ({"uses": 2**32 - 1}, "uses"),
        ({"cap": -1}, "cap"),
        ({"cap": True}, "cap"),
        ({"royalty": 1_000_001}, "royalty"),
        ({"price": -1}, "price"),
        ({"price": 2**128}, "price"),
        ({"price": "0.0000001", "decimals": 6}, "finer"),
        ({"salt": 2**64}, "salt"),
        ({"asset": "nothing"}, "digest"),
        ({"token": "0x1"}, "not an address"),
    ],
)
def test_offers_that_make_no_sense(fields: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"asset": ASSET, "use": "download", "price": "5"}
    make_offer(**good)
    with pytest.raises(BadInput, match=says):
        make_offer(**{**good, **fields})


def test_a_download_may_ask_for_a_royalty() -> None:
    # the contract takes any licence but one to call as a claim, so a bare one would ask for none
    assert make_offer(ASSET, "download", price=1, royalty="5%").royalty == 50_000


@settings(deadline=None)
@given(OFFERS)
def test_offers_as_documents(made: Offer) -> None:
    read = offer_from_dict(offer_to_dict(made))
    assert read == made
    assert read.offer_id == made.offer_id


@pytest.mark.parametrize(
    "change",
    [
        {"price": 5}, {"price": "05"}, {"price": "-1"}, {"price": "1e3"}, {"price": "٥"},
        {"price": str(2**128)}, {"price": "9" * 200}, {"price": ""}, {"salt": 7},
        {"use": 0}, {"use": "Download"}, {"use": []}, {"transferable": 1}, {"period": True},
        {"period": -1}, {"period": 2**32}, {"period": "1"}, {"uses": 2**32 - 1}, {"cap": 1.0},
        {"refund_window": 31 * DAY}, {"royalty": 1_000_001}, {"terms": "00"}, {"terms": None},
        {"allow_root": "A" * 64}, {"asset": "A5" * 32}, {"token": "0x" + "7F" * 20}, {"more": 1},
    ],
)  # fmt: skip
def test_hostile_documents(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        offer_from_dict({**offer_to_dict(offer()), **change})


def test_a_document_with_a_field_less() -> None:
    for name in offer_to_dict(offer()):
        document = offer_to_dict(offer())
        del document[name]
        with pytest.raises(BadInput):
            offer_from_dict(document)
    for value in (None, [], "x", 5):
        with pytest.raises(BadInput):
            offer_from_dict(value)


@settings(deadline=None)
@given(st.integers(0, 2**256))
def test_amounts_as_text(amount: int) -> None:
    if amount < 2**255:
        assert read_amount(str(amount), 2**255, "it") == amount
    with pytest.raises(BadInput):
        read_amount(f"0{amount}", 2**257, "it")
    with pytest.raises(BadInput):
        read_amount(amount, 2**257, "it")
