"""Tokens and accounts that misbehave: who is harmed must be those who chose them, nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from tests.contracts.market_engine import HOSTILE, Refused, abi, running_chain, typed
from tests.contracts.market_stage import (
    BUYER,
    DAY,
    OTHER,
    OWNER,
    THIRD,
    Stage,
    authorization,
    refused,
)
from tests.contracts.market_terms import COIN, WHOLE, ZERO, Offer, Split, blob, opening
from tests.contracts.market_world import KEYS, REGISTER, RICH, World

from usufruct.crypto.hash import keccak256

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_chain() as chain:
        made = World(chain)
        made.save()
        yield made


@pytest.fixture
def stage(world: World) -> Stage:
    world.restore()
    return Stage(world)


def test_the_compiled_fixtures_are_of_this_source() -> None:
    source = (Path(__file__).parent / "hostile" / "Hostile.sol").read_bytes()
    assert HOSTILE["source_sha256"] == hashlib.sha256(source).hexdigest(), "run hostile/compile.py"


# tokens


def test_of_a_token_that_takes_a_fee_what_arrives_is_divided(stage: Stage) -> None:
    token = stage.token("FeeToken")
    asset = stage.asset(shares := {OWNER: 600_000, OTHER: 400_000})
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=10_000))
    assert stage.held(token, stage.wallet(split)) == 9_900
    stage.withdraw(split, token)
    assert stage.held(token, OWNER) == 5_940 - 59
    assert stage.held(token, OTHER) == 3_960 - 39
    assert stage.held(token, stage.wallet(split)) == 0


def test_a_token_that_takes_a_fee_cannot_wait_in_licences(stage: Stage) -> None:
    token = stage.token("FeeToken")
    offer = stage.offer(stage.asset(), token=token, price=10_000, window=DAY)
    with refused(r"TokenTookFee\(9900, 10000\)"):
        stage.buy(offer)


def test_a_token_that_takes_more_than_it_is_told_never_takes_what_is_owed_to_others(
    stage: Stage,
) -> None:
    token = stage.token("SurchargeToken")
    asset = stage.asset(shares := {OWNER: 500_000, OTHER: 500_000})
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=1_000_000))
    stage.withdraw(split, token)  # the second payment finds too little and is booked
    assert stage.held(token, OWNER) + stage.held(token, OTHER) == 500_000
    with refused("NothingToPay"):
        stage.withdraw(split, token)


def test_a_token_that_answers_false_buys_nothing(stage: Stage) -> None:
    token = stage.token("FalseToken")
    for window in (0, DAY):
        offer = stage.offer(stage.asset(), token=token, price=1, window=window)
        with refused("SafeERC20FailedOperation"):
            stage.buy(offer)


def test_a_token_that_pays_and_answers_false_harms_no_other_split(stage: Stage) -> None:
    token = stage.token("FalseButPaidToken")
    splits = []
    for _ in range(2):
        asset = stage.asset(shares := {OWNER: 500_000, OTHER: 500_000})
        splits.append(stage.split(asset, shares))
        stage.buy(stage.offer(asset, token=token, price=1_000))
    stage.withdraw(splits[0], token)
    assert stage.held(token, OWNER) == stage.held(token, OTHER) == 500
    assert stage.owed(splits[0], token, OWNER) == 500  # as the token said
    with refused(r"Error\('balance'"):
        stage.call(OWNER, "Splits", "claim", splits[0].hash, token, OWNER, OWNER)
    assert stage.held(token, stage.wallet(splits[1])) == 1_000


def test_a_token_that_answers_nothing_works_throughout(stage: Stage) -> None:
    token = stage.token("SilentToken")
    asset = stage.asset(shares := {OWNER: 250_000, OTHER: 750_000})
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=100))
    timed = stage.offer(asset, token=token, price=1_000, period=DAY)
    stage.call(BUYER, "Licences", "renew", tuple(timed), stage.buy(timed))
    open_ = stage.offer(asset, token=token, price=10_000, window=DAY)
    serials = [stage.buy(open_) for _ in range(4)]
    assert stage.held(token, stage.on.licences) == 40_000
    stage.acknowledge(open_, serials[0], KEYS[1])
    stage.call(OWNER, "Licences", "refund", tuple(open_), serials[1], BUYER)
    stage.chain.wait(DAY)
    stage.call(THIRD, "Licences", "release", tuple(open_), serials[2:])
    assert stage.held(token, stage.on.licences) == 0
    stage.call(THIRD, "Splits", "credit", tuple(split), token)
    stage.call(THIRD, "Splits", "claim", split.hash, token, OWNER, OWNER)
    stage.call(OTHER, "Splits", "claim", split.hash, token, OTHER, THIRD)
    assert stage.held(token, OWNER) == 32_100 // 4
    assert stage.held(token, THIRD) == 32_100 * 3 // 4


def test_a_blocked_payee_stops_nobody_and_is_paid_elsewhere(stage: Stage) -> None:
    token = stage.token("BlockingToken")
    shares = {OWNER: 300_000, OTHER: 300_000, THIRD: 400_000}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    stage.call(OWNER, "BlockingToken", "setBlocked", OTHER, True, to=token)
    stage.buy(stage.offer(asset, token=token, price=1_000))
    stage.withdraw(split, token)
    assert stage.held(token, OWNER) == 300
    assert stage.held(token, THIRD) == 400
    assert stage.owed(split, token, OTHER) == stage.view("Splits", "reserved", split.hash, token)
    with refused("NothingToPay"):
        stage.withdraw(split, token)
    with refused(r"Error\('blocked'"):
        stage.call(THIRD, "Splits", "claim", split.hash, token, OTHER, OTHER)
    with refused("NotPayee"):
        stage.call(THIRD, "Splits", "claim", split.hash, token, OTHER, THIRD)
    stage.call(OTHER, "Splits", "claim", split.hash, token, OTHER, BUYER)
    assert stage.held(token, BUYER) == RICH - 700
    assert stage.held(token, stage.wallet(split)) == 0


def test_a_blocked_payer_has_its_refund_elsewhere(stage: Stage) -> None:
    token = stage.token("BlockingToken")
    offer = stage.offer(stage.asset(), token=token, price=1_000, window=DAY)
    serial = stage.buy(offer)
    stage.call(OWNER, "BlockingToken", "setBlocked", BUYER, True, to=token)
    stage.call(BUYER, "Licences", "challenge", tuple(offer), serial)
    stage.chain.wait(DAY)
    with refused(r"Error\('blocked'"):
        stage.call(BUYER, "Licences", "refund", tuple(offer), serial, BUYER)
    stage.call(BUYER, "Licences", "refund", tuple(offer), serial, THIRD)
    assert stage.held(token, THIRD) == 1_000


def test_a_token_that_burns_gas_for_one_payee_stops_nobody(stage: Stage) -> None:
    token = stage.token("BurningToken")
    asset = stage.asset(shares := {OWNER: 300_000, OTHER: 300_000, THIRD: 400_000})
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=1_000))
    stage.call(OWNER, "BurningToken", "setVictim", OTHER, to=token)
    assert stage.withdraw(split, token).gas < 700_000
    assert (stage.held(token, OWNER), stage.held(token, THIRD)) == (300, 400)
    stage.call(OTHER, "Splits", "claim", split.hash, token, OTHER, BUYER)


@pytest.mark.parametrize("refuses", [False, True])
def test_a_token_that_answers_megabytes_costs_a_bound(stage: Stage, refuses: bool) -> None:
    token = stage.token("VerboseToken")
    asset = stage.asset(shares := {OWNER: 500_000, OTHER: 500_000})
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=1_000))
    stage.call(OWNER, "VerboseToken", "setSize", 100_000, refuses, to=token)
    assert stage.withdraw(split, token).gas < 700_000
    paid = stage.held(token, OWNER) + stage.held(token, OTHER)
    owed = stage.owed(split, token, OWNER) + stage.owed(split, token, OTHER)
    assert (paid, owed) == ((0, 1_000) if refuses else (1_000, 0))


def test_a_token_that_lies_cheats_none_but_its_own_holders(stage: Stage) -> None:
    token = stage.token("LyingToken")
    shares = {OWNER: 500_000, OTHER: 500_000}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    safe = stage.offer(asset, price=5_000, window=DAY)  # another's coins, waiting
    stage.buy(safe)
    stage.buy(stage.offer(asset, token=token, price=1_000))
    at = stage.wallet(split)
    stage.call(OWNER, "LyingToken", "setLie", at, 10**12, to=token)
    stage.withdraw(split, token)
    assert stage.held(COIN, stage.on.licences) == 5_000
    stage.call(OWNER, "LyingToken", "setLie", at, -(10**12), to=token)
    with refused("NothingToPay"):
        stage.withdraw(split, token)
    stage.call(OWNER, "LyingToken", "setLie", at, 2**255 - 1 - 10**15, to=token)
    with refused("Panic", "NothingToPay"):
        stage.withdraw(split, token)
    stage.call(OWNER, "LyingToken", "setLie", stage.on.licences, -5, to=token)
    with refused("TokenTookFee"):
        stage.buy(stage.offer(asset, token=token, price=1_000, window=DAY))
    coins = stage.held(COIN, at)
    stage.chain.wait(DAY)
    stage.call(THIRD, "Licences", "release", tuple(safe), [1])
    stage.withdraw(split, COIN)
    assert coins == stage.held(COIN, at) == 0


def test_a_token_that_is_gone_or_mute_stops_no_other_token(stage: Stage) -> None:
    shares = {OWNER: 500_000, OTHER: 500_000}
    for kind in ("MuteToken", "SilentToken"):
        token = stage.token(kind)
        asset = stage.asset(shares)
        split = stage.split(asset, shares)
        gone, waits = (
            stage.offer(asset, token=token, price=100, window=window) for window in (0, DAY)
        )
        stage.buy(gone)
        serial = stage.buy(waits)
        coins = stage.offer(asset, price=100)
        stage.buy(coins)
        if kind == "MuteToken":
            stage.call(OWNER, kind, "setMute", True, to=token)
        else:
            stage.chain.rpc("anvil_setCode", token, "0x")
        with refused(""):
            stage.withdraw(split, token)
        with refused(""):
            stage.buy(waits)
        if kind == "SilentToken":
            with refused(""):
                stage.buy(gone)
            with refused(""):
                stage.acknowledge(waits, serial, KEYS[1])
            with refused("BadOffer"):
                stage.offer(asset, token=token, price=1)
        assert stage.view("Licences", "licence", waits.id << 64 | serial)[3] != 0
        stage.withdraw(split, COIN)
        assert stage.held(COIN, stage.wallet(split)) == 0


def test_a_token_whose_permit_reverts_sells_by_allowance(stage: Stage) -> None:
    token = stage.token("FakePermitToken")
    offer = stage.offer(stage.asset(), token=token, price=1_000)
    args = (tuple(offer), BUYER, [], 2**255, 27, ZERO, ZERO)
    stage.call(BUYER, "Licences", "buyWithPermit", *args)
    with refused("Error"):
        stage.call(THIRD, "Licences", "buyWithPermit", *args)


def test_a_token_that_takes_any_call_in_silence_pays_nobody(stage: Stage) -> None:
    token = stage.token("IdlePermitToken", OWNER)
    honest = stage.offer(stage.asset(), token=token, price=1_000, window=DAY)
    stage.buy(honest, OWNER)  # so that there is something of this token to steal
    before = stage.held(token, stage.on.licences)
    for window in (0, DAY):
        offer = stage.offer(stage.asset(owner=THIRD), THIRD, token=token, price=500, window=window)
        args = (tuple(offer), BUYER, [], BUYER, 0, 2**255, ZERO, b"")
        with refused(r"TokenTookFee\(0, 500\)"):
            stage.call(THIRD, "Licences", "buyWithAuthorization", *args)
    assert stage.held(token, stage.on.licences) == before == 1_000


# signatures carried by strangers


def test_who_carries_an_authorization_can_change_nothing_of_it(stage: Stage) -> None:
    asset = stage.asset()
    offer, other = (stage.offer(asset, token=stage.on.dollar, price=100) for _ in range(2))
    signature = authorization(stage, offer, BUYER, KEYS[1], ZERO)

    def submit(what: Offer, holder: str, payer: str = BUYER, salt: bytes = ZERO) -> None:
        args = (tuple(what), holder, [], payer, 0, 2**255, salt, signature)
        stage.call(THIRD, "Licences", "buyWithAuthorization", *args)

    for what, holder, payer, salt in (
        (other, BUYER, BUYER, ZERO),
        (offer, THIRD, BUYER, ZERO),
        (offer, BUYER, OTHER, ZERO),
        (offer, BUYER, BUYER, b"\1" * 32),
    ):
        with refused("AuthorizationNotSigned"):
            submit(what, holder, payer, salt)
    nonce = keccak256(encode(["uint256", "address", "bytes32"], [offer.id, BUYER, ZERO]))
    values = (BUYER, stage.on.licences, 100, 0, 2**255, nonce)
    kinds = "address,address,uint256,uint256,uint256,bytes32,bytes"
    with refused("CallerNotReceiver"):
        stage.call(
            THIRD, "TestDollar", f"receiveWithAuthorization({kinds})", *values, signature,
            to=stage.on.dollar,
        )  # fmt: skip
    with refused("AuthorizationNotSigned"):
        stage.call(
            THIRD, "TestDollar", f"transferWithAuthorization({kinds})", *values, signature,
            to=stage.on.dollar,
        )  # fmt: skip
    submit(offer, BUYER)
    with refused("AuthorizationSpent"):
        submit(offer, BUYER)


def test_a_permit_that_somebody_submitted_first_still_buys(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), token=stage.on.dollar, price=700_000)
    struct = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    payer = KEYS[2]  # whose allowance is smaller than the price
    values = (payer.address, stage.on.licences, offer.price, 0, 2**255)
    signature = payer.sign(typed("Test Dollar", stage.on.dollar, struct, *values))
    r, s, v = signature[:32], signature[32:64], signature[64]
    args = (payer.address, stage.on.licences, offer.price, 2**255, v, r, s)
    stage.call(THIRD, "TestDollar", "permit", *args, to=stage.on.dollar)
    args = (tuple(offer), payer.address, [], 2**255, v, r, s)
    stage.call(payer.address, "Licences", "buyWithPermit", *args)


# payees


def test_payees_that_refuse_burn_or_flood_stop_nobody(stage: Stage) -> None:
    bad = [stage.account(coins=mood) for mood in (1, 2, 3)]
    shares = {OWNER: 100_000, OTHER: 300_000, **dict.fromkeys(bad, 200_000)}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, price=1_000))
    before = stage.held(COIN, OTHER)
    assert stage.withdraw(split, COIN).gas < 500_000
    assert stage.held(COIN, OTHER) == before + 300
    for payee in bad:
        assert stage.owed(split, COIN, payee) == 200
        data = abi("Splits").encode("claim", split.hash, COIN, payee, THIRD)
        stage.call(OWNER, "Account", "execute", stage.on.splits, 0, data, to=payee)
    assert stage.held(COIN, stage.wallet(split)) == 0


def test_sixty_four_payees_that_burn_all_they_get_fit_in_a_block(stage: Stage) -> None:
    data = abi("Account").encode("setMoods", 2, 0)
    payees = [stage.chain.create("Account", OWNER) for _ in range(64)]
    for payee in payees:
        stage.chain.do(OWNER, payee, data)
    shares = dict.fromkeys(payees, 15_625)
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, price=1_000_000))
    done = stage.withdraw(split, COIN, gas=25_000_000)
    assert done.gas < 10_000_000
    assert all(stage.owed(split, COIN, payee) == 15_625 for payee in payees)
    with refused("NothingToPay"):
        stage.withdraw(split, COIN)


@pytest.mark.parametrize("kind", ["coin", "SilentToken"])
def test_a_caller_with_little_gas_cannot_make_a_payment_fail(stage: Stage, kind: str) -> None:
    token = COIN if kind == "coin" else stage.token(kind)
    fresh = ["0x" + bytes([n] * 20).hex() for n in (0xA1, 0xA2, 0xA3)]
    shares = {fresh[0]: 300_000, fresh[1]: 300_000, fresh[2]: 400_000}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    stage.buy(stage.offer(asset, token=token, price=1_000))
    paid = 0
    kept = stage.chain.snapshot()
    for gas in range(60_000, 700_000, 4_000):
        try:
            stage.withdraw(split, token, gas=gas)
        except Refused:
            continue
        paid += 1
        assert [stage.held(token, payee) for payee in fresh] == [300, 300, 400]
        kept = stage.chain.revert(kept)
    assert paid > 10


def test_nobody_but_splits_moves_what_a_wallet_holds(stage: Stage) -> None:
    asset = stage.asset(shares := {OWNER: 500_000, OTHER: 500_000})
    split = stage.split(asset, shares)
    offer = stage.offer(asset, price=1_000)
    stage.buy(offer)
    stage.withdraw(split, COIN)
    stage.buy(offer)
    at = stage.wallet(split)
    for function, kinds, args in (
        ("push", ["address", "address[]", "uint256[]"], (COIN, [THIRD], [1])),
        ("pay", ["address", "address", "uint256"], (COIN, THIRD, 1)),
    ):
        data = keccak256(f"{function}({','.join(kinds)})".encode())[:4] + encode(kinds, args)
        for target in (at, stage.world.model.implementation):
            for who in (OWNER, THIRD, stage.on.licences, stage.on.assets):
                with refused(""):
                    stage.chain.do(who, target, data)
    assert stage.held(COIN, at) == 1_000


def test_only_our_contracts_tell_each_other_what_to_do(stage: Stage) -> None:
    asset = stage.asset()
    with refused("NotAssets"):
        stage.call(OWNER, "Licences", "setOffers", asset, 1, OWNER, blob(b"", [Offer(asset)]))
    with refused("NotAssets"):
        stage.call(OWNER, "Splits", "opened", asset, OWNER, ZERO, [], b"")
    with refused("NotSplits"):
        stage.call(OWNER, "Assets", "setSplit", asset, b"\1" * 32)


# splits


def test_leftovers_wait_and_are_divided_later(stage: Stage) -> None:
    shares = {OWNER: 333_333, OTHER: 333_333, THIRD: 333_334}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    offer = stage.offer(asset, price=100)
    before = [stage.held(COIN, payee) for payee in split.payees]
    stage.buy(offer)
    stage.withdraw(split, COIN)
    assert stage.held(COIN, stage.wallet(split)) == 1
    stage.buy(stage.offer(asset, price=999_999))
    stage.withdraw(split, COIN)
    assert stage.held(COIN, stage.wallet(split)) == 0
    gained = [
        stage.held(COIN, payee) - had for payee, had in zip(split.payees, before, strict=True)
    ]
    assert gained == [33 + share for share in split.shares]


def test_four_nested_splits_are_exact(stage: Stage) -> None:
    asset = stage.asset(shares := {OWNER: 700_001, OTHER: 299_999})
    splits = [stage.split(asset, shares)]
    for level in range(3):
        shares = {stage.wallet(splits[-1]): 333_333 + level, THIRD: 666_667 - level}
        splits.append(stage.split(stage.asset(shares), shares))
    stage.buy(stage.offer(splits[-1].asset, price=1_000_000_007))
    money = 1_000_000_007
    for split in reversed(splits):
        stage.withdraw(split, COIN)
        assert stage.held(COIN, stage.wallet(split)) == money - sum(
            money * share // WHOLE for share in split.shares
        )
        inner = stage.wallet(splits[splits.index(split) - 1]) if split is not splits[0] else OWNER
        money = money * split.share(inner) // WHOLE


def test_a_stranger_cannot_replace_a_split_by_its_equal(stage: Stage) -> None:
    shares = {OWNER: 500_000, OTHER: 500_000}
    asset = stage.asset(shares)
    old, new = (stage.split(asset, shares, version) for version in (1, 2))
    with refused("NothingFalls"):
        stage.call(THIRD, "Splits", "succeed", tuple(old), tuple(new), [])


def test_a_parents_wallet_never_loses_its_royalty(stage: Stage) -> None:
    parent = stage.asset(shares := {OTHER: WHOLE}, owner=OTHER)
    at = stage.wallet(stage.split(parent, shares))
    stage.offer(parent, OTHER, royalty=200_000)
    child = stage.asset_id(OWNER, 999)
    salt = (999).to_bytes(16, "big")
    poor = stage.split(child, {at: 199_999, OWNER: 800_001})
    good = stage.split(child, {at: 200_000, OWNER: 800_000})
    args = (salt, 0, poor.hash, [parent], ZERO, "", blob(opening(poor)))
    with refused(rf"RoyaltyMissing\({parent}, 200000, 199999\)"):
        stage.call(OWNER, "Assets", REGISTER, *args)
    with refused("RoyaltyMissing"):  # nor by leaving the split open
        stage.call(OWNER, "Assets", REGISTER, salt, 0, ZERO, [parent], ZERO, "", b"")
    args = (salt, 0, good.hash, [parent], ZERO, "", blob(opening(good)))
    stage.call(OWNER, "Assets", REGISTER, *args)
    later = stage.split(child, {at: 199_999, OWNER: 800_001}, 2)
    digest = typed(
        "Usufruct Splits",
        stage.on.splits,
        "Succession(uint256 asset,bytes32 from,bytes32 to)",
        child, good.hash, later.hash,
    )  # fmt: skip
    for signer in KEYS[:3]:
        with refused("ConsentMissing"):
            signatures = [signer.sign(digest)]
            stage.call(OWNER, "Splits", "succeed", tuple(good), tuple(later), signatures)


# licences


def test_free_trials_cannot_be_renewed_for_nothing(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), uses=3, period=DAY, cap=1)
    serial = stage.buy(offer)
    with refused("NothingToRenew"):
        stage.call(THIRD, "Licences", "renew", tuple(offer), serial)


def test_the_longest_and_most_never_wrap(stage: Stage) -> None:
    most = 2**32 - 1
    with refused("BadOffer"):
        stage.offer(stage.asset(), uses=most)
    offer = stage.offer(stage.asset(), price=1, uses=most - 1, period=most)
    serial = stage.buy(offer)
    for _ in range(2):
        _, expiry, uses, deadline, _ = stage.view("Licences", "licence", offer.id << 64 | serial)
        assert (expiry, uses, deadline) == (most, most - 1, 0)
        args = (tuple(offer), serial)
        stage.call(BUYER, "Licences", "renew", *args, value=1)
    huge = stage.offer(stage.asset(), token=stage.on.dollar, price=2**128 - 1, window=30 * DAY)
    with refused("ERC20InsufficientBalance"):
        stage.buy(huge)


def test_unclean_words_make_no_offer(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), price=1_000, royalty=500_000)
    data = bytearray(abi("Licences").encode("buy", tuple(offer), BUYER, []))
    for word in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12):
        bad = bytearray(data)
        bad[4 + 32 * word] ^= 0x80  # a bit above every small type
        for value in (0, 1_000):
            with refused("UnknownOffer", ""):
                stage.chain.do(BUYER, stage.on.licences, bytes(bad), value=value)
    bad = bytearray(data)
    bad[4 + 32 * 10 - 1] = 2  # a bool that is neither
    with refused("UnknownOffer", ""):
        stage.chain.do(BUYER, stage.on.licences, bytes(bad), value=1_000)


def test_a_licence_ends_to_the_second(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), period=100, uses=5)
    serial = stage.buy(offer)
    licence, end = offer.id << 64 | serial, stage.chain.time + 100
    for total, when in ((1, end - 1), (2, end)):
        struct = "Use(uint256 licence,uint32 total)"
        digest = typed("Usufruct Licences", stage.on.licences, struct, licence, total)
        stage.chain.wait(when - stage.chain.time - 1)
        args = (licence, total, KEYS[1].sign(digest))
        if when < end:
            stage.call(THIRD, "Licences", "recordUse", *args)
        else:
            with refused("Expired"):
                stage.call(THIRD, "Licences", "recordUse", *args)


def test_a_window_ends_to_the_second(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), price=1_000, window=100)
    first, second = stage.buy(offer), stage.buy(offer)
    end = stage.chain.time + 100  # of the second

    def at(time: int, who: str, function: str, *args: Any) -> None:
        """Call at that time; a refused call takes none."""
        stage.chain.wait(time - stage.chain.time - 1)
        stage.call(who, "Licences", function, tuple(offer), *args)

    with refused("NotYet"):
        at(end - 1, THIRD, "release", [second])
    at(end - 1, BUYER, "challenge", second)
    third = stage.buy(offer)
    late = stage.chain.time + 100
    with refused("Expired"):
        at(late, BUYER, "challenge", third)
    stage.call(THIRD, "Licences", "release", tuple(offer), [third])
    assert stage.chain.time == late
    with refused("IsChallenged"):
        stage.call(THIRD, "Licences", "release", tuple(offer), [second])
    with refused("Expired"):
        stage.call(BUYER, "Licences", "challenge", tuple(offer), first)


def test_a_challenge_ripens_to_the_second(stage: Stage) -> None:
    offer = stage.offer(stage.asset(), price=1_000, window=100)
    serial = stage.buy(offer)
    with refused("NotYet"):
        stage.call(BUYER, "Licences", "refund", tuple(offer), serial, BUYER)
    stage.call(BUYER, "Licences", "challenge", tuple(offer), serial)
    stage.chain.wait(98)
    args = (tuple(offer), serial, THIRD)
    with refused("NotYet"):
        stage.call(BUYER, "Licences", "refund", *args)
    stage.chain.wait(1)
    with refused("NotAssetOwner"):
        stage.call(THIRD, "Licences", "refund", *args)
    with refused("WrongPayee"):
        stage.call(OWNER, "Licences", "refund", *args)
    stage.call(BUYER, "Licences", "refund", *args)


def begin(stage: Stage, who: str, parents: list[int], split: Split | None, *claims: Any) -> None:
    """Register a draft under the salt 999."""
    args = (split.hash if split else ZERO, sorted(parents), ZERO, "", blob(opening(split, claims)))
    stage.call(who, "Assets", REGISTER, (999).to_bytes(16, "big"), 0, *args)


def test_a_claim_needs_a_licence_held_good_and_settled(stage: Stage) -> None:
    parent = stage.asset()
    stage.offer(parent, royalty=500_000)
    cheap, calls = (stage.offer(parent, price=10, royalty=0, use=use) for use in (2, 3))
    waits = stage.offer(parent, price=10, window=100)
    short = stage.offer(parent, price=10, period=50)
    other = stage.offer(stage.asset(), price=10)
    stage.buy(cheap, THIRD)
    for offer in (cheap, calls, waits, short, other):
        stage.buy(offer)
    bad = [(1, cheap), (3, cheap), (1, calls), (1, waits), (1, other), (1, cheap._replace(salt=0))]
    for claim in bad:
        with refused("BadClaim"):
            begin(stage, BUYER, [parent], None, claim)
    with refused("RoyaltyMissing"):
        begin(stage, BUYER, [parent], None)
    kept = stage.chain.snapshot()
    for claim in ((2, cheap), (1, short)):
        begin(stage, BUYER, [parent], None, claim)
        kept = stage.chain.revert(kept)
    stage.chain.wait(60)
    with refused("BadClaim"):
        begin(stage, BUYER, [parent], None, (1, short))
    stage.chain.wait(60)
    with refused("BadClaim"):  # the window is over, but the price can still be asked back
        begin(stage, BUYER, [parent], None, (1, waits))
    stage.call(THIRD, "Licences", "release", tuple(waits), [1])
    begin(stage, BUYER, [parent], None, (1, waits))


def test_royalties_of_parents_that_are_paid_in_one_place_add_up(stage: Stage) -> None:
    parents = [stage.asset() for _ in range(3)]
    for parent in parents[:2]:
        stage.offer(parent, royalty=300_000)
    child = stage.asset_id(BUYER, 999)
    for given in (300_000, 599_999):
        with refused("RoyaltyMissing"):
            split = stage.split(child, {OWNER: given, BUYER: WHOLE - given})
            begin(stage, BUYER, parents, split)
    begin(stage, BUYER, parents, stage.split(child, {OWNER: 600_000, BUYER: 400_000}))


def test_one_owes_oneself_no_royalty(stage: Stage) -> None:
    parent = stage.asset()
    stage.offer(parent, royalty=WHOLE)
    with refused("RoyaltyMissing"):
        begin(stage, BUYER, [parent], None)
    begin(stage, OWNER, [parent], None)


def test_sales_follow_every_change_of_the_asset(stage: Stage) -> None:
    asset = stage.asset()
    offer, waits = stage.offer(asset, price=7), stage.offer(asset, price=7, window=1)
    stage.buy(waits)
    at = [OTHER]
    stage.call(OWNER, "Assets", "transferFrom", OWNER, OTHER, asset)

    def paid() -> None:
        before = stage.held(COIN, at[-1])
        stage.buy(offer, THIRD)
        assert stage.held(COIN, at[-1]) == before + 7

    paid()
    shares = {OWNER: 500_000, OTHER: 500_000}
    split = stage.split(asset, shares)
    args = (asset, bytes(16), 0, b"\2" * 32, ZERO, split.hash, [], "")
    stage.call(OTHER, "Assets", "publish", args, blob(opening(split)))
    at.append(stage.wallet(split))
    paid()
    new = stage.split(asset, {OWNER: 400_000, OTHER: 600_000}, 2)
    struct = "Succession(uint256 asset,bytes32 from,bytes32 to)"
    digest = typed("Usufruct Splits", stage.on.splits, struct, asset, split.hash, new.hash)
    stage.call(THIRD, "Splits", "succeed", tuple(split), tuple(new), [KEYS[0].sign(digest)])
    at.append(stage.wallet(new))
    paid()
    stage.call(THIRD, "Licences", "release", tuple(waits), [1])
    assert stage.held(COIN, at[-1]) == 14
    for state, error in ((2, "NotActive"), (1, ""), (3, "NotActive")):
        stage.call(OTHER, "Assets", "setState", asset, state)
        if not error:
            paid()
        else:
            with refused(error):
                stage.buy(offer)
            with refused(error):
                stage.offer(asset, OTHER)
