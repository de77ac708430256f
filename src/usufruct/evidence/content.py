"""What a version consists of: its files, their chunks and rows, under one content root.

Pure data, no file is opened here. A version's *manifest* lists its files; the *content root* is
the RFC 6962 SHA-256 root over one leaf a file, files sorted by the bytes of their paths. How the
leaves are encoded stands in :mod:`usufruct.evidence.leaves`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from usufruct.crypto import canonical, merkle
from usufruct.errors import BadInput, NotFound
from usufruct.evidence.fields import check_paths, unhex
from usufruct.evidence.leaves import (
    CHUNK,
    NO_ROWS,
    FileSalts,
    chunk_commitment,
    chunk_count,
    chunk_root,
    file_leaf,
    file_seed,
    file_seeds,
    row_leaf,
    row_leaves,
    split32,
)

__all__ = [
    "ALGORITHMS",
    "CHUNK",
    "FileEntry",
    "FileSalts",
    "Manifest",
    "check_paths",
    "chunk_count",
    "entry_leaf",
    "file_seeds",
    "row_leaf",
    "row_leaves",
]

ALGORITHMS = ("blake3", "sha256")
"""Chunk digests that a manifest may use; both are 32 bytes."""

MAX_MANIFEST_BYTES = 1 << 30
MAX_FILES = 10_000_000
FORMAT = "usufruct/manifest/v1"

_KEYS = {"format", "algorithm", "chunk_size", "salt_root", "paths", "sizes", "chunks", "tables"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a version.

    Parameters
    ----------
    path
        Relative POSIX path within the asset, as the publisher wrote it.
    kind
        ``file``, or ``table`` when its rows are leaves too.
    size
        In bytes.
    algorithm
        One of :data:`ALGORITHMS`.
    chunk_digests
        The digests of its 1 MiB chunks one after the other, 32 bytes each; none for an empty file.
    row_leaves
        The hashes of its row leaves one after the other, 32 bytes each; None for a plain file.
    row_count
        How many rows; 0 for a plain file.

    Raises
    ------
    BadInput
        The parts do not fit together.
    """

    path: str
    kind: str
    size: int
    algorithm: str
    chunk_digests: bytes
    row_leaves: bytes | None = None
    row_count: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.size < 2**53 or len(self.chunk_digests) != 32 * chunk_count(self.size):
            raise BadInput(f"'{self.path}': chunk digests and size do not fit together")
        if self.algorithm not in ALGORITHMS:
            raise BadInput(f"'{self.algorithm}' is not a digest of this format")
        if self.row_leaves is None:
            if self.kind != "file" or self.row_count:
                raise BadInput(f"'{self.path}': a table without row leaves")
        elif self.kind != "table" or len(self.row_leaves) != 32 * self.row_count:
            raise BadInput(f"'{self.path}': row leaves and row count do not fit together")

    @property
    def chunk_root(self) -> bytes:
        """The RFC 6962 root over the chunk digests, 32 bytes."""
        return chunk_root(self.chunk_digests)

    @property
    def row_root(self) -> bytes:
        """The RFC 6962 root over the row leaves, 32 bytes; zero bytes for a plain file."""
        if self.row_leaves is None:
            return NO_ROWS
        return merkle.root(split32(self.row_leaves))


