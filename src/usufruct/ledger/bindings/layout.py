"""The part of the Solidity ABI that our contracts use, encoded and decoded strictly.

A :class:`Layout` is prepared once for each function, event and error. Decoding takes only the one
encoding that Solidity's ``abi.encode`` produces: offsets in order and without gaps, padding zero,
no bytes left over. Tests compare both ways with ``eth_abi``.

Source: Solidity documentation, Contract ABI Specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from usufruct.errors import BadInput
from usufruct.types import Address, AssetId, LicenceId, OfferId

WORD: Final = 32
MAX_ITEMS: Final = 4096
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_ASSET = re.compile(r"[0-9a-f]{64}\Z")
_OFFER = re.compile(r"[0-9a-f]{48}\Z")
_BYTES_UNITS = {"string": 1, "bytes": 1, "encoded": 1}

Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], Any]


class Layout:
    """The layout of a list of values.

    Parameters
    ----------
    types
        Solidity's names ``uint8`` to ``uint256``, ``bytes1`` to ``bytes32``, ``address``, ``bool``,
        ``string``, ``bytes``; of our own ``asset``, ``licence`` and ``offer`` (a ``uint256``,
        ``uint256`` and ``uint192`` written as :data:`~usufruct.types.AssetId`,
        :data:`~usufruct.types.LicenceId` and :data:`~usufruct.types.OfferId`); lists of all
        these but the two of any length (``asset[]``); and, to encode only, ``encoded``: bytes of
        another layout, as for a struct with dynamic fields.
    """

    __slots__ = ("_codecs", "_head", "types")

    def __init__(self, *types: str) -> None:
        self.types = types
        self._codecs = tuple((_unit(name), *_codec(name)) for name in types)
        self._head = WORD * len(types)

    def encode(self, *values: Any) -> bytes:
        """Return the values as ABI bytes.

        Raises
        ------
        BadInput
            A value does not fit its type.
        """
        if len(values) != len(self._codecs):
            raise BadInput(f"{len(self._codecs)} values are needed, not {len(values)}")
        heads: list[bytes] = []
        tails: list[bytes] = []
        offset = self._head
        for (unit, encode, _), value in zip(self._codecs, values, strict=True):
            encoded = encode(value)
            if unit:
                heads.append(offset.to_bytes(WORD, "big"))
                tails.append(encoded)
                offset += len(encoded)
            else:
                heads.append(encoded)
        return b"".join(heads + tails)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Return the values that `data` holds.

        Raises
        ------
        BadInput
            `data` is not what ``abi.encode`` gives for these types.
        """
        end = self._head
        if len(data) < end:
            raise BadInput(f"the ledger answered {len(data)} bytes where {end} or more are due")
        values: list[Any] = []
        position = 0
        for unit, _, decode in self._codecs:
            word = data[position : position + WORD]
            position += WORD
            if unit:
                if int.from_bytes(word, "big") != end:
                    raise BadInput("the ledger's answer is not canonical: offset")
                length = int.from_bytes(data[end : end + WORD], "big")
                size = -(-length * unit // WORD) * WORD
                start = end + WORD
                end = start + size
                if length > len(data) or end > len(data):
                    raise BadInput("the ledger's answer is cut short")
                if any(data[start + length * unit : end]):
                    raise BadInput("the ledger's answer is not canonical: padding")
                word = data[start : start + length * unit]
            values.append(decode(word))
        if end != len(data):
            raise BadInput(f"the ledger answered {len(data) - end} bytes too many")
        return tuple(values)


def asset_number(asset: AssetId) -> int:
    """Return an asset's id as its ERC-721 token number.

    Raises
    ------
    BadInput
        Not 64 lower-case hexadecimal digits.
    """
    if not isinstance(asset, str) or not _ASSET.match(asset):
        raise BadInput(f"'{asset}' is not an asset", hint="its id has 64 hexadecimal digits")
    return int(asset, 16)


def offer_number(offer: OfferId) -> int:
    """Return an offer's id as the contract's number of 192 bits.

    Raises
    ------
    BadInput
        Not 48 lower-case hexadecimal digits.
    """
    if not isinstance(offer, str) or not _OFFER.match(offer):
        raise BadInput(f"'{offer}' is not an offer", hint="its id has 48 hexadecimal digits")
    return int(offer, 16)


def licence_number(licence: LicenceId) -> int:
    """Return a licence's id as its ERC-1155 token number.

    Raises
    ------
    BadInput
        Not 64 lower-case hexadecimal digits.
    """
    if not isinstance(licence, str) or not _ASSET.match(licence):
        raise BadInput(f"'{licence}' is not a licence", hint="its id has 64 hexadecimal digits")
    return int(licence, 16)


def _unit(name: str) -> int:
    """Return how many bytes an element takes behind an offset and a length, 0 if neither is."""
    return WORD if name.endswith("[]") else _BYTES_UNITS.get(name, 0)


def _codec(name: str) -> tuple[Encoder, Decoder]:
    if name.endswith("[]"):
        return _list(*_codec(name[:-2]))
    if match := re.fullmatch(r"uint(\d+)", name):
        return _uint(int(match[1]))
    if match := re.fullmatch(r"bytes(\d+)", name):
        return _fixed(int(match[1]))
    others: dict[str, tuple[Encoder, Decoder]] = {
        "address": (_encode_address, _decode_address),
        "bool": (_encode_bool, _decode_bool),
        "string": (_encode_string, _decode_string),
        "bytes": (_encode_bytes, bytes),
        "asset": (_encode_asset, _decode_asset),
        "licence": (lambda value: licence_number(value).to_bytes(WORD, "big"), _decode_licence),
        "offer": (lambda value: offer_number(value).to_bytes(WORD, "big"), _decode_offer),
        "encoded": (bytes, bytes),
    }
    return others[name]


def _uint(bits: int) -> tuple[Encoder, Decoder]:
    limit = 1 << bits

    def encode(value: Any) -> bytes:
        if type(value) is not int or not 0 <= value < limit:
            raise BadInput(f"{value!r} is not a whole number from 0 to 2^{bits} - 1")
        return value.to_bytes(WORD, "big")

    def decode(word: bytes) -> int:
        value = int.from_bytes(word, "big")
        if value >= limit:
            raise BadInput(f"the ledger's answer is not canonical: more than {bits} bits")
        return value

    return encode, decode


def _fixed(size: int) -> tuple[Encoder, Decoder]:
    padding = bytes(WORD - size)

    def encode(value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != size:
            raise BadInput(f"{size} bytes are needed, not {value!r}")
        return value + padding

    def decode(word: bytes) -> bytes:
        if word[size:] != padding:
            raise BadInput(f"the ledger's answer is not canonical: more than {size} bytes")
        return word[:size]

    return encode, decode


def _encode_address(value: Any) -> bytes:
    if not isinstance(value, str) or not _ADDRESS.match(value):
        raise BadInput(f"'{value}' is not an address", hint="it is 0x and 40 hexadecimal digits")
    return bytes(12) + bytes.fromhex(value[2:])


def _decode_address(word: bytes) -> Address:
    if any(word[:12]):
        raise BadInput("the ledger's answer is not canonical: address")
    return Address("0x" + word[12:].hex())


def _encode_bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise BadInput(f"{value!r} is neither true nor false")
    return int(value).to_bytes(WORD, "big")


def _decode_bool(word: bytes) -> bool:
    value = int.from_bytes(word, "big")
    if value > 1:
        raise BadInput("the ledger's answer is not canonical: bool")
    return bool(value)


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise BadInput(f"bytes are needed, not {value!r}")
    return len(value).to_bytes(WORD, "big") + value + bytes(-len(value) % WORD)


def _encode_string(value: Any) -> bytes:
    try:
        return _encode_bytes(value.encode() if isinstance(value, str) else value)
    except UnicodeEncodeError:
        raise BadInput("the text holds half a character, which UTF-8 cannot carry") from None


def _decode_string(data: bytes) -> str:
    # A contract cannot check UTF-8: one party's bad name must not stop everybody's index.
    return data.decode("utf-8", "replace")


def _encode_asset(value: Any) -> bytes:
    return asset_number(value).to_bytes(WORD, "big")


def _decode_asset(word: bytes) -> AssetId:
    return AssetId(word.hex())


def _decode_licence(word: bytes) -> LicenceId:
    return LicenceId(word.hex())


def _decode_offer(word: bytes) -> OfferId:
    if any(word[:8]):
        raise BadInput("the ledger's answer is not canonical: more than 192 bits")
    return OfferId(word[8:].hex())


def _list(encode: Encoder, decode: Decoder) -> tuple[Encoder, Decoder]:
    def encode_all(values: Any) -> bytes:
        if len(values) > MAX_ITEMS:
            raise BadInput(f"{len(values)} elements in one list are too many")
        return len(values).to_bytes(WORD, "big") + b"".join(map(encode, values))

    def decode_all(data: bytes) -> tuple[Any, ...]:
        return tuple(decode(data[i : i + WORD]) for i in range(0, len(data), WORD))

    return encode_all, decode_all
