"""A call to a contract, a question to it, and how its logs are told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from usufruct.errors import BadInput
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import Address

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction or ``eth_call`` carries.

    Parameters
    ----------
    to
        The contract.
    data
        Four bytes that choose the function, then its arguments.
    """

    to: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class View(Call, Generic[T]):
    """A call that only asks; ``decode`` turns the answer's bytes into a value."""

    decode: Callable[[bytes], T]


@dataclass(frozen=True, slots=True)
class EventLayout(Generic[E]):
    """How one event lies in a log.

    Parameters
    ----------
    make
        Builds the event from its indexed values, then the others, in the order of the contract.
    topic
        ``topics[0]``: keccak256 of the event's signature, 32 bytes.
    indexed
        One layout for each further topic.
    plain
        The layout of the log's data.
    """

    make: Callable[..., E]
    topic: bytes
    indexed: tuple[Layout, ...]
    plain: Layout

    def decode(self, topics: Sequence[bytes], data: bytes) -> E:
        """Return the event; `topics` with its first, each 32 bytes.

        Raises
        ------
        BadInput
            The log is not what this event looks like.
        """
        if len(topics) != len(self.indexed) + 1 or topics[0] != self.topic:
            raise BadInput("the log is of another event")
        values: list[Any] = []
        for layout, topic in zip(self.indexed, topics[1:], strict=True):
            values += layout.decode(topic)
        return self.make(*values, *self.plain.decode(data))


def by_topic(*layouts: EventLayout[Any]) -> Mapping[bytes, EventLayout[Any]]:
    """Return the layouts by ``topics[0]``."""
    return {layout.topic: layout for layout in layouts}


def decode_with(
    layouts: Mapping[bytes, EventLayout[E]], topics: Sequence[bytes], data: bytes
) -> E | None:
    """Return the event of a log, or None for an event that is not among `layouts`."""
    layout = layouts.get(topics[0]) if topics else None
    return layout.decode(topics, data) if layout else None


def one(layout: Layout) -> Callable[[bytes], Any]:
    """Return the decoder of an answer that holds one value."""

    def decode(data: bytes) -> Any:
        (value,) = layout.decode(data)
        return value

    return decode


def wallet_signature(signature: bytes) -> bytes:
    """Return a signature as contracts take it: an account's ends in 27 or 28, not in 0 or 1.

    Raises
    ------
    BadInput
        Not bytes. Signatures of contracts (EIP-1271) have any length and stay as they are.
    """
    if not isinstance(signature, bytes):
        raise BadInput(f"a signature is bytes, not {signature!r}")
    if len(signature) != 65 or signature[64] > 1:
        return signature
    return signature[:64] + bytes([signature[64] + 27])
