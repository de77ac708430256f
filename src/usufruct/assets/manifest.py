"""Make the manifest of a file or folder: walk, hash, read rows."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from usufruct.assets.cache import DigestCache, Remembered
from usufruct.assets.hashing import (
    Hashed,
    Key,
    changing,
    hash_files,
    key_of,
    open_file,
    read_blocks,
    unreadable,
)
from usufruct.assets.tables import TableError, delimiter_of, may_be_plain, read_rows
from usufruct.assets.walk import Tree, list_files, printable
from usufruct.errors import NotFound
from usufruct.evidence.content import (
    CHUNK,
    FileEntry,
    FileSalts,
    Manifest,
    file_seeds,
    row_leaf,
)
from usufruct.ports import SILENT, Progress, Task

_SHOW_EVERY = 256
_FIRST_SALTS = 32


def build_manifest(
    path: Path,
    *,
    algorithm: str = "blake3",
    rows: bool = True,
    salt_root: bytes | None = None,
    cache: DigestCache | None = None,
    follow_links: bool = False,
    progress: Progress = SILENT,
) -> Manifest:
    """Return the manifest of what stands at `path`.

    Parameters
    ----------
    algorithm
        Chunk digest, ``blake3`` or ``sha256``.
    rows
        Whether rows of ``.csv``, ``.tsv`` and ``.data`` files become leaves. A ``.data`` file
        that is no clean table is taken as a plain file; the others are then refused.
    salt_root
        32 secret bytes that all salts come from; fresh random ones when left out. Never use
        one for two versions.
    cache
        Digests of unchanged files are taken from it and new ones put into it.
    follow_links
        Take what links point to instead of refusing them.

    Raises
    ------
    NotFound
        There is nothing at `path`.
    BadInput
        Nothing to publish, or something that cannot be: see
        :func:`usufruct.assets.walk.list_files`; a file that is unreadable or changes
        meanwhile; a table that is ragged, holds a NUL or is not UTF-8 (its line is named).
    """
    root = secrets.token_bytes(32) if salt_root is None else salt_root
    tree = list_files(path, follow_links=follow_links)
    known = cache.recall(tree.prefix, algorithm) if cache is not None else None
    since = cache.now_ns() if cache is not None else 0
    fresh: list[Remembered] = []
    entries: list[FileEntry] = []
    keep, add = fresh.append, entries.append
    paths = tree.paths
    with open_task(progress, "hashing", tree) as task:
        step = task.advance if not tree.is_folder else None
        hashed = hash_files(
            tree.prefix,
            paths,
            algorithm=algorithm,
            follow_links=tree.follow_links,
            known=known,
            progress=step,
        )
        reader = _Tables(tree, root) if rows and _has_tables(paths) else None
        for one in hashed:
            index, size, digests, key, new = one
            name = paths[index]
            leaves = None
            if reader is not None:
                leaves = reader.leaves(one)
            if leaves is None:
                add(FileEntry(name, "file", size, algorithm, digests))
            else:
                add(FileEntry(name, "table", size, algorithm, digests, leaves, len(leaves) // 32))
            if cache is not None and (new or leaves is not None):
                keep((name, key, digests, leaves_digest(leaves)))
            if not index % _SHOW_EVERY and tree.is_folder:
                task.advance(min(_SHOW_EVERY, len(paths) - index))
    if cache is not None:
        cache.remember(tree.prefix, algorithm, fresh, since_ns=since)
    return Manifest(algorithm, CHUNK, root, tuple(entries))


def leaves_digest(leaves: bytes | None) -> bytes | None:
    """Return what the cache keeps of a table's row leaves; None for a plain file."""
    return None if leaves is None else hashlib.sha256(leaves).digest()


def open_task(progress: Progress, label: str, tree: Tree) -> AbstractContextManager[Task]:
    """Open a progress bar over the files of a folder, or over the bytes of a file."""
    if tree.is_folder:
        return progress.task(label, len(tree.paths), "files")
    return progress.task(label, tree.root.stat().st_size, "B")


