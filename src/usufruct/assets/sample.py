"""Read some chunks, chosen at random, and the size of every file."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

from usufruct.assets.comparison import Comparison
from usufruct.assets.hashing import changing, hash_function, key_of, open_file, unreadable
from usufruct.errors import BadInput
from usufruct.evidence.content import CHUNK, FileEntry, chunk_count


def check_sample(run: Comparison, count: int) -> None:
    """Read `count` random chunks, or all if there are fewer; a file that differs is read whole."""
    files = run.manifest.files
    places: list[int] = []  # cumulative number of chunks
    total = 0
    for index, number in enumerate(run.numbers):
        if _size_holds(run, index, files[number]):
            total += chunk_count(files[number].size)
        places.append(total)
    chosen = random.SystemRandom().sample(range(total), min(count, total))
    wanted: dict[int, list[int]] = {}
    at = 0
    for pick in sorted(chosen):
        while places[at] <= pick:
            at += 1
        wanted.setdefault(at, []).append(pick - (places[at - 1] if at else 0))
    with run.progress.task("sampling", len(chosen), "chunks") as task:
        for index, chunks in wanted.items():
            entry = files[run.numbers[index]]
            try:
                whole = _chunks_hold(run, index, entry, chunks)
            except BadInput as error:
                run.failed(index, error)
                continue
            if not whole:
                run.read_one(index)
            task.advance(len(chunks))
    run.chunks_read = len(chosen)


def _size_holds(run: Comparison, index: int, entry: FileEntry) -> bool:
    full = run.tree.prefix + run.paths[index]
    try:
        found = Path(full).stat(follow_symlinks=run.tree.follow_links)
    except OSError as error:
        run.failed(index, unreadable(full, error))
        return False
    if found.st_size == entry.size and stat.S_ISREG(found.st_mode):
        return True
    run.read_one(index)
    return False


def _chunks_hold(run: Comparison, index: int, entry: FileEntry, chunks: list[int]) -> bool:
    new_hash = hash_function(run.manifest.algorithm)
    full = run.tree.prefix + run.paths[index]
    descriptor = open_file(full, follow_links=run.tree.follow_links)
    try:
        before = key_of(os.fstat(descriptor))
        for chunk in chunks:
            data = os.pread(descriptor, CHUNK, chunk * CHUNK)
            run.bytes_read += len(data)
            if new_hash(data).digest() != entry.chunk_digests[32 * chunk : 32 * chunk + 32]:
                return False
        if key_of(os.fstat(descriptor)) != before:
            raise changing(full)
    except OSError as error:
        raise unreadable(full, error) from None
    finally:
        os.close(descriptor)
    return True
