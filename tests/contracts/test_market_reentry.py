"""Tokens, receivers and payees that call back in while money moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.contracts.market_engine import Done, abi, running_chain, typed
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
from tests.contracts.market_terms import COIN, ZERO, Offer
from tests.contracts.market_world import KEYS, RICH, World

from usufruct.crypto.hash import keccak256

pytestmark = pytest.mark.engine

REENTRANT = keccak256(b"ReentrancyGuardReentrantCall()")[:4]
STRIKE = 4  # the mood of an Account


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
    receiver = stage.account(licence=STRIKE)
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
    payee = stage.account(coins=STRIKE)
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
    payer = stage.account(coins=STRIKE)
    attack = Attack(stage, payer)
    offer = stage.offer(stage.asset(), price=100, window=DAY)
    serial = stage.buy(offer, payer)
    attack.arm()
    args = (tuple(offer), serial, payer)
    done = stage.call(OWNER, "Licences", "refund", *args, gas=15_000_000)
    check(attack.struck(done), "Licences", attack)
    with refused("UnknownLicence"):
        stage.call(OWNER, "Licences", "refund", *args)
