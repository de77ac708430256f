"""The contract Anchors: signed heads of append-only logs, fixed in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, EventLayout, View, by_topic, decode_with
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import Address

_ANCHOR = bytes.fromhex("70c127c6")
_ANCHOR_LAYOUT = Layout("bytes32", "uint64", "bytes32")
_NOTE = bytes.fromhex("423b7971")
_HEAD = bytes.fromhex("24e8393d")
_HEAD_LAYOUT = Layout("address", "bytes32")
_HEAD_ANSWER = Layout("uint64", "bytes24")
_ADDRESS = Layout("address")
_BYTES32 = Layout("bytes32")


@dataclass(frozen=True, slots=True)
class Head:
    """The last anchored head of a log.

    Parameters
    ----------
    size
        Number of entries.
    root_prefix
        The first 24 bytes of the RFC 6962 root; the event has all 32.
    """

    size: int
    root_prefix: bytes

    def matches(self, size: int, root: bytes) -> bool:
        """Tell whether this is the head of `size` entries with this 32-byte `root`."""
        return self.size == size and len(root) == 32 and root[:24] == self.root_prefix


@dataclass(frozen=True, slots=True)
class Anchored:
    """An account anchored the head of one of its logs.

    Parameters
    ----------
    sender
        The account.
    name
        keccak256 of the log's origin line, 32 bytes.
    size, root
        Number of entries and the RFC 6962 root over them, 32 bytes.
    """

    sender: Address
    name: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """An account noted a 32-byte digest."""

    sender: Address
    digest: bytes


ANCHORED: Final = EventLayout(
    Anchored,
    bytes.fromhex("3d0c97912257c6ad70e8f6fc81ae518ad3e14734d308b512c2729cc637a4b0b1"),
    (_ADDRESS, _BYTES32),
    Layout("uint64", "bytes32"),
)
NOTED: Final = EventLayout(
    Noted,
    bytes.fromhex("4a0a2e0ec64ffeeda190f4681b18a76a4bb4d09e6797ad86e9bcff7388454867"),
    (_ADDRESS, _BYTES32),
    Layout(),
)
EVENTS: Final = by_topic(ANCHORED, NOTED)


def deploy_data() -> bytes:
    """Return the data of the transaction that deploys the contract."""
    return load_artefact("Anchors").bytecode


def runtime_code() -> bytes:
    """Return the code the contract has once deployed."""
    return load_artefact("Anchors").runtime_code()


def log_name(origin: str) -> bytes:
    """Return the name under which a log is anchored: keccak256 of its origin line."""
    from usufruct.crypto.hash import keccak256

    return keccak256(origin.encode())


def anchor(contract: Address, *, name: bytes, size: int, root: bytes) -> Call:
    """Anchor a head of one of the sender's logs.

    Parameters
    ----------
    contract
        Where Anchors is.
    name
        The log's :func:`log_name`, 32 bytes.
    size
        Number of entries, more than at the last anchor.
    root
        The RFC 6962 root over them, 32 bytes.
    """
    return Call(contract, _ANCHOR + _ANCHOR_LAYOUT.encode(name, size, root))


def note(contract: Address, digest: bytes) -> Call:
    """Fix a 32-byte digest in time, by an event alone."""
    return Call(contract, _NOTE + _BYTES32.encode(digest))


def head(contract: Address, sender: Address, name: bytes) -> View[Head | None]:
    """Ask for the last anchored head of a log; the answer is None if there is none."""
    return View(contract, _HEAD + _HEAD_LAYOUT.encode(sender, name), _decode_head)


def decode_event(topics: Sequence[bytes], data: bytes) -> Anchored | Noted | None:
    """Return the event of a log, None if it is none of this contract's."""
    return decode_with(EVENTS, topics, data)


def _decode_head(data: bytes) -> Head | None:
    found = Head(*_HEAD_ANSWER.decode(data))
    return found if found.size else None
