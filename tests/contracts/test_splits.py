from __future__ import annotations

from typing import Any

import pytest
from tests.contracts.evm import Evm
from tests.contracts.shop import (
    BURNER,
    DAY,
    REFUSER,
    SPLIT,
    YES_1271,
    Shop,
    blob,
    install,
    opening,
    refuses,
    split_hash,
)

from usufruct.ledger.account import contract_address
from usufruct.ledger.bindings import assets
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetKind

pytestmark = pytest.mark.engine

WITHDRAW = f"withdraw({SPLIT},address)"
CREDIT = f"credit({SPLIT},address)"
CLAIM = "claim(bytes32,address,address,address)"
SUCCEED = f"succeed({SPLIT},{SPLIT},bytes[])"
WHOLE = 1_000_000
POCKET = Address("0x" + "77" * 20)


@pytest.fixture
def shop(evm: Evm) -> Shop:
    return Shop(evm, evm.deploy_market())


def send(shop: Shop, signature: str, *args: Any, **options: Any) -> Any:
    return shop.send(signature, *args, to=shop.on.splits, **options)


def pay(shop: Shop, split: Any, coins: int) -> Address:
    wallet = shop.wallet(split)
    shop.evm.mine({"to": wallet, "value": hex(coins)}, shop.evm.accounts[0])
    return wallet


def books(shop: Shop, split: Any, payee: str, token: str = ZERO_ADDRESS) -> tuple[int, int]:
    owed = [split_hash(split), token, payee]
    kinds = "owed(bytes32,address,address)"
    return (
        shop.ask(kinds, owed, "uint256", to=shop.on.splits),
        shop.ask("reserved(bytes32,address)", owed[:2], "uint256", to=shop.on.splits),
    )


# what a split may be


def test_split_is_shown_when_it_is_fixed(shop: Shop) -> None:
    asset, salt = shop.new_id()
    good = shop.split(asset, {shop.seller: 600_000, shop.other: 400_000})
    digest = split_hash(good)
    for offers in (b"", blob()):
        with refuses("SplitNotShown", digest):
            shop.post(shop.publish_call(asset, salt, split_hash=digest, offers=offers), shop.seller)
    another = shop.split(asset, {shop.seller: WHOLE})
    with refuses("WrongSplit", digest, split_hash(another)):
        made = shop.publish_call(asset, salt, split_hash=digest, offers=blob(opening(another)))
        shop.post(made, shop.seller)
    with refuses("WrongSplit", bytes(32), split_hash(good)):
        made = shop.publish_call(asset, salt, offers=blob(opening(good)), parents=[shop.asset])
        shop.post(made, shop.seller)
    made = shop.publish_call(asset, salt, split_hash=digest, offers=blob(opening(good)))
    receipt = shop.post(made, shop.seller)
    assert shop.on.splits in {log.address for log in receipt.logs}
    assert shop.ask("payTo(uint256)", [int(asset, 16)], "address") == shop.wallet(good)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({0: 5}, 1),
        ({1: 2}, 2),
        ({2: [], 3: []}, 3),
        ({3: [WHOLE]}, 3),
        ({2: [POCKET, POCKET]}, 4),
        ({2: [ZERO_ADDRESS, POCKET]}, 4),
        ({3: [WHOLE, 0]}, 5),
        ({3: [WHOLE, 1]}, 6),
        ({3: [1, WHOLE - 2]}, 6),
    ],
)
def test_bad_splits(shop: Shop, change: dict[int, Any], why: int) -> None:
    asset, salt = shop.new_id()
    good = shop.split(asset, {Address("0x" + "66" * 20): 600_000, POCKET: 400_000})
    bad = tuple(change.get(place, value) for place, value in enumerate(good))
    made = shop.publish_call(asset, salt, split_hash=split_hash(bad), offers=blob(opening(bad)))
    with refuses("BadSplit", why):
        shop.post(made, shop.seller)