def entry_leaf(entry: FileEntry, salts: FileSalts) -> bytes:
    """Return the bytes of an entry's leaf (not yet hashed)."""
    return file_leaf(
        entry.path,
        entry.kind,
        entry.size,
        entry.algorithm,
        chunk_commitment(entry.chunk_root, salts.chunks),
        entry.row_count,
        entry.row_root,
        salts.leaf,
    )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one version and the secret their salts come from.

    Parameters
    ----------
    algorithm
        Chunk digest, one of :data:`ALGORITHMS`; the same for every file.
    chunk_size
        Always :data:`CHUNK`.
    salt_root
        32 secret random bytes, fresh for each version.
    files
        Sorted by the bytes of their paths (as ``sorted`` does for ``str``), at least one.

    Raises
    ------
    BadInput
        The parts do not fit together, or a path is refused by :func:`check_paths`.
    """

    algorithm: str
    chunk_size: int
    salt_root: bytes = field(repr=False)
    files: tuple[FileEntry, ...]
    _hashes: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS or self.chunk_size != CHUNK:
            raise BadInput("the manifest's digest or chunk size is not of version 1")
        if len(self.salt_root) != 32:
            raise BadInput("the manifest's salt root is not 32 bytes")
        if not 0 < len(self.files) <= MAX_FILES:
            raise BadInput("a manifest holds at least one file")
        if any(entry.algorithm != self.algorithm for entry in self.files):
            raise BadInput("a manifest uses one digest for all its files")
        check_paths([entry.path for entry in self.files])

    @property
    def leaf_hashes(self) -> list[bytes]:
        """The hashes of the file leaves in order; computed once."""
        if not self._hashes:
            seeds = file_seeds(self.salt_root, len(self.files))
            self._hashes.extend(
                merkle.leaf_hash(entry_leaf(entry, FileSalts.of(seed)))
                for entry, seed in zip(self.files, seeds, strict=True)
            )
        return self._hashes

    @property
    def content_root(self) -> bytes:
        """The RFC 6962 root over the file leaves, 32 bytes."""
        return merkle.root(self.leaf_hashes)

    @property
    def size(self) -> int:
        """All bytes of all files."""
        return sum(entry.size for entry in self.files)

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(entry.row_count for entry in self.files)

    def index(self, path: str) -> int:
        """Return the place of a file, from 0.

        Raises
        ------
        NotFound
            No file of that path.
        """
        index = bisect_left(self.files, path, key=lambda entry: entry.path)
        if index == len(self.files) or self.files[index].path != path:
            raise NotFound(f"the manifest holds no file '{path}'")
        return index

    def salts(self, index: int) -> FileSalts:
        """Return the salts of file number `index` (from 0)."""
        return FileSalts.of(file_seed(self.salt_root, index))

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain data, one list a column."""
        return {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "chunk_size": self.chunk_size,
            "salt_root": self.salt_root.hex(),
            "paths": [entry.path for entry in self.files],
            "sizes": [entry.size for entry in self.files],
            "chunks": canonical.b64(b"".join([entry.chunk_digests for entry in self.files])),
            "tables": [
                {"file": index, "leaves": canonical.b64(entry.row_leaves)}
                for index, entry in enumerate(self.files)
                if entry.row_leaves is not None
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the manifest as canonical JSON; its salts are secret from who lacks the files."""
        return canonical.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, value: Any) -> Manifest:
        """Read a manifest from plain data, strictly.

        Raises
        ------
        BadInput
            Not a manifest of version 1, or its parts do not fit together.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT or set(value) != _KEYS:
            raise BadInput(f"not a manifest of format {FORMAT}")
        paths, sizes, tables = value["paths"], value["sizes"], value["tables"]
        if not all(isinstance(column, list) for column in (paths, sizes, tables)):
            raise BadInput("the manifest's columns are not lists")
        if len(paths) != len(sizes) or not {type(p) for p in paths} <= {str}:
            raise BadInput("the manifest's columns do not fit together")
        if not {type(s) for s in sizes} <= {int} or min(sizes, default=0) < 0:
            raise BadInput("the manifest's sizes are not whole numbers")
        if type(value["chunk_size"]) is not int or not isinstance(value["algorithm"], str):
            raise BadInput("the manifest's digest or chunk size is not of version 1")
        chunks = canonical.unb64(value["chunks"])
        leaves = _tables(tables, len(paths))
        if len(chunks) != 32 * sum(map(chunk_count, sizes)):
            raise BadInput("the manifest's chunk digests and sizes do not fit together")
        entries, at = [], 0
        for index, (path, size) in enumerate(zip(paths, sizes, strict=True)):
            end = at + 32 * chunk_count(size)
            rows = leaves.get(index)
            kind = "file" if rows is None else "table"
            count = 0 if rows is None else len(rows) // 32
            digests = chunks[at:end]
            entries.append(FileEntry(path, kind, size, value["algorithm"], digests, rows, count))
            at = end
        salt_root = unhex(value["salt_root"], "salt root")
        return cls(value["algorithm"], value["chunk_size"], salt_root, tuple(entries))

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest from canonical JSON, strictly.

        Raises
        ------
        BadInput
            Not canonical, not a manifest of version 1, or its parts do not fit together.
        """
        return cls.from_dict(canonical.loads(data, max_bytes=MAX_MANIFEST_BYTES))


def _tables(value: list[Any], files: int) -> dict[int, bytes]:
    leaves: dict[int, bytes] = {}
    last = -1
    for item in value:
        if not isinstance(item, dict) or set(item) != {"file", "leaves"}:
            raise BadInput("the manifest's table list is not of version 1")
        index = item["file"]
        if type(index) is not int or not last < index < files:
            raise BadInput("the manifest's tables are doubled or out of order")
        data = canonical.unb64(item["leaves"])
        if len(data) % 32:
            raise BadInput("the manifest's row leaves are cut short")
        leaves[index], last = data, index
    return leaves
