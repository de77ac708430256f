"""Encryption to a public key: HPKE base mode (RFC 9180), one message.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The schedule stands here, above
cryptography's X25519 and AES, because its own HPKE takes no associated data.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from usufruct.errors import BadInput, VerificationError

KEY_SIZE: Final = 32
OVERHEAD: Final = 32 + 16
"""Bytes a message grows by: the encapsulated key before it, the tag after it."""

_KEM: Final = b"KEM\x00\x20"
_AES_256_GCM: Final = 2
_AES_KEY_SIZES: Final = {1: 16, _AES_256_GCM: 32}


def public_key(private_key: bytes) -> bytes:
    """Return the X25519 public key of a private key, 32 bytes each (BadInput: another size)."""
    return _private(private_key).public_key().public_bytes_raw()


def seal(public_key: bytes, plaintext: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
    """Return `plaintext` encrypted so that only the private key's holder reads it.

    Parameters
    ----------
    public_key
        The receiver's X25519 key, 32 bytes.
    info
        What the message is for; a domain label. The receiver must name the same.
    aad
        Further data that the receiver must name; not sent along.

    Returns
    -------
    bytes
        Encapsulated key (32 bytes), ciphertext, tag (16 bytes).

    Raises
    ------
    BadInput
        Not a public key, or one of small order.
    """
    return _seal(public_key, plaintext, info, aad, X25519PrivateKey.generate(), _AES_256_GCM)


def open_(private_key: bytes, sealed: bytes, *, info: bytes, aad: bytes = b"") -> bytes:
    """Return the plaintext of a message from :func:`seal`.

    Raises
    ------
    VerificationError
        Not for this key, other `info` or `aad`, altered or cut short.
    BadInput
        The private key does not have 32 bytes.
    """
    return _open(private_key, sealed, info, aad, _AES_256_GCM)


def _seal(
    receiver: bytes, plaintext: bytes, info: bytes, aad: bytes, fresh: X25519PrivateKey, aead: int
) -> bytes:
    if not isinstance(receiver, bytes) or len(receiver) != KEY_SIZE:
        raise BadInput("an X25519 public key has 32 bytes")
    try:
        shared = fresh.exchange(X25519PublicKey.from_public_bytes(receiver))
    except ValueError:
        raise BadInput("an X25519 public key has small order") from None
    enc = fresh.public_key().public_bytes_raw()
    key, nonce = _schedule(shared, enc, receiver, info, aead)
    return enc + AESGCM(key).encrypt(nonce, plaintext, aad)


def _open(private_key: bytes, sealed: bytes, info: bytes, aad: bytes, aead: int) -> bytes:
    secret = _private(private_key)
    if not isinstance(sealed, bytes) or len(sealed) < OVERHEAD:
        raise VerificationError("a sealed message is too short")
    enc = sealed[:KEY_SIZE]
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(enc))
        key, nonce = _schedule(shared, enc, secret.public_key().public_bytes_raw(), info, aead)
        return AESGCM(key).decrypt(nonce, sealed[KEY_SIZE:], aad)
    except (ValueError, InvalidTag):
        raise VerificationError("a sealed message does not open with this key") from None


def _private(private_key: bytes) -> X25519PrivateKey:
    if not isinstance(private_key, bytes) or len(private_key) != KEY_SIZE:
        raise BadInput("an X25519 private key has 32 bytes")
    return X25519PrivateKey.from_private_bytes(private_key)


def _schedule(
    shared: bytes, enc: bytes, receiver: bytes, info: bytes, aead: int
) -> tuple[bytes, bytes]:
    """Return key and nonce of the first message (RFC 9180 sections 4.1 and 5.1, mode 0)."""
    pseudorandom = _extract(_KEM, b"", b"eae_prk", shared)
    secret = _expand(_KEM, pseudorandom, b"shared_secret", enc + receiver, 32)
    suite = b"HPKE\x00\x20\x00\x01" + aead.to_bytes(2, "big")
    context = (
        b"\0" + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", info)
    )
    pseudorandom = _extract(suite, secret, b"secret", b"")
    key = _expand(suite, pseudorandom, b"key", context, _AES_KEY_SIZES[aead])
    return key, _expand(suite, pseudorandom, b"base_nonce", context, 12)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, pseudorandom: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    # never more than one block of output is asked for
    return hmac.digest(pseudorandom, labelled + b"\1", "sha256")[:length]