def test_64_payees_are_the_most(shop: Shop) -> None:
    payees = {Address(f"0x{n:040x}"): WHOLE // 64 for n in range(1, 65)}
    shop.publish_split(payees)
    with refuses("BadSplit", 3):
        shop.publish_split({Address(f"0x{n:040x}"): 15_384 + (n == 1) * 40 for n in range(1, 66)})


def test_only_assets_opens_and_only_splits_sets(shop: Shop) -> None:
    with refuses("NotAssets", shop.buyer):
        send(
            shop,
            "opened(uint256,address,bytes32,uint256[],bytes)",
            1,
            shop.buyer,
            bytes(32),
            [],
            b"",
        )
    with refuses("NotSplits", shop.seller):
        shop.send("setSplit(uint256,bytes32)", 1, bytes(32), by=shop.seller, to=shop.on.assets)


def test_wallet_is_a_clone_nobody_else_moves(shop: Shop) -> None:
    _, split = shop.publish_split({shop.seller: WHOLE})
    wallet = pay(shop, split, 10)
    send(shop, WITHDRAW, split, ZERO_ADDRESS)
    implementation = shop.ask("implementation()", [], "address", to=shop.on.splits)
    assert implementation == contract_address(shop.on.splits, 1)
    assert shop.ask("implementation()", [], "address") == implementation
    code = "0x363d3d373d3d3d363d73" + implementation[2:] + "5af43d82803e903d91602b57fd5bf3"
    assert shop.evm.rpc("eth_getCode", wallet, "latest") == code
    pay(shop, split, 10)
    for at in (wallet, implementation):
        for signature, args in (
            ("pay(address,address,uint256)", [ZERO_ADDRESS, POCKET, 1]),
            ("push(address,address[],uint256[])", [ZERO_ADDRESS, [POCKET], [1]]),
        ):
            with refuses(""):
                shop.send(signature, *args, to=at)


# paying out


def test_withdraw_divides_and_the_rest_waits(shop: Shop) -> None:
    _, split = shop.publish_split({POCKET: 333_333, Address("0x" + "78" * 20): 666_667})
    before = shop.coins(POCKET)
    wallet = pay(shop, split, 1000)
    send(shop, WITHDRAW, split, ZERO_ADDRESS)
    assert shop.coins(POCKET) == before + 333
    assert shop.coins(wallet) == 1
    with refuses("NothingToPay"):
        send(shop, WITHDRAW, split, ZERO_ADDRESS)
    with refuses("NothingToPay"):
        send(shop, CREDIT, split, ZERO_ADDRESS)


def test_withdraw_of_tokens_from_sales(shop: Shop) -> None:
    shop.asset, split = shop.publish_split({shop.other: 250_000, POCKET: 750_000})
    offer = shop.make(price=1000, token=shop.on.dollar)
    shop.fund()
    shop.buy(offer)
    send(shop, WITHDRAW, split, shop.on.dollar)
    assert (shop.dollars(shop.other), shop.dollars(POCKET)) == (250, 750)


@pytest.mark.parametrize("code", [REFUSER, BURNER])
def test_payee_that_refuses_is_owed_and_others_are_paid(shop: Shop, code: bytes) -> None:
    bad = install(shop.evm, code)
    _, split = shop.publish_split({bad: 500_000, POCKET: 500_000})
    before = shop.coins(POCKET)
    wallet = pay(shop, split, 1000)
    send(shop, WITHDRAW, split, ZERO_ADDRESS)
    assert shop.coins(POCKET) == before + 500
    assert books(shop, split, bad) == (500, 500)
    pay(shop, split, 100)
    send(shop, WITHDRAW, split, ZERO_ADDRESS)  # what is owed is not divided again
    assert shop.coins(POCKET) == before + 550
    assert books(shop, split, bad) == (550, 550)
    assert shop.coins(wallet) == 550
    with refuses("NotPayee", bad):
        send(shop, CLAIM, split_hash(split), ZERO_ADDRESS, bad, POCKET)
    send_as(shop, bad, CLAIM, split_hash(split), ZERO_ADDRESS, bad, POCKET)
    assert shop.coins(POCKET) == before + 1100
    assert books(shop, split, bad) == (0, 0)


def send_as(shop: Shop, sender: Address, signature: str, *args: Any) -> None:
    shop.evm.rpc("anvil_setBalance", sender, hex(10**20))
    shop.evm.rpc("anvil_impersonateAccount", sender)
    code = shop.evm.rpc("eth_getCode", sender, "latest")
    shop.evm.rpc("anvil_setCode", sender, "0x")  # a contract cannot begin a transaction
    send(shop, signature, *args, by=sender)
    shop.evm.rpc("anvil_setCode", sender, code)


def test_too_little_gas_does_not_starve_a_payee(shop: Shop) -> None:
    _, split = shop.publish_split({shop.other: 500_000, POCKET: 500_000})
    pay(shop, split, 1000)
    send(shop, WITHDRAW, split, ZERO_ADDRESS)
    pay(shop, split, 1000)
    from tests.contracts.evm import call

    made = call(shop.on.splits, WITHDRAW, split, ZERO_ADDRESS)
    fields = {"to": made.to, "data": "0x" + made.data.hex()}
    for gas in range(40_000, 260_000, 20_000):
        snapshot = shop.evm.rpc("evm_snapshot")
        shop.evm.mine(fields | {"gas": hex(gas)}, shop.buyer)
        assert books(shop, split, POCKET) == (0, 0)
        shop.evm.rpc("evm_revert", snapshot)


def test_credit_and_claim(shop: Shop) -> None:
    _, split = shop.publish_split({shop.other: 400_000, POCKET: 600_000})
    wallet = pay(shop, split, 1000)
    send(shop, CREDIT, split, ZERO_ADDRESS)
    assert books(shop, split, POCKET) == (600, 1000)
    assert shop.coins(wallet) == 1000
    key = split_hash(split)
    before = shop.coins(POCKET)
    send(shop, CLAIM, key, ZERO_ADDRESS, POCKET, POCKET)
    with refuses("NothingToPay"):
        send(shop, CLAIM, key, ZERO_ADDRESS, POCKET, POCKET)
    send(shop, CLAIM, key, ZERO_ADDRESS, shop.other, POCKET, by=shop.other)
    assert shop.coins(POCKET) == before + 1000
    assert shop.coins(wallet) == 0


def test_nested_splits(shop: Shop) -> None:
    _, inner = shop.publish_split({POCKET: WHOLE})
    _, outer = shop.publish_split({shop.wallet(inner): 500_000, shop.other: 500_000})
    before = shop.coins(POCKET)
    for _ in range(2):  # the second time the inner wallet has code
        pay(shop, outer, 1000)
        send(shop, WITHDRAW, outer, ZERO_ADDRESS)
        send(shop, WITHDRAW, inner, ZERO_ADDRESS)
    assert shop.coins(POCKET) == before + 1000


# successors


def consent(shop: Shop, number: int, asset: AssetId, old: Any, new: Any) -> bytes:
    fields = "uint256 asset,bytes32 from,bytes32 to"
    message = {"asset": int(asset, 16), "from": split_hash(old), "to": split_hash(new)}
    return shop.sign(number, "splits", "Succession", fields, **message)


def test_successor_needs_those_whose_share_falls(shop: Shop) -> None:
    asset, old = shop.publish_split(
        {shop.buyer: 300_000, shop.other: 300_000, shop.seller: 400_000}
    )
    new = shop.split(asset, {shop.buyer: 200_000, shop.seller: 800_000}, version=2)
    by_payee = {
        shop.buyer: consent(shop, 2, asset, old, new),
        shop.other: consent(shop, 3, asset, old, new),
    }
    signatures = [by_payee[payee] for payee in old[2] if payee in by_payee]
    losers = [payee for payee in old[2] if payee in by_payee]
    with refuses("ConsentMissing", losers[0]):
        send(shop, SUCCEED, old, new, signatures[::-1])
    with refuses("ConsentMissing", losers[1]):
        send(shop, SUCCEED, old, new, signatures[:1])
    pay(shop, old, 1000)
    send(shop, SUCCEED, old, new, signatures)
    assert shop.ask("payTo(uint256)", [int(asset, 16)], "address") == shop.wallet(new)
    before = shop.coins(shop.other)
    send(shop, WITHDRAW, old, ZERO_ADDRESS, by=shop.buyer)  # what had come is the old payees'
    assert shop.coins(shop.other) == before + 300
    with refuses("NotCurrentSplit", split_hash(new)):
        send(shop, SUCCEED, old, new, signatures)


def test_successors_that_are_none(shop: Shop) -> None:
    asset, old = shop.publish_split({shop.buyer: WHOLE})
    _, stranger = shop.publish_split({shop.buyer: WHOLE})
    shares = {shop.other: WHOLE}
    for version in (1, 3):
        with refuses("NotNextVersion", version):
            send(shop, SUCCEED, old, shop.split(asset, shares, version), [])
    with refuses("BadSplit", 1):
        send(shop, SUCCEED, old, shop.split(AssetId("5" * 64), shares, 2), [])
    with refuses("NothingFalls"):
        send(shop, SUCCEED, old, shop.split(asset, {shop.buyer: WHOLE}, 2), [])
    new = shop.split(asset, shares, 2)
    with refuses("ConsentMissing", shop.buyer):
        send(shop, SUCCEED, old, new, [consent(shop, 2, asset, stranger, new)])


def test_contract_may_consent_and_a_wallet_cannot(shop: Shop) -> None:
    contract = install(shop.evm, YES_1271)
    asset, old = shop.publish_split({contract: 500_000, shop.other: 500_000})
    new = shop.split(asset, {contract: 400_000, shop.other: 600_000}, 2)
    send(shop, SUCCEED, old, new, [b"any"])
    asset, nested = shop.publish_split({shop.wallet(old): 500_000, shop.other: 500_000})
    with refuses("ConsentMissing", shop.wallet(old)):
        send(shop, SUCCEED, nested, shop.split(asset, {shop.other: WHOLE}, 2), [b"any"])


# royalties


@pytest.fixture
def parent(shop: Shop) -> tuple[Shop, Any]:
    """An asset of account 1 whose highest royalty is 20 %; and the offer that asks for it."""
    return shop, shop.make(royalty=200_000)


def derive(shop: Shop, given: int, claims: tuple[Any, ...] = (), to: Any = None) -> None:
    """Publish, as account 2, something made from the shop's asset that gives it this share."""
    payee = to or shop.seller
    shares = {payee: given, shop.buyer: WHOLE - given} if given else {shop.buyer: WHOLE}
    shop.publish_split(shares, shop.buyer, claims, parents=(shop.asset,))


def test_royalty_is_due(parent: Any) -> None:
    shop, _ = parent
    number = int(shop.asset, 16)
    for given in (0, 199_999):
        with refuses("RoyaltyMissing", number, 200_000, given):
            derive(shop, given)
    derive(shop, 200_000)
    asset, salt = shop.new_id(shop.buyer)
    with refuses("RoyaltyMissing", number, 200_000, 0):  # nor is it left open
        shop.post(shop.publish_call(asset, salt, parents=[shop.asset]), shop.buyer)
    common: dict[str, Any] = {"salt": salt, "kind": AssetKind.MODEL, "metadata": bytes(32)}
    with refuses("RoyaltyMissing", number, 200_000, 0):
        shop.post(assets.register(shop.on.assets, parents=[shop.asset], **common), shop.buyer)


def test_owner_owes_itself_nothing(parent: Any) -> None:
    shop, _ = parent
    shop.publish(parents=[shop.asset])


def test_licence_shown_gives_its_own_terms(parent: Any) -> None:
    shop, high = parent
    low, free = shop.make(royalty=50_000), shop.make(period=DAY)
    for offer in (high, low, free):
        shop.buy(offer)
    with refuses("RoyaltyMissing", int(shop.asset, 16), 200_000, 0):
        derive(shop, 0, ((1, high),))
    with refuses("RoyaltyMissing", int(shop.asset, 16), 50_000, 49_999):
        derive(shop, 49_999, ((1, low),))
    derive(shop, 50_000, ((1, high), (1, low)))
    derive(shop, 0, ((1, free),))
    shop.publish(
        shop.buyer, parents=[shop.asset], offers=blob(opening((0, 0, [], []), ((1, free),)))
    )


def test_claims_that_are_none(parent: Any) -> None:
    shop, _ = parent
    mine = shop.make()
    shop.buy(mine, holder=shop.other)  # somebody else's
    with refuses("BadClaim", shop.id(mine)):
        derive(shop, 0, ((1, mine),))
    first = shop.asset
    shop.asset = shop.publish()
    elsewhere = shop.make()  # of another asset
    shop.buy(elsewhere)
    shop.asset = first
    with refuses("BadClaim", shop.id(elsewhere)):
        derive(shop, 0, ((1, elsewhere),))


def test_royalties_of_one_owner_add_up(parent: Any) -> None:
    shop, _ = parent
    first = shop.asset
    shop.asset = shop.publish()
    shop.make(royalty=300_000)
    both = tuple(sorted((first, shop.asset)))
    for given, good in ((499_999, False), (500_000, True)):
        shares = {shop.seller: given, shop.buyer: WHOLE - given}
        if good:
            shop.publish_split(shares, shop.buyer, parents=both)
        else:
            with refuses("RoyaltyMissing", int(both[1], 16), 500_000, given):
                shop.publish_split(shares, shop.buyer, parents=both)


def test_royalty_goes_to_the_parents_split(shop: Shop) -> None:
    shop.asset, split = shop.publish_split({POCKET: WHOLE})
    shop.make(royalty=100_000)
    with refuses("RoyaltyMissing", int(shop.asset, 16), 100_000, 0):
        derive(shop, 100_000)  # to the owner
    derive(shop, 100_000, to=shop.wallet(split))
