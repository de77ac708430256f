"""An Ethereum account that signs: EIP-1559 transactions and plain digests.

Sources: EIP-1559, EIP-2718, EIP-55 (addresses here are lower case), SEC 1 with RFC 6979 nonces
through libsecp256k1, whose signatures have a low s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from usufruct.crypto.hash import keccak256
from usufruct.crypto.secp256k1 import ORDER
from usufruct.errors import BadInput, MissingExtra, VerificationError
from usufruct.ledger import rlp
from usufruct.types import Address, parse_address

if TYPE_CHECKING:
    from coincurve import PrivateKey

_FIELDS = (
    ("chainId", 64),
    ("nonce", 64),
    ("maxPriorityFeePerGas", 256),
    ("maxFeePerGas", 256),
    ("gas", 64),
)
_OPTIONAL = {"to", "value", "data", "type"}


class Account:
    """A secp256k1 key that owns an address.

    Parameters
    ----------
    secret
        32 bytes.

    Raises
    ------
    BadInput
        Not a secret key of the curve.
    MissingExtra
        The part ``ledger`` is not installed.
    """

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        private_key = _private_key_class()
        if not isinstance(secret, bytes) or len(secret) != 32:
            raise BadInput("an account's secret has 32 bytes")
        try:
            self._key = private_key(secret)
        except ValueError:
            raise BadInput("these 32 bytes are not a secret key of secp256k1") from None
        public = self._key.public_key.format(compressed=False)
        self.address = Address("0x" + keccak256(public[1:])[12:].hex())

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the recoverable signature of a 32-byte digest.

        Returns
        -------
        bytes
            65 bytes: r, s (low), and the recovery bit 0 or 1.

        Raises
        ------
        BadInput
            The digest does not have 32 bytes.
        """
        if not isinstance(digest, bytes) or len(digest) != 32:
            raise BadInput("a digest to sign has 32 bytes")
        return self._key.sign_recoverable(digest, hasher=None)

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:
        """Return a signed EIP-1559 transaction, ready for ``eth_sendRawTransaction``.

        Parameters
        ----------
        fields
            ``chainId``, ``nonce``, ``maxPriorityFeePerGas``, ``maxFeePerGas``, ``gas`` as whole
            numbers; optionally ``to`` (absent or None makes a contract), ``value`` in wei and
            ``data`` in bytes.

        Raises
        ------
        BadInput
            A field is missing, unknown, of the wrong type or too large.
        """
        body = _body(fields)
        signature = self.sign_digest(keccak256(b"\x02" + rlp.encode(body)))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return b"\x02" + rlp.encode([*body, signature[64], r, s])

    def __repr__(self) -> str:
        return f"Account({self.address})"


def transaction_hash(raw: bytes) -> str:
    """Return the hash by which a signed transaction is known, ``0x`` and 64 digits."""
    return "0x" + keccak256(raw).hex()


def contract_address(sender: Address, nonce: int) -> Address:
    """Return where the contract made by `sender`'s transaction `nonce` will stand (CREATE)."""
    encoded = rlp.encode([bytes.fromhex(parse_address(sender)[2:]), nonce])
    return Address("0x" + keccak256(encoded)[12:].hex())


def recover(digest: bytes, signature: bytes) -> Address:
    """Return the account whose signature over a 32-byte digest this is.

    Parameters
    ----------
    signature
        65 bytes: r, s and the recovery bit as 0 or 1, or as 27 or 28 as wallets write it.

    Raises
    ------
    BadInput
        The digest does not have 32 bytes, or the signature not 65.
    VerificationError
        No signature: out of range, with a high s (EIP-2), or of no point of the curve.
    MissingExtra
        The part ``ledger`` is not installed.
    """
    for value, size, what in ((digest, 32, "a signed digest"), (signature, 65, "a signature")):
        if not isinstance(value, bytes) or len(value) != size:
            raise BadInput(f"{what} has {size} bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    bit = signature[64] - 27 if signature[64] in (27, 28) else signature[64]
    if bit > 1 or not (0 < r < ORDER and 0 < s <= ORDER // 2):
        raise VerificationError("an account's signature is out of range")
    try:
        from coincurve import PublicKey
    except ImportError:
        raise MissingExtra("ledger", "reading an account's signature") from None
    try:
        key = PublicKey.from_signature_and_message(
            signature[:64] + bytes([bit]), digest, hasher=None
        )
    except ValueError:
        raise VerificationError("an account's signature is by no key") from None
    return Address("0x" + keccak256(key.format(compressed=False)[1:])[12:].hex())


def _body(fields: Mapping[str, Any]) -> list[rlp.Encodable]:
    unknown = set(fields) - {name for name, _ in _FIELDS} - _OPTIONAL
    if unknown:
        raise BadInput(f"a transaction has no field '{min(unknown)}'")
    if fields.get("type", 2) != 2:
        raise BadInput("only EIP-1559 transactions (type 2) are signed")
    numbers = [_number(fields.get(name), name, bits) for name, bits in _FIELDS]
    to, data = fields.get("to"), fields.get("data", b"")
    if not isinstance(data, bytes):
        raise BadInput("a transaction's data is bytes")
    if numbers[2] > numbers[3]:
        raise BadInput("a transaction's priority fee is above its whole fee")
    target = b"" if to is None else bytes.fromhex(parse_address(to)[2:])
    return [*numbers, target, _number(fields.get("value", 0), "value", 256), data, []]


def _number(value: object, name: str, bits: int) -> int:
    if type(value) is not int or value < 0 or value >> bits:
        raise BadInput(f"a transaction's {name} is a whole number below 2^{bits}")
    return value


def _private_key_class() -> type[PrivateKey]:
    try:
        from coincurve import PrivateKey
    except ImportError:
        raise MissingExtra("ledger", "signing a transaction") from None
    return PrivateKey
