"""Who holds what in a market: the chain's coin and tokens, honest and not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.contracts.market_terms import COIN


@dataclass
class Tokens:
    """Who holds what. `kinds`: coin, dollar, plain, fee, false, block."""

    kinds: dict[str, str] = field(default_factory=lambda: {COIN: "coin"})
    money: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    allowed: dict[tuple[str, str], int] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    stones: set[str] = field(default_factory=set)

    def stuck(self, token: str, source: str, target: str, amount: int) -> set[str]:
        """Why this transfer fails: names of errors, empty if it does not."""
        kind = self.kinds[token]
        poor = self.money[token, source] < amount
        if kind == "coin":
            return {"FailedCall", "Error", ""} if target in self.stones else set()
        if kind == "dollar":
            return {"ERC20InsufficientBalance"} if poor else set()
        if kind == "false":
            return {"SafeERC20FailedOperation"}
        if kind == "block" and {source, target} & self.blocked:
            return {"Error"}
        return {"Error"} if poor else set()

    def refused(self, token: str, source: str, target: str, amount: int) -> set[str]:
        """As `stuck`, for what Licences takes by its allowance."""
        wrong = self.stuck(token, source, target, amount)
        kind = self.kinds[token]
        if kind not in ("coin", "false") and self.allowed.get((token, source), 0) < amount:
            wrong = wrong | {"ERC20InsufficientAllowance" if kind == "dollar" else "Error"}
        return wrong

    def move(self, token: str, source: str, target: str, amount: int) -> int:
        """Do the transfer and return what arrives."""
        fee = amount // 100 if self.kinds[token] == "fee" else 0
        self.money[token, source] -= amount
        self.money[token, target] += amount - fee
        if fee:
            self.money[token, FEES] += fee
        return amount - fee

    def spend(self, token: str, source: str, amount: int) -> None:
        allowed = self.allowed.get((token, source))
        if allowed is not None and allowed != 2**256 - 1:
            self.allowed[token, source] = allowed - amount


FEES = "0x0000000000000000000000000000000000000fee"
