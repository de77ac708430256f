"""Proofs that one file, or one row of one table, is part of a content root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from usufruct.crypto import merkle
from usufruct.errors import BadInput, Mismatch, NotFound, VerificationError
from usufruct.evidence import fields
from usufruct.evidence.content import ALGORITHMS, Manifest
from usufruct.evidence.leaves import (
    NO_ROWS,
    chunk_commitment,
    chunk_count,
    chunk_root,
    file_leaf,
    row_leaf,
    split32,
)

MAX_FIELDS = 65536
MAX_FIELD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileLeaf:
    """The part of a file's leaf that every proof shows.

    Parameters
    ----------
    path, kind, size, algorithm, row_count, row_root, salt
        As in the leaf.
    index, count
        Place of the file among all files, from 0; the signed statement says how many there are.
    nodes
        RFC 6962 inclusion proof, 32 bytes each.
    """

    path: str
    kind: str
    size: int
    algorithm: str
    row_count: int
    row_root: bytes
    salt: bytes
    index: int
    count: int
    nodes: tuple[bytes, ...]

    def verify(self, commitment: bytes, content_root: bytes) -> None:
        """Check that the file with this chunk commitment is in `content_root`.

        Raises
        ------
        VerificationError
            It is not.
        """
        leaf = file_leaf(
            self.path,
            self.kind,
            self.size,
            self.algorithm,
            commitment,
            self.row_count,
            self.row_root,
            self.salt,
        )
        try:
            hashed = merkle.leaf_hash(leaf)
            merkle.verify_inclusion(hashed, self.index, self.count, self.nodes, content_root)
        except VerificationError as error:
            raise _broken("file", self.path, error.message) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "path": self.path,
            "kind": self.kind,
            "size": self.size,
            "algorithm": self.algorithm,
            "row_count": self.row_count,
            "row_root": self.row_root.hex(),
            "salt": self.salt.hex(),
            "index": self.index,
            "count": self.count,
            "nodes": fields.join(self.nodes),
        }

    @classmethod
    def from_dict(cls, value: Any) -> FileLeaf:
        """Read untrusted plain data strictly (BadInput)."""
        names = {"path", "kind", "size", "algorithm", "row_count", "row_root", "salt"}
        data = fields.record(value, names | {"index", "count", "nodes"}, "a file's leaf")
        fields.check_paths([fields.text(data["path"], "a path", fields.MAX_PATH_BYTES)])
        leaf = cls(
            data["path"],
            fields.text(data["kind"], "a file's kind", 16),
            fields.whole(data["size"], "a size"),
            fields.text(data["algorithm"], "a digest's name", 16),
            fields.whole(data["row_count"], "the number of rows"),
            fields.unhex(data["row_root"], "row root"),
            fields.unhex(data["salt"], "file's salt", 16),
            fields.whole(data["index"], "a file's place"),
            fields.whole(data["count"], "the number of files", 1),
            fields.hashes(data["nodes"], "file's inclusion proof"),
        )
        if leaf.algorithm not in ALGORITHMS or leaf.kind not in ("file", "table"):
            raise BadInput("a file's kind or digest is not of version 1")
        if leaf.kind == "file" and (leaf.row_count or leaf.row_root != NO_ROWS):
            raise BadInput("a plain file has no rows")
        return leaf

    @classmethod
    def of(cls, manifest: Manifest, path: str) -> FileLeaf:
        """Return the leaf of one of a manifest's files (NotFound: no such file)."""
        index = manifest.index(path)
        entry = manifest.files[index]
        nodes = tuple(merkle.inclusion_proof(manifest.leaf_hashes, index))
        salt = manifest.salts(index).leaf
        return cls(
            entry.path,
            entry.kind,
            entry.size,
            entry.algorithm,
            entry.row_count,
            entry.row_root,
            salt,
            index,
            len(manifest.files),
            nodes,
        )


@dataclass(frozen=True, slots=True)
class FileProof:
    """A file is part of a content root.

    Parameters
    ----------
    leaf
        The file's leaf and its path to the content root.
    chunk_root
        RFC 6962 root over the chunk digests, 32 bytes.
    chunk_salt
        16 bytes that open the leaf's commitment to `chunk_root`.
    """

    leaf: FileLeaf
    chunk_root: bytes
    chunk_salt: bytes

    def verify(self, content_root: bytes) -> None:
        """Check the proof against a content root, 32 bytes (VerificationError)."""
        self.leaf.verify(chunk_commitment(self.chunk_root, self.chunk_salt), content_root)

    def check_chunks(self, size: int, digests: bytes) -> None:
        """Check a file's bytes by their size and chunk digests, 32 bytes each.

        Raises
        ------
        VerificationError
            The file at hand is another one.
        """
        good = size == self.leaf.size and len(digests) == 32 * chunk_count(size)
        if not good or chunk_root(digests) != self.chunk_root:
            raise _broken("changed", self.leaf.path, "the file at hand has other bytes")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "leaf": self.leaf.to_dict(),
            "chunk_root": self.chunk_root.hex(),
            "chunk_salt": self.chunk_salt.hex(),
        }

    @classmethod
    def from_dict(cls, value: Any) -> FileProof:
        """Read untrusted plain data strictly (BadInput)."""
        data = fields.record(value, {"leaf", "chunk_root", "chunk_salt"}, "a file's proof")
        return cls(
            FileLeaf.from_dict(data["leaf"]),
            fields.unhex(data["chunk_root"], "chunk root"),
            fields.unhex(data["chunk_salt"], "chunk salt", 16),
        )


