"""Say where a changed file differs from its manifest: chunk, row and line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from usufruct.assets.hashing import open_file, read_blocks, unreadable
from usufruct.assets.manifest import row_salts
from usufruct.assets.tables import Record, TableError, delimiter_of, read_rows, salvage
from usufruct.errors import Mismatch
from usufruct.evidence.content import CHUNK, FileEntry, FileSalts, row_leaf

MOST = 20
"""Most places named in one file; the rest are counted."""

_IN_MEMORY = 256 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """A file whose bytes are not those of its manifest.

    Parameters
    ----------
    full
        Its absolute path.
    entry
        What the manifest says.
    salts
        Its salts; only used for a table.
    size, digests
        What the file is now; digests 32 bytes a chunk.
    follow_links
        Whether it may be reached through a link.
    """

    full: str
    entry: FileEntry
    salts: FileSalts | None
    size: int
    digests: bytes
    follow_links: bool

    @property
    def chunks(self) -> list[int]:
        """Numbers of the chunks that differ, from 0, those only one side has among them."""
        old, new = self.entry.chunk_digests, self.digests
        return [
            i // 32
            for i in range(0, max(len(old), len(new)), 32)
            if old[i : i + 32] != new[i : i + 32]
        ]


def locate(change: Change) -> list[Mismatch]:
    """Return the places where the file differs, first to last, at least one.

    Raises
    ------
    BadInput
        The file can no longer be read.
    """
    if change.entry.row_leaves is None or change.salts is None or not change.size:
        return _by_chunk(change, change.chunks)
    if change.size > _IN_MEMORY:
        return _first_row(change, change.salts)
    descriptor = open_file(change.full, follow_links=change.follow_links)
    try:
        data = b"".join(read_blocks(descriptor))
    except OSError as error:
        raise unreadable(change.full, error) from None
    finally:
        os.close(descriptor)
    records = list(salvage(data, delimiter_of(change.entry.path) or ","))
    end = data.count(b"\n") + 1 + (not data.endswith(b"\n"))
    return _by_row(change, change.salts, records, end)


def _sizes(change: Change) -> str:
    if change.size == change.entry.size:
        return ""
    return f"{change.size} bytes where {change.entry.size} were published"


def _by_chunk(change: Change, chunks: list[int]) -> list[Mismatch]:
    path = change.entry.path
    if change.size != change.entry.size:
        # after an insertion every later chunk differs, which says nothing more
        return [Mismatch("changed", file=path, chunk=chunks[0], detail=_sizes(change))]
    found = [
        Mismatch(
            "changed",
            file=path,
            chunk=chunk,
            detail=f"bytes {chunk * CHUNK} to {min((chunk + 1) * CHUNK, change.size) - 1} differ",
        )
        for chunk in chunks[:MOST]
    ]
    return found + _more(path, len(chunks) - len(found), "chunks")


def _more(path: str, count: int, what: str) -> list[Mismatch]:
    if count <= 0:
        return []
    return [Mismatch("changed", file=path, detail=f"and {count} more {what}")]


def _by_row(change: Change, salts: FileSalts, records: list[Record], end: int) -> list[Mismatch]:
    path, leaves = change.entry.path, change.entry.row_leaves or b""
    old, new = change.entry.row_count, len(records)
    row_keys = list(salts.row_salts(0, old))
    chunks = change.chunks

    def same(here: int, there: int) -> bool:
        return (
            row_leaf(records[here].fields, row_keys[there]) == leaves[32 * there : 32 * there + 32]
        )

    if old == new:
        rows = [i for i in range(old) if not same(i, i)]
        found = [
            Mismatch(
                "changed",
                file=path,
                chunk=_chunk_of(records[i], chunks),
                row=i + 1,
                line=records[i].line,
                detail="the row is not the one published",
            )
            for i in rows[:MOST]
        ]
        found += _more(path, len(rows) - len(found), "rows")
    else:
        found = [_gap(path, records, old, chunks, same, end)]
    if change.size == change.entry.size:
        named = {_chunk_of(records[i], chunks) for i in rows} if old == new else set(chunks)
        between = [chunk for chunk in chunks if chunk not in named]
    else:
        between = [] if found else chunks[:1]
    found += [
        Mismatch("changed", file=path, chunk=chunk, detail=_only_between(change))
        for chunk in between[:MOST]
    ]
    return found + _more(path, len(between) - MOST, "chunks")


def _only_between(change: Change) -> str:
    sizes = _sizes(change)
    why = "no row differs, only line ends, quotes or blank lines"
    return f"{why}; {sizes}" if sizes else why


def _gap(
    path: str,
    records: list[Record],
    old: int,
    chunks: list[int],
    same: Callable[[int, int], bool],
    end: int,
) -> Mismatch:
    """Name the rows between the longest common beginning and the longest common end."""
    new = len(records)
    both = min(old, new)
    first = next((i for i in range(both) if not same(i, i)), both)
    tail = 0
    while tail < both - first and same(new - 1 - tail, old - 1 - tail):
        tail += 1
    gone, come = old - first - tail, new - first - tail
    at = records[min(first, new - 1)] if records else None
    line = records[first].line if first < new else end
    if not come:
        what, detail = "missing", f"{_rows(first, gone)} of the publication gone"
    elif not gone:
        what, detail = "added", f"{_rows(first, come)} not in the publication"
    else:
        what, detail = "changed", f"{_rows(first, gone)} of the publication now {come} in number"
    chunk = _chunk_of(at, chunks) if at is not None else 0
    return Mismatch(what, file=path, chunk=chunk, row=first + 1, line=line, detail=detail)


def _rows(first: int, count: int) -> str:
    return f"row {first + 1}" if count == 1 else f"rows {first + 1} to {first + count}"


def _chunk_of(record: Record, chunks: list[int]) -> int:
    touched = range(record.start // CHUNK, max(record.start, record.end - 1) // CHUNK + 1)
    return next((chunk for chunk in touched if chunk in chunks), touched[0])


def _first_row(change: Change, salts: FileSalts) -> list[Mismatch]:
    """Find the first row that differs as the table streams by, for tables beyond the memory."""
    path, leaves, chunks = change.entry.path, change.entry.row_leaves or b"", change.chunks
    row, line = 0, 0
    detail = "the first row that is not the one published"
    descriptor = open_file(change.full, follow_links=change.follow_links)
    try:
        rows = read_rows(read_blocks(descriptor), delimiter_of(path) or ",")
        for (fields, at), salt in zip(rows, row_salts(salts), strict=False):
            line = at
            if row_leaf(fields, salt) != leaves[32 * row : 32 * row + 32]:
                break
            row += 1
        else:
            if row >= change.entry.row_count:
                return _by_chunk(change, chunks)
            detail = f"rows {row + 1} to {change.entry.row_count} are gone"
    except TableError as error:
        line, detail = error.line, error.why
    except OSError as error:
        raise unreadable(change.full, error) from None
    finally:
        os.close(descriptor)
    where = Mismatch("changed", file=path, chunk=chunks[0], row=row + 1, line=line, detail=detail)
    return [where]
