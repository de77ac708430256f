"""DSSE v1 envelopes with Ed25519 (github.com/secure-systems-lab/dsse)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from usufruct.crypto import canonical, ed25519
from usufruct.errors import BadInput, VerificationError
from usufruct.ports import Signer
from usufruct.units import MIB

MAX_BYTES: Final = 64 * MIB
MAX_SIGNATURES: Final = 256
KEY_PREFIX: Final = "ed25519:"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: who (`keyid`, see :func:`key_id`) and 64 bytes of Ed25519."""

    keyid: str
    sig: bytes

    def __post_init__(self) -> None:
        if not _is_key_id(self.keyid):
            raise BadInput("a signature's keyid is 'ed25519:' and 64 hexadecimal digits")
        if not isinstance(self.sig, bytes) or len(self.sig) != 64:
            raise BadInput("an Ed25519 signature has 64 bytes")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and the signatures over both.

    Raises
    ------
    BadInput
        Wrong types, too many signatures, or two by one key.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        kind = self.payload_type
        if not isinstance(kind, str) or not 0 < len(kind) <= 255 or not kind.isprintable():
            raise BadInput("an envelope's payload type is a short text")
        if not isinstance(self.payload, bytes):
            raise BadInput("an envelope's payload is bytes")
        if len(self.signatures) > MAX_SIGNATURES:
            raise BadInput(f"an envelope has at most {MAX_SIGNATURES} signatures")
        if len({signature.keyid for signature in self.signatures}) != len(self.signatures):
            raise BadInput("an envelope has two signatures by one key")

    def to_bytes(self) -> bytes:
        """Return the envelope as canonical JSON."""
        return canonical.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the envelope as plain data, to stand inside another document."""
        return {
            "payload": canonical.b64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": signature.keyid, "sig": canonical.b64(signature.sig)}
                for signature in self.signatures
            ],
        }

    @classmethod
    def from_bytes(cls, data: bytes, *, max_bytes: int = MAX_BYTES) -> Envelope:
        """Return the envelope whose encoding is exactly `data` (BadInput: anything else)."""
        return cls.from_dict(canonical.loads(data, max_bytes=max_bytes, max_depth=3))

    @classmethod
    def from_dict(cls, data: Any) -> Envelope:
        """Return the envelope that `to_dict` gave (BadInput: anything else)."""
        _fields(data, {"payload", "payloadType", "signatures"}, "an envelope")
        if not isinstance(data["signatures"], list) or len(data["signatures"]) > MAX_SIGNATURES:
            raise BadInput(f"an envelope has a list of at most {MAX_SIGNATURES} signatures")
        signatures = []
        for item in data["signatures"]:
            _fields(item, {"keyid", "sig"}, "a signature")
            signatures.append(Signature(item["keyid"], canonical.unb64(item["sig"])))
        return cls(data["payloadType"], canonical.unb64(data["payload"]), tuple(signatures))


def key_id(public_key: bytes) -> str:
    """Return ``ed25519:`` and SHA-256 of the raw public key in hexadecimal.

    Raises
    ------
    BadInput
        The key does not have 32 bytes.
    """
    if not isinstance(public_key, bytes) or len(public_key) != 32:
        raise BadInput("an Ed25519 public key has 32 bytes")
    return KEY_PREFIX + sha256(public_key).hexdigest()


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """Return an envelope signed by each of `signers` (BadInput: none, or one twice)."""
    if not signers:
        raise BadInput("an envelope needs a signer")
    message = pae(payload_type, payload)
    signatures = tuple(
        Signature(key_id(signer.public_key), signer.sign(message)) for signer in signers
    )
    return Envelope(payload_type, payload, signatures)


def add_signature(envelope: Envelope, signer: Signer) -> Envelope:
    """Return the envelope with one more signature (BadInput: this key signed already)."""
    message = pae(envelope.payload_type, envelope.payload)
    added = Signature(key_id(signer.public_key), signer.sign(message))
    return Envelope(envelope.payload_type, envelope.payload, (*envelope.signatures, added))


def verify(envelope: Envelope, keys: Mapping[str, bytes], threshold: int = 1) -> tuple[str, ...]:
    """Check the signatures made with trusted keys.

    Parameters
    ----------
    keys
        Trusted raw public keys (32 bytes) by key id; signatures by others are passed over.
    threshold
        How many different trusted keys must have signed.

    Returns
    -------
    tuple[str, ...]
        Key ids of the good signatures, in the envelope's order; at least `threshold`.

    Raises
    ------
    VerificationError
        Too few signatures, or one in a trusted key's name that is not good.
    BadInput
        A threshold below one, or a key that stands under another's id.
    """
    if threshold < 1:
        raise BadInput("at least one signature must be asked for")
    for name, public_key in keys.items():
        # else one key under two names would count twice
        if key_id(public_key) != name:
            raise BadInput(f"the key under '{name}' is another")
    message = pae(envelope.payload_type, envelope.payload)
    good = []
    for signature in envelope.signatures:
        trusted = keys.get(signature.keyid)
        if trusted is not None:
            ed25519.verify(trusted, signature.sig, message)
            good.append(signature.keyid)
    if len(good) < threshold:
        raise VerificationError(
            f"{len(good)} of the trusted keys signed this, {threshold} must have",
        )
    return tuple(good)


def _is_key_id(text: object) -> bool:
    if not isinstance(text, str) or not text.startswith(KEY_PREFIX):
        return False
    digits = text[len(KEY_PREFIX) :]
    return len(digits) == 64 and not digits.strip("0123456789abcdef")


def _fields(data: Any, names: set[str], what: str) -> None:
    if not isinstance(data, dict) or set(data) != names:
        raise BadInput(f"{what} has the fields {', '.join(sorted(names))} and no others")
