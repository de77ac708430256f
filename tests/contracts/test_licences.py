from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from tests.contracts.evm import Evm, call
from tests.contracts.shop import (
    BURNER,
    CLAIM,
    DAY,
    OFFER,
    RECEIVER,
    REFUSER,
    UNCOUNTED,
    YES_1271,
    Refused,
    Shop,
    blob,
    install,
    offer_id,
    refuses,
)

from usufruct.crypto.hash import keccak256
from usufruct.ledger.bindings import assets
from usufruct.types import ZERO_ADDRESS, AssetKind, AssetState

pytestmark = pytest.mark.engine

MAKE = f"makeOffers({OFFER}[])"
CLOSE = f"closeOffer({OFFER})"
RENEW = f"renew({OFFER},uint64)"
CHALLENGE = f"challenge({OFFER},uint64)"
ACKNOWLEDGE = f"acknowledge({OFFER},uint64,bytes32,bytes)"
REFUND = f"refund({OFFER},uint64,address)"
RELEASE = f"release({OFFER},uint64[])"
RECORD = "recordUse(uint256,uint32,bytes)"
MOVE = "safeTransferFrom(address,address,uint256,uint256,bytes)"
BATCH = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)"
PERMIT = f"buyWithPermit({OFFER},address,bytes32[],uint256,uint8,bytes32,bytes32)"
AUTHORIZED = (
    f"buyWithAuthorization({OFFER},address,bytes32[],address,uint256,uint256,bytes32,bytes)"
)
ROYALTY = f"claimRoyalty({CLAIM},address)"
RECEIVE = (
    "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
)
APPROVE = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"
LAST = 2**40


@pytest.fixture
def shop(evm: Evm) -> Shop:
    return Shop(evm, evm.deploy_market())


def state(shop: Shop, offer: Any) -> Any:
    kinds = ("uint64", "uint8", "bool")
    return shop.ask("offerState(uint192)", [offer_id(offer)], *kinds)


def set_state(shop: Shop, wanted: AssetState) -> None:
    shop.post(assets.set_state(shop.on.assets, shop.asset, wanted), shop.seller)


# offers


def test_offer_is_its_hash(shop: Shop) -> None:
    offer = shop.offer(price=5, royalty=7)
    assert shop.ask(f"offerId({OFFER})", [offer], "uint192") == offer_id(offer)
    assert state(shop, offer) == (0, 0, False)
    (log,) = shop.send(MAKE, [offer], by=shop.seller).logs
    assert log.topics[0] == keccak256(f"OfferMade(uint192,uint256,{OFFER})".encode())
    assert log.topics[1:] == (offer_id(offer).to_bytes(32, "big"), bytes.fromhex(shop.asset))
    assert log.data == encode([OFFER], [offer])
    assert state(shop, offer) == (0, 1, True)


def test_offers_come_with_a_version(shop: Shop) -> None:
    made = shop.offer(transferable=False), shop.offer()
    shop.post(shop.publish_call(shop.asset, offers=blob(b"", *made)), shop.seller)
    assert [state(shop, one) for one in made] == [(0, 1, False), (0, 1, True)]
    elsewhere = shop.offer(asset=5)
    with refuses("BadOffer", 1):
        shop.post(shop.publish_call(shop.asset, offers=blob(b"", elsewhere)), shop.seller)
    with refuses("NotAssets", shop.seller):
        shop.send("setOffers(uint256,uint32,address,bytes)", 1, 1, shop.seller, b"", by=shop.seller)


def test_draft_is_not_sold(shop: Shop) -> None:
    asset, salt = shop.new_id()
    common: dict[str, Any] = {"salt": salt, "kind": AssetKind.MODEL, "metadata": bytes(32)}
    offer = shop.offer(asset=int(asset, 16))
    with refuses("NotActive", int(asset, 16), 0):
        made = assets.register(shop.on.assets, terms=blob(b"", offer), **common)
        shop.post(made, shop.seller)
    shop.post(assets.register(shop.on.assets, terms=blob(b""), **common), shop.seller)
    with refuses("NotActive", int(asset, 16), 0):
        shop.send(MAKE, [offer], by=shop.seller)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"use": 4}, 2),
        ({"royalty": 1_000_001}, 3),
        ({"refund_window": 30 * DAY + 1}, 4),
        ({"token": "0x" + "12" * 20}, 5),
        ({"uses": UNCOUNTED}, 6),
    ],
)
def test_bad_offers(shop: Shop, changes: dict[str, Any], why: int) -> None:
    with refuses("BadOffer", why):
        shop.send(MAKE, [shop.offer(**changes)], by=shop.seller)


