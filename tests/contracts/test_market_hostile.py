"""Tokens and accounts that misbehave: who is harmed must be those who chose them, nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from tests.contracts.market_engine import HOSTILE, Done, Key, Refused, abi, running_chain, typed
from tests.contracts.market_model import COIN, WHOLE, ZERO, Offer, Split, blob, opening, wallet
from tests.contracts.market_world import KEYS, REGISTER, RICH, World

from usufruct.crypto.hash import keccak256

pytestmark = pytest.mark.engine

OWNER, BUYER, OTHER, THIRD = (key.address for key in KEYS[:4])
REENTRANT = keccak256(b"ReentrancyGuardReentrantCall()")[:4]
COINS, LICENCE = 4, 4  # moods of an Account: strike
DAY = 86_400


class Stage:
    """Short words for what these tests do over and over."""

    def __init__(self, world: World) -> None:
        self.world, self.chain, self.on = world, world.chain, world.on
        self.count = 0

    def call(self, who: str, contract: str, function: str, *args: Any, **more: Any) -> Done:
        to = more.pop("to", None) or getattr(self.on, contract.lower(), None)
        return self.chain.do(who, to, abi(contract).encode(function, *args), **more)

    def view(self, contract: str, function: str, *args: Any) -> Any:
        return self.chain.view(contract, getattr(self.on, contract.lower()), function, *args)

    def asset_id(self, owner: str, salt: int) -> int:
        return int.from_bytes(keccak256(bytes.fromhex(owner[2:]) + salt.to_bytes(16, "big")))

    def asset(self, shares: dict[str, int] | None = None, owner: str = OWNER) -> int:
        """Publish an asset whose income is divided so."""
        self.count += 1
        asset = self.asset_id(owner, self.count)
        split = self.split(asset, shares) if shares else None
        args = (
            asset, self.count.to_bytes(16, "big"), 0, b"\1" * 32, ZERO,
            split.hash if split else ZERO, [], "",
        )  # fmt: skip
        self.call(owner, "Assets", "publish", args, blob(opening(split)))
        return asset

    def split(self, asset: int, shares: dict[str, int], version: int = 1) -> Split:
        order = sorted(shares, key=lambda payee: int(payee, 16))
        return Split(asset, version, tuple(order), tuple(shares[payee] for payee in order))

    def wallet(self, split: Split) -> str:
        return wallet(self.on.splits, self.world.model.implementation, split.hash)

    def offer(self, asset: int, owner: str = OWNER, **terms: Any) -> Offer:
        self.count += 1
        made = Offer(asset, salt=self.count, **terms)
        self.call(owner, "Licences", "makeOffers", [tuple(made)])
        return made

    def buy(self, offer: Offer, who: str = BUYER, holder: str | None = None, **more: Any) -> int:
        """Buy and return the serial."""
        value = offer.price if offer.token == COIN else 0
        args = (tuple(offer), holder or who, [])
        self.call(who, "Licences", "buy", *args, value=value, **more)
        return self.view("Licences", "offerState", offer.id)[0]

    def token(self, kind: str, *holders: str, amount: int = RICH) -> str:
        token = self.chain.create(kind)
        for holder in holders or (BUYER,):
            data = abi("PlainToken").encode("mint", holder, amount)
            self.chain.do(holder, token, data)
            data = abi("PlainToken").encode("approve", self.on.licences, amount)
            self.chain.do(holder, token, data)
        return token

    def held(self, token: str, account: str) -> int:
        if token == COIN:
            return int(self.chain.rpc("eth_getBalance", account, "latest"), 16)
        return self.chain.view("PlainToken", token, "balanceOf", account)

    def account(self, key: Key = KEYS[0], coins: int = 0, licence: int = 0) -> str:
        made = self.chain.create("Account", key.address)
        self.chain.do(OWNER, made, abi("Account").encode("setMoods", coins, licence))
        return made

    def withdraw(self, split: Split, token: str, **more: Any) -> Done:
        return self.call(THIRD, "Splits", "withdraw", tuple(split), token, **more)

    def owed(self, split: Split, token: str, payee: str) -> int:
        return self.view("Splits", "owed", split.hash, token, payee)

    def acknowledge(self, offer: Offer, serial: int, key: Key) -> Done:
        struct = "Acknowledgement(uint256 licence,bytes32 root)"
        licence = offer.id << 64 | serial
        digest = typed("Usufruct Licences", self.on.licences, struct, licence, ZERO)
        args = (tuple(offer), serial, ZERO, key.sign(digest))
        return self.call(THIRD, "Licences", "acknowledge", *args)


def refused(*names: str) -> Any:
    return pytest.raises(Refused, match=f"^({'|'.join(names)})")


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


def authorization(stage: Stage, offer: Offer, holder: str, key: Key, salt: bytes) -> bytes:
    nonce = keccak256(encode(["uint256", "address", "bytes32"], [offer.id, holder, salt]))
    struct = (
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
        "uint256 validBefore,bytes32 nonce)"
    )
    values = (key.address, stage.on.licences, offer.price, 0, 2**255, nonce)
    return key.sign(typed("Test Dollar", stage.on.dollar, struct, *values))


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


# calling back in


class Attack:
    """A market in which one hostile contract could do everything, if it were let."""

    def __init__(self, stage: Stage, attacker: str, token: str = COIN) -> None:
        self.stage, self.attacker = stage, attacker
        stage.chain.fund(attacker, RICH)
        asset = stage.asset(shares := {KEYS[0].address: 600_000, OTHER: 400_000})
        split = stage.split(asset, shares)
        free = stage.offer(asset, transferable=True)
        dollars = stage.offer(asset, token=stage.on.dollar, price=0)
        counted = stage.offer(asset, price=1, uses=9)
        open_ = stage.offer(asset, price=10, window=DAY)
        ended = stage.offer(asset, price=10, window=50)
        mine = [stage.buy(free, holder=attacker) for _ in range(2)]
        used = stage.buy(counted)
        waiting = [stage.buy(open_) for _ in range(3)]
        challenged = stage.buy(open_, attacker)
        released = stage.buy(ended)
        stage.chain.wait(60)
        other = stage.asset(shares)
        second = stage.split(other, shares)
        stage.buy(stage.offer(other, price=1_000))
        third_asset = stage.asset(shares)
        third = stage.split(third_asset, shares)
        stage.buy(stage.offer(third_asset, price=1_000))
        stage.call(THIRD, "Splits", "credit", tuple(third), COIN)
        stage.call(OWNER, "Assets", "transferFrom", OWNER, attacker, asset)
        new = stage.split(asset, {KEYS[0].address: 500_000, OTHER: 500_000}, 2)
        signed_use = self._sign("Use(uint256 licence,uint32 total)", counted.id << 64 | used, 1)
        signed_root = self._sign(
            "Acknowledgement(uint256 licence,bytes32 root)", open_.id << 64 | waiting[0], ZERO
        )
        succession = typed(
            "Usufruct Splits",
            stage.on.splits,
            "Succession(uint256 asset,bytes32 from,bytes32 to)",
            asset, split.hash, new.hash,
        )  # fmt: skip
        paid = authorization(stage, dollars, attacker, KEYS[1], ZERO)
        ids = [free.id << 64 | serial for serial in mine]
        self.calls: dict[str, tuple[Any, ...]] = {
            "buy": (tuple(free), attacker, []),
            "buyWithPermit": (tuple(dollars), attacker, [], 0, 27, ZERO, ZERO),
            "buyWithAuthorization": (
                tuple(dollars), attacker, [], BUYER, 0, 2**255, ZERO, paid
            ),
            "renew": (tuple(counted), used),
            "recordUse": (counted.id << 64 | used, 1, signed_use),
            "challenge": (tuple(open_), challenged),
            "acknowledge": (tuple(open_), waiting[0], ZERO, signed_root),
            "refund": (tuple(open_), waiting[1], BUYER),
            "release": (tuple(ended), [released]),
            "safeTransferFrom": (attacker, THIRD, ids[0], 1, b""),
            "safeBatchTransferFrom": (attacker, THIRD, ids[1:], [1], b""),
            "setApprovalForAll": (THIRD, True),
            "makeOffers": ([tuple(Offer(asset, salt=10**6))],),
            "closeOffer": (tuple(ended),),
            "sync": (asset,),
            "withdraw": (tuple(second), COIN),
            "credit": (tuple(second), COIN),
            "claim": (third.hash, COIN, OTHER, OTHER),
            "succeed": (tuple(split), tuple(new), [KEYS[0].sign(succession)]),
        }  # fmt: skip
        self.open, self.waiting, self.paid_for = open_, waiting, {"renew": 1}
        self.licences = [(open_, n) for n in (*waiting, challenged)] + [(ended, released)]
        self.wallets = [(s, stage.wallet(s)) for s in (split, new, second, third)]

    def _sign(self, struct: str, licence: int, value: Any) -> bytes:
        return KEYS[1].sign(
            typed("Usufruct Licences", self.stage.on.licences, struct, licence, value)
        )

    def arm(self) -> None:
        """Prepare every call, after seeing that each would be done outside."""
        stage = self.stage
        for function, args in self.calls.items():
            contract = "Splits" if function in SPLITS else "Licences"
            to = getattr(stage.on, contract.lower())
            data, value = abi(contract).encode(function, *args), self.paid_for.get(function, 0)
            request = {"from": self.attacker, "to": to, "data": "0x" + data.hex()}
            stage.chain.dry(request | {"value": hex(value), "gas": hex(3_000_000)})
            stage.call(OWNER, "Account", "arm", to, value, data, to=self.attacker)

    def struck(self, done: Done) -> dict[str, bytes | None]:
        """Function -> error selector, None if it was let in, of a transaction's attacks."""
        found: dict[str, bytes | None] = {}
        for log in done.logs:
            if log.address == self.attacker and log.topics[0] in abi("Account").events:
                name, values = abi("Account").event(log)
                if name == "Struck":
                    function = list(self.calls)[values["index"]]
                    found[function] = None if values["ok"] else values["selector"]
        return found

    def books_agree(self) -> None:
        """Licences holds what waits; wallets hold what they owe."""
        stage, waits = self.stage, 0
        for offer, serial in self.licences:
            state = stage.view("Licences", "licence", offer.id << 64 | serial)
            waits += offer.price if state[3] and offer.token == COIN else 0
        assert stage.held(COIN, stage.on.licences) == waits
        for split, at in self.wallets:
            assert stage.held(COIN, at) >= stage.view("Splits", "reserved", split.hash, COIN)


