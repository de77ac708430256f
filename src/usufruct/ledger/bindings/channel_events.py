"""What the contract Channels tells: channels made, money paid in, claimed, paid out, taken back.

These events suffice to rebuild every channel: its config, its money, what is asked back, and the
nonce of the next refund.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.errors import BadInput
from usufruct.ledger.bindings.calls import EventLayout, by_topic, decode_with
from usufruct.ledger.bindings.channels import CONFIG_TYPES, ChannelConfig
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import Address

_ADDRESS = Layout("address")
_BYTES32 = Layout("bytes32")
_AMOUNT = Layout("uint128")


@dataclass(frozen=True, slots=True)
class ChannelCreated:
    """A channel got its first deposit, or the first since it was emptied unclaimed."""

    channel_id: bytes
    config: ChannelConfig


@dataclass(frozen=True, slots=True)
class Deposited:
    """A deposit arrived; `balance` is what was deposited and not taken back."""

    channel_id: bytes
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """`total_claimed` is claimed of the channel in all."""

    channel_id: bytes
    total_claimed: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A receiver was paid what it had claimed of a token."""

    receiver: Address
    token: Address
    sender: Address
    amount: int


@dataclass(frozen=True, slots=True)
class WithdrawInitiated:
    """The payer asks `amount` back and gets it from `until` on, in seconds since 1970."""

    channel_id: bytes
    amount: int
    until: int


@dataclass(frozen=True, slots=True)
class WithdrawFinalized:
    """The payer took `amount` back; zero if everything was claimed meanwhile."""

    channel_id: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """The receiver gave `amount` back under `nonce`; zero if nothing was left."""

    channel_id: bytes
    nonce: int
    amount: int


Event = (
    ChannelCreated
    | Deposited
    | Claimed
    | Settled
    | WithdrawInitiated
    | WithdrawFinalized
    | Refunded
)


def _created(channel_id: bytes, payer: Address, receiver: Address, *fields: Any) -> ChannelCreated:
    config = ChannelConfig(*fields)
    if (config.payer, config.receiver) != (payer, receiver):
        raise BadInput("the ledger names a channel's payer or receiver otherwise than its config")
    return ChannelCreated(channel_id, config)


CHANNEL_CREATED: Final = EventLayout(
    _created,
    bytes.fromhex("c4402687405700730c3c46fafbcdf4c6666b2f63cf606ecdad7d0ce3f8e97b59"),
    (_BYTES32, _ADDRESS, _ADDRESS),
    Layout(*CONFIG_TYPES),
)
DEPOSITED: Final = EventLayout(
    Deposited,
    bytes.fromhex("97b4b54c5ba878fe1f68d4821ac14db68fd1360c55fff589bf28915f2d6eb80a"),
    (_BYTES32,),
    Layout("uint128", "uint128"),
)
CLAIMED: Final = EventLayout(
    Claimed,
    bytes.fromhex("881fa34a5d85aaf11f4da58125100499873dcabb93fb3ebc5e7da0366f2cf515"),
    (_BYTES32,),
    _AMOUNT,
)
SETTLED: Final = EventLayout(
    Settled,
    bytes.fromhex("7337b4386b690fdb8ba66905b92b9d45d33bc6626ee2620c905fb150ec0cc47d"),
    (_ADDRESS, _ADDRESS, _ADDRESS),
    _AMOUNT,
)
WITHDRAW_INITIATED: Final = EventLayout(
    WithdrawInitiated,
    bytes.fromhex("e4280d0d903c7f258f62b07c62f262377cbaa23f7791d78126e6446e0f0e3c23"),
    (_BYTES32,),
    Layout("uint128", "uint40"),
)
WITHDRAW_FINALIZED: Final = EventLayout(
    WithdrawFinalized,
    bytes.fromhex("7199d0223d6298b72aa065530e73254326871c618d9b3930fba915882829b850"),
    (_BYTES32,),
    _AMOUNT,
)
REFUNDED: Final = EventLayout(
    Refunded,
    bytes.fromhex("3fd68a6e1964c0abadecb929e53523c5482dc0acf9c00981cee4f39bf2c4340e"),
    (_BYTES32,),
    Layout("uint256", "uint128"),
)
EVENTS: Final = by_topic(
    *(CHANNEL_CREATED, DEPOSITED, CLAIMED, SETTLED),
    *(WITHDRAW_INITIATED, WITHDRAW_FINALIZED, REFUNDED),
)


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event of a log, None if it is none of this contract's."""
    return decode_with(EVENTS, topics, data)
