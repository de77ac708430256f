"""The tokens that prices are in: which one is meant, what it is called, what an account has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from usufruct.errors import BadInput, NotFound
from usufruct.types import ZERO_ADDRESS, Address, parse_address
from usufruct.units import format_amount
from usufruct.workspace.trade import Money

if TYPE_CHECKING:
    from usufruct.ledger.client import Ledger

TEST_DOLLAR: Final = "TestDollar"
_COIN_NAMES = ("ether", "eth", "coin")
_MOST_DECIMALS = 36


@dataclass(frozen=True, slots=True)
class Token:
    """A token, or the chain's own coin (its address is zeros)."""

    address: Address
    symbol: str
    decimals: int

    def text(self, amount: int) -> str:
        """Return an amount in the smallest unit as people read it."""
        return f"{format_amount(amount, self.decimals)} {self.symbol}"

    def money(self, amount: int) -> Money:
        """Return an amount with its text."""
        return Money(self.address, amount, self.text(amount))


COIN: Final = Token(ZERO_ADDRESS, "ether", 18)


class Tokens:
    """What is known of tokens; strangers wrote them, so each is asked once and believed little."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[Address, Token] = {ZERO_ADDRESS: COIN}

    def named(self, text: str | None) -> Token:
        """Return the token that a person means; None is the network's test dollar.

        Raises
        ------
        BadInput
            The network has no test dollar and nothing was named, or there is no such token.
        """
        if text is None:
            try:
                return self.at(self._ledger.network.address(TEST_DOLLAR))
            except NotFound:
                raise BadInput(
                    "this ledger has no test dollar, so the price needs a token",
                    hint="name one: --token ADDRESS, or --token ether",
                ) from None
        if text.lower() in _COIN_NAMES:
            return COIN
        return self.at(parse_address(text))

    def at(self, address: Address) -> Token:
        """Return the token at an address.

        Raises
        ------
        BadInput
            What stands there does not say how many decimals it has.
        """
        from usufruct.ledger.bindings import tokens

        if address not in self._known:
            decimals = self._ledger.call(tokens.decimals(address))
            if decimals is None or not 0 <= decimals <= _MOST_DECIMALS:
                raise BadInput(
                    f"there is no usable token at {address}", hint="it is an ERC-20 with decimals"
                )
            symbol = self._ledger.call(tokens.symbol(address)) or address[:10]
            self._known[address] = Token(address, symbol[:16], decimals)
        return self._known[address]

    def shown(self, address: Address) -> Token:
        """Return a token for showing: one that answers nonsense is shown by its address."""
        try:
            return self.at(address)
        except BadInput:
            return Token(address, f"units of {address}", 0)

    def balance(self, token: Address, account: Address) -> int:
        """Return what an account has, in the token's smallest unit."""
        from usufruct.ledger.bindings import tokens

        if token == ZERO_ADDRESS:
            return self._ledger.balance(account)
        return self._ledger.call(tokens.balance_of(token, account)) or 0
