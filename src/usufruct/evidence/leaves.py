"""What a version consists of: files, chunks and rows under one content root.

Pure encodings, no file is opened here. A version's *manifest* lists its files; the *content root*
is the RFC 6962 SHA-256 root over one leaf a file, files sorted by the bytes of their paths::

    file leaf   = leaf_hash("usufruct/file/v1\\0" ‖ lp(path) ‖ lp(kind) ‖ u64 size ‖ lp(algorithm)
                            ‖ chunk commitment ‖ u64 row count ‖ row root ‖ file salt)
    chunk commitment = SHA-256("usufruct/chunks/v1\\0" ‖ chunk salt ‖ chunk root)
    chunk root  = RFC 6962 root over leaf_hash(chunk digest), chunks of 1 MiB
    row root    = RFC 6962 root over row leaves (32 zero bytes for a plain file)
    row leaf    = leaf_hash("usufruct/row/v1\\0" ‖ row salt ‖ u32 fields ‖ lp(field) ...)

``lp`` is a big-endian u32 length before the bytes. All salts come from one secret `salt_root`
through key trees, so a leaf given away says nothing about its neighbours: without a salt a
sibling hash cannot be tested against guesses. The chunk root is unsalted, so a row's proof shows
only its commitment, and who sees one row cannot test guesses of the others against the file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from usufruct.crypto import merkle
from usufruct.crypto.keytree import KeyTree
from usufruct.errors import BadInput

CHUNK = 1024 * 1024
"""Bytes in a chunk; fixed in version 1 of the formats."""

NO_ROWS = bytes(32)
"""What a plain file's leaf holds in place of a row root."""

_FILE_TAG = b"usufruct/file/v1\0"
_CHUNKS_TAG = b"usufruct/chunks/v1\0"
_ROW_TAG = b"usufruct/row/v1\0"
_SALTS_TAG = b"usufruct/salts/v1\0"
_FILE_DOMAIN = "usufruct/salt/file/v1"
_ROW_DOMAIN = "usufruct/salt/row/v1"
_U32 = struct.Struct(">I").pack
_U64 = struct.Struct(">Q").pack


@dataclass(frozen=True, slots=True)
class FileSalts:
    """The secrets of one file: `leaf` hides its leaf, `chunks` its chunk root, `rows` its rows.

    `leaf` and `chunks` are 16 bytes and appear in proofs; `rows` is the 32-byte root of the row
    salts and never does.
    """

    leaf: bytes
    chunks: bytes
    rows: bytes = field(repr=False)

    @classmethod
    def of(cls, seed: bytes) -> FileSalts:
        """Derive the salts of a file from its 32-byte seed."""
        both = hashlib.sha512(_SALTS_TAG + seed).digest()
        return cls(both[:16], both[16:32], seed)

    def row_salts(self, start: int, count: int) -> Iterator[bytes]:
        """Yield the 16-byte salts of `count` rows from row number `start` (from 0)."""
        return (leaf[:16] for leaf in KeyTree(self.rows, _ROW_DOMAIN).leaves(start, count))

    def row_salt(self, index: int) -> bytes:
        """Return the 16-byte salt of one row, number from 0."""
        return KeyTree(self.rows, _ROW_DOMAIN).leaf(index)[:16]


def chunk_count(size: int) -> int:
    """Return how many chunks a file of `size` bytes has; none when it is empty."""
    return -(-size // CHUNK)


def split32(data: bytes) -> list[bytes]:
    """Return 32-byte hashes stored one after the other as a list."""
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def chunk_root(digests: bytes) -> bytes:
    """Return the RFC 6962 root over chunk digests stored one after the other."""
    if len(digests) == 32:
        return hashlib.sha256(b"\0" + digests).digest()
    return merkle.root([merkle.leaf_hash(d) for d in split32(digests)])


def chunk_commitment(root: bytes, salt: bytes) -> bytes:
    """Return the salted commitment to a chunk root, 32 bytes."""
    return hashlib.sha256(_CHUNKS_TAG + salt + root).digest()


def file_leaf(
    path: str,
    kind: str,
    size: int,
    algorithm: str,
    commitment: bytes,
    row_count: int,
    row_root: bytes,
    salt: bytes,
) -> bytes:
    """Return the bytes of a file's leaf (not yet hashed).

    Parameters
    ----------
    commitment
        From :func:`chunk_commitment`, 32 bytes.
    row_root
        32 bytes, zero for a plain file.
    salt
        16 bytes, :attr:`FileSalts.leaf`.
    """
    name, word, digest = path.encode(), kind.encode(), algorithm.encode()
    return b"".join(
        (
            _FILE_TAG,
            _U32(len(name)),
            name,
            _U32(len(word)),
            word,
            _U64(size),
            _U32(len(digest)),
            digest,
            commitment,
            _U64(row_count),
            row_root,
            salt,
        )
    )


def row_leaf(fields: Sequence[str], salt: bytes) -> bytes:
    """Return the hash of a row's leaf, 32 bytes.

    Raises
    ------
    BadInput
        A field is no valid Unicode text.
    """
    parts = [b"\0", _ROW_TAG, salt, _U32(len(fields))]
    try:
        for text in fields:
            data = text.encode()
            parts.append(_U32(len(data)))
            parts.append(data)
    except UnicodeEncodeError:
        raise BadInput("a field of the row is not valid Unicode text") from None
    return hashlib.sha256(b"".join(parts)).digest()


def row_leaves(rows: Iterable[Sequence[str]], salts: FileSalts) -> tuple[bytes, int]:
    """Return the row leaves of a table, 32 bytes each one after the other, and their count."""
    out = bytearray()
    # zip draws from the rows first, so no salt is lost and the rows may be a stream
    for fields, salt in zip(rows, salts.row_salts(0, 2**32), strict=False):
        out += row_leaf(fields, salt)
    return bytes(out), len(out) // 32


def file_seeds(salt_root: bytes, count: int) -> Iterator[bytes]:
    """Yield the 32-byte seeds of the first `count` files in path order.

    Files are numbered in the order of their path bytes, so all paths are known before any
    row is hashed. Give a seed to :meth:`FileSalts.of`.
    """
    return KeyTree(salt_root, _FILE_DOMAIN).leaves(0, count)


def file_seed(salt_root: bytes, index: int) -> bytes:
    """Return the 32-byte seed of file number `index` (from 0)."""
    return KeyTree(salt_root, _FILE_DOMAIN).leaf(index)
