"""Tokens to pay with: ERC-20, permits (EIP-2612) and signed transfers (EIP-3009).

Tokens are strangers' contracts. What they answer is read leniently, as wallets do, but only as
far as it is bounded; what matters is checked by what arrives. :func:`faucet` is of the Test Dollar
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usufruct.crypto.typed_data import Domain, digest, struct_hash
from usufruct.errors import BadInput
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, EventLayout, View, by_topic, decode_with
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import Address

MAX_TEXT: Final = 32
"""Characters of a token's name or symbol that are kept."""

_MAX_ANSWER = 4096
_BALANCE_OF = bytes.fromhex("70a08231")
_ALLOWANCE = bytes.fromhex("dd62ed3e")
_DECIMALS = bytes.fromhex("313ce567")
_SYMBOL = bytes.fromhex("95d89b41")
_NAME = bytes.fromhex("06fdde03")
_VERSION = bytes.fromhex("54fd4d50")
_NONCES = bytes.fromhex("7ecebe00")
_SEPARATOR = bytes.fromhex("3644e515")
_AUTHORIZATION_STATE = bytes.fromhex("e94a0102")
_APPROVE = bytes.fromhex("095ea7b3")
_TRANSFER = bytes.fromhex("a9059cbb")
_FAUCET = bytes.fromhex("b86d1d63")
_ADDRESS = Layout("address")
_PAIR = Layout("address", "address")
_TO_AMOUNT = Layout("address", "uint256")
_OWNER_NONCE = Layout("address", "bytes32")
_PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
_TRANSFER_FIELDS = (
    "WithAuthorization(address from,address to,uint256 value,"
    "uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
_CANCEL = "CancelAuthorization(address authorizer,bytes32 nonce)"


@dataclass(frozen=True, slots=True)
class Transfer:
    """A token moved; `sender` is zero when it is made, `receiver` zero when it is burnt."""

    sender: Address
    receiver: Address
    amount: int


TRANSFER: Final = EventLayout(
    Transfer,
    bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    (_ADDRESS, _ADDRESS),
    Layout("uint256"),
)
EVENTS: Final = by_topic(TRANSFER)


def deploy_data() -> bytes:
    """Return the data of the transaction that deploys the Test Dollar."""
    return load_artefact("TestDollar").bytecode


def runtime_code() -> bytes:
    """Return the code the Test Dollar has once deployed."""
    return load_artefact("TestDollar").runtime_code()


def approve(token: Address, spender: Address, amount: int) -> Call:
    """Let `spender` take up to `amount` of the sender's tokens."""
    return Call(token, _APPROVE + _TO_AMOUNT.encode(spender, amount))


def transfer(token: Address, to: Address, amount: int) -> Call:
    """Pay `amount` in the token's smallest unit."""
    return Call(token, _TRANSFER + _TO_AMOUNT.encode(to, amount))


def faucet(token: Address, to: Address) -> Call:
    """Make 1,000 Test Dollars for `to`; only on ledgers of one's own."""
    return Call(token, _FAUCET + _ADDRESS.encode(to))


def balance_of(token: Address, owner: Address) -> View[int]:
    """Ask how much an account has, in the token's smallest unit."""
    return View(token, _BALANCE_OF + _ADDRESS.encode(owner), _number)


def allowance(token: Address, owner: Address, spender: Address) -> View[int]:
    """Ask how much of an owner's tokens a spender may take."""
    return View(token, _ALLOWANCE + _PAIR.encode(owner, spender), _number)


def decimals(token: Address) -> View[int]:
    """Ask how many decimals people write; 0 where the token gives no number up to 255."""
    return View(token, _DECIMALS, _small)


def symbol(token: Address) -> View[str]:
    """Ask for the symbol: at most 32 printable characters, empty where there is none."""
    return View(token, _SYMBOL, _text)


def name(token: Address) -> View[str]:
    """Ask for the name: at most 32 printable characters, empty where there is none."""
    return View(token, _NAME, _text)


def version(token: Address) -> View[str]:
    """Ask for the EIP-712 version some tokens tell; empty where there is none."""
    return View(token, _VERSION, _text)


def nonces(token: Address, owner: Address) -> View[int]:
    """Ask for the nonce of an owner's next permit."""
    return View(token, _NONCES + _ADDRESS.encode(owner), _number)


def domain_separator(token: Address) -> View[bytes]:
    """Ask for the separator of the token's EIP-712 domain, 32 bytes, to check a guessed one."""
    return View(token, _SEPARATOR, lambda data: _number(data).to_bytes(32, "big"))


def authorization_state(token: Address, owner: Address, nonce: bytes) -> View[bool]:
    """Ask whether an owner's signed transfer is spent or withdrawn."""
    data = _AUTHORIZATION_STATE + _OWNER_NONCE.encode(owner, nonce)
    return View(token, data, lambda answer: _number(answer) != 0)


def permit_digest(
    where: Domain, *, owner: Address, spender: Address, value: int, nonce: int, deadline: int
) -> bytes:
    """Return what an owner signs to let `spender` take `value` until `deadline` (EIP-2612)."""
    return digest(where, struct_hash(_PERMIT, owner, spender, value, nonce, deadline))


def receive_digest(
    where: Domain,
    *,
    payer: Address,
    to: Address,
    value: int,
    valid_after: int,
    valid_before: int,
    nonce: bytes,
) -> bytes:
    """Return what a payer signs for ``receiveWithAuthorization``, by `to` alone (EIP-3009).

    Parameters
    ----------
    where
        The token's domain.
    payer, to, value
        Who pays whom how much.
    valid_after, valid_before
        Seconds since 1970 between which it counts, both excluded.
    nonce
        32 bytes, used once.
    """
    kind = "Receive" + _TRANSFER_FIELDS
    return digest(where, struct_hash(kind, payer, to, value, valid_after, valid_before, nonce))


def transfer_digest(
    where: Domain,
    *,
    payer: Address,
    to: Address,
    value: int,
    valid_after: int,
    valid_before: int,
    nonce: bytes,
) -> bytes:
    """Return what a payer signs for ``transferWithAuthorization``, by anyone (EIP-3009)."""
    kind = "Transfer" + _TRANSFER_FIELDS
    return digest(where, struct_hash(kind, payer, to, value, valid_after, valid_before, nonce))


def cancel_digest(where: Domain, *, payer: Address, nonce: bytes) -> bytes:
    """Return what a payer signs to withdraw a signed transfer (EIP-3009)."""
    return digest(where, struct_hash(_CANCEL, payer, nonce))


def decode_event(topics: Sequence[bytes], data: bytes) -> Transfer | None:
    """Return a token's Transfer, None for any other log."""
    return decode_with(EVENTS, topics, data)


def _number(data: bytes) -> int:
    if len(data) < 32:
        raise BadInput("the token gives no number")
    return int.from_bytes(data[:32], "big")


def _small(data: bytes) -> int:
    number = _number(data) if len(data) >= 32 else 0
    return number if number < 256 else 0


def _text(data: bytes) -> str:
    """Return a string, or the bytes32 that old tokens answer, fit to be shown."""
    if len(data) > _MAX_ANSWER:
        data = data[:_MAX_ANSWER]
    start = int.from_bytes(data[:32], "big")
    if len(data) >= 64 and start <= len(data) - 32:
        length = int.from_bytes(data[start : start + 32], "big")
        raw = data[start + 32 : start + 32 + min(length, 4 * MAX_TEXT)]
    else:
        raw = data[:32].split(b"\0")[0]
    shown = "".join(c for c in raw.decode("utf-8", "ignore") if c.isprintable())
    return shown[:MAX_TEXT].strip()
