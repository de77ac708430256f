"""The market's bindings, byte by byte against eth_abi and the compiled contracts."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from types import ModuleType
from typing import Any

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput
from usufruct.ledger.bindings import (
    anchors,
    artefact,
    assets,
    channels,
    licences,
    parties,
    splits,
    tokens,
)
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.offers import Offer, licence_id, split_licence
from usufruct.ledger.bindings.splits import Claim, Split
from usufruct.types import Address, AssetId, LicenceId, OfferId, Use

AT = Address("0x" + "a1" * 20)
OFFER = (
    "(uint256,uint8,uint128,address,uint32,uint32,uint32,uint32,uint32,bool,bytes32,bytes32,uint64)"
)
SPLIT = "(uint256,uint32,address[],uint32[])"
CLAIM = f"(uint64,{OFFER})"

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda b: Address("0x" + b.hex()))
ids = words.map(lambda b: AssetId(b.hex()))
licence_ids = words.map(lambda b: LicenceId(b.hex()))
offer_ids = st.binary(min_size=24, max_size=24).map(lambda b: OfferId(b.hex()))
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
uint256 = st.integers(0, 2**256 - 1)
serials = st.integers(1, 2**64 - 1)
signatures = st.binary(min_size=66, max_size=200)
proofs = st.lists(words, max_size=4)
offers = st.builds(
    Offer,
    asset=ids,
    use=st.sampled_from(Use),
    price=st.integers(0, 2**128 - 1),
    token=addresses,
    period=uint32,
    uses=st.integers(0, 2**32 - 2),
    cap=uint32,
    refund_window=st.integers(0, 30 * 86_400),
    royalty=st.integers(0, 1_000_000),
    transferable=st.booleans(),
    allow_root=words,
    terms=words,
    salt=uint64,
)


@st.composite
def split_values(draw: st.DrawFn) -> Split:
    payees = draw(st.lists(addresses, min_size=1, max_size=5, unique=True))
    payees = sorted(payee for payee in payees if int(payee, 16)) or [AT]
    count = len(payees) - 1
    cuts = sorted(
        draw(st.lists(st.integers(1, 999_999), unique=True, min_size=count, max_size=count))
    )
    edges = [0, *cuts, 1_000_000]
    shares = [b - a for a, b in pairwise(edges)]
    return Split(draw(ids), draw(st.integers(1, 2**32 - 1)), tuple(payees), tuple(shares))


def plain(offer: Offer) -> tuple[Any, ...]:
    values = dataclasses.astuple(offer)
    return (int(offer.asset, 16), offer.use.number, *values[2:])


def plain_split(split: Split) -> tuple[Any, ...]:
    return (int(split.asset, 16), split.version, split.payees, split.shares)


def functions(contract: str) -> dict[str, Any]:
    def kind(field: Any) -> str:
        if field["type"].startswith("tuple"):
            return f"({','.join(map(kind, field['components']))}){field['type'][5:]}"
        return str(field["type"])

    return {
        f"{entry['name']}({','.join(map(kind, entry['inputs']))})": entry
        for entry in artefact.load_artefact(contract).abi
        if entry["type"] == "function"
    }


def expect(contract: str, call: Call, text: str, types: list[str], values: list[Any]) -> None:
    assert text in functions(contract)
    assert call.to == AT
    assert call.data == keccak256(text.encode())[:4] + eth_abi.encode(types, values)


# offers


@given(offers)
def test_an_offer_is_thirteen_words_and_its_id_their_hash(offer: Offer) -> None:
    encoded = eth_abi.encode([OFFER], [plain(offer)])
    assert offer.encode() == encoded and len(encoded) == 416
    assert Offer.decode(encoded) == offer
    assert offer.offer_id == keccak256(encoded)[8:].hex()


@given(offers, st.integers(0, 415), st.integers(1, 255))
def test_an_offer_has_one_encoding(offer: Offer, place: int, flip: int) -> None:
    changed = bytearray(offer.encode())
    changed[place] ^= flip
    try:
        found = Offer.decode(bytes(changed))
    except BadInput:
        return
    assert found != offer and found.encode() == bytes(changed)


GOOD = Offer(
    asset=AssetId("ab" * 32),
    use=Use.DOWNLOAD,
    price=5,
    token=AT,
    period=0,
    uses=0,
    cap=0,
    refund_window=0,
    royalty=0,
    transferable=False,
    allow_root=bytes(32),
    terms=bytes(32),
    salt=0,
)


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "ab"},
        {"asset": "AB" * 32},
        {"use": 0},
        {"use": "download"},
        {"price": -1},
        {"price": 2**128},
        {"price": True},
        {"price": 1.0},
        {"token": "0x" + "A1" * 20},
        {"token": ""},
        {"token": None},
        {"period": 2**32},
        {"uses": 2**32 - 1},
        {"cap": -1},
        {"refund_window": 30 * 86_400 + 1},
        {"royalty": 1_000_001},
        {"transferable": 1},
        {"allow_root": bytes(31)},
        {"terms": "00" * 32},
        {"salt": 2**64},
    ],
)
def test_what_is_no_offer(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        dataclasses.replace(GOOD, **change)


def test_an_offer_of_a_use_to_come_is_refused() -> None:
    encoded = bytearray(GOOD.encode())
    encoded[63] = 4
    with pytest.raises(BadInput, match="use"):
        Offer.decode(bytes(encoded))


@given(offer_ids, serials)
def test_licence_ids_both_ways(offer_id: OfferId, serial: int) -> None:
    licence = licence_id(offer_id, serial)
    assert int(licence, 16) == int(offer_id, 16) << 64 | serial
    assert split_licence(licence) == (offer_id, serial)


@pytest.mark.parametrize("serial", [0, 2**64, -1, True, "1"])
def test_what_is_no_serial_number(serial: Any) -> None:
    with pytest.raises(BadInput):
        licence_id(OfferId("0" * 48), serial)


def test_what_is_no_licence() -> None:
    for wrong in ("0" * 48, "0x" + "0" * 64, 7):
        with pytest.raises(BadInput):
            split_licence(wrong)  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        licence_id(OfferId("0" * 64), 1)


# splits


@given(split_values())
def test_a_split_and_its_hash(split: Split) -> None:
    types = ["uint256", "uint32", "address[]", "uint32[]"]
    encoded = eth_abi.encode(types, plain_split(split))
    assert split.encode() == encoded and split.digest == keccak256(encoded)
    assert Split.decode(encoded) == split


LOW, HIGH = Address("0x" + "11" * 20), Address("0x" + "22" * 20)


@pytest.mark.parametrize(
    ("payees", "shares"),
    [
        ((), ()),
        ((LOW,), (999_999,)),
        ((LOW,), (1_000_001,)),
        ((LOW, HIGH), (1_000_000,)),
        ((LOW, HIGH), (1_000_000, 0)),
        ((LOW, HIGH), (1_000_001, -1)),
        ((LOW, HIGH), (True, 999_999)),
        ((HIGH, LOW), (500_000, 500_000)),
        ((LOW, LOW), (500_000, 500_000)),
        (("0x" + "0" * 40, LOW), (500_000, 500_000)),
        (("0x" + "AA" * 20,), (1_000_000,)),
        ((None,), (1_000_000,)),
        ([LOW], [1_000_000]),
        (tuple(f"0x{n:040x}" for n in range(1, 66)), (1,) * 64 + (999_936,)),
    ],
)
def test_what_is_no_split(payees: Any, shares: Any) -> None:
    with pytest.raises(BadInput):
        Split(AssetId("ab" * 32), 1, payees, shares)


@pytest.mark.parametrize("version", [0, -1, 2**32, True, "1"])
def test_versions_of_splits_count_from_one(version: Any) -> None:
    with pytest.raises(BadInput):
        Split(AssetId("ab" * 32), version, (LOW,), (1_000_000,))


@given(split_values(), st.lists(st.tuples(serials, offers), max_size=3))
def test_openings_and_terms(split: Split, claimed: list[tuple[int, Offer]]) -> None:
    claims = [Claim(serial, offer) for serial, offer in claimed]
    shown = splits.encode_opening(split, claims)
    judged = [(serial, plain(offer)) for serial, offer in claimed]
    assert shown == eth_abi.encode([SPLIT, f"{CLAIM}[]"], [plain_split(split), judged])
    made = [offer for _, offer in claimed]
    terms = licences.encode_terms(shown, made)
    assert terms == eth_abi.encode(["bytes", f"{OFFER}[]"], [shown, [plain(o) for o in made]])


@given(st.lists(st.tuples(serials, offers), min_size=1, max_size=3))
def test_claims_without_a_split(claimed: list[tuple[int, Offer]]) -> None:
    claims = [Claim(serial, offer) for serial, offer in claimed]
    judged = [(serial, plain(offer)) for serial, offer in claimed]
    assert splits.encode_opening(None, claims) == eth_abi.encode(
        [SPLIT, f"{CLAIM}[]"], [(0, 0, [], []), judged]
    )


def test_no_terms_are_no_bytes() -> None:
    assert licences.encode_terms(b"", []) == b""


# calls


@settings(max_examples=40)
@given(
    offers, addresses, proofs, st.tuples(uint256, uint256), words, serials, signatures, addresses
)
def test_calls_of_licences(
    offer: Offer,
    who: Address,
    proof: list[bytes],
    times: tuple[int, int],
    word: bytes,
    serial: int,
    signature: bytes,
    other: Address,
) -> None:
    told = plain(offer)
    expect(
        "Licences",
        licences.make_offers(AT, [offer, offer]),
        f"makeOffers({OFFER}[])",
        [f"{OFFER}[]"],
        [[told, told]],
    )
    for call, name in ((licences.close_offer(AT, offer), "closeOffer"),):
        expect("Licences", call, f"{name}({OFFER})", [OFFER], [told])
    expect(
        "Licences",
        licences.buy(AT, offer, who, proof),
        f"buy({OFFER},address,bytes32[])",
        [OFFER, "address", "bytes32[]"],
        [told, who, proof],
    )
    signed = word + word[::-1] + b"\1"
    expect(
        "Licences",
        licences.buy_with_permit(AT, offer, who, proof, deadline=times[0], signature=signed),
        f"buyWithPermit({OFFER},address,bytes32[],uint256,uint8,bytes32,bytes32)",
        [OFFER, "address", "bytes32[]", "uint256", "uint8", "bytes32", "bytes32"],
        [told, who, proof, times[0], 28, word, word[::-1]],
    )
    for given_, sent in ((signature, signature), (signed, signed[:64] + b"\x1c")):
        expect(
            "Licences",
            licences.buy_with_authorization(
                *(AT, offer, who, proof),
                payer=other,
                valid_after=times[0],
                valid_before=times[1],
                salt=word,
                signature=given_,
            ),
            f"buyWithAuthorization({OFFER},address,bytes32[],address,uint256,uint256,bytes32,bytes)",
            [
                *(OFFER, "address", "bytes32[]", "address"),
                *("uint256", "uint256", "bytes32", "bytes"),
            ],
            [told, who, proof, other, *times, word, sent],
        )
    for call, name in (
        (licences.renew(AT, offer, serial), "renew"),
        (licences.challenge(AT, offer, serial), "challenge"),
    ):
        expect("Licences", call, f"{name}({OFFER},uint64)", [OFFER, "uint64"], [told, serial])
    expect(
        "Licences",
        licences.acknowledge(AT, offer, serial, root=word, signature=signature),
        f"acknowledge({OFFER},uint64,bytes32,bytes)",
        [OFFER, "uint64", "bytes32", "bytes"],
        [told, serial, word, signature],
    )
    expect(
        "Licences",
        licences.refund(AT, offer, serial, who),
        f"refund({OFFER},uint64,address)",
        [OFFER, "uint64", "address"],
        [told, serial, who],
    )
    expect(
        "Licences",
        licences.release(AT, offer, [serial, 1]),
        f"release({OFFER},uint64[])",
        [OFFER, "uint64[]"],
        [told, [serial, 1]],
    )


@settings(max_examples=40)
@given(licence_ids, uint32, signatures, addresses, addresses, st.booleans(), ids, offer_ids)
def test_other_calls_of_licences(
    licence: LicenceId,
    total: int,
    signature: bytes,
    who: Address,
    other: Address,
    yes: bool,
    asset: AssetId,
    offer_id: OfferId,
) -> None:
    number = int(licence, 16)
    expect(
        "Licences",
        licences.record_use(AT, licence, total, signature),
        "recordUse(uint256,uint32,bytes)",
        ["uint256", "uint32", "bytes"],
        [number, total, signature],
    )
    expect(
        "Licences",
        licences.transfer(AT, sender=who, receiver=other, licence=licence),
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        ["address", "address", "uint256", "uint256", "bytes"],
        [who, other, number, 1, b""],
    )
    expect(
        "Licences",
        licences.set_approval(AT, who, yes),
        "setApprovalForAll(address,bool)",
        ["address", "bool"],
        [who, yes],
    )
    for view, name in (
        (licences.licence(AT, licence), "licence"),
        (licences.challenged_at(AT, licence), "challengedAt"),
        (licences.payer_of(AT, licence), "payerOf"),
    ):
        expect("Licences", view, f"{name}(uint256)", ["uint256"], [number])
    for view, name in (
        (licences.royalty_of(AT, asset), "royaltyOf"),
        (licences.pay_to(AT, asset), "payTo"),
    ):
        expect("Licences", view, f"{name}(uint256)", ["uint256"], [int(asset, 16)])
    state = licences.offer_state(AT, offer_id)
    expect("Licences", state, "offerState(uint192)", ["uint192"], [int(offer_id, 16)])


@settings(max_examples=40)
@given(split_values(), split_values(), addresses, addresses, words, st.lists(signatures))
def test_calls_of_splits(
    split: Split,
    after: Split,
    token: Address,
    who: Address,
    digest: bytes,
    signed: list[bytes],
) -> None:
    for call, name in (
        (splits.withdraw(AT, split, token), "withdraw"),
        (splits.credit(AT, split, token), "credit"),
    ):
        types, values = [SPLIT, "address"], [plain_split(split), token]
        expect("Splits", call, f"{name}({SPLIT},address)", types, values)
    expect(
        "Splits",
        splits.claim(AT, digest=digest, token=token, payee=who, to=AT),
        "claim(bytes32,address,address,address)",
        ["bytes32", "address", "address", "address"],
        [digest, token, who, AT],
    )
    short = bytes(64) + b"\0"
    expect(
        "Splits",
        splits.succeed(AT, split, after, [*signed, short]),
        f"succeed({SPLIT},{SPLIT},bytes[])",
        [SPLIT, SPLIT, "bytes[]"],
        [plain_split(split), plain_split(after), [*signed, bytes(64) + b"\x1b"]],
    )
    expect(
        "Splits",
        splits.owed(AT, digest, token, who),
        "owed(bytes32,address,address)",
        ["bytes32", "address", "address"],
        [digest, token, who],
    )
    expect(
        "Splits",
        splits.reserved(AT, digest, token),
        "reserved(bytes32,address)",
        ["bytes32", "address"],
        [digest, token],
    )
    expect("Splits", splits.wallet_of(AT, digest), "walletOf(bytes32)", ["bytes32"], [digest])
    expect("Splits", splits.implementation(AT), "implementation()", [], [])


@settings(max_examples=30)
@given(addresses, addresses, uint256, words)
def test_calls_of_tokens(who: Address, other: Address, amount: int, nonce: bytes) -> None:
    pair, to = ["address", "address"], ["address", "uint256"]
    one: list[str] = ["address"]
    cases: list[tuple[Call, str, list[str], list[Any]]] = [
        (tokens.approve(AT, who, amount), "approve(address,uint256)", to, [who, amount]),
        (tokens.transfer(AT, who, amount), "transfer(address,uint256)", to, [who, amount]),
        (tokens.faucet(AT, who), "faucet(address)", one, [who]),
        (tokens.balance_of(AT, who), "balanceOf(address)", one, [who]),
        (tokens.allowance(AT, who, other), "allowance(address,address)", pair, [who, other]),
        (tokens.nonces(AT, who), "nonces(address)", one, [who]),
        (
            tokens.authorization_state(AT, who, nonce),
            "authorizationState(address,bytes32)",
            ["address", "bytes32"],
            [who, nonce],
        ),
        (tokens.decimals(AT), "decimals()", [], []),
        (tokens.symbol(AT), "symbol()", [], []),
        (tokens.name(AT), "name()", [], []),
        (tokens.version(AT), "version()", [], []),
        (tokens.domain_separator(AT), "DOMAIN_SEPARATOR()", [], []),
    ]
    for call, text, types, values in cases:
        expect("TestDollar", call, text, types, values)


def test_signatures_as_contracts_take_them() -> None:
    with pytest.raises(BadInput):
        licences.buy_with_permit(AT, GOOD, AT, deadline=1, signature=bytes(64))
    with pytest.raises(BadInput):
        licences.record_use(AT, LicenceId("0" * 64), 1, "text")  # type: ignore[arg-type]


PASSED_OVER = {
    "Assets": """approve balanceOf getApproved isApprovedForAll ownerOf safeTransferFrom
        setApprovalForAll supportsInterface symbol name tokenURI LAST_KIND MAX_PARENTS MAX_URI
        assetId latestRoot versionCount setSplit""",
    "Licences": """DOMAIN_SEPARATOR MAX_WINDOW WHOLE assets splits implementation balanceOf
        balanceOfBatch claimRoyalty isApprovedForAll offerId safeBatchTransferFrom setOffers
        supportsInterface sync""",
    "Splits": "DOMAIN_SEPARATOR MAX_PAYEES WHOLE assets licences opened",
    "TestDollar": """CANCEL_AUTHORIZATION_TYPEHASH RECEIVE_WITH_AUTHORIZATION_TYPEHASH FAUCET
        TRANSFER_WITH_AUTHORIZATION_TYPEHASH cancelAuthorization permit receiveWithAuthorization
        totalSupply transferFrom transferWithAuthorization""",
    "Parties": "MAX_NAME MAX_NODE",
    "Anchors": "",
    "Channels": """DOMAIN_SEPARATOR MAX_WITHDRAW_DELAY MIN_WITHDRAW_DELAY PACKED_ROW
        getClaimBatchDigest getRefundDigest getVoucherDigest""",
    "DepositCollector": "CHANNELS collect",
    "Multicall3": """aggregate aggregate3 tryAggregate getBlockNumber getChainId
        getCurrentBlockTimestamp getEthBalance""",
}
MODULES = {
    "Parties": parties,
    "Anchors": anchors,
    "Assets": assets,
    "Licences": licences,
    "Splits": splits,
    "TestDollar": tokens,
    "Channels": channels,
    "DepositCollector": ModuleType("unbound"),
    "Multicall3": ModuleType("unbound"),
}


@pytest.mark.parametrize("contract", artefact.NAMES)
def test_every_function_is_bound_or_passed_over(contract: str) -> None:
    selectors = {
        value.hex()
        for name, value in vars(MODULES[contract]).items()
        if name.startswith("_") and isinstance(value, bytes) and len(value) == 4
    }
    passed_over = set(PASSED_OVER[contract].split())
    unknown = set()
    for text in functions(contract):
        selector = keccak256(text.encode())[:4].hex()
        if selector in selectors:
            selectors.discard(selector)
        else:
            unknown.add(text.partition("(")[0])
    assert not selectors, "bound, but not in the contract"
    assert unknown == passed_over


# answers


@given(addresses, uint32, uint32, uint32, uint32)
def test_answer_licence(who: Address, expiry: int, uses: int, until: int, used: int) -> None:
    view = licences.licence(AT, LicenceId("0" * 64))
    types = ["address", "uint32", "uint32", "uint32", "uint32"]
    found = view.decode(eth_abi.encode(types, [who, expiry, uses, until, used]))
    if int(who, 16):
        assert found == licences.Licence(who, expiry, uses, until, used)
    else:
        assert found is None


@given(uint64, st.integers(0, 255), st.booleans())
def test_answer_offer_state(sold: int, status: int, transferable: bool) -> None:
    view = licences.offer_state(AT, OfferId("0" * 48))
    answer = eth_abi.encode(["uint64", "uint8", "bool"], [sold, status, transferable])
    if status > 2:
        with pytest.raises(BadInput):
            view.decode(answer)
    elif status == 0:
        assert view.decode(answer) is None
    else:
        assert view.decode(answer) == licences.OfferState(sold, status == 1, transferable)


@given(st.binary(max_size=200))
def test_answers_that_are_noise(noise: bytes) -> None:
    for view in (
        licences.licence(AT, LicenceId("0" * 64)),
        licences.royalty_of(AT, AssetId("0" * 64)),
        licences.pay_to(AT, AssetId("0" * 64)),
        splits.owed(AT, bytes(32), AT, AT),
        splits.wallet_of(AT, bytes(32)),
    ):
        try:
            view.decode(noise)
        except BadInput:
            pass


# events


@given(offers)
def test_event_offer_made(offer: Offer) -> None:
    number = bytes(8) + bytes.fromhex(offer.offer_id)
    topics = [OFFER_MADE, number, bytes.fromhex(offer.asset)]
    found = licences.decode_event(topics, offer.encode())
    assert found == licences.OfferMade(offer.offer_id, offer)
    for place, wrong in ((1, bytes(32)), (2, bytes(32)), (1, b"\1" + number[1:])):
        lying = [*topics[:place], wrong, *topics[place + 1 :]]
        if lying != topics:
            with pytest.raises(BadInput):
                licences.decode_event(lying, offer.encode())


def topic(text: str) -> bytes:
    return keccak256(text.encode())


OFFER_MADE = topic(f"OfferMade(uint192,uint256,{OFFER})")


@given(addresses, addresses, addresses, st.lists(st.tuples(licence_ids, uint256), max_size=4))
def test_events_of_licences_that_move(
    operator: Address, sender: Address, receiver: Address, moved: list[tuple[LicenceId, int]]
) -> None:
    who = [eth_abi.encode(["address"], [one]) for one in (operator, sender, receiver)]
    for licence, amount in moved:
        data = eth_abi.encode(["uint256", "uint256"], [int(licence, 16), amount])
        single = topic("TransferSingle(address,address,address,uint256,uint256)")
        found = licences.decode_event([single, *who], data)
        assert found == licences.LicenceMoved(operator, sender, receiver, licence, amount)
    numbers = [int(licence, 16) for licence, _ in moved]
    amounts = [amount for _, amount in moved]
    batch = topic("TransferBatch(address,address,address,uint256[],uint256[])")
    data = eth_abi.encode(["uint256[]", "uint256[]"], [numbers, amounts])
    found = licences.decode_event([batch, *who], data)
    assert found == tuple(licences.LicenceMoved(operator, sender, receiver, *m) for m in moved)
    with pytest.raises(BadInput, match="as many"):
        licences.decode_event(
            [batch, *who], eth_abi.encode(["uint256[]", "uint256[]"], [numbers, [*amounts, 1]])
        )


@given(licence_ids, uint32, uint32, addresses, words, offer_ids)
def test_other_events_of_licences(
    licence: LicenceId, first: int, second: int, who: Address, root: bytes, offer_id: OfferId
) -> None:
    cases: list[tuple[str, list[str], list[Any], Any]] = [
        (
            "Renewed(uint256,uint32,uint32)",
            ["uint32", "uint32"],
            [first, second],
            licences.Renewed(licence, first, second),
        ),
        ("Used(uint256,uint32)", ["uint32"], [first], licences.Used(licence, first)),
        ("Challenged(uint256,address)", ["address"], [who], licences.Challenged(licence, who)),
        (
            "Acknowledged(uint256,bytes32)",
            ["bytes32"],
            [root],
            licences.Acknowledged(licence, root),
        ),
        ("Released(uint256)", [], [], licences.Released(licence)),
        ("Refunded(uint256,address)", ["address"], [who], licences.Refunded(licence, who)),
        ("PayerNoted(uint256,address)", ["address"], [who], licences.PayerNoted(licence, who)),
    ]
    for text, types, values, expected in cases:
        topics = [topic(text), bytes.fromhex(licence)]
        assert licences.decode_event(topics, eth_abi.encode(types, values)) == expected
    closed = licences.decode_event(
        [topic("OfferClosed(uint192)"), bytes(8) + bytes.fromhex(offer_id)], b""
    )
    assert closed == licences.OfferClosed(offer_id)


@given(split_values(), addresses, addresses, addresses, uint256)
def test_events_of_splits(
    split: Split, token: Address, payee: Address, to: Address, amount: int
) -> None:
    types, values = ["uint32", "address[]", "uint32[]"], plain_split(split)[1:]
    data = eth_abi.encode(types, values)
    made = topic("SplitMade(uint256,bytes32,uint32,address[],uint32[])")
    topics = [made, bytes.fromhex(split.asset), split.digest]
    assert splits.decode_event(topics, data) == splits.SplitMade(split.digest, split)
    with pytest.raises(BadInput):
        splits.decode_event([*topics[:2], bytes(32)], data)
    where = [split.digest, *(eth_abi.encode(["address"], [one]) for one in (token, payee))]
    for kind in (splits.Paid, splits.Claimed):
        told = topic(f"{kind.__name__}(bytes32,address,address,address,uint256)")
        data = eth_abi.encode(["address", "uint256"], [to, amount])
        expected = kind(split.digest, token, payee, to, amount)
        assert splits.decode_event([told, *where], data) == expected
    owed = splits.decode_event(
        [topic("Owed(bytes32,address,address,uint256)"), *where],
        eth_abi.encode(["uint256"], [amount]),
    )
    assert owed == splits.Owed(split.digest, token, payee, amount)


# places and code


def test_code_of_the_contracts_knows_the_others() -> None:
    one, two, three = (Address("0x" + digit * 40) for digit in "123")
    for code, known in (
        (splits.runtime_code(one, two, three), (two, three, splits.wallet_implementation(one))),
        (licences.runtime_code(one, two), (one, two, splits.wallet_implementation(two))),
    ):
        for address in known:
            assert bytes.fromhex(address[2:]) in code
    assert tokens.runtime_code() in tokens.deploy_data()


def test_a_wallets_address() -> None:
    """As EIP-1014 says it: the hash of 0xff, maker, salt and the hash of the EIP-1167 code."""
    maker, salt = Address("0x" + "1f" * 20), b"\7" * 32
    made = splits.wallet_implementation(maker)
    judged = keccak256(bytes.fromhex("d694" + "1f" * 20 + "01"))[12:]
    assert made == "0x" + judged.hex()
    code = bytes.fromhex(
        "3d602d80600a3d3981f3363d3d373d3d3d363d73" + made[2:] + "5af43d82803e903d91602b57fd5bf3"
    )
    judged = keccak256(b"\xff" + bytes.fromhex("1f" * 20) + salt + keccak256(code))[12:]
    assert splits.wallet_address(maker, made, salt) == "0x" + judged.hex()
    for wrong in (bytes(31), "7" * 64):
        with pytest.raises(BadInput):
            splits.wallet_address(maker, made, wrong)  # type: ignore[arg-type]