def table_leaves(tree: Tree, path: str, published: str, salts: FileSalts, key: Key) -> bytes:
    """Return the row leaves of a table whose state must still be `key`, 32 bytes a row.

    Parameters
    ----------
    path
        Where it is in `tree`.
    published
        The name it was published under, which says what separates its fields.

    Raises
    ------
    TableError
        No clean table; the message names file and line.
    BadInput
        It is unreadable, or has changed.
    """
    full = tree.prefix + path
    descriptor = open_file(full, follow_links=tree.follow_links)
    try:
        delimiter = delimiter_of(published) or ","
        try:
            leaves = rows_to_leaves(_fields(descriptor, delimiter), salts)
        except OSError as error:
            raise unreadable(full, error) from None
        except TableError as error:
            if key_of(os.fstat(descriptor)) != key:
                raise changing(full) from None
            raise TableError(error.why, error.line, file=printable(full)) from None
        if key_of(os.fstat(descriptor)) != key:
            raise changing(full)
        return leaves
    finally:
        os.close(descriptor)


def read_row(path: Path, name: str, row: int) -> tuple[list[str], int]:
    """Return the fields of one row of a table, and the line it starts on.

    Parameters
    ----------
    path
        The published file or folder.
    name
        The table's path within it; of a file asset the name it was published under.
    row
        From 1.

    Raises
    ------
    NotFound
        There is no such file or row.
    BadInput
        It cannot be read, or is no clean table up to that row.
    """
    full = path / name if path.is_dir() else path
    if not full.exists():
        raise NotFound(f"there is no file {printable(str(full))}")
    descriptor = open_file(str(full), follow_links=True)
    try:
        rows = read_rows(read_blocks(descriptor), delimiter_of(name) or ",")
        found = next(islice(rows, row - 1, None), None) if row > 0 else None
    except OSError as error:
        raise unreadable(str(full), error) from None
    except TableError as error:
        raise TableError(error.why, error.line, file=printable(str(full))) from None
    finally:
        os.close(descriptor)
    if found is None:
        raise NotFound(f"'{name}' has no row {row}", hint="rows count from 1, the header included")
    return found


def rows_to_leaves(rows: Iterable[list[str]], salts: FileSalts) -> bytes:
    """Return the leaves of a stream of rows, 32 bytes each one after the other."""
    return b"".join(map(row_leaf, rows, row_salts(salts)))


def row_salts(salts: FileSalts) -> Iterator[bytes]:
    """Yield the salts of a table's rows without end, made in batches as large as those before.

    A small table should not pay for thousands of salts it has no rows for.
    """
    yield from salts.row_salts(0, _FIRST_SALTS)
    start = _FIRST_SALTS
    while True:
        yield from salts.row_salts(start, start)
        start *= 2


def _fields(descriptor: int, delimiter: str) -> Iterator[list[str]]:
    return (fields for fields, _ in read_rows(read_blocks(descriptor), delimiter))


def _has_tables(paths: list[str]) -> bool:
    return any(path.lower().endswith((".csv", ".tsv", ".data")) for path in paths)


class _Tables:
    def __init__(self, tree: Tree, salt_root: bytes) -> None:
        self.tree = tree
        self.seeds = enumerate(file_seeds(salt_root, len(tree.paths)))

    def leaves(self, one: Hashed) -> bytes | None:
        # seeds come in the files' order, every one is drawn
        seed = next(seed for number, seed in self.seeds if number == one.number)
        name = self.tree.paths[one.number]
        if not one.size or delimiter_of(name) is None:
            return None
        salts = FileSalts.of(seed)
        try:
            leaves = table_leaves(self.tree, name, name, salts, one.key)
        except TableError:
            if may_be_plain(name):
                return None
            raise
        return leaves or None
