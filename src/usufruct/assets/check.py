"""Compare what stands at a path with a manifest, and name every place where they differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from usufruct.assets.cache import DigestCache, Remembered
from usufruct.assets.comparison import Comparison
from usufruct.assets.hashing import (
    Hashed,
    hash_files,
)
from usufruct.assets.manifest import leaves_digest, open_task, table_leaves
from usufruct.assets.sample import check_sample
from usufruct.assets.tables import TableError
from usufruct.assets.walk import list_files
from usufruct.errors import BadInput, Mismatch
from usufruct.evidence.content import Manifest, chunk_count
from usufruct.ports import SILENT, Progress

Mode = Literal["full", "cached"] | tuple[Literal["sample"], int]
"""``full`` reads every byte; ``cached`` only what changed by its state since it was last read;
``("sample", n)`` reads `n` random chunks and the size of every file."""

_SHOW_EVERY = 256
_FOREIGN = "its bytes are as published, but the row evidence was not made from them"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Parameters
    ----------
    mismatches
        Every place that differs, by path; empty if none was found.
    files, bytes, rows
        What the manifest holds.
    mode
        ``full``, ``cached`` or ``sample``.
    bytes_read
        Bytes that were read and hashed now.
    files_cached
        Files taken as unchanged by their state.
    chunks_read, chunks
        In a sample: how many chunks were read, and how many there are.
    notes
        What a person should know although nothing differs.
    """

    mismatches: tuple[Mismatch, ...]
    files: int
    bytes: int
    rows: int
    mode: str
    bytes_read: int = 0
    files_cached: int = 0
    chunks_read: int = 0
    chunks: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.mismatches

    @property
    def detail(self) -> str:
        """How much of it was looked at, for a person."""
        if self.mode == "sample":
            return (
                f"{self.chunks_read} of {self.chunks} chunks read, chosen at random;"
                f" the sizes of all {self.files} files"
            )
        if self.mode == "cached" and self.files_cached:
            return (
                f"{self.files_cached} of {self.files} files unchanged by size, times and inode"
                " since they were last read; the others read"
            )
        return f"every byte of {self.files} files read"


def check_path(
    path: Path,
    manifest: Manifest,
    *,
    mode: Mode = "full",
    party: str | None = None,
    cache: DigestCache | None = None,
    follow_links: bool = False,
    progress: Progress = SILENT,
) -> CheckResult:
    """Compare what stands at `path` with `manifest`.

    Whatever differs is a mismatch and not an error: changed bytes (with chunk, and in a table
    row and line), files missing, added, unreadable, links and special files among them.

    Parameters
    ----------
    party
        Who published it; stands in each mismatch.
    cache
        Asked in mode ``cached`` only; new digests are put into it in modes ``full`` and
        ``cached``.

    Raises
    ------
    NotFound
        There is nothing at `path`.
    BadInput
        `path` itself cannot be read, or the mode is none.
    """
    if mode not in ("full", "cached") and not _is_sample(mode):
        raise BadInput(f"'{mode}' is no way to check", hint="full, cached or a sample above 0")
    problems: list[Mismatch] = []
    tree = list_files(path, follow_links=follow_links, problems=problems)
    run = Comparison(tree, manifest, problems, cache, progress)
    run.compare_names()
    if isinstance(mode, tuple):
        check_sample(run, mode[1])
    else:
        _read(run, trusting=mode == "cached")
    return _result(run, "sample" if isinstance(mode, tuple) else mode, party)


def _is_sample(mode: object) -> bool:
    return (
        isinstance(mode, tuple)
        and len(mode) == 2
        and mode[0] == "sample"
        and type(mode[1]) is int
        and mode[1] > 0
    )


def _read(run: Comparison, *, trusting: bool) -> None:
    algorithm = run.manifest.algorithm
    prefix = run.tree.prefix
    cache = run.cache
    known = cache.recall(prefix, algorithm) if cache is not None and trusting else {}
    since = cache.now_ns() if cache is not None else 0
    fresh: list[Remembered] = []
    files, numbers, paths = run.manifest.files, run.numbers, run.paths
    with open_task(run.progress, "checking", run.tree) as task:
        for one in hash_files(
            prefix,
            paths,
            algorithm=algorithm,
            follow_links=run.tree.follow_links,
            known=known or None,
            failed=run.failed,
            progress=None if run.tree.is_folder else task.advance,
        ):
            index, size, digests, key, new = one
            entry = files[numbers[index]]
            leaves = None
            if digests != entry.chunk_digests or size != entry.size:
                run.locate(one)
            elif entry.row_leaves is not None:
                leaves = leaves_digest(entry.row_leaves)
                if new or known[paths[index]][2] != leaves:
                    new = True
                    leaves = leaves if _rows_hold(run, one) else None
            if new:
                run.bytes_read += size
                fresh.append((paths[index], key, digests, leaves))
            else:
                run.files_cached += 1
            if not index % _SHOW_EVERY and run.tree.is_folder:
                task.advance(min(_SHOW_EVERY, len(paths) - index))
    if cache is not None and fresh:
        cache.remember(prefix, algorithm, fresh, since_ns=since)


def _rows_hold(run: Comparison, one: Hashed) -> bool:
    number = run.numbers[one.number]
    entry = run.manifest.files[number]
    salts = run.manifest.salts(number)
    try:
        leaves = table_leaves(run.tree, run.paths[one.number], entry.path, salts, one.key)
    except TableError as error:
        run.add("changed", entry.path, line=error.line, detail=_FOREIGN)
        return False
    except BadInput as error:
        run.failed(one.number, error)
        return False
    old = entry.row_leaves or b""
    if leaves == old:
        return True
    ends = range(32, max(len(old), len(leaves)) + 32, 32)
    row = next(end // 32 for end in ends if old[end - 32 : end] != leaves[end - 32 : end])
    run.add("changed", entry.path, row=row, detail=_FOREIGN)
    return False


def _result(run: Comparison, mode: str, party: str | None) -> CheckResult:
    manifest = run.manifest
    found = sorted(run.found, key=lambda m: (m.file or "", m.chunk or 0, m.row or 1 << 60))
    if party is not None:
        found = [replace(mismatch, party=party) for mismatch in found]
    return CheckResult(
        mismatches=tuple(found),
        files=len(manifest.files),
        bytes=manifest.size,
        rows=manifest.rows,
        mode=mode,
        bytes_read=run.bytes_read,
        files_cached=run.files_cached,
        chunks_read=run.chunks_read,
        chunks=sum(chunk_count(entry.size) for entry in manifest.files),
        notes=tuple(run.notes),
    )
