"""The tokens that prices are in: which one is meant, what it is called, what an account has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from usufruct.errors import BadInput, NotFound, TransactionReverted
from usufruct.market.pricing import safe_symbol
from usufruct.types import ZERO_ADDRESS, Address, parse_address
from usufruct.units import format_amount
from usufruct.workspace.trade import Money

if TYPE_CHECKING:
    from usufruct.ledger.client import Ledger

TEST_DOLLAR: Final = "TestDollar"
_COIN_NAMES = ("ether", "eth", "coin")
_TAKEN = (*_COIN_NAMES, "tusd")
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
        from usufruct.ledger.bindings import tokens

        if text is None:
            known = self.test_dollar
            if known is None:
                raise BadInput(
                    "this ledger has no test dollar, so the price needs a token",
                    hint="name one: --token ADDRESS, or --token ether",
                )
            return self.at(known)
        if text.lower() in _COIN_NAMES:
            return COIN
        address = parse_address(text)
        found = self.at(address)
        if address != ZERO_ADDRESS:
            with _no_token(address):
                self._ledger.call(tokens.balance_of(address, address))
        return found

    @property
    def test_dollar(self) -> Address | None:
        """Where the network's test dollar is, None if it has none."""
        try:
            return self._ledger.network.address(TEST_DOLLAR)
        except NotFound:
            return None

    def at(self, address: Address) -> Token:
        """Return the token at an address.

        Raises
        ------
        BadInput
            What stands there does not say how many decimals it has.
        """
        from usufruct.ledger.bindings import tokens

        if address not in self._known:
            symbol = ""
            with _no_token(address):
                decimals = self._ledger.call(tokens.decimals(address))
            with contextlib.suppress(BadInput), _no_token(address):  # not every token has one
                symbol = self._ledger.call(tokens.symbol(address))
            symbol = safe_symbol(symbol)
            if not 0 <= decimals <= _MOST_DECIMALS:
                raise _bad(address)
            self._known[address] = Token(address, self._told_apart(address, symbol), decimals)
        return self._known[address]

    def _told_apart(self, address: Address, symbol: str) -> str:
        """Return a symbol, with the address where it is none or claims to be a well known one."""
        if symbol == "?":
            return address[:14]
        taken = symbol.casefold() in _TAKEN and address != self.test_dollar
        return f"{symbol[:5]}@{address[:10]}" if taken else symbol

    def shown(self, address: Address) -> Token:
        """Return a token for showing: one that answers nonsense is shown by its address."""
        try:
            return self.at(address)
        except BadInput:
            return Token(address, address[:14], 0)

    def balance(self, token: Address, account: Address) -> int:
        """Return what an account has, in the token's smallest unit (BadInput: it does not say)."""
        from usufruct.ledger.bindings import tokens

        if token == ZERO_ADDRESS:
            return self._ledger.balance(account)
        with _no_token(token):
            return self._ledger.call(tokens.balance_of(token, account))


@contextlib.contextmanager
def _no_token(address: Address) -> Iterator[None]:
    """Say that there is no token where a contract refuses or answers nonsense."""
    from usufruct.ledger.answers import BadAnswer
    from usufruct.ledger.transport import RpcError

    try:
        yield
    except (BadAnswer, BadInput, RpcError, TransactionReverted):
        raise _bad(address) from None


def _bad(address: Address) -> BadInput:
    return BadInput(f"there is no usable token at {address}", hint="it is an ERC-20 with decimals")