@dataclass(frozen=True, slots=True)
class RowProof:
    """A row is part of a table that is part of a content root.

    Parameters
    ----------
    leaf
        The table's leaf and its path to the content root.
    commitment
        To the table's chunk root, which stays hidden: it is no help to guess other rows.
    row
        Number of the row, from 1.
    values
        Its fields.
    salt
        16 bytes.
    nodes
        RFC 6962 inclusion proof in the row tree, 32 bytes each.
    """

    leaf: FileLeaf
    commitment: bytes
    row: int
    values: tuple[str, ...]
    salt: bytes
    nodes: tuple[bytes, ...]

    def verify(self, content_root: bytes) -> None:
        """Check the proof against a content root, 32 bytes (VerificationError)."""
        self.leaf.verify(self.commitment, content_root)
        try:
            hashed = row_leaf(self.values, self.salt)
            merkle.verify_inclusion(
                hashed, self.row - 1, self.leaf.row_count, self.nodes, self.leaf.row_root
            )
        except (VerificationError, BadInput) as error:
            raise _broken("row", self.leaf.path, error.message, self.row) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "leaf": self.leaf.to_dict(),
            "commitment": self.commitment.hex(),
            "row": self.row,
            "values": list(self.values),
            "salt": self.salt.hex(),
            "nodes": fields.join(self.nodes),
        }

    @classmethod
    def from_dict(cls, value: Any) -> RowProof:
        """Read untrusted plain data strictly (BadInput)."""
        names = {"leaf", "commitment", "row", "values", "salt", "nodes"}
        data = fields.record(value, names, "a row's proof")
        values = fields.items(data["values"], "a row's fields", MAX_FIELDS)
        leaf = FileLeaf.from_dict(data["leaf"])
        if leaf.kind != "table":
            raise BadInput("a row's proof is of a plain file")
        return cls(
            leaf,
            fields.unhex(data["commitment"], "chunk commitment"),
            fields.whole(data["row"], "a row's number", 1),
            tuple(fields.text(item, "a field", MAX_FIELD) for item in values),
            fields.unhex(data["salt"], "row's salt", 16),
            fields.hashes(data["nodes"], "row's inclusion proof"),
        )


def prove_file(manifest: Manifest, path: str) -> FileProof:
    """Return the proof of one file (NotFound: no such file)."""
    index = manifest.index(path)
    salt = manifest.salts(index).chunks
    return FileProof(FileLeaf.of(manifest, path), manifest.files[index].chunk_root, salt)


def prove_row(manifest: Manifest, path: str, row: int, values: Sequence[str]) -> RowProof:
    """Return the proof of one row.

    Parameters
    ----------
    row
        Its number, from 1.
    values
        Its fields; the manifest holds hashes only.

    Raises
    ------
    NotFound
        No such file, or the file has no such row.
    VerificationError
        The row at hand has other fields than the one published.
    """
    index = manifest.index(path)
    entry = manifest.files[index]
    if entry.row_leaves is None or not 1 <= row <= entry.row_count:
        raise NotFound(f"'{path}' has {entry.row_count} rows under proof and no row {row}")
    salts = manifest.salts(index)
    leaves = split32(entry.row_leaves)
    salt = salts.row_salt(row - 1)
    if row_leaf(values, salt) != leaves[row - 1]:
        raise _broken("changed", path, "the row at hand has other fields", row)
    return RowProof(
        FileLeaf.of(manifest, path),
        chunk_commitment(entry.chunk_root, salts.chunks),
        row,
        tuple(values),
        salt,
        tuple(merkle.inclusion_proof(leaves, row - 1)),
    )


def _broken(what: str, path: str, why: str, row: int | None = None) -> VerificationError:
    place = f"row {row} of '{path}'" if row else f"'{path}'"
    mismatch = Mismatch(what, file=path, row=row, detail=why)
    return VerificationError(f"{place} is not what was published: {why}", mismatches=(mismatch,))
