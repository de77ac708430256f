from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from usufruct.assets.cache import DigestCache
from usufruct.assets.check import check_path
from usufruct.assets.manifest import build_manifest
from usufruct.errors import Damaged

SECOND = 1_000_000_000


def later() -> int:
    return time.time_ns() + 10 * SECOND


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "é").write_bytes(b"1")
    (data / "t.csv").write_bytes(b"a,b\n1,2\n")
    with DigestCache(tmp_path / "cache", now_ns=later) as cache:
        made = build_manifest(data, cache=cache)
        result = check_path(data, made, mode="cached", cache=cache)
        assert (result.ok, result.files_cached, result.bytes_read) == (True, 2, 0)
        assert "2 of 2 files unchanged" in result.detail
        # another publication has other salts: the rows are looked at again, once
        other = build_manifest(data, cache=cache)
        assert check_path(data, other, mode="cached", cache=cache).ok
        full = check_path(data, made, mode="full", cache=cache)
        assert (full.files_cached, full.bytes_read) == (0, 9)


def test_a_change_that_keeps_size_and_mtime_is_seen_by_ctime(tmp_path: Path) -> None:
    data = tmp_path / "x"
    data.write_bytes(b"1")
    with DigestCache(tmp_path / "cache", now_ns=later) as cache:
        made = build_manifest(data, cache=cache)
        found = data.stat()
        time.sleep(0.02)
        data.write_bytes(b"2")
        os.utime(data, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert not check_path(data, made, mode="cached", cache=cache).ok
        assert build_manifest(data, cache=cache).files != made.files


def test_full_and_sample_distrust_the_cache(tmp_path: Path) -> None:
    data = tmp_path / "x"
    data.write_bytes(b"1")
    with DigestCache(tmp_path / "cache", now_ns=later) as cache:
        made = build_manifest(data, cache=cache)
        prefix, key = f"{tmp_path}/", cache.recall(f"{tmp_path}/", "blake3")["x"][0]
        cache.remember(prefix, "blake3", [("x", key, bytes(32), None)], since_ns=later())
        assert not check_path(data, made, mode="cached", cache=cache).ok
        assert check_path(data, made, mode=("sample", 9), cache=cache).ok
        assert check_path(data, made, cache=cache).ok
        assert check_path(data, made, mode="cached", cache=cache).ok


def test_what_was_just_written_is_not_trusted(tmp_path: Path) -> None:
    data = tmp_path / "x"
    data.write_bytes(b"1")
    with DigestCache(tmp_path / "cache") as cache:
        found = data.stat()
        key = (1, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        entry = [("x", key, bytes(32), None)]
        fine = found.st_ctime_ns % SECOND or 1
        for ctime, since, kept in (
            (5 * SECOND + fine, 5 * SECOND + fine, 0),
            (5 * SECOND + fine, 5 * SECOND + fine + SECOND // 10, 1),
            (5 * SECOND, 6 * SECOND, 0),
            (5 * SECOND, 8 * SECOND, 1),
        ):
            entry = [("x", (1, 0, ctime, 1), bytes(32), None)]
            assert cache.remember("/", "blake3", entry, since_ns=since) == kept
            assert len(cache.recall("/", "blake3")) == kept
            cache.forget("/")


def test_neighbours_algorithms_and_large_inodes(tmp_path: Path) -> None:
    with DigestCache(tmp_path / "cache") as cache:
        key = (1, 2, 3, 2**64 - 1)
        for prefix in ("/a/", "/a-b/", "/a/b/", "/ab/"):
            cache.remember(prefix, "blake3", [("x", key, b"1", None)], since_ns=later())
        assert set(cache.recall("/a/", "blake3")) == {"x", "b/x"}
        assert cache.recall("/a/", "blake3")["x"] == (key, b"1", None)
        assert cache.recall("/a/", "sha256") == {}
        name = os.fsdecode(b"\xff")
        cache.remember(f"/{name}/", "blake3", [("x", key, b"1", None)], since_ns=later())
        assert "x" in cache.recall(f"/{name}/", "blake3")


def test_a_damaged_or_foreign_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(Damaged):
        DigestCache(tmp_path / "cache")
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        other.execute("INSERT INTO meta VALUES ('application', 'log')")
    other.close()
    with pytest.raises(Damaged, match="is a log file"):
        DigestCache(tmp_path / "other")