def test_limits_of_good_offers(shop: Shop) -> None:
    shop.make(use=3, royalty=1_000_000, refund_window=30 * DAY, uses=UNCOUNTED - 1)


def test_offers_are_the_owners_and_once(shop: Shop) -> None:
    offer = shop.make()
    with refuses("OfferExists", offer_id(offer)):
        shop.send(MAKE, [offer], by=shop.seller)
    number = int(shop.asset, 16)
    for signature, args in ((MAKE, [[shop.offer()]]), (CLOSE, [offer])):
        with refuses("NotAssetOwner", number, shop.seller, shop.other):
            shop.send(signature, *args, by=shop.other)
    with refuses("UnknownOffer"):
        shop.send(CLOSE, shop.offer(), by=shop.seller)
    shop.send(CLOSE, offer, by=shop.seller)
    assert state(shop, offer) == (0, 2, True)
    for again in (lambda: shop.send(CLOSE, offer, by=shop.seller), lambda: shop.buy(offer)):
        with refuses("OfferIsClosed", offer_id(offer)):
            again()
    with refuses("OfferExists"):
        shop.send(MAKE, [offer], by=shop.seller)


def test_highest_royalty_stays(shop: Shop) -> None:
    number = [int(shop.asset, 16)]
    for royalty, highest in ((0, 0), (200, 200), (100, 200), (300, 300)):
        offer = shop.make(royalty=royalty)
        assert shop.ask("royaltyOf(uint256)", number, "uint32") == highest
    shop.send(CLOSE, offer, by=shop.seller)
    set_state(shop, AssetState.RETIRED)
    assert shop.ask("royaltyOf(uint256)", number, "uint32") == 300


# buying


def test_buy_with_coin(shop: Shop) -> None:
    offer = shop.make(price=10**15, period=DAY, uses=5)
    before = shop.coins(shop.seller)
    receipt = shop.buy(offer)
    (log,) = receipt.logs
    assert log.topics[0] == keccak256(b"TransferSingle(address,address,address,uint256,uint256)")
    assert [int.from_bytes(topic, "big") for topic in log.topics[1:]] == [
        int(shop.buyer, 16),
        0,
        int(shop.buyer, 16),
    ]
    assert log.data == encode(["uint256", "uint256"], [shop.id(offer), 1])
    assert shop.licence(shop.id(offer)) == (shop.buyer, receipt.time + DAY, 5, 0, 0)
    assert shop.coins(shop.seller) == before + 10**15
    assert shop.coins(shop.on.licences) == 0
    assert state(shop, offer)[0] == 1
    assert shop.ask("payerOf(uint256)", [shop.id(offer)], "address") == ZERO_ADDRESS


@pytest.mark.parametrize("sent", [0, 4, 6])
def test_wrong_coin(shop: Shop, sent: int) -> None:
    with refuses("WrongValue", sent, 5):
        shop.buy(shop.make(price=5), value=sent)


def test_coin_with_a_token_or_a_free_offer(shop: Shop) -> None:
    shop.fund()
    for offer in (shop.make(price=5, token=shop.on.dollar), shop.make()):
        with refuses("WrongValue", 1, 0):
            shop.buy(offer, value=1)
        shop.buy(offer)
    assert shop.licence(shop.id(offer)) == (shop.buyer, 0, UNCOUNTED, 0, 0)


