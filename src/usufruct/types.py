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
_HEX24 = re.compile(r"[0-9a-f]{48}\Z")
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


class Use(StrEnum):
    """What a licence allows. The order is the number stored on the ledger; only append."""

    DOWNLOAD = "download"
    COMPUTE = "compute"
    LEARN = "learn"
    CALL = "call"

    @property
    def number(self) -> int:
        """The number the contract stores."""
        return list(Use).index(self)


OfferId = NewType("OfferId", str)
"""An offer: 48 lower-case hexadecimal digits, the low 192 bits of keccak256 over its terms."""

LicenceId = NewType("LicenceId", str)
"""A licence: 64 lower-case hexadecimal digits, its offer's id and a serial number of 64 bits."""

PPM = 1_000_000
"""A whole, in the parts per million that shares and royalties are counted in."""


def parse_offer_id(text: str) -> OfferId:
    """Return `text` as an offer's id (BadInput: not 48 hexadecimal digits)."""
    lowered = text.lower().removeprefix("0x") if isinstance(text, str) else ""
    if not _HEX24.match(lowered):
        raise BadInput(f"'{text}' is not an offer", hint="its id has 48 hexadecimal digits")
    return OfferId(lowered)


def parse_licence_id(text: str) -> LicenceId:
    """Return `text` as a licence's id (BadInput: not 64 hexadecimal digits)."""
    lowered = text.lower().removeprefix("0x") if isinstance(text, str) else ""
    if not _HEX32.match(lowered):
        raise BadInput(f"'{text}' is not a licence", hint="its id has 64 hexadecimal digits")
    return LicenceId(lowered)
