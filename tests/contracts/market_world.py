"""A market on a chain beside its model, and everything that people do there by chance.

`World` makes each step on both and compares. What is chosen comes from a `Choice`, so that the
same steps serve Hypothesis (which shrinks) and a plain seeded run.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from eth_abi import decode
from tests.contracts.evm import Log
from tests.contracts.market_engine import Chain, Key, Refused, abi
from tests.contracts.market_model import Model
from tests.contracts.market_terms import (
    COIN,
    ZERO,
    leaf,
    pair,
)
from tests.contracts.market_tokens import FEES

from usufruct.crypto.hash import keccak256

T = TypeVar("T")
KEYS = tuple(Key(keccak256(b"market test %d" % n)) for n in range(6))
RICH = 10**15
ALL = 2**256 - 1
REGISTER = "register(bytes16,uint8,bytes32,uint256[],bytes32,string,bytes)"


class Choice(Protocol):
    def number(self, low: int, high: int) -> int: ...


class Dice:
    """Chance from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


def pick(by: Choice, options: Sequence[T]) -> T:
    return options[by.number(0, len(options) - 1)]


def rarely(by: Choice, one_in: int = 12) -> bool:
    return by.number(1, one_in) == one_in  # shrinks to False


class World:
    """One market; `save` and `restore` let many runs start from one beginning."""

    def __init__(self, chain: Chain, *, gifts: bool = True) -> None:
        """With `gifts`, coins reach wallets from outside too, of which no event tells."""
        self.chain, self.gifts = chain, gifts
        self.on = chain.deploy_market()
        self.done: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.logs: list[Log] = []
        self.signers: dict[str, Key] = {key.address: key for key in KEYS}
        implementation = chain.view("Splits", self.on.splits, "implementation")
        self.model = Model(self.on.licences, self.on.splits, implementation)
        people = [key.address for key in KEYS]
        for person in people:
            chain.fund(person, RICH)
        self.wise = chain.create("Account", KEYS[0].address)
        self.wall = chain.create("Account", KEYS[1].address)
        self.stone = chain.create("Stone")
        self.signers |= {self.wise: KEYS[0], self.wall: KEYS[1]}
        chain.do(people[0], self.wall, abi("Account").encode("setMoods", 1, 0))
        for account in (self.wise, self.wall, self.stone):
            chain.fund(account, RICH)
        self.people = [*people, self.wise, self.wall]
        self.everyone = [*self.people, self.stone]
        self.contracts: dict[str, str] = {}
        self._issue()
        self.first_known = dict(self.model.tokens.money)
        self.salt = 0
        self.first = (people[0], bytes(16))
        self.permits: dict[str, int] = {}
        self.listed = self.people[:2]
        self.list_root = pair(*(leaf(person) for person in self.listed))
        self._kept: Any = None

    def _issue(self) -> None:
        tokens, chain = self.model.tokens, self.chain
        names = ("TestDollar", "SilentToken", "FeeToken", "FalseToken", "BlockingToken")
        kinds = ("dollar", "plain", "fee", "false", "block")
        for account in self.everyone:
            tokens.money[COIN, account] = RICH
        for name, kind in zip(names, kinds, strict=True):
            token = self.on.dollar if kind == "dollar" else chain.create(name)
            self.contracts[token] = name
            tokens.kinds[token] = kind
            for account in self.everyone:
                if kind == "dollar":
                    data, amount = abi(name).encode("faucet", account), 1_000_000_000
                else:
                    data, amount = abi(name).encode("mint", account, RICH), RICH
                self.logs += chain.do(account, token, data).logs
                tokens.money[token, account] = amount
                allowed = ALL
                if kind == "dollar":
                    allowed = (ALL, ALL, 500_000, 0)[self.everyone.index(account) % 4]
                data = abi(name).encode("approve", self.on.licences, allowed)
                chain.do(account, token, data)
                tokens.allowed[token, account] = allowed
            if kind == "block":
                self.blocked = self.people[5]
                data = abi(name).encode("setBlocked", self.blocked, True)
                chain.do(self.people[0], token, data)
                tokens.blocked.add(self.blocked)
        tokens.stones.add(self.wall)
        self.model.deaf.add(self.stone)
        self.tokens = list(tokens.kinds)
        self.dollar = self.on.dollar

    # state

    _STATE = ("model", "logs", "salt", "permits", "first")

    def save(self) -> None:
        mine = copy.deepcopy({name: getattr(self, name) for name in self._STATE})
        self._kept = (self.chain.snapshot(), mine)

    def restore(self) -> None:
        there, mine = self._kept
        self._kept = (self.chain.revert(there), mine)
        for name, value in copy.deepcopy(mine).items():
            setattr(self, name, value)

    # one step

    def tick(self) -> Model:
        """Return the model, at the time of the next block."""
        self.model.now = self.chain.time + 1
        return self.model

    def step(
        self,
        who: str,
        contract: str,
        function: str,
        args: Sequence[Any],
        refusals: set[str],
        *,
        value: int = 0,
        to: str | None = None,
    ) -> bool:
        """Make the call and hold it against what the model said; return whether it was done."""
        data = abi(contract).encode(function, *args)
        address = to or getattr(self.on, contract.lower())
        what = f"{function} 0x{data.hex()} by {who}"
        try:
            if refusals:
                request = {"from": who, "to": address, "data": "0x" + data.hex()}
                request |= {"value": hex(value), "gas": hex(5_000_000), "gasPrice": "0x0"}
                self.chain.dry(request)
            else:
                done = self.chain.do(who, address, data, value=value, try_=False)
        except Refused as refused:
            assert refused.name in refusals, (refused, refusals, what)
            self.refused[function, refused.name] += 1
            return False
        assert not refusals, ("was done", refusals, what)
        self.logs += done.logs
        self.done[function] += 1
        return True

    def sign(self, account: str, digest: bytes, *, wrong: bool = False) -> tuple[bytes, bool]:
        """Return a signature and whether it is the account's."""
        key = self.signers.get(account)
        if key is None:
            return KEYS[0].sign(digest), False
        if wrong:
            key = KEYS[(KEYS.index(key) + 1) % len(KEYS)]
        return key.sign(digest), not wrong

    # what holds after each step

    def wallets(self) -> list[str]:
        return [self.model.wallet(split) for split in self.model.shapes]

    def check_money(self) -> None:
        """Every balance of everyone, on the chain, in the model, and in sum."""
        model, money = self.model, self.model.tokens.money
        accounts = [*self.everyone, self.on.licences, self.on.splits, self.on.assets]
        accounts += [*self.wallets(), FEES]
        pairs = [(token, account) for token in self.tokens for account in accounts]
        answers = self.chain.ask_many([self._balance(token, account) for token, account in pairs])
        sums = dict.fromkeys(self.tokens, 0)
        for (token, account), answer in zip(pairs, answers, strict=True):
            held = int.from_bytes(answer)
            assert held == money.get((token, account), 0), (self.contracts.get(token), account)
            sums[token] += held
        for token in self.tokens:
            issued = sum(n for (t, _), n in self.first_known.items() if t == token)
            assert sums[token] == issued, "money was made or lost"
            assert money.get((token, self.on.licences), 0) == model.locked(token)
            assert money.get((token, self.on.splits), 0) == 0
        for split in model.shapes:
            for token in self.tokens:
                held = money.get((token, model.wallet(split)), 0)
                assert held >= model.reserved(split, token), "owes more than it has"

    def _balance(self, token: str, account: str) -> tuple[str, bytes]:
        if token == COIN:
            return account, b""
        return token, BALANCE_OF + bytes(12) + bytes.fromhex(account[2:])

    def check_all(self) -> None:
        """Every view of everything against the model."""
        self.check_money()
        self._check(self._licence_questions())
        self._check(self._asset_questions())

    def _check(self, questions: list[tuple[str, str, tuple[Any, ...], Any]]) -> None:
        calls = [
            (getattr(self.on, contract.lower()), abi(contract).encode(function, *args))
            for contract, function, args, _ in questions
        ]
        for start in range(0, len(calls), 300):
            answers = self.chain.ask_many(calls[start : start + 300])
            for (contract, function, args, expected), answer in zip(
                questions[start : start + 300], answers, strict=True
            ):
                found = decode(abi(contract).functions[function][2], answer)
                assert found == expected, (function, args, found, expected)

    def _licence_questions(self) -> list[tuple[str, str, tuple[Any, ...], Any]]:
        model = self.model
        asked: list[tuple[str, str, tuple[Any, ...], Any]] = []
        for number, x in model.held.items():
            state = (x.owner, x.expiry, x.granted, x.deadline, x.used)
            asked.append(("Licences", "licence", (number,), state))
            asked.append(("Licences", "balanceOf", (x.owner, number), (1,)))
            other = next(account for account in self.everyone if account != x.owner)
            asked.append(("Licences", "balanceOf", (other, number), (0,)))
            if x.deadline:
                asked.append(("Licences", "payerOf", (number,), (x.payer,)))
                asked.append(("Licences", "challengedAt", (number,), (x.challenged,)))
        return asked

    def _asset_questions(self) -> list[tuple[str, str, tuple[Any, ...], Any]]:
        model = self.model
        asked: list[tuple[str, str, tuple[Any, ...], Any]] = []
        for asset, record in model.assets.items():
            owner = record.owner if record.split == ZERO else COIN
            asked.append(("Assets", "sale", (asset,), (record.state, record.split, owner)))
            asked.append(("Licences", "royaltyOf", (asset,), (model.royalty[asset],)))
            asked.append(("Licences", "payTo", (asset,), (model.pay_to(asset),)))
        for split, shape in model.shapes.items():
            asked.append(("Splits", "walletOf", (split,), (model.wallet(split),)))
            for token in self.tokens:
                reserved = model.reserved(split, token)
                asked.append(("Splits", "reserved", (split, token), (reserved,)))
                for payee in shape.payees:
                    due = model.owed.get((split, token, payee), 0)
                    asked.append(("Splits", "owed", (split, token, payee), (due,)))
        return asked

    def empty_all(self) -> None:
        """Pay out every wallet and fetch all that is owed: less than a unit a payee may stay."""
        model = self.model
        for split in list(model.shapes.values()):
            for token in self.tokens:
                wallet = model.wallet(split.hash)
                if not model.tokens.money.get((token, wallet)):
                    continue
                self.tick()
                refusals = model.withdraw(split, token)
                self.step(self.people[0], "Splits", "withdraw", (tuple(split), token), refusals)
                for payee in split.payees:
                    self.tick()
                    refusals = model.claim(split.hash, token, payee, payee, self.people[0])
                    args = (split.hash, token, payee, payee)
                    if "NothingToPay" not in refusals:
                        self.step(self.people[0], "Splits", "claim", args, refusals)
                dust = model.tokens.money[token, wallet] - model.reserved(split.hash, token)
                assert dust < len(split.payees)
        self.check_money()

    def check_royalties(self) -> None:
        """Whoever was promised a royalty has it still, unless it gave it away by signature."""
        for asset, promised in self.model.promised.items():
            split = self.model.assets[asset].split
            for payee, due in promised.items():
                assert split != ZERO
                assert self.model.shapes[split].share(payee) >= due


BALANCE_OF = keccak256(b"balanceOf(address)")[:4]