def test_buy_with_a_token(shop: Shop) -> None:
    offer = shop.make(price=5, token=shop.on.dollar)
    with refuses("ERC20InsufficientAllowance"):
        shop.buy(offer)
    shop.fund()
    shop.buy(offer, holder=shop.other)
    assert shop.dollars(shop.seller) == 5
    assert shop.dollars(shop.on.licences) == 0
    assert shop.licence(shop.id(offer))[0] == shop.other


def test_far_ends_are_capped(shop: Shop) -> None:
    offer = shop.make(period=UNCOUNTED)
    shop.buy(offer)
    assert shop.licence(shop.id(offer))[1] == 2**32 - 1


def test_cap(shop: Shop) -> None:
    offer = shop.make(cap=2)
    shop.buy(offer)
    shop.buy(offer)
    with refuses("SoldOut", offer_id(offer), 2):
        shop.buy(offer)


@pytest.mark.parametrize("gone", [AssetState.RETIRED, AssetState.REVOKED])
def test_only_active_assets_are_sold(shop: Shop, gone: AssetState) -> None:
    offer = shop.make(period=DAY)
    shop.buy(offer)
    set_state(shop, gone)
    number = 2 if gone is AssetState.RETIRED else 3
    for attempt in (
        lambda: shop.buy(offer),
        lambda: shop.send(RENEW, offer, 1),
        lambda: shop.make(),
    ):
        with refuses("NotActive", int(shop.asset, 16), number):
            attempt()
    if gone is AssetState.RETIRED:
        set_state(shop, AssetState.ACTIVE)
        shop.buy(offer)


def test_income_follows_the_asset_to_a_new_owner_and_a_new_split(shop: Shop) -> None:
    offer = shop.make(price=7)
    give = assets.transfer(
        shop.on.assets, sender=shop.seller, receiver=shop.other, asset=shop.asset
    )
    shop.post(give, shop.seller)
    before = shop.coins(shop.other)
    shop.buy(offer)
    assert shop.coins(shop.other) == before + 7
    from tests.contracts.shop import opening, split_hash

    split = shop.split(shop.asset, {shop.seller: 1_000_000})
    fix = shop.publish_call(shop.asset, split_hash=split_hash(split), offers=blob(opening(split)))
    shop.post(fix, shop.other)
    shop.buy(offer)
    assert shop.coins(shop.wallet(split)) == 7
    assert shop.ask("payTo(uint256)", [int(shop.asset, 16)], "address") == shop.wallet(split)


def test_allow_list(shop: Shop) -> None:
    def leaf(who: str) -> bytes:
        return keccak256(keccak256(encode(["address"], [who])))

    two = leaf(shop.buyer), leaf(shop.seller)
    offer = shop.make(allow_root=keccak256(b"".join(sorted(two))))
    shop.buy(offer, proof=[two[1]])
    shop.buy(offer, holder=shop.buyer, proof=[two[1]], by=shop.other)
    for proof, holder in (([two[1]], shop.other), ([], shop.buyer), ([two[0]], shop.buyer)):
        with refuses("NotListed", holder):
            shop.buy(offer, holder=holder, proof=proof)


def test_receivers_are_asked(shop: Shop) -> None:
    offer = shop.make()
    shop.buy(offer, holder=install(shop.evm, RECEIVER))
    for code in (YES_1271, REFUSER):
        contract = install(shop.evm, code)
        with refuses("ERC1155InvalidReceiver", contract):
            shop.buy(offer, holder=contract)
    with refuses("ERC1155InvalidReceiver", ZERO_ADDRESS):
        shop.send(f"buy({OFFER},address,bytes32[])", offer, ZERO_ADDRESS, [])


def permit(shop: Shop, value: int, nonce: int = 0) -> tuple[Any, ...]:
    message = {"value": value, "nonce": nonce, "deadline": LAST}
    signature = shop.sign(
        2, "dollar", "Permit", APPROVE, owner=shop.buyer, spender=shop.on.licences, **message
    )
    return (LAST, signature[64], signature[:32], signature[32:64])


