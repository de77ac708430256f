"""Recursive Length Prefix, Ethereum's encoding, strict and without a dependency.

Source: Ethereum Yellow Paper, appendix B. Decoding accepts the one canonical form only, so
whatever decodes re-encodes byte-equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from usufruct.errors import BadInput

Item: TypeAlias = "bytes | list[Item]"
"""What RLP holds: a byte string or a list of items."""

Encodable: TypeAlias = "bytes | int | Sequence[Encodable]"
"""What :func:`encode` takes; a whole number is written big-endian without leading zeros."""

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 16
MAX_ITEMS = 1_000_000


def encode(item: Encodable) -> bytes:
    """Return the encoding of `item`.

    Raises
    ------
    BadInput
        A negative number, or something that is neither bytes, a number nor a sequence.
    """
    if isinstance(item, (bytes, bytearray)):
        data = bytes(item)
        if len(data) == 1 and data[0] < 0x80:
            return data
        return _prefix(len(data), 0x80) + data
    if isinstance(item, bool):
        raise BadInput("RLP has no truth values")
    if isinstance(item, int):
        return encode(int_bytes(item))
    if isinstance(item, (list, tuple)):
        body = b"".join([encode(part) for part in item])
        return _prefix(len(body), 0xC0) + body
    raise BadInput(f"RLP cannot hold a {type(item).__name__}")


def int_bytes(value: int) -> bytes:
    """Return a whole number big-endian without leading zeros; zero is empty.

    Raises
    ------
    BadInput
        The number is negative.
    """
    if value < 0:
        raise BadInput("RLP cannot hold a negative number")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def to_int(item: Item, *, max_bytes: int = 32) -> int:
    """Return the number that a decoded byte string stands for.

    Raises
    ------
    BadInput
        A list, leading zeros, or more than `max_bytes` bytes.
    """
    if not isinstance(item, bytes):
        raise BadInput("RLP has a list where a number belongs")
    if len(item) > max_bytes:
        raise BadInput(f"RLP number is longer than {max_bytes} bytes")
    if item[:1] == b"\0":
        raise BadInput("RLP number has a leading zero")
    return int.from_bytes(item, "big")


def decode(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> Item:
    """Return the one item that `data` encodes.

    Parameters
    ----------
    data
        Untrusted bytes.
    max_bytes, max_depth, max_items
        Refuse more bytes, deeper lists or more items (in all) than these.

    Raises
    ------
    BadInput
        Not the canonical encoding of exactly one item, or beyond a limit.
    """
    if not isinstance(data, (bytes, bytearray)):
        raise BadInput("RLP is read from bytes")
    if len(data) > max_bytes:
        raise BadInput(f"RLP is longer than {max_bytes} bytes")
    reader = _Reader(bytes(data), max_depth, max_items)
    item, end = reader.item(0, len(data), 0)
    if end != len(data):
        raise BadInput("RLP has bytes after its end")
    return item


class _Reader:
    def __init__(self, data: bytes, max_depth: int, max_items: int) -> None:
        self._data = data
        self._max_depth = max_depth
        self._items_left = max_items

    def item(self, start: int, stop: int, depth: int) -> tuple[Item, int]:
        """Return the item at `start` and where it ends, at most `stop`."""
        if start >= stop:
            raise BadInput("RLP ends early")
        self._items_left -= 1
        if self._items_left < 0:
            raise BadInput("RLP has too many items")
        first = self._data[start]
        if first < 0x80:
            return self._data[start : start + 1], start + 1
        is_list = first >= 0xC0
        begin, end = self._span(start, stop, first - (0xC0 if is_list else 0x80))
        if not is_list:
            text = self._data[begin:end]
            if len(text) == 1 and text[0] < 0x80:
                raise BadInput("RLP has a single byte in a longer form")
            return text, end
        if depth >= self._max_depth:
            raise BadInput(f"RLP is nested deeper than {self._max_depth}")
        parts: list[Item] = []
        while begin < end:
            part, begin = self.item(begin, end, depth + 1)
            parts.append(part)
        return parts, end

    def _span(self, start: int, stop: int, code: int) -> tuple[int, int]:
        """Return where the payload of an item at `start` begins and ends."""
        begin, length = start + 1, code
        if code > 55:
            width = code - 55
            raw = self._data[begin : min(begin + width, stop)]
            if len(raw) < width:
                raise BadInput("RLP ends early")
            if raw[0] == 0:
                raise BadInput("RLP length has a leading zero")
            begin, length = begin + width, int.from_bytes(raw, "big")
            if length <= 55:
                raise BadInput("RLP has a short item in the long form")
        if length > stop - begin:
            raise BadInput("RLP ends early")
        return begin, begin + length


def _prefix(length: int, offset: int) -> bytes:
    if length <= 55:
        return bytes([offset + length])
    size = int_bytes(length)
    return bytes([offset + 55 + len(size)]) + size
