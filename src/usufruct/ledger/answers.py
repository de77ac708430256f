"""Reading what an RPC endpoint answers: every value is checked before it is believed.

An endpoint is another party's machine. Whatever is not of the form that the Ethereum JSON-RPC
specification (execution-apis) prescribes is a :class:`BadAnswer`, never a ``KeyError``.
"""

from __future__ import annotations

import re
from typing import Any

from usufruct.errors import LedgerUnreachable
from usufruct.types import Address

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}\Z")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")


class BadAnswer(LedgerUnreachable):
    """The endpoint answers, but not what an Ethereum node may answer."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the ledger's endpoint answered nonsense: {what}",
            hint="check the RPC URL, or use another endpoint of the same network",
        )


class TooMany(BadAnswer):
    """The endpoint answers with more than was asked to be taken at once."""


def quantity(value: Any, what: str, *, bits: int = 256) -> int:
    """Return a hexadecimal QUANTITY as a number below 2**`bits`.

    Raises
    ------
    BadAnswer
        Not such a number; `what` names the field.
    """
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise BadAnswer(f"{what} is not a number")
    number = int(value, 16)
    if number >> bits:
        raise BadAnswer(f"{what} is too large")
    return number


def data(value: Any, what: str, *, limit: int = 4 * 1024 * 1024) -> bytes:
    """Return hexadecimal DATA as at most `limit` bytes.

    Raises
    ------
    BadAnswer
        Not such data.
    """
    if not isinstance(value, str) or len(value) > 2 * limit + 2 or not _DATA.match(value):
        raise BadAnswer(f"{what} is not hexadecimal data of at most {limit} bytes")
    return bytes.fromhex(value[2:])


def fixed(value: Any, what: str, size: int) -> bytes:
    """Return hexadecimal DATA of exactly `size` bytes.

    Raises
    ------
    BadAnswer
        Not such data.
    """
    raw = data(value, what, limit=size)
    if len(raw) != size:
        raise BadAnswer(f"{what} is not {size} bytes")
    return raw


def digest(value: Any, what: str) -> str:
    """Return a 32-byte hash as ``0x`` and 64 lower-case digits.

    Raises
    ------
    BadAnswer
        Not a hash.
    """
    if not isinstance(value, str) or not _HASH.match(value):
        raise BadAnswer(f"{what} is not a 32-byte hash")
    return value.lower()


def address(value: Any, what: str) -> Address:
    """Return an address in lower case.

    Raises
    ------
    BadAnswer
        Not an address.
    """
    if not isinstance(value, str) or not _ADDRESS.match(value):
        raise BadAnswer(f"{what} is not an address")
    return Address(value.lower())


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    BadAnswer
        Not an object.
    """
    if not isinstance(value, dict):
        raise BadAnswer(f"{what} is not an object")
    return value


def sequence(value: Any, what: str, *, limit: int) -> list[Any]:
    """Return a JSON array of at most `limit` elements.

    Raises
    ------
    BadAnswer
        Not an array; :class:`TooMany` for a longer one.
    """
    if not isinstance(value, list):
        raise BadAnswer(f"{what} is not a list")
    if len(value) > limit:
        raise TooMany(f"{what} are more than {limit}")
    return value
