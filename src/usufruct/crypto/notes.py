"""Signed notes and log checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from usufruct.crypto import canonical, ed25519
from usufruct.errors import BadInput, VerificationError
from usufruct.ports import Signer

MAX_NOTE: Final = 1_000_000
MAX_SIGNATURES: Final = 100
ED25519: Final = 1
"""The signature type byte of plain Ed25519."""

_DASH: Final = "\u2014 "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head.

    Parameters
    ----------
    origin
        The log's name, one line.
    size
        How many entries it has.
    root
        Its RFC 6962 root over them, 32 bytes.
    extensions
        Further lines, none of them empty.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 0 <= self.size < 2**63:
            raise BadInput("a checkpoint's size is a whole number below 2^63")
        if not isinstance(self.root, bytes) or len(self.root) != 32:
            raise BadInput("a checkpoint's root has 32 bytes")
        for line in (self.origin, *self.extensions):
            if not isinstance(line, str) or not line or "\n" in line:
                raise BadInput("a checkpoint's lines are not empty")
            _check_text(line)

    def to_text(self) -> str:
        """Return the checkpoint as the text that is signed."""
        lines = (self.origin, str(self.size), canonical.b64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Return the checkpoint that `text` encodes (BadInput: anything else)."""
        lines = text.split("\n") if isinstance(text, str) else []
        if len(lines) < 4 or lines.pop():
            raise BadInput("a checkpoint has an origin, a size and a root, a line each")
        origin, size, root, *extensions = lines
        if not (size.isascii() and size.isdigit()) or len(size) > 19 or str(int(size)) != size:
            raise BadInput("a checkpoint's size is a decimal without leading zeros")
        return cls(origin, int(size), canonical.unb64(root), tuple(extensions))


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, and the signature's bytes."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a newline, and the signature lines below it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        lines = (
            f"{_DASH}{line.name} {canonical.b64(line.key_hash + line.signature)}\n"
            for line in self.signatures
        )
        return (self.text + "\n" + "".join(lines)).encode("utf-8")


def parse_note(data: bytes) -> Note:
    """Return text and signature lines of a note; no signature is checked.

    Raises
    ------
    BadInput
        Not a note: too large, not UTF-8, control characters, no signatures, a malformed line.
    """
    if not isinstance(data, bytes) or len(data) > MAX_NOTE:
        raise BadInput(f"a signed note is at most {MAX_NOTE} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput("a signed note is UTF-8") from None
    _check_text(whole)
    cut = whole.rfind("\n\n")
    if cut < 1:
        raise BadInput("a signed note has a text, an empty line and signatures")
    lines = whole[cut + 2 :].split("\n")
    if lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise BadInput(f"a signed note has 1 to {MAX_SIGNATURES} signature lines")
    return Note(whole[: cut + 1], tuple(_parse_line(line) for line in lines))


def sign_note(text: str, signer: Signer, name: str) -> bytes:
    """Return `text` (ending in a newline) as a note signed with the key called `name`."""
    if not isinstance(text, str) or not text.endswith("\n"):
        raise BadInput("a note's text ends with a newline")
    _check_text(text)
    return Note(text, (_sign(text, signer, name),)).to_bytes()


def open_note(data: bytes, name: str, public_key: bytes) -> str:
    """Return a note's text, signed with the Ed25519 key called `name`.

    Raises
    ------
    VerificationError
        Not a note, no signature by this key, or one that is not good.
    """
    try:
        note = parse_note(data)
        wanted = key_hash(name, public_key)
    except BadInput as error:
        raise VerificationError(f"not a good signed note: {error.message}") from None
    ours = [line for line in note.signatures if line.name == name and line.key_hash == wanted]
    if not ours:
        raise VerificationError(f"the note is not signed with the key of '{name}'")
    message = note.text.encode("utf-8")
    for line in ours:
        ed25519.verify(public_key, line.signature, message)
    return note.text


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer, name: str) -> bytes:
    """Return the checkpoint as a note signed with the key called `name` (use the origin)."""
    return sign_note(checkpoint.to_text(), signer, name)


