"""Room for downloads: so many at once, and so many of one account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from usufruct.errors import NotAllowed, Unavailable
from usufruct.node.answers import Refusal
from usufruct.types import Address


class Slots:
    """Room for so many downloads, and so many of one account."""

    def __init__(self, most: int, most_each: int, active: Any = None) -> None:
        self._most = most
        self._most_each = most_each
        self._active = active
        self._taken: dict[Address, int] = {}

    def take(self, account: Address) -> AbstractContextManager[None]:
        """Take a slot, which the block gives back; called in the event loop's thread.

        Raises
        ------
        Refusal
            All are taken (503), or this account has its share (429).
        """
        mine = self._taken.get(account, 0)
        if mine >= self._most_each:
            often = NotAllowed(f"an account has at most {self._most_each} downloads at once")
            raise Refusal(often, 429, wait=2)
        if sum(self._taken.values()) >= self._most:
            full = Unavailable("all downloads of this node are taken", hint="try again")
            raise Refusal(full, 503, wait=2)
        self._taken[account] = mine + 1
        if self._active is not None:
            self._active.inc()
        return self._hold(account)

    @contextmanager
    def _hold(self, account: Address) -> Iterator[None]:
        try:
            yield
        finally:
            self.give_back(account)

    def give_back(self, account: Address) -> None:
        """Free a slot of an account."""
        left = self._taken.pop(account, 0) - 1
        if left > 0:
            self._taken[account] = left
        if self._active is not None:
            self._active.dec()
