"""Reads a signed transaction as strictly as the chain will, before anything is stored.

Sources: EIP-155 (chain id), EIP-2 (low s), EIP-2718, EIP-2930, EIP-1559, EIP-2028 and EIP-3860
(intrinsic gas, initcode limit), EIP-2681 (nonce limit).
"""

from __future__ import annotations

from dataclasses import dataclass

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, MissingExtra
from usufruct.ledger import rlp
from usufruct.ledger.rlp import Item
from usufruct.types import Address

MAX_RAW = 128 * 1024
"""Largest transaction taken, in bytes; every public client has this limit."""

_MAX_INITCODE = 49_152
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_FIELDS = {1: 11, 2: 12}


@dataclass(frozen=True, slots=True)
class RawTransaction:
    """A signed transaction that is well-formed for one chain.

    Parameters
    ----------
    raw
        Its bytes (EIP-2718 envelope).
    hash
        keccak256 of `raw`, 32 bytes.
    sender
        Who signed it.
    nonce, gas, value
        As signed; `value` in wei.
    max_fee
        The most it pays a unit of gas, in wei.
    """

    raw: bytes
    hash: bytes
    sender: Address
    nonce: int
    gas: int
    value: int
    max_fee: int

    @property
    def cost(self) -> int:
        """The most that the sender's balance can fall by, in wei."""
        return self.value + self.gas * self.max_fee


def read_transaction(raw: bytes, *, chain_id: int) -> RawTransaction:
    """Return what a signed transaction says.

    Raises
    ------
    BadInput
        Not the canonical encoding of a legacy, access-list or EIP-1559 transaction signed for
        `chain_id`, or one that no block can hold.
    MissingExtra
        The part ``ledger`` is not installed.
    """
    if not raw or len(raw) > MAX_RAW:
        raise BadInput(f"a transaction has 1 to {MAX_RAW} bytes")
    if raw[0] >= 0xC0:
        return _legacy(raw, chain_id)
    if raw[0] not in _FIELDS:
        raise BadInput(f"transactions of type {raw[0]} are not taken here")
    return _typed(raw, chain_id)


def _legacy(raw: bytes, chain_id: int) -> RawTransaction:
    fields = _list(rlp.decode(raw, max_bytes=MAX_RAW), 9)
    v = rlp.to_int(fields[6])
    if v in (27, 28):
        raise BadInput("the transaction names no chain (EIP-155), so anyone could replay it")
    if v not in (2 * chain_id + 35, 2 * chain_id + 36):
        raise BadInput(f"the transaction is signed for another chain than {chain_id}")
    unsigned = rlp.encode([*fields[:6], chain_id, 0, 0])
    price = rlp.to_int(fields[1])
    return _checked(
        raw,
        digest=keccak256(unsigned),
        parity=v - 2 * chain_id - 35,
        signature=fields[7:9],
        nonce=fields[0],
        gas=fields[2],
        to=fields[3],
        value=fields[4],
        data=fields[5],
        max_fee=price,
        access=[],
    )


def _typed(raw: bytes, chain_id: int) -> RawTransaction:
    kind = raw[0]
    fields = _list(rlp.decode(raw[1:], max_bytes=MAX_RAW), _FIELDS[kind])
    if rlp.to_int(fields[0]) != chain_id:
        raise BadInput(f"the transaction is signed for another chain than {chain_id}")
    max_fee = rlp.to_int(fields[2] if kind == 1 else fields[3])
    if kind == 2 and rlp.to_int(fields[2]) > max_fee:
        raise BadInput("max priority fee per gas higher than max fee per gas")
    gas, to, value, data, access, parity = fields[-8:-2]
    return _checked(
        raw,
        digest=keccak256(raw[:1] + rlp.encode(fields[:-3])),
        parity=rlp.to_int(parity),
        signature=fields[-2:],
        nonce=fields[1],
        gas=gas,
        to=to,
        value=value,
        data=data,
        max_fee=max_fee,
        access=access,
    )


def _checked(
    raw: bytes,
    *,
    digest: bytes,
    parity: int,
    signature: list[Item],
    nonce: Item,
    gas: Item,
    to: Item,
    value: Item,
    data: Item,
    max_fee: int,
    access: Item,
) -> RawTransaction:
    if not isinstance(to, bytes) or len(to) not in (0, 20) or not isinstance(data, bytes):
        raise BadInput("the transaction's recipient or data has a wrong form")
    number, limit = rlp.to_int(nonce, max_bytes=8), rlp.to_int(gas, max_bytes=8)
    if number == 2**64 - 1:
        raise BadInput("the transaction's nonce is too large")
    if not to and len(data) > _MAX_INITCODE:
        raise BadInput(f"a contract's code to run once has at most {_MAX_INITCODE} bytes")
    if limit < _intrinsic(data, creates=not to) + _access_gas(access):
        raise BadInput("intrinsic gas too low")
    return RawTransaction(
        raw,
        keccak256(raw),
        _recover(digest, parity, signature),
        number,
        limit,
        rlp.to_int(value),
        max_fee,
    )


def _intrinsic(data: bytes, *, creates: bool) -> int:
    zeros = data.count(0)
    gas = 21_000 + 4 * zeros + 16 * (len(data) - zeros)
    return gas + 32_000 + 2 * ((len(data) + 31) // 32) if creates else gas


def _access_gas(access: Item) -> int:
    if not isinstance(access, list):
        raise BadInput("the transaction's access list has a wrong form")
    gas = 0
    for entry in access:
        address, keys = _list(entry, 2)
        if not isinstance(address, bytes) or len(address) != 20 or not isinstance(keys, list):
            raise BadInput("the transaction's access list has a wrong form")
        if any(not isinstance(key, bytes) or len(key) != 32 for key in keys):
            raise BadInput("the transaction's access list has a wrong form")
        gas += 2_400 + 1_900 * len(keys)
    return gas


def _recover(digest: bytes, parity: int, signature: list[Item]) -> Address:
    try:
        from coincurve import PublicKey
    except ImportError:
        raise MissingExtra("ledger", "reading a transaction") from None
    r, s = (rlp.to_int(part) for part in signature)
    if parity not in (0, 1) or not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        raise BadInput("the transaction's signature is out of range")
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception:  # noqa: BLE001 coincurve raises a bare Exception when no key fits
        raise BadInput("the transaction's signature fits no account") from None
    return Address("0x" + keccak256(key.format(compressed=False)[1:])[12:].hex())


def _list(item: Item, size: int) -> list[Item]:
    if not isinstance(item, list) or len(item) != size:
        raise BadInput("the transaction has a wrong number of fields")
    return item
