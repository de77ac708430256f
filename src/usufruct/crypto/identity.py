"""A party's three key pairs, all from one phrase of 24 words, and what others see of them."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto import ed25519, hpke, secp256k1
from usufruct.crypto.dsse import key_id
from usufruct.errors import BadInput, VerificationError
from usufruct.types import Address, parse_address

ENTROPY_SIZE: Final = 32
WORDS: Final = 24
_SIGNING_LABEL: Final = b"usufruct/identity/signing/v1"
_ENCRYPTION_LABEL: Final = b"usufruct/identity/encryption/v1"
_ADDRESS_LIKE: Final = re.compile(r"0x[0-9a-f]{4}", re.IGNORECASE)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*\Z")


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """What others know of a party.

    Parameters
    ----------
    name
        What the party calls itself; nobody vouches for it.
    address
        Its Ethereum account.
    account_key
        The account's uncompressed secp256k1 public key, 64 bytes (x ‖ y).
    signing_key, encryption_key
        Ed25519 and X25519 public keys, 32 bytes each.
    binding
        The account's signature over both keys, 64 bytes; see :func:`verify_binding`.

    Raises
    ------
    BadInput
        A field of another form. Whether the binding holds is not checked here.
    """

    name: str
    address: Address
    account_key: bytes
    signing_key: bytes
    encryption_key: bytes
    binding: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if parse_address(self.address) != self.address:
            raise BadInput("a party's address is in lower case")
        for field, length in _SIZES.items():
            value = getattr(self, field)
            if not isinstance(value, bytes) or len(value) != length:
                raise BadInput(f"a party's {field.replace('_', ' ')} has {length} bytes")

    @property
    def key_id(self) -> str:
        """The signing key's id in envelopes."""
        return key_id(self.signing_key)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a canonical document, keys in hexadecimal."""
        keys = {field: getattr(self, field).hex() for field in _SIZES}
        return {"name": self.name, "address": self.address, **keys}

    @classmethod
    def from_dict(cls, data: Any) -> PublicIdentity:
        """Return the identity that `to_dict` gave (BadInput: anything else)."""
        if not isinstance(data, dict) or set(data) != {"name", "address", *_SIZES}:
            raise BadInput("a party has a name, an address, three keys and a binding")
        keys = {}
        for field in _SIZES:
            if not isinstance(data[field], str) or not _HEX.match(data[field]):
                raise BadInput(f"a party's {field.replace('_', ' ')} is hexadecimal")
            keys[field] = bytes.fromhex(data[field])
        return cls(name=data["name"], address=data["address"], **keys)


_SIZES: Final = {"account_key": 64, "signing_key": 32, "encryption_key": 32, "binding": 64}


class Identity:
    """A party's secrets; a :class:`usufruct.ports.Signer` with its Ed25519 key.

    Parameters
    ----------
    name
        What the party calls itself, at most 64 characters.
    entropy
        The 32 random bytes behind the phrase; everything else follows from them.

    Raises
    ------
    BadInput
        A name that cannot be used, or not 32 bytes.
    """

    __slots__ = ("_account_secret", "_encryption_secret", "_entropy", "_public", "_signer")

    def __init__(self, name: str, entropy: bytes) -> None:
        check_name(name)
        if not isinstance(entropy, bytes) or len(entropy) != ENTROPY_SIZE:
            raise BadInput(f"a phrase stands for {ENTROPY_SIZE} bytes")
        from mnemonic import Mnemonic

        seed = Mnemonic.to_seed(_phrase(entropy))
        self._entropy = entropy
        self._account_secret = secp256k1.derive(seed)
        self._signer = ed25519.SecretKey(_hkdf(seed, _SIGNING_LABEL))
        self._encryption_secret = _hkdf(seed, _ENCRYPTION_LABEL)
        account_key = secp256k1.public_key(self._account_secret)
        address = secp256k1.address_of(account_key)
        encryption_key = hpke.public_key(self._encryption_secret)
        digest = _binding_digest(address, self._signer.public_key, encryption_key)
        self._public = PublicIdentity(
            name=name,
            address=address,
            account_key=account_key,
            signing_key=self._signer.public_key,
            encryption_key=encryption_key,
            binding=secp256k1.sign_digest(self._account_secret, digest),
        )

    def __repr__(self) -> str:
        return f"Identity(name={self._public.name!r}, address={self._public.address!r})"

    def __reduce__(self) -> Any:
        # secrets leave only by the methods made for it
        raise TypeError("an identity is not pickled; seal it in a keystore")

    @property
    def public(self) -> PublicIdentity:
        """What others may know."""
        return self._public

    @property
    def name(self) -> str:
        """What the party calls itself."""
        return self._public.name

    @property
    def address(self) -> Address:
        """The party's Ethereum account."""
        return self._public.address

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        return self._public.signing_key

    @property
    def account_secret(self) -> bytes:
        """The account's private key, 32 bytes: for signing transactions, never for a file."""
        return self._account_secret

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message`, 64 bytes."""
        return self._signer.sign(message)

    def hpke_open(self, sealed: bytes, info: bytes, aad: bytes = b"") -> bytes:
        """Return the plaintext of a message sealed to the encryption key (VerificationError)."""
        return hpke.open_(self._encryption_secret, sealed, info=info, aad=aad)

    def export_phrase(self) -> str:
        """Return the 24 words that recover every key; whoever reads them is the party."""
        return _phrase(self._entropy)

    def export_entropy(self) -> bytes:
        """Return the 32 bytes behind the phrase, for the keystore."""
        return self._entropy


def new_identity(name: str) -> tuple[Identity, str]:
    """Return a fresh identity and its phrase of 24 words (BadInput: the name)."""
    identity = Identity(name, secrets.token_bytes(ENTROPY_SIZE))
    return identity, identity.export_phrase()


def recover(name: str, phrase: str) -> Identity:
    """Return the identity of a phrase; letter case and spacing do not matter.

    Raises
    ------
    BadInput
        Not 24 words, a word that is not on the list (named), or a checksum that does not fit.
    """
    from mnemonic import Mnemonic

    if not isinstance(phrase, str) or len(phrase) > 1000:
        raise BadInput(f"a phrase is {WORDS} words")
    book = Mnemonic("english")
    words = Mnemonic.normalize_string(phrase).lower().split()
    known = set(book.wordlist)
    for number, word in enumerate(words, 1):
        if word not in known:
            raise BadInput(
                f"word {number} of the phrase, '{word}', is not on the list",
                hint=_suggestion(word, book.wordlist),
            )
    if len(words) != WORDS:
        raise BadInput(f"the phrase has {len(words)} words, not {WORDS}")
    try:
        entropy = bytes(book.to_entropy(words))
    except (ValueError, LookupError):
        raise BadInput(
            "all words are on the list, but they do not fit together",
            hint="a word is wrong or two are in the wrong order",
        ) from None
    return Identity(name, entropy)


def verify_binding(party: PublicIdentity) -> None:
    """Check that the account at `address` signed for both keys.

    Raises
    ------
    VerificationError
        The address is not of this account key, the signature is not good, or the signing key
        is no good key.
    """
    if secp256k1.address_of(party.account_key) != party.address:
        raise VerificationError(f"the account key of '{party.name}' belongs to another address")
    ed25519.check_public_key(party.signing_key)
    digest = _binding_digest(party.address, party.signing_key, party.encryption_key)
    secp256k1.verify_digest(party.account_key, party.binding, digest)


def binding_message(address: Address, signing_key: bytes, encryption_key: bytes) -> bytes:
    """Return the text that an account signs as a personal message (EIP-191) to bind its keys."""
    return (
        f"usufruct party v1\naddress: {address}\n"
        f"signing key: {signing_key.hex()}\nencryption key: {encryption_key.hex()}\n"
    ).encode("ascii")


def check_name(name: object) -> None:
    """Raise BadInput unless `name` can stand on a screen and in a file name."""
    good = isinstance(name, str) and 0 < len(name) <= 64 and name.isprintable()
    if not isinstance(name, str) or not good or name != name.strip():
        raise BadInput("a party's name is 1 to 64 printable characters")
    if name.startswith(".") or "/" in name or "\\" in name:
        raise BadInput("a party's name has no slashes and does not begin with a dot")
    if _ADDRESS_LIKE.search(name):
        # shown beside the address, it could pass for another party's
        raise BadInput("a party's name has no address in it")


def _binding_digest(address: Address, signing_key: bytes, encryption_key: bytes) -> bytes:
    return secp256k1.personal_digest(binding_message(address, signing_key, encryption_key))


def _phrase(entropy: bytes) -> str:
    from mnemonic import Mnemonic

    return str(Mnemonic("english").to_mnemonic(entropy))


def _hkdf(seed: bytes, label: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869) with an empty salt, one block."""
    return hmac.digest(hmac.digest(bytes(32), seed, "sha256"), label + b"\1", "sha256")


def _suggestion(word: str, words: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, words, n=1)
    return f"perhaps '{close[0]}'" if close else "the words are those of BIP-39, in English"