SPLITS = {"withdraw", "credit", "claim", "succeed"}
UNGUARDED = {"recordUse", "challenge", "setApprovalForAll", "makeOffers", "closeOffer", "sync"}
ONLY_OURS = {"setOffers", "opened"}


def check(struck: dict[str, bytes | None], inside: str, attack: Attack) -> None:
    """Within a contract its guarded functions are shut; what is open is open harmlessly."""
    assert set(struck) == set(attack.calls)
    for function, error in struck.items():
        here = ("Splits" if function in SPLITS else "Licences") == inside
        if here and function not in UNGUARDED:
            assert error == REENTRANT, (function, error)
    attack.books_agree()


def test_every_function_is_attacked(stage: Stage) -> None:
    attack = Attack(stage, stage.account())
    changing = set()
    for contract in ("Licences", "Splits"):
        changing |= {
            entry["name"]
            for entry in _entries(contract)
            if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
        }
    assert changing == set(attack.calls) | ONLY_OURS


def _entries(contract: str) -> Sequence[dict[str, Any]]:
    from tests.contracts.market_engine import _artefact

    return _artefact(contract)["abi"]


def test_a_receiver_of_a_licence_cannot_call_back_in(stage: Stage) -> None:
    receiver = stage.account(licence=LICENCE)
    attack = Attack(stage, receiver)
    offer = stage.offer(stage.asset(), price=100, window=DAY, transferable=True)
    plain = stage.offer(stage.asset(), price=100, transferable=True)
    held = stage.buy(plain)
    attack.arm()
    kept = stage.chain.snapshot()
    for function, args, value in (
        ("buy", (tuple(offer), receiver, []), 100),
        ("buy", (tuple(plain), receiver, []), 100),
        ("safeTransferFrom", (BUYER, receiver, plain.id << 64 | held, 1, b""), 0),
        ("safeBatchTransferFrom", (BUYER, receiver, [plain.id << 64 | held], [1], b""), 0),
    ):
        done = stage.call(BUYER, "Licences", function, *args, value=value)
        attack.licences = [*attack.licences[:5], (offer, 1)]
        check(attack.struck(done), "Licences", attack)
        kept = stage.chain.revert(kept)