def open_checkpoint(
    data: bytes, name: str, public_key: bytes, *, origin: str | None = None
) -> Checkpoint:
    """Return the checkpoint in a note signed with the Ed25519 key called `name`.

    Parameters
    ----------
    origin
        The log it must be of; any when left out.

    Raises
    ------
    VerificationError
        Not a note, not signed by this key, no checkpoint, or one of another log.
    """
    text = open_note(data, name, public_key)
    try:
        checkpoint = Checkpoint.from_text(text)
    except BadInput as error:
        raise VerificationError(f"the note holds no checkpoint: {error.message}") from None
    if origin is not None and checkpoint.origin != origin:
        raise VerificationError(f"the checkpoint is of another log than '{origin}'")
    return checkpoint


def cosign(data: bytes, signer: Signer, name: str) -> bytes:
    """Return the note with one more signature line, by the key called `name`.

    Raises
    ------
    BadInput
        Not a note, too many signatures, or this key signed already.
    """
    note = parse_note(data)
    line = _sign(note.text, signer, name)
    if any((other.name, other.key_hash) == (name, line.key_hash) for other in note.signatures):
        raise BadInput(f"the key of '{name}' has signed this note already")
    if len(note.signatures) == MAX_SIGNATURES:
        raise BadInput(f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(note.text, (*note.signatures, line)).to_bytes()


def key_hash(name: str, public_key: bytes) -> bytes:
    """Return a note key's id: SHA-256(name ‖ newline ‖ 0x01 ‖ public key), first 4 bytes.

    Raises
    ------
    BadInput
        A name that is empty or has spaces or plus signs, or a key that is not 32 bytes.
    """
    _check_name(name)
    if not isinstance(public_key, bytes) or len(public_key) != 32:
        raise BadInput("an Ed25519 public key has 32 bytes")
    return sha256(name.encode("utf-8") + b"\n\x01" + public_key).digest()[:4]


def encode_vkey(name: str, public_key: bytes) -> str:
    """Return the verifier key as text: name+key id+base64(0x01 ‖ public key)."""
    encoded = canonical.b64(bytes((ED25519,)) + public_key)
    return f"{name}+{key_hash(name, public_key).hex()}+{encoded}"


def decode_vkey(text: str) -> tuple[str, bytes]:
    """Return name and Ed25519 public key (32 bytes) of a verifier key.

    Raises
    ------
    BadInput
        Malformed, another key type, or a key id that does not fit.
    """
    parts = text.split("+", 2) if isinstance(text, str) and len(text) < 1000 else []
    if len(parts) != 3:
        raise BadInput("a verifier key is a name, a key id and a key with + between them")
    name, digits, encoded = parts
    key = canonical.unb64(encoded)
    if len(key) != 33 or key[0] != ED25519:
        raise BadInput("a verifier key is of another type than Ed25519")
    if key_hash(name, key[1:]).hex() != digits:
        raise BadInput("a verifier key's id does not fit its name and key")
    return name, key[1:]


def _sign(text: str, signer: Signer, name: str) -> NoteSignature:
    identifier = key_hash(name, signer.public_key)
    return NoteSignature(name, identifier, signer.sign(text.encode("utf-8")))


def _parse_line(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise BadInput("a signature line is a dash, a name and base64")
    _check_name(name)
    value = canonical.unb64(encoded)
    if len(value) < 5:
        raise BadInput("a signature line has a key id and a signature")
    return NoteSignature(name, value[:4], value[4:])


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name or "+" in name or any(c.isspace() for c in name):
        raise BadInput("a key name is not empty and has no spaces and no plus signs")
    _check_text(name)


def _check_text(text: str) -> None:
    if any(character < " " and character != "\n" for character in text):
        raise BadInput("a signed note has no control characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput("a string has a lone surrogate, which is no character") from None
