"""Ed25519 (RFC 8032) with the checks that make a signature bind one key."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from usufruct.errors import BadInput, VerificationError

_P: Final = 2**255 - 19
_ORDER_8: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
# under a key of small order one signature fits many messages
_SMALL_ORDER: Final = frozenset((0, 1, _P - 1, _ORDER_8, _P - _ORDER_8))


class SecretKey:
    """An Ed25519 private key; a :class:`usufruct.ports.Signer`.

    Parameters
    ----------
    secret
        The 32-byte seed of RFC 8032.

    Raises
    ------
    BadInput
        Not 32 bytes.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != 32:
            raise BadInput("an Ed25519 secret has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SecretKey(public_key={self._public.hex()})"

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message`, 64 bytes."""
        return self._key.sign(message)


def verify(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature.

    Raises
    ------
    VerificationError
        It is not by this key over this message, or key or signature are malformed, or the key
        has small order.
    """
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise VerificationError("an Ed25519 signature has 64 bytes")
    key = check_public_key(public_key)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise VerificationError("a signature is not by this key over these bytes") from None


def check_public_key(public_key: bytes) -> Ed25519PublicKey:
    """Return the loaded key (VerificationError: malformed, not canonical, or of small order)."""
    if not isinstance(public_key, bytes) or len(public_key) != 32:
        raise VerificationError("an Ed25519 public key has 32 bytes")
    return _load(public_key)


@lru_cache(maxsize=256)
def _load(public_key: bytes) -> Ed25519PublicKey:
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y >= _P or y in _SMALL_ORDER:
        raise VerificationError("an Ed25519 public key is not a point of full order")
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise VerificationError("an Ed25519 public key is not a point of the curve") from None
