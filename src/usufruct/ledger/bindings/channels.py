"""The contract Channels: money put aside once, spent by vouchers, claimed many at a time.

Its ABI and EIP-712 domain are those of x402's batch settlement. On ledgers whose first block holds
it, it stands where x402 has it on every chain, beside its collector of deposits and Multicall3.

A channel's id, 32 bytes, is the digest of its config under the contract's domain; functions here
take the domain's `separator`, because those who check a voucher a call keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto.hash import keccak256
from usufruct.crypto.typed_data import Domain, type_hash
from usufruct.errors import BadInput
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, View, one, wallet_signature
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import ZERO_ADDRESS, Address, parse_address

CHANNELS: Final = Address("0x4020074e9df2ce1dee5a9c1b5c3f541d02a10003")
"""Where x402 clients expect the contract."""

COLLECTOR: Final = Address("0x4020806089470a89826cb9fb1f4059150b550004")
"""Where they expect the collector of EIP-3009 deposits."""

MULTICALL: Final = Address("0xca11bde05977b3631167028862be2a173976ca11")
"""Where everybody expects Multicall3."""

MIN_DELAY: Final = 900
"""The shortest delay of a withdrawal, in seconds."""

MAX_DELAY: Final = 30 * 86_400
"""The longest, in seconds."""

CONFIG_TYPES: Final = (*("address",) * 5, "uint40", "bytes32")
"""A config's fields as :class:`Layout` names them; static, so they lie in line."""

ALL: Final = 2**128 - 1
"""The amount of a withdrawal that asks for all there is."""

PACKED_ROW: Final = 173
_ROW_FIELDS = (20, 20, 5, 32, 16, 16, 64)
_CONFIG_SIZE = 224

_CONFIG = Layout(*CONFIG_TYPES)
_ADDRESS = Layout("address")
_BYTES32 = Layout("bytes32")
_NUMBER = Layout("uint256")
_AMOUNT = Layout("uint128")
_PAIR = Layout("address", "address")
_TWO_AMOUNTS = Layout("uint128", "uint128")
_AMOUNT_TIME = Layout("uint128", "uint40")
_PACKED = Layout("address", "address", "address", "bytes")
_AUTHORIZATION = Layout("uint256", "uint256", "uint256", "bytes")
_AMOUNTS = Layout("uint128", "uint128")
_REFUND_WORDS = Layout("bytes32", "uint256", "uint128")
_ROWS = Layout("encoded")
_ROWS_SIGNATURE = Layout("encoded", "bytes")

_DEPOSIT = bytes.fromhex("140f1e75")
_CLAIM = bytes.fromhex("29237b0c")
_CLAIM_WITH_SIGNATURE = bytes.fromhex("e43ce1f2")
_CLAIM_PACKED = bytes.fromhex("bba72129")
_SETTLE = bytes.fromhex("9db32a8f")
_INITIATE = bytes.fromhex("cf5cf3dc")
_FINALIZE = bytes.fromhex("e88377b1")
_REFUND = bytes.fromhex("dce4bfae")
_REFUND_WITH_SIGNATURE = bytes.fromhex("b77433e9")
_MULTICALL = bytes.fromhex("ac9650d8")
_CHANNELS = bytes.fromhex("7a7ebd7b")
_PENDING = bytes.fromhex("b7f06ebe")
_RECEIVERS = bytes.fromhex("21ff6389")
_REFUND_NONCE = bytes.fromhex("f0dc792e")
_CHANNEL_ID = bytes.fromhex("5e5e0b87")

