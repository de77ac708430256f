"""The contract Parties: the keys an account speaks with off the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, EventLayout, View, by_topic, decode_with
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import Address

MAX_NAME: Final = 128
MAX_NODE: Final = 512

_REGISTER = bytes.fromhex("3f589c9d")
_REGISTER_LAYOUT = Layout("bytes32", "bytes32", "string", "string")
_KEYS = bytes.fromhex("670d14b2")
_ADDRESS = Layout("address")
_KEYS_ANSWER = Layout("bytes32", "bytes32", "uint64")


@dataclass(frozen=True, slots=True)
class Keys:
    """A party's keys as the ledger holds them.

    Parameters
    ----------
    signing_key
        Ed25519, 32 bytes.
    encryption_key
        X25519, 32 bytes.
    updated_at
        Time of the block that wrote them, seconds since 1970.
    """

    signing_key: bytes
    encryption_key: bytes
    updated_at: int


@dataclass(frozen=True, slots=True)
class PartyRegistered:
    """A party registered, or replaced its entry as a whole."""

    party: Address
    signing_key: bytes
    encryption_key: bytes
    name: str
    node: str


PARTY_REGISTERED: Final = EventLayout(
    PartyRegistered,
    bytes.fromhex("bcfeeeb8780e6c798f2b5a7a3a0f8fdd27fe46f4f3386d897787c832d40dc6a1"),
    (_ADDRESS,),
    Layout("bytes32", "bytes32", "string", "string"),
)
EVENTS: Final = by_topic(PARTY_REGISTERED)


def deploy_data() -> bytes:
    """Return the data of the transaction that deploys the contract."""
    return load_artefact("Parties").bytecode


def runtime_code() -> bytes:
    """Return the code the contract has once deployed."""
    return load_artefact("Parties").runtime_code()


def register(
    contract: Address, *, signing_key: bytes, encryption_key: bytes, name: str, node: str = ""
) -> Call:
    """Write the sender's entry, the first time or anew.

    Parameters
    ----------
    contract
        Where Parties is.
    signing_key, encryption_key
        Ed25519 and X25519, 32 bytes each, not zero.
    name
        What the party calls itself, 1 to 128 bytes of UTF-8.
    node
        Where its node answers, at most 512 bytes, empty if it has none.
    """
    return Call(
        contract, _REGISTER + _REGISTER_LAYOUT.encode(signing_key, encryption_key, name, node)
    )


def keys(contract: Address, party: Address) -> View[Keys | None]:
    """Ask for a party's keys; the answer is None for an unknown account."""
    return View(contract, _KEYS + _ADDRESS.encode(party), _decode_keys)


def decode_event(topics: Sequence[bytes], data: bytes) -> PartyRegistered | None:
    """Return the event of a log, None if it is none of this contract's."""
    return decode_with(EVENTS, topics, data)


def _decode_keys(data: bytes) -> Keys | None:
    found = Keys(*_KEYS_ANSWER.decode(data))
    return found if found.updated_at else None
