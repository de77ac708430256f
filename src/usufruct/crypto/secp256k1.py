"""Ethereum account keys: BIP-32 derivation, address, and signatures over a digest."""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, VerificationError
from usufruct.types import Address

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
HARDENED: Final = 1 << 31
ETHEREUM_PATH: Final = (44 | HARDENED, 60 | HARDENED, HARDENED, 0, 0)
"""m/44'/60'/0'/0/0, the first account of every Ethereum wallet (BIP-44)."""

_PREHASHED: Final = Prehashed(hashes.SHA256())


def derive(seed: bytes, path: tuple[int, ...] = ETHEREUM_PATH) -> bytes:
    """Return the private key at `path` below a BIP-39 seed, 32 bytes (BIP-32).

    Raises
    ------
    BadInput
        The seed has no key there; happens for one seed in 2^127.
    """
    both = hmac.digest(b"Bitcoin seed", seed, "sha512")
    key, chain = int.from_bytes(both[:32], "big"), both[32:]
    for step in path:
        if not 0 < key < ORDER:
            break
        if step & HARDENED:
            data = b"\0" + key.to_bytes(32, "big")
        else:
            point = public_key(key.to_bytes(32, "big"))
            data = bytes((2 + (point[63] & 1),)) + point[:32]
        both = hmac.digest(chain, data + step.to_bytes(4, "big"), "sha512")
        tweak, chain = int.from_bytes(both[:32], "big"), both[32:]
        key = (key + tweak) % ORDER if tweak < ORDER else 0
    if not 0 < key < ORDER:
        raise BadInput("this seed has no account key", hint="make another phrase")
    return key.to_bytes(32, "big")


def public_key(secret: bytes) -> bytes:
    """Return the uncompressed public key of a private key, 64 bytes (x ‖ y).

    Raises
    ------
    BadInput
        Not 32 bytes, zero, or not below the curve's order.
    """
    numbers = _private(secret).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def address_of(account_key: bytes) -> Address:
    """Return the address of an uncompressed public key of 64 bytes: keccak256(key)[12:]."""
    if not isinstance(account_key, bytes) or len(account_key) != 64:
        raise BadInput("an account key has 64 bytes")
    return Address("0x" + keccak256(account_key)[12:].hex())


def personal_digest(message: bytes) -> bytes:
    """Return the digest that wallets sign for `message` (EIP-191 version 0x45), 32 bytes."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d%b" % (len(message), message))


def sign_digest(secret: bytes, digest: bytes) -> bytes:
    """Return r ‖ s with low s over a 32-byte digest, 64 bytes; deterministic (RFC 6979)."""
    if not isinstance(digest, bytes) or len(digest) != 32:
        raise BadInput("a digest has 32 bytes")
    method = ec.ECDSA(_PREHASHED, deterministic_signing=True)
    r, s = decode_dss_signature(_private(secret).sign(digest, method))
    return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")


def verify_digest(account_key: bytes, signature: bytes, digest: bytes) -> None:
    """Check a signature of 64 bytes (r ‖ s, low s) over a 32-byte digest.

    Raises
    ------
    VerificationError
        It is not by this key over this digest, or any of the three is malformed.
    """
    for value, length in ((account_key, 64), (signature, 64), (digest, 32)):
        if not isinstance(value, bytes) or len(value) != length:
            raise VerificationError("an account key, signature or digest has a wrong length")
    x, y = int.from_bytes(account_key[:32], "big"), int.from_bytes(account_key[32:], "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s <= ORDER // 2):
        raise VerificationError("an account signature is out of range")
    try:
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256K1()).public_key()
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(_PREHASHED))
    except ValueError:
        raise VerificationError("an account key is not a point of the curve") from None
    except InvalidSignature:
        raise VerificationError("a signature is not by this account over these bytes") from None


def _private(secret: bytes) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(secret, "big") if isinstance(secret, bytes) else 0
    if not isinstance(secret, bytes) or len(secret) != 32 or not 0 < number < ORDER:
        raise BadInput("an account secret has 32 bytes, not zero and below the curve's order")
    return ec.derive_private_key(number, ec.SECP256K1())