_CONFIG_HASH = type_hash(
    "ChannelConfig(address payer,address payerAuthorizer,address receiver,"
    "address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
)
_VOUCHER_HASH = type_hash("Voucher(bytes32 channelId,uint128 maxClaimableAmount)")
_REFUND_HASH = type_hash("Refund(bytes32 channelId,uint256 nonce,uint128 amount)")
_ENTRY = "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
_ENTRY_HASH = type_hash(_ENTRY)
_BATCH_HASH = keccak256(f"ClaimBatch(ClaimEntry[] claims){_ENTRY}".encode())


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """Who pays whom in what; never changes.

    Parameters
    ----------
    payer
        Who deposits, and gets back what is left.
    payer_authorizer
        Whose key signs vouchers; zero for the payer, which may then be a contract.
    receiver
        Who is paid.
    receiver_authorizer
        Who may claim and refund for the receiver, also by signature.
    token
        The ERC-20 token.
    withdraw_delay
        Seconds between asking for a withdrawal and having it, 900 to 2,592,000.
    salt
        Makes two channels of the same parties two; 32 bytes.

    Raises
    ------
    BadInput
        A config that the contract refuses too.
    """

    payer: Address
    payer_authorizer: Address
    receiver: Address
    receiver_authorizer: Address
    token: Address
    withdraw_delay: int
    salt: bytes

    def __post_init__(self) -> None:
        for name in ("payer", "payer_authorizer", "receiver", "receiver_authorizer", "token"):
            value = getattr(self, name)
            if parse_address(value) != value:
                raise BadInput(f"a channel's {name} is an address in lower case, not {value!r}")
            if value == ZERO_ADDRESS and name != "payer_authorizer":
                raise BadInput(f"a channel's {name} is not the zero address")
        delay = self.withdraw_delay
        if type(delay) is not int or not MIN_DELAY <= delay <= MAX_DELAY:
            raise BadInput(
                f"a channel's delay is {MIN_DELAY} to {MAX_DELAY} seconds, not {delay!r}",
                hint="15 minutes to 30 days",
            )
        _ = self.encode()  # the salt

    def encode(self) -> bytes:
        """Return the config as the contract takes it, 224 bytes."""
        return _CONFIG.encode(
            self.payer,
            self.payer_authorizer,
            self.receiver,
            self.receiver_authorizer,
            self.token,
            self.withdraw_delay,
            self.salt,
        )

    @classmethod
    def decode(cls, data: bytes) -> ChannelConfig:
        """Return the config that :meth:`encode` gave (BadInput: anything else)."""
        return cls(*_CONFIG.decode(data))

    @property
    def signer(self) -> Address:
        """Who signs vouchers: the payer's authorizer, or else the payer."""
        return self.payer if self.payer_authorizer == ZERO_ADDRESS else self.payer_authorizer

    def channel_id(self, separator: bytes) -> bytes:
        """Return the channel's id on the chain and contract of a domain, 32 bytes."""
        return _digest(separator, keccak256(_CONFIG_HASH + self.encode()))


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A voucher with its signature, and how much is claimed of it.

    Parameters
    ----------
    config
        The channel.
    maximum
        What the voucher allows in all, in the token's smallest unit.
    signature
        Over :func:`voucher_digest`, by the config's signer.
    total
        What is claimed in all, at most `maximum`.

    Raises
    ------
    BadInput
        Amounts out of range.
    """

    config: ChannelConfig
    maximum: int
    signature: bytes
    total: int

    def __post_init__(self) -> None:
        _ = _AMOUNTS.encode(self.maximum, self.total)
        if self.total > self.maximum:
            raise BadInput(f"{self.total} is more than the voucher over {self.maximum} allows")

    def encode(self) -> bytes:
        """Return the row as an element of a list that the contract takes."""
        signature = wallet_signature(self.signature)
        head = self.config.encode() + _AMOUNT.encode(self.maximum)
        offset = _NUMBER.encode(len(head) + 64)
        padding = bytes(-len(signature) % 32)
        tail = _NUMBER.encode(len(signature)) + signature + padding
        return head + offset + _AMOUNT.encode(self.total) + tail

    def pack(self) -> bytes:
        """Return the row as :func:`claim_packed` takes it, 173 bytes.

        Raises
        ------
        BadInput
            The signature is not one by a key: 65 bytes, low s.
        """
        config = self.config
        return b"".join(
            (
                bytes.fromhex(config.payer[2:]),
                bytes.fromhex(config.payer_authorizer[2:]),
                config.withdraw_delay.to_bytes(5, "big"),
                config.salt,
                self.maximum.to_bytes(16, "big"),
                self.total.to_bytes(16, "big"),
                _compact(self.signature),
            )
        )

    @classmethod
    def unpack(
        cls, row: bytes, *, receiver: Address, receiver_authorizer: Address, token: Address
    ) -> ClaimRow:
        """Return the row that :meth:`pack` gave (BadInput: anything else)."""
        if len(row) != PACKED_ROW:
            raise BadInput(f"a packed row has {PACKED_ROW} bytes, not {len(row)}")
        parts: list[bytes] = []
        place = 0
        for size in _ROW_FIELDS:
            parts.append(row[place : place + size])
            place += size
        payer, authorizer, delay, salt, maximum, total, signature = parts
        config = ChannelConfig(
            Address("0x" + payer.hex()),
            Address("0x" + authorizer.hex()),
            receiver,
            receiver_authorizer,
            token,
            int.from_bytes(delay, "big"),
            salt,
        )
        whole = signature[:32] + bytes([signature[32] & 0x7F]) + signature[33:]
        whole += bytes([27 + (signature[32] >> 7)])
        return cls(config, int.from_bytes(maximum, "big"), whole, int.from_bytes(total, "big"))


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's money, in the token's smallest unit.

    Parameters
    ----------
    balance
        Deposited and not taken back; claims do not lower it.
    total_claimed
        Claimed in all.
    """

    balance: int
    total_claimed: int

    @property
    def available(self) -> int:
        """What can be claimed, withdrawn or refunded."""
        return self.balance - self.total_claimed