def test_buy_with_permit(shop: Shop) -> None:
    offer = shop.make(price=5, token=shop.on.dollar)
    shop.send("faucet(address)", shop.buyer, to=shop.on.dollar)
    signed = permit(shop, 5)
    shop.send(PERMIT, offer, shop.buyer, [], *signed)
    assert shop.dollars(shop.seller) == 5
    with refuses("ERC20InsufficientAllowance"):  # the permit is used up
        shop.send(PERMIT, offer, shop.buyer, [], *signed)
    with refuses("BadOffer", 5):
        shop.send(PERMIT, shop.make(), shop.buyer, [], *signed)


def test_permit_that_somebody_else_submitted_first(shop: Shop) -> None:
    offer = shop.make(price=5, token=shop.on.dollar)
    shop.send("faucet(address)", shop.buyer, to=shop.on.dollar)
    signed = permit(shop, 5)
    kinds = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    shop.send(kinds, shop.buyer, shop.on.licences, 5, *signed, by=shop.other, to=shop.on.dollar)
    shop.send(PERMIT, offer, shop.buyer, [], *signed)
    assert shop.dollars(shop.seller) == 5


def authorize(shop: Shop, offer: Any, holder: str, salt: bytes, payer: str) -> bytes:
    nonce = keccak256(encode(["uint256", "address", "bytes32"], [offer_id(offer), holder, salt]))
    message: dict[str, Any] = {"from": payer, "to": shop.on.licences, "value": offer[2]}
    message |= {"validAfter": 0, "validBefore": LAST, "nonce": nonce}
    return shop.sign(2, "dollar", "ReceiveWithAuthorization", RECEIVE, **message)


@pytest.mark.parametrize("window", [0, DAY])
def test_buy_with_authorization(shop: Shop, window: int) -> None:
    offer = shop.make(price=5, token=shop.on.dollar, refund_window=window)
    other = shop.make(price=5, token=shop.on.dollar, refund_window=window)
    shop.send("faucet(address)", shop.buyer, to=shop.on.dollar)
    salt = b"\5" * 32
    signature = authorize(shop, offer, shop.other, salt, shop.buyer)
    rest = (shop.buyer, 0, LAST, salt, signature)
    for changed in ((other, shop.other), (offer, shop.seller)):
        with refuses("AuthorizationNotSigned", shop.buyer):
            shop.send(AUTHORIZED, *changed, [], *rest, by=shop.seller)
    receipt = shop.send(AUTHORIZED, offer, shop.other, [], *rest, by=shop.seller)
    sold = [log for log in receipt.logs if log.address == shop.on.licences]
    assert int.from_bytes(sold[0].topics[1], "big") == int(shop.buyer, 16)
    assert len(sold) == (2 if window else 1)  # PayerNoted
    assert shop.dollars(shop.seller) == (0 if window else 5)
    assert shop.dollars(shop.on.licences) == (5 if window else 0)
    with refuses("AuthorizationSpent"):
        shop.send(AUTHORIZED, offer, shop.other, [], *rest, by=shop.seller)


def test_authorization_needs_a_token_and_an_arrival(shop: Shop) -> None:
    rest = (shop.buyer, 0, LAST, bytes(32), bytes(65))
    with refuses("BadOffer", 5):
        shop.send(AUTHORIZED, shop.make(price=5), shop.buyer, [], *rest)
    # A token that takes any call in silence, and says everybody has 0x1626ba7e<<224 of it.
    silent = install(shop.evm, YES_1271)
    with refuses("TokenTookFee", 0, 5):
        shop.send(AUTHORIZED, shop.make(price=5, token=silent), shop.buyer, [], *rest)


# renewing


def test_renew(shop: Shop) -> None:
    offer = shop.make(price=3, period=DAY, uses=5)
    end = shop.buy(offer).time + DAY
    before = shop.coins(shop.seller)
    shop.send(RENEW, offer, 1, value=3, by=shop.other)
    assert shop.licence(shop.id(offer))[:3] == (shop.buyer, end + DAY, 10)
    assert shop.coins(shop.seller) == before + 3
    shop.evm.set_time(end + 3 * DAY)
    late = shop.send(RENEW, offer, 1, value=3).time
    assert shop.licence(shop.id(offer))[:3] == (shop.buyer, late + DAY, 15)
    with refuses("WrongValue", 2, 3):
        shop.send(RENEW, offer, 1, value=2)
    with refuses("UnknownLicence", shop.id(offer, 2)):
        shop.send(RENEW, offer, 2, value=3)
    shop.send(CLOSE, offer, by=shop.seller)
    with refuses("OfferIsClosed", offer_id(offer)):
        shop.send(RENEW, offer, 1, value=3)


