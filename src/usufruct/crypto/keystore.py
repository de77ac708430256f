"""A party's secrets under a passphrase: bytes in, bytes out; the workspace keeps the file.

The document is canonical JSON: format, public identity, scrypt parameters, the sealed entropy
(AES-256-GCM, everything else in the document as associated data) and a SHA-256 checksum over the
rest, which tells a damaged file from a wrong passphrase.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from usufruct.crypto import aead, canonical
from usufruct.crypto.hash import sha256
from usufruct.crypto.identity import (
    Identity,
    PublicIdentity,
    new_identity,
    recover,
    verify_binding,
)
from usufruct.errors import BadInput, Damaged, VerificationError, WrongPassphrase

__all__ = [
    "FORMAT",
    "Identity",
    "PublicIdentity",
    "new_identity",
    "open_keystore",
    "read_public",
    "recover",
    "seal_keystore",
    "verify_binding",
]

FORMAT: Final = "usufruct/keystore/v1"
MAX_BYTES: Final = 16 * 1024
MIN_LOG_N: Final = 10
MAX_LOG_N: Final = 20
_FIELDS: Final = {"checksum", "format", "kdf", "public", "sealed"}
_KDF_FIELDS: Final = {"log_n", "name", "p", "r", "salt"}


def seal_keystore(identity: Identity, passphrase: str, *, scrypt_log_n: int = 15) -> bytes:
    """Return the keystore document of an identity.

    Parameters
    ----------
    scrypt_log_n
        Work and memory to try one passphrase: 2^n KiB (15: 32 MiB, about 0.1 s).

    Raises
    ------
    BadInput
        `scrypt_log_n` outside 10 to 20, or a passphrase that is not text.
    """
    if not MIN_LOG_N <= scrypt_log_n <= MAX_LOG_N:
        raise BadInput(f"scrypt's log2(N) is {MIN_LOG_N} to {MAX_LOG_N}, not {scrypt_log_n}")
    salt = os.urandom(32)
    document: dict[str, Any] = {
        "format": FORMAT,
        "kdf": {
            "log_n": scrypt_log_n,
            "name": "scrypt",
            "p": 1,
            "r": 8,
            "salt": canonical.b64(salt),
        },
        "public": identity.public.to_dict(),
    }
    key = _stretch(passphrase, salt, scrypt_log_n)
    sealed = aead.seal_small(key, identity.export_entropy(), canonical.dumps(document))
    document["sealed"] = canonical.b64(sealed)
    document["checksum"] = sha256(canonical.dumps(document)).hex()
    return canonical.dumps(document)


def open_keystore(data: bytes, passphrase: str) -> Identity:
    """Return the identity in a keystore document.

    Raises
    ------
    WrongPassphrase
        It does not open with this passphrase.
    Damaged
        It is not what was written.
    BadInput
        It was written by a later version.
    """
    document = _read(data)
    public = _public(document)
    sealed, salt, log_n = _sealed(document)
    rest = {name: document[name] for name in ("format", "kdf", "public")}
    try:
        key = _stretch(passphrase, salt, log_n)
        entropy = aead.open_small(key, sealed, canonical.dumps(rest))
    except VerificationError:
        raise WrongPassphrase(
            f"this is not the passphrase of '{public.name}'",
            hint="try again; if it is lost, the 24 words bring the keys back: usufruct id recover",
        ) from None
    try:
        identity = Identity(public.name, entropy)
    except BadInput as error:
        raise Damaged(f"the keystore holds no identity: {error.message}") from None
    if identity.public != public:
        raise Damaged("the keystore's public part is of another identity")
    return identity


def read_public(data: bytes) -> PublicIdentity:
    """Return who a keystore is of; needs no passphrase.

    Raises
    ------
    Damaged
        It is not what was written.
    BadInput
        It was written by a later version.
    """
    return _public(_read(data))


def _read(data: bytes) -> dict[str, Any]:
    try:
        document = canonical.loads(data, max_bytes=MAX_BYTES, max_depth=4)
    except BadInput as error:
        raise _damaged(error.message) from None
    if not isinstance(document, dict) or not isinstance(document.get("checksum"), str):
        raise _damaged("it has no checksum")
    rest = {name: value for name, value in document.items() if name != "checksum"}
    if sha256(canonical.dumps(rest)).hex() != document["checksum"]:
        raise _damaged("its checksum does not fit")
    if document.get("format") != FORMAT:
        raise BadInput(
            f"the keystore's format is {document.get('format')!r:.60}, not '{FORMAT}'",
            hint="a later version of usufruct wrote it",
        )
    if set(document) != _FIELDS:
        raise _damaged("its fields are not those of a keystore")
    return document


def _public(document: dict[str, Any]) -> PublicIdentity:
    try:
        public = PublicIdentity.from_dict(document["public"])
        verify_binding(public)
    except (BadInput, VerificationError) as error:
        raise _damaged(error.message) from None
    return public


def _sealed(document: dict[str, Any]) -> tuple[bytes, bytes, int]:
    kdf = document["kdf"]
    if not isinstance(kdf, dict) or set(kdf) != _KDF_FIELDS:
        raise _damaged("its key derivation is not described")
    log_n = kdf["log_n"]
    # the bounds keep a planted file from taking all memory
    if type(log_n) is not int or not MIN_LOG_N <= log_n <= MAX_LOG_N:
        raise _damaged("its key derivation asks for too much or too little")
    if (kdf["name"], kdf["r"], kdf["p"]) != ("scrypt", 8, 1):
        raise _damaged("its key derivation is another")
    try:
        return canonical.unb64(document["sealed"]), canonical.unb64(kdf["salt"]), log_n
    except BadInput as error:
        raise _damaged(error.message) from None


def _stretch(passphrase: str, salt: bytes, log_n: int) -> bytes:
    if not isinstance(passphrase, str):
        raise BadInput("a passphrase is text")
    try:
        # the same letters typed on another system are the same passphrase
        secret = unicodedata.normalize("NFKC", passphrase).encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput("a passphrase is text without lone surrogates") from None
    return Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(secret)


def _damaged(why: str) -> Damaged:
    return Damaged(
        f"the keystore is damaged: {why}", hint="restore the file, or recover from the phrase"
    )
