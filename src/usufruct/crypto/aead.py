"""Sealed streams: a file as AES-256-GCM chunks, each under a key of its own.

A chunk is a fresh random header (32 bytes), the ciphertext and its tag (16 bytes). Its key is
HMAC-SHA256(key tree leaf, label ‖ header), so a nonce of zeros is used once; object id, chunk
number and last flag are bound as associated data. An object of n bytes has
max(1, ceil(n / 1 MiB)) chunks, chunk i under leaf i.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from usufruct.errors import BadInput, VerificationError
from usufruct.units import MIB

CHUNK_SIZE: Final = MIB
HEADER_SIZE: Final = 32
TAG_SIZE: Final = 16
OVERHEAD: Final = HEADER_SIZE + TAG_SIZE
"""Bytes that sealing adds to each chunk."""

SEALED_CHUNK_SIZE: Final = CHUNK_SIZE + OVERHEAD
"""Bytes of every sealed chunk but the last."""

_NONCE: Final = bytes(12)
_KEY_LABEL: Final = b"usufruct/seal/key/v1\0"
_CHUNK_LABEL: Final = b"usufruct/seal/chunk/v1\0"
_SMALL_LABEL: Final = b"usufruct/seal/small/v1\0"


class Keys(Protocol):
    """Gives a 32-byte key a chunk: a ``KeyTree`` or, for who was granted some, a ``Cover``."""

    def leaf(self, index: int) -> bytes:
        """Return the key of chunk `index`."""
        ...


class Reader(Protocol):
    """Anything with ``readinto``, such as a file opened without buffering."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill `buffer` from its start; return how many bytes, 0 at the end."""
        ...