def test_renew_of_one_kind_only(shop: Shop) -> None:
    timed, counted = shop.make(price=1, period=DAY), shop.make(price=1, uses=2**31)
    neither, free = shop.make(price=1), shop.make(period=DAY, uses=1)
    end = shop.buy(timed).time + DAY
    for offer in (counted, neither, free):
        shop.buy(offer)
    shop.send(RENEW, timed, 1, value=1)
    shop.send(RENEW, counted, 1, value=1)
    assert shop.licence(shop.id(timed))[1:3] == (end + DAY, UNCOUNTED)
    assert shop.licence(shop.id(counted))[1:3] == (0, UNCOUNTED - 1)  # never "uncounted"
    for offer in (neither, free):
        with refuses("NothingToRenew", shop.id(offer)):
            shop.send(RENEW, offer, 1, value=offer[2])
    waiting = shop.make(price=1, period=DAY, refund_window=DAY)
    until = shop.buy(waiting).time + DAY
    with refuses("InRefundWindow", shop.id(waiting), until):
        shop.send(RENEW, waiting, 1, value=1)


# uses


def test_uses(shop: Shop) -> None:
    offer = shop.make(uses=5, period=DAY)
    end = shop.buy(offer).time + DAY
    licence = shop.id(offer)

    def use(total: int, number: int = 2) -> bytes:
        fields = "uint256 licence,uint32 total"
        return shop.sign(number, "licences", "Use", fields, licence=licence, total=total)

    shop.send(RECORD, licence, 2, use(2), by=shop.other)
    assert shop.licence(licence)[4] == 2
    for total in (1, 2):
        with refuses("UseNotGrowing", licence, 2, total):
            shop.send(RECORD, licence, total, use(total))
    with refuses("UsesExhausted", licence, 5, 6):
        shop.send(RECORD, licence, 6, use(6))
    for bad in (use(4), use(3, 1), use(3)[:-1], b""):
        with refuses("BadSignature"):
            shop.send(RECORD, licence, 3, bad)
    shop.send(RECORD, licence, 3, use(3))
    shop.evm.set_time(end - 1)
    shop.send(RECORD, licence, 4, use(4))
    with refuses("Expired", licence, end):
        shop.send(RECORD, licence, 5, use(5))
    with refuses("UnknownLicence", 77):
        shop.send(RECORD, 77, 5, use(5))
    free = shop.make()
    shop.buy(free)
    with refuses("NotCounted", shop.id(free)):
        shop.send(RECORD, shop.id(free), 1, use(1))


# settling


@pytest.fixture
def waiting(shop: Shop) -> tuple[Any, int]:
    """An offer with a window, bought once by account 2 for itself, and its deadline."""
    offer = shop.make(price=1000, refund_window=DAY)
    return offer, shop.buy(offer).time + DAY


def acknowledgement(shop: Shop, licence: int, root: bytes, number: int = 2) -> bytes:
    fields = "uint256 licence,bytes32 root"
    return shop.sign(number, "licences", "Acknowledgement", fields, licence=licence, root=root)


def test_price_waits(shop: Shop, waiting: Any) -> None:
    offer, deadline = waiting
    licence = shop.id(offer)
    assert shop.coins(shop.on.licences) == 1000
    assert shop.licence(licence) == (shop.buyer, 0, UNCOUNTED, deadline, 0)
    assert shop.ask("payerOf(uint256)", [licence], "address") == shop.buyer
    with refuses("InRefundWindow", licence, deadline):
        shop.send(MOVE, shop.buyer, shop.other, licence, 1, b"")