@pytest.mark.parametrize("late", [False, True])
def test_a_token_cannot_call_back_in(stage: Stage, late: bool) -> None:
    token = stage.token("ReenteringToken")
    stage.call(OWNER, "ReenteringToken", "setLate", late, to=token)
    attack = Attack(stage, token)
    shares = {OWNER: 500_000, OTHER: 500_000}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    now, timed, waits, ended = (
        stage.offer(asset, token=token, price=100, **terms)
        for terms in ({}, {"period": DAY}, {"window": DAY}, {"window": 5})
    )
    stage.buy(now)
    serials = [stage.buy(offer) for offer in (timed, waits, waits, ended)]
    stage.chain.wait(10)
    other = stage.asset(shares)
    booked = stage.split(other, shares)
    stage.buy(stage.offer(other, token=token, price=100))
    stage.call(THIRD, "Splits", "credit", tuple(booked), token)
    attack.arm()
    struct = "Acknowledgement(uint256 licence,bytes32 root)"
    licence = waits.id << 64 | serials[1]
    root = KEYS[1].sign(typed("Usufruct Licences", stage.on.licences, struct, licence, ZERO))
    kept = stage.chain.snapshot()
    for who, function, args in (
        (BUYER, "buy", (tuple(now), BUYER, [])),
        (BUYER, "buy", (tuple(waits), BUYER, [])),
        (BUYER, "renew", (tuple(timed), serials[0])),
        (THIRD, "acknowledge", (tuple(waits), serials[1], ZERO, root)),
        (OWNER, "refund", (tuple(waits), serials[2], BUYER)),
        (THIRD, "release", (tuple(ended), [serials[3]])),
        (THIRD, "claim", (booked.hash, token, OTHER, OTHER)),
    ):
        contract = "Splits" if function in SPLITS else "Licences"
        done = stage.call(who, contract, function, *args, gas=15_000_000)
        check(attack.struck(done), contract, attack)
        kept = stage.chain.revert(kept)
    done = stage.withdraw(split, token, gas=15_000_000)  # with what gas it gives, all or some
    struck = attack.struck(done)
    assert all(e for f, e in struck.items() if f in SPLITS)
    attack.books_agree()
    paid = stage.held(token, OWNER) + stage.held(token, OTHER)
    owed = stage.owed(split, token, OWNER) + stage.owed(split, token, OTHER)
    assert paid + owed == 200
    assert stage.held(token, stage.wallet(split)) == owed


