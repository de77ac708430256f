"""Small value types that every floor shares."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

from usufruct.errors import BadInput

Address = NewType("Address", str)
"""An Ethereum address: ``0x`` and 40 lower-case hexadecimal digits."""

AssetId = NewType("AssetId", str)
"""An asset: 64 lower-case hexadecimal digits, keccak256(owner ‖ salt); its ERC-721 token id."""

Digest = NewType("Digest", str)
"""A 32-byte digest: 64 lower-case hexadecimal digits."""

_ADDRESS = re.compile(r"0x[0-9a-f]{40}\Z")
_HEX32 = re.compile(r"[0-9a-f]{64}\Z")
ZERO_ADDRESS = Address("0x" + "0" * 40)


class AssetKind(StrEnum):
    """What an asset is. The order is the number stored on the ledger; only append."""

    DATASET = "dataset"
    ALGORITHM = "algorithm"
    MODEL = "model"
    SERVICE = "service"
    SCHEMA = "schema"

    @property
    def number(self) -> int:
        """The number the contract stores."""
        return list(AssetKind).index(self)


class AssetState(StrEnum):
    """Where an asset stands in its life. The order is the number stored on the ledger."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"

    @property
    def number(self) -> int:
        """The number the contract stores."""
        return list(AssetState).index(self)


def parse_address(text: str) -> Address:
    """Return `text` as an address, any letter case.

    Raises
    ------
    BadInput
        Not ``0x`` and 40 hexadecimal digits.
    """
    lowered = text.lower() if isinstance(text, str) else ""
    if not _ADDRESS.match(lowered):
        raise BadInput(f"'{text}' is not an address", hint="it is 0x and 40 hexadecimal digits")
    return Address(lowered)


def parse_digest(text: str) -> Digest:
    """Return `text` as a 32-byte digest in hexadecimal.

    Raises
    ------
    BadInput
        Not 64 hexadecimal digits (an ``0x`` before them is dropped).
    """
    lowered = text.lower().removeprefix("0x") if isinstance(text, str) else ""
    if not _HEX32.match(lowered):
        raise BadInput(f"'{text}' is not a 32-byte digest", hint="it has 64 hexadecimal digits")
    return Digest(lowered)