def test_release_at_the_exact_second(shop: Shop, waiting: Any) -> None:
    offer, deadline = waiting
    shop.evm.set_time(deadline - 1)
    with refuses("NotYet", shop.id(offer), deadline):
        shop.send(RELEASE, offer, [1], by=shop.other)
    shop.evm.set_time(deadline)
    with refuses("Expired", shop.id(offer), deadline):
        shop.send(CHALLENGE, offer, 1)
    before = shop.coins(shop.seller)
    with refuses("Settled", shop.id(offer)):
        shop.send(RELEASE, offer, [1, 1], by=shop.other)
    shop.send(RELEASE, offer, [1], by=shop.other)
    assert shop.coins(shop.seller) == before + 1000
    assert shop.licence(shop.id(offer))[3] == 0
    settled(shop, offer)
    shop.send(MOVE, shop.buyer, shop.other, shop.id(offer), 1, b"")


def settled(shop: Shop, offer: Any) -> None:
    """Nothing more can be done about the price."""
    licence = shop.id(offer)
    for signature, args in (
        (RELEASE, [[1]]),
        (CHALLENGE, [1]),
        (REFUND, [1, shop.buyer]),
        (ACKNOWLEDGE, [1, bytes(32), acknowledgement(shop, licence, bytes(32))]),
    ):
        with refuses("Settled", licence):
            shop.send(signature, offer, *args)
    assert shop.coins(shop.on.licences) == 0


def test_release_of_many(shop: Shop, waiting: Any) -> None:
    offer, _ = waiting
    last = [shop.buy(offer, holder=shop.other).time for _ in range(3)][-1]
    shop.evm.set_time(last + DAY)
    before = shop.coins(shop.seller)
    shop.send(RELEASE, offer, [2, 1, 4, 3], by=shop.other)
    assert shop.coins(shop.seller) == before + 4000


def test_challenge_at_the_last_second_stops_release(shop: Shop, waiting: Any) -> None:
    offer, deadline = waiting
    licence = shop.id(offer)
    with refuses("NotHolder", licence, shop.other):
        shop.send(CHALLENGE, offer, 1, by=shop.other)
    with refuses("NotYet", licence, 0):
        shop.send(REFUND, offer, 1, shop.buyer)
    shop.evm.set_time(deadline - 1)
    shop.send(CHALLENGE, offer, 1)
    assert shop.ask("challengedAt(uint256)", [licence], "uint64") == deadline - 1
    with refuses("IsChallenged", licence):
        shop.send(RELEASE, offer, [1])
    due = deadline - 1 + DAY
    shop.evm.set_time(due - 1)
    with refuses("NotYet", licence, due):
        shop.send(REFUND, offer, 1, shop.buyer)
    shop.evm.set_time(due)
    with refuses("NotAssetOwner", int(shop.asset, 16), shop.seller, shop.other):
        shop.send(REFUND, offer, 1, shop.other, by=shop.other)
    pocket = "0x" + "77" * 20
    start = shop.coins(pocket)  # type: ignore[arg-type]
    shop.send(REFUND, offer, 1, pocket)
    assert shop.coins(pocket) == start + 1000  # type: ignore[arg-type]
    assert shop.licence(licence) == (ZERO_ADDRESS, 0, 0, 0, 0)
    for signature, args in ((REFUND, [1, pocket]), (CHALLENGE, [1]), (RELEASE, [[1]])):
        with refuses("UnknownLicence", licence):
            shop.send(signature, offer, *args)


def test_challenged_twice(shop: Shop, waiting: Any) -> None:
    offer, _ = waiting
    shop.send(CHALLENGE, offer, 1)
    with refuses("AlreadyChallenged", shop.id(offer)):
        shop.send(CHALLENGE, offer, 1)


@pytest.mark.parametrize("challenged", [False, True])
def test_acknowledged(shop: Shop, waiting: Any, challenged: bool) -> None:
    offer, deadline = waiting
    licence, root = shop.id(offer), b"\6" * 32
    if challenged:
        shop.send(CHALLENGE, offer, 1)
        shop.evm.set_time(deadline + DAY)
    for bad in (
        acknowledgement(shop, licence, root, 1),
        acknowledgement(shop, licence, bytes(32)),
    ):
        with refuses("BadSignature"):
            shop.send(ACKNOWLEDGE, offer, 1, root, bad, by=shop.seller)
    before = shop.coins(shop.on.licences)
    signature = acknowledgement(shop, licence, root)
    shop.send(ACKNOWLEDGE, offer, 1, root, signature, by=shop.other)
    assert shop.coins(shop.on.licences) == before - 1000
    settled(shop, offer)