@dataclass(frozen=True, slots=True)
class Pending:
    """A withdrawal that was asked for: how much, and when in seconds since 1970."""

    amount: int
    initiated_at: int


@dataclass(frozen=True, slots=True)
class Income:
    """What a receiver claimed of a token in all channels, and was paid of it."""

    total_claimed: int
    total_settled: int


def runtime_code() -> bytes:
    """Return the code of the contract; it is the same wherever it stands."""
    return load_artefact("Channels").runtime_code()


def collector_code() -> bytes:
    """Return the code of the collector of EIP-3009 deposits."""
    return load_artefact("DepositCollector").runtime_code()


def multicall_code() -> bytes:
    """Return the code of Multicall3."""
    return load_artefact("Multicall3").runtime_code()


def domain(chain_id: int, contract: Address = CHANNELS) -> Domain:
    """Return the EIP-712 domain of the contract."""
    return Domain("x402 Batch Settlement", "1", chain_id, contract)


def voucher_digest(separator: bytes, channel_id: bytes, maximum: int) -> bytes:
    """Return what a payer signs so that up to `maximum` in all may be claimed, 32 bytes."""
    words = _BYTES32.encode(channel_id) + _AMOUNT.encode(maximum)
    return _digest(separator, keccak256(_VOUCHER_HASH + words))


def refund_digest(separator: bytes, channel_id: bytes, nonce: int, amount: int) -> bytes:
    """Return what a receiver's authorizer signs to give `amount` back, 32 bytes."""
    words = _REFUND_WORDS.encode(channel_id, nonce, amount)
    return _digest(separator, keccak256(_REFUND_HASH + words))


def batch_digest(separator: bytes, rows: Sequence[ClaimRow]) -> bytes:
    """Return what the receivers' authorizer signs to claim by these rows, 32 bytes."""
    entries = b"".join(
        keccak256(
            _ENTRY_HASH + row.config.channel_id(separator) + _AMOUNTS.encode(row.maximum, row.total)
        )
        for row in rows
    )
    return _digest(separator, keccak256(_BATCH_HASH + keccak256(entries)))


def authorization_nonce(channel_id: bytes, salt: int) -> bytes:
    """Return the nonce of the EIP-3009 payment to the collector that funds a channel."""
    return keccak256(_BYTES32.encode(channel_id) + _NUMBER.encode(salt))


def collector_data(*, valid_after: int, valid_before: int, salt: int, signature: bytes) -> bytes:
    """Return what the collector needs of such a payment.

    Parameters
    ----------
    valid_after, valid_before
        Seconds since 1970 between which the payment counts, both excluded.
    salt
        A number below 2^256; with the channel it makes the payment's nonce.
    signature
        The payer's, over ``tokens.receive_digest`` with the collector as receiver.
    """
    signed = wallet_signature(signature)
    return _AUTHORIZATION.encode(valid_after, valid_before, salt, signed)


def deposit(
    contract: Address,
    config: ChannelConfig,
    amount: int,
    *,
    collector: Address = ZERO_ADDRESS,
    data: bytes = b"",
) -> Call:
    """Pay into a channel, making it if it is new.

    Parameters
    ----------
    contract
        Where Channels is.
    config
        The channel.
    amount
        In the token's smallest unit, above zero.
    collector
        What fetches the money from the payer; by default it is the sender's, by its allowance.
    data
        What the collector needs, such as :func:`collector_data`.
    """
    return Call(contract, _DEPOSIT + _with_config(config, (amount, collector, data), *_DEPOSITED))


def claim(contract: Address, rows: Sequence[ClaimRow]) -> Call:
    """Claim by vouchers; by the receiver, or its authorizer, of every row."""
    return Call(contract, _CLAIM + _ROWS.encode(_list(rows)))


def claim_with_signature(contract: Address, rows: Sequence[ClaimRow], signature: bytes) -> Call:
    """Claim by vouchers with the authorizer's signature over :func:`batch_digest`."""
    data = _ROWS_SIGNATURE.encode(_list(rows), wallet_signature(signature))
    return Call(contract, _CLAIM_WITH_SIGNATURE + data)


def claim_packed(contract: Address, rows: Sequence[ClaimRow]) -> Call:
    """Claim by vouchers of one receiver in one token; by the receiver or its authorizer.

    Raises
    ------
    BadInput
        No row, or rows of several receivers, authorizers or tokens, or signed by a contract.
    """
    shared = {
        (row.config.receiver, row.config.receiver_authorizer, row.config.token) for row in rows
    }
    if len(shared) != 1:
        raise BadInput("packed rows have one receiver, one authorizer and one token")
    data = b"".join(row.pack() for row in rows)
    return Call(contract, _CLAIM_PACKED + _PACKED.encode(*shared.pop(), data))