def chunk_count(size: int) -> int:
    """Return how many chunks an object of `size` bytes has; an empty one has one."""
    return max(1, -(-size // CHUNK_SIZE))


def sealed_size(size: int) -> int:
    """Return the bytes of an object of `size` bytes once sealed."""
    return size + OVERHEAD * chunk_count(size)


def opened_size(sealed: int) -> int:
    """Return the bytes of the object in `sealed` sealed bytes.

    Raises
    ------
    VerificationError
        No object has this many sealed bytes.
    """
    count = -(-sealed // SEALED_CHUNK_SIZE)
    size = sealed - OVERHEAD * count
    if size < 0 or sealed_size(size) != sealed:
        raise VerificationError("a sealed object is cut short")
    return size


def seal(key_tree: Keys, object_id: bytes, reader: Reader) -> Iterator[memoryview]:
    """Yield the sealed chunks of all that `reader` gives.

    Parameters
    ----------
    key_tree
        Chunk `i` is sealed under a key made from its leaf `i`.
    object_id
        Names the object, at most 255 bytes; opening needs the same.

    Yields
    ------
    memoryview
        One sealed chunk. It is a view of one reused buffer: write or hash it before asking for
        the next.

    Raises
    ------
    BadInput
        The object cannot be read, or the id is too long.
    """
    prefix = _prefix(object_id)
    plain = [memoryview(bytearray(CHUNK_SIZE)) for _ in range(2)]
    sealed = memoryview(bytearray(SEALED_CHUNK_SIZE))
    length = _fill(reader, plain[0])
    index = 0
    while True:
        # one chunk ahead, to know which is the last
        following = _fill(reader, plain[1]) if length == CHUNK_SIZE else 0
        leaf = key_tree.leaf(index)
        yield _seal_into(leaf, prefix, index, not following, plain[0][:length], sealed)
        if not following:
            return
        plain.reverse()
        length = following
        index += 1


def seal_chunk(leaf: bytes, object_id: bytes, index: int, last: bool, plaintext: bytes) -> bytes:
    """Return one sealed chunk under key tree leaf `index`; at most 1 MiB of plaintext."""
    if len(plaintext) > CHUNK_SIZE:
        raise BadInput(f"a chunk has at most {CHUNK_SIZE} bytes")
    buffer = memoryview(bytearray(len(plaintext) + OVERHEAD))
    return bytes(_seal_into(leaf, _prefix(object_id), index, last, memoryview(plaintext), buffer))


def open_chunk(
    leaf: bytes,
    object_id: bytes,
    index: int,
    last: bool,
    sealed: bytes | memoryview,
    into: memoryview | None = None,
) -> memoryview:
    """Return the plaintext of one sealed chunk.

    Parameters
    ----------
    leaf
        Key tree leaf `index`, 32 bytes.
    last
        Whether it is the object's last chunk; known from the object's size.
    into
        Where to put the plaintext, at least as long as it; a new buffer when left out.

    Raises
    ------
    VerificationError
        Another key, object, number or place, altered, or of a wrong length.
    BadInput
        The leaf does not have 32 bytes, or `into` is too short.
    """
    length = len(sealed) - OVERHEAD
    if not 0 <= length <= CHUNK_SIZE or (not last and length != CHUNK_SIZE):
        raise VerificationError(f"sealed chunk {index} has a wrong length")
    if into is None:
        into = memoryview(bytearray(length))
    elif len(into) < length:
        raise BadInput(f"chunk {index} needs a buffer of {length} bytes")
    view = memoryview(sealed)
    key = _chunk_key(leaf, view[:HEADER_SIZE])
    data = _data(_prefix(object_id), index, last)
    try:
        AESGCM(key).decrypt_into(_NONCE, view[HEADER_SIZE:], data, into[:length])
    except InvalidTag:
        raise VerificationError(f"sealed chunk {index} does not open with its key") from None
    return into[:length]


def open_stream(
    key_tree: Keys, object_id: bytes, sealed_bytes: int, reader: Reader
) -> Iterator[memoryview]:
    """Yield the plaintext chunks of a sealed object; each is checked before it is yielded.

    Parameters
    ----------
    sealed_bytes
        The sealed object's size; `reader` must give exactly so many bytes.

    Yields
    ------
    memoryview
        One chunk, a view of one reused buffer.

    Raises
    ------
    VerificationError
        Another key or object, altered, cut short, or with more behind it.
    """
    count = chunk_count(opened_size(sealed_bytes))
    buffer = memoryview(bytearray(SEALED_CHUNK_SIZE))
    plain = memoryview(bytearray(CHUNK_SIZE))
    left = sealed_bytes
    for index in range(count):
        length = _fill(reader, buffer[: min(left, SEALED_CHUNK_SIZE)])
        if length != min(left, SEALED_CHUNK_SIZE):
            raise VerificationError("a sealed object is cut short")
        left -= length
        last = index == count - 1
        yield open_chunk(key_tree.leaf(index), object_id, index, last, buffer[:length], plain)
    if _fill(reader, buffer[:1]):
        raise VerificationError("a sealed object has more bytes than it should")


def seal_small(key: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    """Return a short message sealed under a key used for many: random header, ciphertext, tag.

    Raises
    ------
    BadInput
        The key does not have 32 bytes.
    """
    header = os.urandom(HEADER_SIZE)
    return header + AESGCM(_chunk_key(key, header)).encrypt(_NONCE, plaintext, _SMALL_LABEL + aad)


def open_small(key: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    """Return the plaintext of a message from :func:`seal_small`.

    Raises
    ------
    VerificationError
        Another key or `aad`, altered, or cut short.
    BadInput
        The key does not have 32 bytes.
    """
    if not isinstance(sealed, bytes) or len(sealed) < OVERHEAD:
        raise VerificationError("a sealed message is too short")
    cipher = AESGCM(_chunk_key(key, sealed[:HEADER_SIZE]))
    try:
        return cipher.decrypt(_NONCE, sealed[HEADER_SIZE:], _SMALL_LABEL + aad)
    except InvalidTag:
        raise VerificationError("a sealed message does not open with this key") from None


def _seal_into(
    leaf: bytes, prefix: bytes, index: int, last: bool, plaintext: memoryview, buffer: memoryview
) -> memoryview:
    header = os.urandom(HEADER_SIZE)
    end = OVERHEAD + len(plaintext)
    buffer[:HEADER_SIZE] = header
    cipher = AESGCM(_chunk_key(leaf, header))
    cipher.encrypt_into(_NONCE, plaintext, _data(prefix, index, last), buffer[HEADER_SIZE:end])
    return buffer[:end]


def _chunk_key(leaf: bytes, header: bytes | memoryview) -> bytes:
    if not isinstance(leaf, bytes) or len(leaf) != 32:
        raise BadInput("a sealing key has 32 bytes")
    return hmac.digest(leaf, _KEY_LABEL + header, "sha256")


def _prefix(object_id: bytes) -> bytes:
    if not isinstance(object_id, bytes) or len(object_id) > 255:
        raise BadInput("an object id is at most 255 bytes")
    return _CHUNK_LABEL + bytes((len(object_id),)) + object_id


def _data(prefix: bytes, index: int, last: bool) -> bytes:
    if not 0 <= index < 2**63:
        raise BadInput(f"there is no chunk {index}")
    return prefix + index.to_bytes(8, "big") + (b"\1" if last else b"\0")


def _fill(reader: Reader, buffer: memoryview) -> int:
    got = 0
    try:
        while got < len(buffer):
            more = reader.readinto(buffer[got:])
            if not more:
                break
            got += more
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read what is to be sealed: {error}") from error
    return got