def test_owner_refunds_the_payer_alone(shop: Shop) -> None:
    offer = shop.make(price=1000, refund_window=DAY, token=shop.on.dollar, cap=1)
    shop.fund()
    shop.buy(offer, holder=shop.other)
    licence = shop.id(offer)
    assert shop.ask("payerOf(uint256)", [licence], "address") == shop.buyer
    for wrong in (shop.other, shop.seller):
        with refuses("WrongPayee", shop.buyer, wrong):
            shop.send(REFUND, offer, 1, wrong, by=shop.seller)
    with refuses("NotAssetOwner"):
        shop.send(REFUND, offer, 1, shop.buyer, by=shop.other)  # the holder paid nothing
    shop.send(CHALLENGE, offer, 1, by=shop.buyer)
    shop.send(REFUND, offer, 1, shop.buyer, by=shop.seller)
    assert shop.dollars(shop.buyer) == 1_000_000_000
    assert shop.dollars(shop.on.licences) == 0
    with refuses("SoldOut"):
        shop.buy(offer)


def test_prices_that_wait_are_apart(shop: Shop) -> None:
    """Settling one licence leaves what waits for others, of the same token, where it is."""
    shop.fund()
    dear = shop.make(price=700, refund_window=DAY, token=shop.on.dollar)
    cheap = shop.make(price=1, refund_window=DAY, token=shop.on.dollar)
    shop.buy(dear)
    shop.buy(cheap)
    shop.send(REFUND, cheap, 1, shop.buyer, by=shop.seller)
    assert shop.dollars(shop.on.licences) == 700
    with refuses("UnknownLicence"):
        shop.send(REFUND, cheap, 2, shop.buyer, by=shop.seller)


# contracts that sign


def test_contract_holder_signs(shop: Shop) -> None:
    offer = shop.make(price=1000, refund_window=DAY)
    shop.buy(offer, holder=shop.other)
    # The other's account becomes a contract afterwards, as a wallet by EIP-7702 would.
    contract = shop.other
    shop.evm.rpc("anvil_setCode", contract, "0x" + YES_1271.hex())
    try:
        shop.send(ACKNOWLEDGE, offer, 1, bytes(32), b"anything")
    finally:
        shop.evm.rpc("anvil_setCode", contract, "0x")
    assert shop.coins(shop.on.licences) == 0


# ERC-1155


def test_transfer(shop: Shop) -> None:
    offer = shop.make(period=DAY, uses=3)
    end = shop.buy(offer).time + DAY
    licence = shop.id(offer)
    with refuses("ERC1155MissingApprovalForAll", shop.other, shop.buyer):
        shop.send(MOVE, shop.buyer, shop.other, licence, 1, b"", by=shop.other)
    for value in (0, 2):
        with refuses("ERC1155InsufficientBalance", shop.buyer, 1, value, licence):
            shop.send(MOVE, shop.buyer, shop.other, licence, value, b"")
    with refuses("ERC1155InsufficientBalance", shop.other, 0, 1, licence):
        shop.send(MOVE, shop.other, shop.buyer, licence, 1, b"", by=shop.other)
    with refuses("ERC1155InvalidReceiver", ZERO_ADDRESS):
        shop.send(MOVE, shop.buyer, ZERO_ADDRESS, licence, 1, b"")
    shop.send("setApprovalForAll(address,bool)", shop.seller, True)
    shop.send(MOVE, shop.buyer, shop.other, licence, 1, b"", by=shop.seller)
    assert shop.licence(licence) == (shop.other, end, 3, 0, 0)
    balances = shop.ask(
        "balanceOfBatch(address[],uint256[])",
        [[shop.buyer, shop.other, ZERO_ADDRESS], [licence, licence, 99]],
        "uint256[]",
    )
    assert balances == (0, 1, 0)
    shop.evm.set_time(end)
    with refuses("Expired", licence, end):
        shop.send(MOVE, shop.other, shop.buyer, licence, 1, b"", by=shop.other)