def test_a_payee_of_coins_cannot_call_back_in(stage: Stage) -> None:
    payee = stage.account(coins=COINS)
    attack = Attack(stage, payee)
    shares = {OWNER: 500_000, payee: 500_000}
    asset = stage.asset(shares)
    split = stage.split(asset, shares)
    owned = stage.asset()
    stage.buy(stage.offer(asset, price=100))
    direct, timed = stage.offer(owned, price=100), stage.offer(owned, price=100, period=DAY)
    waits, ended = (stage.offer(owned, price=100, window=window) for window in (DAY, 5))
    serials = [stage.buy(offer) for offer in (timed, waits, waits, ended)]
    stage.chain.wait(10)
    booked_asset = stage.asset(shares)
    booked = stage.split(booked_asset, shares)
    stage.buy(stage.offer(booked_asset, price=100))
    stage.call(THIRD, "Splits", "credit", tuple(booked), COIN)
    stage.call(OWNER, "Assets", "transferFrom", OWNER, payee, owned)
    struct = "Acknowledgement(uint256 licence,bytes32 root)"
    licence = waits.id << 64 | serials[1]
    root = KEYS[1].sign(typed("Usufruct Licences", stage.on.licences, struct, licence, ZERO))
    attack.arm()
    attack.licences += [(waits, serials[1]), (waits, serials[2]), (ended, serials[3])]
    attack.wallets += [(split, stage.wallet(split)), (booked, stage.wallet(booked))]
    kept = stage.chain.snapshot()
    for who, function, args, value in (
        (BUYER, "buy", (tuple(direct), BUYER, []), 100),
        (BUYER, "renew", (tuple(timed), serials[0]), 100),
        (THIRD, "acknowledge", (tuple(waits), serials[1], ZERO, root), 0),
        (THIRD, "release", (tuple(ended), [serials[3]]), 0),
        (THIRD, "claim", (booked.hash, COIN, payee, payee), 0),
    ):
        contract = "Splits" if function in SPLITS else "Licences"
        done = stage.call(who, contract, function, *args, value=value, gas=15_000_000)
        check(attack.struck(done), contract, attack)
        kept = stage.chain.revert(kept)
    before = stage.held(COIN, payee)
    stage.withdraw(split, COIN, gas=15_000_000)  # all the attacks do not fit into 50,000 gas
    attack.books_agree()
    assert stage.held(COIN, payee) - before + stage.owed(split, COIN, payee) == 50
    for function in SPLITS:  # but one may
        kept = stage.chain.revert(kept)
        stage.call(OWNER, "Account", "disarm", to=payee)
        data = abi("Splits").encode(function, *attack.calls[function])
        stage.call(OWNER, "Account", "arm", stage.on.splits, 0, data, to=payee)
        before = stage.held(COIN, payee)
        done = stage.withdraw(split, COIN)
        assert None not in attack.struck(done).values()
        attack.books_agree()
        assert stage.held(COIN, payee) - before + stage.owed(split, COIN, payee) == 50


def test_a_refund_to_an_account_with_code_cannot_call_back_in(stage: Stage) -> None:
    payer = stage.account(coins=COINS)
    attack = Attack(stage, payer)
    offer = stage.offer(stage.asset(), price=100, window=DAY)
    serial = stage.buy(offer, payer)
    attack.arm()
    args = (tuple(offer), serial, payer)
    done = stage.call(OWNER, "Licences", "refund", *args, gas=15_000_000)
    check(attack.struck(done), "Licences", attack)
    with refused("UnknownLicence"):
        stage.call(OWNER, "Licences", "refund", *args)
