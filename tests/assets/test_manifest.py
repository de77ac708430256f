from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import blake3
import pytest

from usufruct.assets import hashing
from usufruct.assets import manifest as manifest_module
from usufruct.assets.manifest import build_manifest, read_row
from usufruct.errors import BadInput, NotFound
from usufruct.evidence.content import CHUNK, FileSalts, Manifest, file_seeds, row_leaf, row_leaves
from usufruct.ports import Silent

ROOT = bytes(range(32))


def test_a_folder(tmp_path: Path) -> None:
    big = os.urandom(2 * CHUNK + 5)
    for name, data in {"z": b"", "ä/日": b"x", "big": big, "t.csv": b"a,b\n1,2\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    made = build_manifest(tmp_path, salt_root=ROOT)
    assert [f.path for f in made.files] == ["big", "t.csv", "z", "ä/日"]
    first, table, empty, _ = made.files
    chunks = [big[i : i + CHUNK] for i in range(0, len(big), CHUNK)]
    assert first.chunk_digests == b"".join(blake3.blake3(c).digest() for c in chunks)
    assert (table.kind, table.row_count) == ("table", 2)
    salts = FileSalts.of(list(file_seeds(ROOT, 4))[1])
    assert table.row_leaves == row_leaves([["a", "b"], ["1", "2"]], salts)[0]
    assert (empty.size, empty.chunk_digests, empty.kind) == (0, b"", "file")
    assert Manifest.from_bytes(made.to_bytes()) == made
    assert build_manifest(tmp_path, salt_root=ROOT).content_root == made.content_root
    assert build_manifest(tmp_path).content_root != made.content_root


def test_sha256_and_no_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"ragged\n1,2\n")
    made = build_manifest(tmp_path / "t.csv", algorithm="sha256", rows=False)
    assert made.files[0].chunk_digests == hashlib.sha256(b"ragged\n1,2\n").digest()
    assert (made.files[0].kind, made.rows) == ("file", 0)
    with pytest.raises(BadInput, match="no hash algorithm"):
        build_manifest(tmp_path, algorithm="md5")


@pytest.mark.parametrize(("data", "line"), [(b"a,b\n1\n", 2), (b"a,b\n1,2\n\xe9,2\n", 3)])
def test_a_broken_table_is_refused_with_file_and_line(
    tmp_path: Path, data: bytes, line: int
) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(BadInput, match=rf"t\.csv, line {line}: "):
        build_manifest(tmp_path)
    (tmp_path / "t.csv").rename(tmp_path / "t.data")
    assert build_manifest(tmp_path).files[0].kind == "file"


def test_a_data_file_may_be_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.data").write_bytes(b"63.0,1.0,?\n1,2,3\n")
    assert build_manifest(tmp_path).rows == 2


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 100, 5000])
def test_row_salts_are_those_of_the_key_tree(count: int) -> None:
    salts = FileSalts.of(ROOT)
    rows = [[str(i)] for i in range(count)]
    assert manifest_module.rows_to_leaves(iter(rows), salts) == row_leaves(rows, salts)[0]
    last = row_leaf(rows[-1], salts.row_salt(count - 1))
    assert manifest_module.rows_to_leaves(iter(rows), salts)[-32:] == last


@pytest.mark.parametrize("size", [10, 200_000, 3 * CHUNK])
def test_a_file_that_changes_while_it_is_hashed(tmp_path: Path, size: int, monkeypatch) -> None:
    path = tmp_path / "busy"
    path.write_bytes(b"x" * size)
    real = os.fstat
    calls = []

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        calls.append(descriptor)
        if len(calls) == 1:
            with path.open("r+b") as file:
                file.write(b"y")
            os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(hashing.os, "fstat", fstat)
    with pytest.raises(BadInput, match="busy changed while it was read"):
        build_manifest(path)


@pytest.mark.parametrize("grow", [True, False])
def test_a_file_whose_size_changes_while_it_is_hashed(tmp_path: Path, grow: bool) -> None:
    path = tmp_path / "busy.csv"
    path.write_bytes(b"1,2\n" * (4 * CHUNK))
    stop = threading.Event()

    def disturb() -> None:
        size = 16 * CHUNK
        while not stop.is_set():
            size += 4 if grow else -4
            os.truncate(path, size)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        with pytest.raises(BadInput, match=r"busy\.csv changed while it was read"):
            build_manifest(path)
    finally:
        stop.set()
        thread.join()


def test_a_table_that_changes_between_hashing_and_its_rows(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2\n")
    real = manifest_module.open_file

    def change(full: str, *, follow_links: bool) -> int:
        path.write_bytes(b"a,b\n1\n")
        return real(full, follow_links=follow_links)

    monkeypatch.setattr(manifest_module, "open_file", change)
    with pytest.raises(BadInput, match="changed while it was read"):
        build_manifest(path)


def test_a_file_that_turns_into_something_else(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "f").write_bytes(b"1")
    real = manifest_module.list_files

    def swapped(*args, **kwargs):
        tree = real(*args, **kwargs)
        (tmp_path / "f").unlink()
        make()
        return tree

    monkeypatch.setattr(manifest_module, "list_files", swapped)
    make = lambda: os.mkfifo(tmp_path / "f")  # noqa: E731
    with pytest.raises(BadInput, match="no regular file"):
        build_manifest(tmp_path)
    (tmp_path / "f").unlink()
    (tmp_path / "f").write_bytes(b"1")
    make = lambda: (tmp_path / "f").symlink_to("/etc/hostname")  # noqa: E731
    with pytest.raises(BadInput, match="cannot read"):
        build_manifest(tmp_path)
    (tmp_path / "f").unlink()
    (tmp_path / "f").write_bytes(b"1")
    make = lambda: None  # noqa: E731
    with pytest.raises(BadInput, match="f: No such file"):
        build_manifest(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "secret").write_bytes(b"1")

    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hashing.os, "open", refuse)
    with pytest.raises(BadInput, match=r"secret: Permission denied") as caught:
        build_manifest(tmp_path)
    assert caught.value.hint == "check its permissions"


def test_progress_adds_up(tmp_path: Path) -> None:
    class Counting(Silent):
        total = done = 0

        def task(self, label, total=None, unit="B"):
            self.total = total
            return super().task(label) if False else _Task(self)

    class _Task:
        def __init__(self, owner):
            self.owner = owner

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def advance(self, amount):
            self.owner.done += amount

    for i in range(300):
        (tmp_path / str(i)).write_bytes(b"x")
    shown = Counting()
    build_manifest(tmp_path, progress=shown)
    assert shown.done == shown.total == 300
    (tmp_path / "big").write_bytes(bytes(3 * CHUNK + 1))
    build_manifest(tmp_path / "big", progress=shown)
    assert shown.total == 3 * CHUNK + 1


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        build_manifest(tmp_path / "no")


def test_one_row_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b'a\tb\n"1\n2"\t3\n4\t5\n6\n')
    for path in (tmp_path, tmp_path / "t.tsv"):
        assert read_row(path, "t.tsv", 3) == (["4", "5"], 4)
        assert read_row(path, "t.tsv", 1) == (["a", "b"], 1)
        with pytest.raises(BadInput, match=r"t\.tsv, line 5"):
            read_row(path, "t.tsv", 4)
        with pytest.raises(NotFound):
            read_row(path, "t.tsv", 0)
    with pytest.raises(NotFound):
        read_row(tmp_path, "u.tsv", 1)
    (tmp_path / "e.csv").write_bytes(b"")
    with pytest.raises(NotFound, match="no row 1"):
        read_row(tmp_path, "e.csv", 1)