def test_batch_and_those_that_do_not_move(shop: Shop) -> None:
    offer, fixed = shop.make(), shop.make(transferable=False)
    for one in (offer, offer, fixed):
        shop.buy(one)
    ids = [shop.id(offer, 1), shop.id(offer, 2)]
    with refuses("NotTransferable", shop.id(fixed)):
        shop.send(BATCH, shop.buyer, shop.other, [*ids, shop.id(fixed)], [1, 1, 1], b"")
    with refuses("ERC1155InvalidArrayLength", 2, 1):
        shop.send(BATCH, shop.buyer, shop.other, ids, [1], b"")
    with refuses("ERC1155InsufficientBalance"):
        shop.send(BATCH, shop.buyer, shop.other, [ids[0], ids[0]], [1, 1], b"")
    shop.send(BATCH, shop.buyer, shop.other, ids, [1, 1], b"")
    assert {shop.licence(one)[0] for one in ids} == {shop.other}
    for code, known in (("d9b67a26", True), ("01ffc9a7", True), ("80ac58cd", False)):
        asked = [bytes.fromhex(code)]
        assert shop.ask("supportsInterface(bytes4)", asked, "bool") is known


# what can be made under a licence


def test_claim_royalty(shop: Shop) -> None:
    good, timed = shop.make(royalty=100, use=2), shop.make(royalty=5, period=DAY)
    calls, unsettled = shop.make(use=3), shop.make(refund_window=DAY)
    for offer in (good, timed, calls, unsettled):
        shop.buy(offer)
    asked = [(1, good), shop.buyer]
    assert shop.ask(ROYALTY, asked, "uint256", "uint32") == (int(shop.asset, 16), 100)
    end = shop.licence(shop.id(timed))[1]
    shop.evm.set_time(end - 1)
    for serial, offer, holder in (
        (1, good, shop.other),
        (2, good, shop.buyer),
        (2, good, ZERO_ADDRESS),
        (1, calls, shop.buyer),
        (1, unsettled, shop.buyer),
    ):
        with refuses("BadClaim", shop.id(offer, serial)):
            shop.send(ROYALTY, (serial, offer), holder)
    shop.send(ROYALTY, (1, timed), shop.buyer)
    with refuses("BadClaim", shop.id(timed)):
        shop.send(ROYALTY, (1, timed), shop.buyer)


# hostile


@pytest.mark.parametrize("code", [REFUSER, BURNER])
def test_payee_that_refuses_stops_only_its_own_sales(shop: Shop, code: bytes) -> None:
    payee = install(shop.evm, code)
    offer = shop.make(price=5, refund_window=DAY)
    shop.buy(offer)
    give = assets.transfer(shop.on.assets, sender=shop.seller, receiver=payee, asset=shop.asset)
    shop.post(give, shop.seller)
    signature = acknowledgement(shop, shop.id(offer), bytes(32))
    with pytest.raises(Refused):
        shop.send(ACKNOWLEDGE, offer, 1, bytes(32), signature)
    made = call(shop.on.licences, CHALLENGE, offer, 1)
    at = shop.post(made, shop.buyer).time
    shop.evm.set_time(at + DAY)
    shop.send(REFUND, offer, 1, shop.other)
    assert shop.coins(shop.on.licences) == 0


def test_dirty_words_make_no_offer(shop: Shop) -> None:
    offer = shop.make()
    made = call(shop.on.licences, f"buy({OFFER},address,bytes32[])", offer, shop.buyer, [])
    dirty = bytearray(made.data)
    dirty[4 + 32] = 1  # the top byte of `use`
    with pytest.raises(Exception, match=r"UnknownOffer|'', \[\]"):
        shop.post(type(made)(made.to, bytes(dirty)), shop.buyer)
