"""Canonical JSON: one value, one encoding (a subset of RFC 8785 without floats)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final, NoReturn

from usufruct.errors import BadInput
from usufruct.units import MIB

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer, either sign, that every JSON reader keeps exact."""

MAX_DEPTH: Final = 32
"""How deep lists and objects may nest."""

MAX_CONTAINERS: Final = 1 << 22
MAX_VALUES: Final = 1 << 25
"""How many lists and objects, and values in all: a few bytes each in a file, far more in memory."""

# possessive, and its end may be missing: linear in any input
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"[]{}"))

_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def _refuse_float(text: str) -> NoReturn:
    raise BadInput(f"the number {text[:40]} is not a whole number; write it as a string")


_decode = json.JSONDecoder(parse_float=_refuse_float, parse_constant=_refuse_float).decode


def dumps(value: Any, *, max_depth: int = MAX_DEPTH) -> bytes:
    """Return the one canonical encoding of `value`, UTF-8.

    Parameters
    ----------
    value
        Made of dict (keys ASCII printable), list, tuple (as a list), str, int below 2^53,
        bool and None. Floats are refused: write them as strings.

    Raises
    ------
    BadInput
        Anything else, a lone surrogate, or nesting deeper than `max_depth`.
    """
    _check(value, max_depth)
    try:
        return _encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput("a string has a lone surrogate, which is no character") from None


def loads(data: bytes, *, max_bytes: int = 64 * MIB, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value whose canonical encoding is exactly `data`.

    Raises
    ------
    BadInput
        Not canonical JSON: larger than `max_bytes`, deeper than `max_depth`, more than
        :data:`MAX_CONTAINERS` or :data:`MAX_VALUES`, not UTF-8, floats,
        duplicate or unsorted keys, spaces, other escapes; whatever does not re-encode byte-equal.
    """
    if not isinstance(data, (bytes, bytearray)):
        raise BadInput("a document is bytes")
    if len(data) > max_bytes:
        raise BadInput(f"the document has {len(data)} bytes, more than the {max_bytes} allowed")
    check_brackets(data, max_depth)
    try:
        value = _decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadInput("the document is not UTF-8") from None
    except ValueError as error:
        raise BadInput(f"the document is not JSON: {error}") from None
    if dumps(value, max_depth=max_depth) != data:
        raise BadInput(
            "the document is JSON but not canonical",
            hint="keys sorted and unique, no spaces, no needless escapes, no leading zeros",
        )
    return value


def check_brackets(data: bytes, max_depth: int) -> None:
    """Raise BadInput for brackets too deep or too many, before the reader meets them."""
    # json recurses in C: where something raised the recursion limit, depth is a crash, no error
    rest = _STRING.sub(b"", data)
    brackets = rest.translate(None, _NO_BRACKET)
    if len(brackets) > 2 * MAX_CONTAINERS or rest.count(b",") > MAX_VALUES:
        raise BadInput("the document holds too many values")
    for _ in range(max_depth):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise BadInput(f"the document's brackets do not match, or nest deeper than {max_depth}")


def _check(value: Any, max_depth: int) -> None:
    """Raise BadInput unless `value` has a canonical encoding; level by level, no recursion."""
    level = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str or item is None or kind is bool:
                continue
            if isinstance(item, int):
                if not -MAX_INTEGER <= item <= MAX_INTEGER:
                    raise BadInput("an integer is 2^53 or more; write it as a string")
            elif isinstance(item, dict):
                for key in item:
                    if not isinstance(key, str) or not (key.isascii() and key.isprintable()):
                        raise BadInput(f"the key {key!r:.60} is not printable ASCII")
                below.extend(item.values())
                below.append(None)
            elif isinstance(item, (list, tuple)):
                below.extend(item)
                below.append(None)
            elif not isinstance(item, str):
                raise BadInput(f"a {kind.__name__} has no canonical encoding")
        level = below
        if below:
            depth += 1
            if depth > max_depth:
                raise BadInput(f"the document nests deeper than {max_depth}")


def b64(data: bytes) -> str:
    """Return `data` in standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Return the bytes whose only base64 encoding is `text`.

    Raises
    ------
    BadInput
        Not standard padded base64, or not the canonical form (stray bits, spaces, newlines).
    """
    if not isinstance(text, str):
        raise BadInput("base64 is text")
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise BadInput("not base64") from None
    if base64.b64encode(data) != text.encode("ascii"):
        raise BadInput("not the canonical base64 of these bytes")
    return data