def settle(contract: Address, receiver: Address, token: Address) -> Call:
    """Pay a receiver what it claimed and was not paid yet; anyone may."""
    return Call(contract, _SETTLE + _PAIR.encode(receiver, token))


def initiate_withdraw(contract: Address, config: ChannelConfig, amount: int = ALL) -> Call:
    """Ask for money back, by default all that is not claimed; by the payer or its authorizer."""
    return Call(contract, _INITIATE + config.encode() + _AMOUNT.encode(amount))


def finalize_withdraw(contract: Address, config: ChannelConfig) -> Call:
    """Take what was asked back, once the delay has passed; by the payer or its authorizer."""
    return Call(contract, _FINALIZE + config.encode())


def refund(contract: Address, config: ChannelConfig, amount: int) -> Call:
    """Give money back at once; by the receiver or its authorizer."""
    return Call(contract, _REFUND + config.encode() + _AMOUNT.encode(amount))


def refund_with_signature(
    contract: Address, config: ChannelConfig, amount: int, *, nonce: int, signature: bytes
) -> Call:
    """Give money back at once by the authorizer's signature over :func:`refund_digest`."""
    values = (amount, nonce, wallet_signature(signature))
    data = _with_config(config, values, "uint128", "uint256", "bytes")
    return Call(contract, _REFUND_WITH_SIGNATURE + data)


def multicall(contract: Address, calls: Sequence[Call]) -> Call:
    """Make several calls of the contract in one, all or none.

    Raises
    ------
    BadInput
        A call of another contract.
    """
    if any(call.to != contract for call in calls):
        raise BadInput("only calls of the same contract go together")
    listed = Layout(*["bytes"] * len(calls)).encode(*(call.data for call in calls))
    return Call(contract, _MULTICALL + _ROWS.encode(_NUMBER.encode(len(calls)) + listed))


def channel(contract: Address, channel_id: bytes) -> View[Channel]:
    """Ask for a channel's money; zeros for one that never was."""
    data = _CHANNELS + _BYTES32.encode(channel_id)
    return View(contract, data, lambda answer: Channel(*_TWO_AMOUNTS.decode(answer)))


def pending(contract: Address, channel_id: bytes) -> View[Pending | None]:
    """Ask for the withdrawal that is pending, None if there is none."""

    def decode(answer: bytes) -> Pending | None:
        found = Pending(*_AMOUNT_TIME.decode(answer))
        return found if found.initiated_at else None

    return View(contract, _PENDING + _BYTES32.encode(channel_id), decode)


def income(contract: Address, receiver: Address, token: Address) -> View[Income]:
    """Ask what a receiver claimed of a token, and was paid."""
    data = _RECEIVERS + _PAIR.encode(receiver, token)
    return View(contract, data, lambda answer: Income(*_TWO_AMOUNTS.decode(answer)))


def refund_nonce(contract: Address, channel_id: bytes) -> View[int]:
    """Ask for the nonce of a channel's next refund."""
    return View(contract, _REFUND_NONCE + _BYTES32.encode(channel_id), one(_NUMBER))


def channel_id(contract: Address, config: ChannelConfig) -> View[bytes]:
    """Ask the contract for a channel's id; :meth:`ChannelConfig.channel_id` needs no ledger."""
    return View(contract, _CHANNEL_ID + config.encode(), one(_BYTES32))


_DEPOSITED = ("uint128", "address", "bytes")


def _with_config(config: ChannelConfig, values: tuple[Any, ...], *types: str) -> bytes:
    """Return a config, which is static and lies in line, and further arguments."""
    fields = (getattr(config, name) for name in ChannelConfig.__slots__)
    return Layout(*CONFIG_TYPES, *types).encode(*fields, *values)


def _list(rows: Sequence[ClaimRow]) -> bytes:
    """Return a list of rows: its length, where each begins, the rows."""
    encoded = [row.encode() for row in rows]
    heads: list[bytes] = []
    offset = 32 * len(encoded)
    for row in encoded:
        heads.append(offset.to_bytes(32, "big"))
        offset += len(row)
    return b"".join((len(encoded).to_bytes(32, "big"), *heads, *encoded))


def _compact(signature: bytes) -> bytes:
    """Return a key's signature in 64 bytes (EIP-2098)."""
    if not isinstance(signature, bytes) or len(signature) != 65:
        raise BadInput("a packed row's signature is by a key and has 65 bytes")
    parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if parity not in (0, 1) or signature[32] > 0x7F:
        raise BadInput("a packed row's signature has a low s and a parity of 0, 1, 27 or 28")
    return signature[:32] + bytes([signature[32] | parity << 7]) + signature[33:64]


def _digest(separator: bytes, hashed: bytes) -> bytes:
    if not isinstance(separator, bytes) or len(separator) != 32:
        raise BadInput("a domain's separator has 32 bytes")
    return keccak256(b"\x19\x01" + separator + hashed)
