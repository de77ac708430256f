"""EIP-712 digests: what an account signs when a contract or another party must understand it.

A struct here has atomic fields only, which is all our contracts use. ``eth_account`` judges both
the digests and the refusals in the tests.

Source: EIP-712.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput
from usufruct.types import Address

_DOMAIN: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_TYPE = re.compile(r"[A-Za-z_]\w*\((\w+ \w+(?:,\w+ \w+)*)?\)\Z", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")

Encoder = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one contract, or one account, on one chain.

    Parameters
    ----------
    name, version
        What the verifier calls itself.
    chain_id
        EIP-155 chain id.
    contract
        The verifying contract's address.

    Raises
    ------
    BadInput
        A field of another form.
    """

    name: str
    version: str
    chain_id: int
    contract: Address

    def __post_init__(self) -> None:
        _ = self.separator

    @property
    def separator(self) -> bytes:
        """The domain's struct hash, 32 bytes."""
        return struct_hash(_DOMAIN, self.name, self.version, self.chain_id, self.contract)


@cache
def type_hash(signature: str) -> bytes:
    """Return keccak256 of a struct's type, such as ``Use(uint256 licence,uint32 total)``.

    Raises
    ------
    BadInput
        Not a struct's type, or one with fields that are not atomic.
    """
    _encoders(signature)
    return keccak256(signature.encode())


def struct_hash(signature: str, *values: Any) -> bytes:
    """Return the hash of a struct, 32 bytes.

    Parameters
    ----------
    signature
        Its type.
    *values
        Its fields in order: whole numbers for ``uint8`` to ``uint256``, ``0x`` addresses, True or
        False, bytes for ``bytes1`` to ``bytes32`` and ``bytes``, text for ``string``.

    Raises
    ------
    BadInput
        A value does not fit its field, or there are too many or too few.
    """
    encoders = _encoders(signature)
    if len(values) != len(encoders):
        raise BadInput(f"{len(encoders)} values are needed, not {len(values)}")
    words = [encode(value) for encode, value in zip(encoders, values, strict=True)]
    return keccak256(type_hash(signature) + b"".join(words))


def digest(domain: Domain, hashed: bytes) -> bytes:
    """Return what an account signs: the :func:`struct_hash` `hashed` bound to a domain, 32 bytes.

    Raises
    ------
    BadInput
        `hashed` does not have 32 bytes.
    """
    if not isinstance(hashed, bytes) or len(hashed) != 32:
        raise BadInput("a struct's hash has 32 bytes")
    return keccak256(b"\x19\x01" + domain.separator + hashed)


@cache
def _encoders(signature: str) -> tuple[Encoder, ...]:
    found = _TYPE.match(signature) if isinstance(signature, str) else None
    if found is None:
        raise BadInput(f"'{signature}' is not the type of a struct")
    return tuple(_encoder(field.split(" ")[0]) for field in (found[1] or "").split(",") if field)


def _encoder(name: str) -> Encoder:
    if match := re.fullmatch(r"uint([1-9]\d{0,2})", name):
        bits = int(match[1])
        if bits <= 256 and bits % 8 == 0:
            return lambda value: _number(value, bits)
    if match := re.fullmatch(r"bytes([1-9]\d?)", name):
        size = int(match[1])
        if size <= 32:
            return lambda value: _bytes(value, size) + bytes(32 - size)
    others: dict[str, Encoder] = {
        "address": _address,
        "bool": _bool,
        "bytes": lambda value: keccak256(_bytes(value)),
        "string": lambda value: keccak256(_text(value)),
    }
    if name not in others:
        raise BadInput(f"a struct's field of the type '{name}' cannot be signed here")
    return others[name]


def _number(value: Any, bits: int) -> bytes:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise BadInput(f"{value!r} is not a whole number from 0 to 2^{bits} - 1")
    return value.to_bytes(32, "big")


def _bytes(value: Any, size: int | None = None) -> bytes:
    if not isinstance(value, bytes) or size not in (None, len(value)):
        raise BadInput(f"{'' if size is None else f'{size} '}bytes are needed, not {value!r}")
    return value


def _text(value: Any) -> bytes:
    try:
        return value.encode() if isinstance(value, str) else _bytes(value)
    except UnicodeEncodeError:
        raise BadInput("the text holds half a character, which UTF-8 cannot carry") from None


def _address(value: Any) -> bytes:
    if not isinstance(value, str) or not _ADDRESS.match(value):
        raise BadInput(f"'{value}' is not an address", hint="it is 0x and 40 hexadecimal digits")
    return bytes(12) + bytes.fromhex(value[2:])


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise BadInput(f"{value!r} is neither true nor false")
    return int(value).to_bytes(32, "big")
