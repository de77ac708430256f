from __future__ import annotations

import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.assets.csv_strategy import csv_tables

from usufruct.assets import hashing, locate
from usufruct.assets.check import check_path
from usufruct.assets.manifest import build_manifest
from usufruct.assets.tables import read_rows
from usufruct.errors import BadInput, NotFound
from usufruct.evidence.content import CHUNK, Manifest

NAME = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=20
).filter(lambda n: n not in (".", "..", ".usufruct") and len(n.encode()) < 80)
TREES = st.dictionaries(
    st.lists(NAME, min_size=1, max_size=3).map("/".join),
    st.binary(max_size=40),
    min_size=1,
    max_size=8,
)


def write_tree(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Write what can be (a name may be a file or a folder, not both); return what was."""
    written = {}
    for name, data in sorted(files.items()):
        if any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in written):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        written[name] = data
    return written


def places(result) -> list[tuple]:
    return [(m.what, m.file, m.chunk, m.row, m.line) for m in result.mismatches]


@settings(deadline=None, max_examples=60)
@given(TREES, st.randoms(use_true_random=False))
def test_random_trees(files: dict[str, bytes], rng: random.Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = write_tree(root, files)
        made = build_manifest(root, rows=False)
        assert {f.path: f.size for f in made.files} == {n: len(d) for n, d in files.items()}
        assert check_path(root, made).ok

        victim = rng.choice(sorted(files))
        path, data = root / victim, files[victim]
        path.unlink()
        assert places(check_path(root, made)) == [("missing", victim, None, None, None)]
        path.write_bytes(data + b"!")
        [found] = check_path(root, made).mismatches
        assert (found.what, found.file, found.chunk) == ("changed", victim, 0)
        if data:
            at = rng.randrange(len(data))
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
            assert places(check_path(root, made)) == [("changed", victim, 0, None, None)]
        path.write_bytes(data)
        added = root / "added by somebody"
        added.write_bytes(b"")
        assert places(check_path(root, made)) == [("added", added.name, None, None, None)]
        added.unlink()
        assert check_path(root, made, mode=("sample", 3)).ok


@settings(deadline=None, max_examples=200)
@given(csv_tables(), st.data())
def test_any_flipped_byte_of_a_table_is_named(table, data: st.DataObject) -> None:
    rows, content, lines = table
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.csv"
        path.write_bytes(content)
        made = build_manifest(path)
        if not content:
            return
        at = data.draw(st.integers(0, len(content) - 1))
        flip = data.draw(st.integers(1, 255))
        path.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
        # the row that the byte stood in, from the untouched file
        line = content.count(b"\n", 0, at) + 1
        row = max(i for i, start in enumerate(lines) if start <= line) + 1
        result = check_path(path, made, party="clinic")
        first = result.mismatches[0]
        assert (first.file, first.chunk, first.party) == ("t.csv", 0, "clinic")
        if first.row is None:
            # line ends, quotes and blank lines can change without any row changing
            changed = path.read_bytes()
            assert [f for f, _ in read_rows([changed], ",")] == rows
        else:
            assert first.row == row
            assert first.line is not None and first.line >= lines[row - 1]
            if first.what == "changed" and content[at] != 10 and content[at] ^ flip != 10:
                assert first.line == lines[row - 1]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=30, unique=True),
    st.data(),
)
def test_rows_dropped_added_and_swapped(values: list[int], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.csv"

        def write(numbers: list[int]) -> None:
            path.write_text("".join(f"{n},x\n" for n in numbers))

        write(values)
        made = build_manifest(path)
        i = data.draw(st.integers(0, len(values) - 1))
        write(values[:i] + values[i + 1 :])
        [found] = check_path(path, made).mismatches
        assert (found.what, found.row, found.line, found.chunk) == ("missing", i + 1, i + 1, 0)
        write([*values[:i], 10**7, *values[i:]])
        [found] = check_path(path, made).mismatches
        assert (found.what, found.row, found.line) == ("added", i + 1, i + 1)
        j = data.draw(st.integers(0, len(values) - 1).filter(lambda n: n != i))
        swapped = list(values)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        write(swapped)
        assert {m.row for m in check_path(path, made).mismatches} == {i + 1, j + 1}


def test_chunk_row_and_line_in_a_large_table(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,note\n" + "".join(f'{i},"two\nlines {i:06d}"\n' for i in range(100_000)))
    made = build_manifest(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"lines 077777")
    content[at + 8] ^= 1
    path.write_bytes(content)
    expected = [("changed", "t.csv", at // CHUNK, 77_779, 2 + 2 * 77_777)]
    assert places(check_path(path, made)) == expected
    monkeypatch.setattr(locate, "_IN_MEMORY", 0)
    assert places(check_path(path, made)) == expected
    path.write_bytes(bytes(content[: content.index(b"5000,")]))
    [found] = check_path(path, made).mismatches
    assert (found.chunk, found.row) == (0, 5002)


def test_a_row_across_two_chunks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1," + b"x" * (2 * CHUNK) + b"\n2,y\n")
    made = build_manifest(path)
    content = bytearray(path.read_bytes())
    content[CHUNK + 7] ^= 1
    path.write_bytes(content)
    assert places(check_path(path, made)) == [("changed", "t.csv", 1, 2, 2)]


def test_plain_files_name_chunks(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    content = bytearray(os.urandom(4 * CHUNK + 9))
    path.write_bytes(content)
    made = build_manifest(tmp_path)
    content[CHUNK] ^= 1
    content[4 * CHUNK + 8] ^= 1
    path.write_bytes(content)
    assert [m.chunk for m in check_path(tmp_path, made).mismatches] == [1, 4]
    path.write_bytes(content[: 2 * CHUNK])
    assert [m.chunk for m in check_path(tmp_path, made).mismatches] == [1]
    path.write_bytes(b"")
    assert [m.chunk for m in check_path(tmp_path, made).mismatches] == [0]


def test_every_chunk_of_a_long_file_is_not_listed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "t.csv").write_text("".join(f"{i},a\n" for i in range(100)))
    made = build_manifest(tmp_path)
    (tmp_path / "t.csv").write_text("".join(f"{i},b\n" for i in range(100)))
    found = check_path(tmp_path, made).mismatches
    assert len(found) == locate.MOST + 1
    assert found[-1].detail == "and 80 more rows"


def test_swapped_files_are_named_with_their_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"second")
    made = build_manifest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    found = check_path(tmp_path, made).mismatches
    assert [(m.file, m.detail) for m in found] == [
        ("a", "it now has the content of 'b'"),
        ("b", "it now has the content of 'a'"),
    ]


def test_empty_files_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b.csv").write_bytes(b"")
    made = build_manifest(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "c").write_bytes(b"")
    (tmp_path / "b.csv").write_bytes(b"1")
    found = {(m.what, m.file) for m in check_path(tmp_path, made).mismatches}
    assert found == {("missing", "a"), ("changed", "b.csv"), ("added", "c")}


def test_line_ends_change_no_row_but_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\r\n1,2\r\n")
    made = build_manifest(path)
    path.write_bytes(b"a,b\n1,2\n")
    [found] = check_path(path, made).mismatches
    assert (found.chunk, found.row) == (0, None)
    assert "only line ends" in found.detail


def test_links_and_pipes_in_place_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "asset"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    (folder / "sub/b").write_bytes(b"1")
    made = build_manifest(folder)
    (folder / "a").rename(tmp_path / "a")
    (folder / "a").symlink_to("../a")
    (folder / "sub").rename(tmp_path / "sub")
    (folder / "sub").symlink_to("../sub")
    found = check_path(folder, made).mismatches
    assert [(m.what, m.file) for m in found] == [("unreadable", "a"), ("unreadable", "sub")]
    assert check_path(folder, made, follow_links=True).ok
    (folder / "a").unlink()
    os.mkfifo(folder / "a")
    assert ("unreadable", "a") in {(m.what, m.file) for m in check_path(folder, made).mismatches}


def test_row_evidence_of_other_rows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    made = build_manifest(path)
    entry = made.files[0]
    assert entry.row_leaves is not None
    forged = replace(entry, row_leaves=entry.row_leaves[:32] + bytes(32) + entry.row_leaves[64:])
    lying = Manifest(made.algorithm, CHUNK, made.salt_root, (forged,))
    [found] = check_path(path, lying).mismatches
    assert (found.what, found.row) == ("changed", 2)
    short = replace(entry, row_leaves=entry.row_leaves[:64], row_count=2)
    [found] = check_path(path, Manifest(made.algorithm, CHUNK, made.salt_root, (short,))).mismatches
    assert found.row == 3
    path.write_bytes(b"a,b\n1\n")
    plain = build_manifest(path, rows=False).files[0]
    ragged = replace(plain, kind="table", row_leaves=bytes(64), row_count=2)
    [found] = check_path(path, Manifest("blake3", CHUNK, bytes(32), (ragged,))).mismatches
    assert found.line == 2


def test_a_renamed_file_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2\n")
    made = build_manifest(tmp_path / "a.csv")
    (tmp_path / "a.csv").rename(tmp_path / "copy.txt")
    result = check_path(tmp_path / "copy.txt", made)
    assert result.ok
    assert result.notes == ("published as 'a.csv', named 'copy.txt' here",)


def test_an_emptied_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    made = build_manifest(tmp_path)
    (tmp_path / "a").unlink()
    assert places(check_path(tmp_path, made)) == [("missing", "a", None, None, None)]
    with pytest.raises(NotFound):
        check_path(tmp_path / "a", made)


def test_samples(tmp_path: Path) -> None:
    content = bytearray(os.urandom(8 * CHUNK + 3))
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "zero").write_bytes(b"")
    made = build_manifest(tmp_path)
    result = check_path(tmp_path, made, mode=("sample", 4))
    assert (result.ok, result.chunks_read, result.chunks) == (True, 4, 10)
    assert result.bytes_read <= 4 * CHUNK
    assert "4 of 10 chunks" in result.detail
    content[5 * CHUNK] ^= 1
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,3\n")
    assert places(check_path(tmp_path, made, mode=("sample", 100))) == [
        ("changed", "big", 5, None, None),
        ("changed", "t.csv", 0, 2, 2),
    ]
    # a size is seen whichever chunks are drawn
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n5,6\n")
    found = check_path(tmp_path, made, mode=("sample", 1)).mismatches
    assert ("added", "t.csv", 3) in [(m.what, m.file, m.row) for m in found]
    for bad in (("sample", 0), ("sample", True), "quick", ("sample",)):
        with pytest.raises(BadInput):
            check_path(tmp_path, made, mode=bad)  # type: ignore[arg-type]


def test_a_file_that_changes_during_the_check(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(b"1")
    made = build_manifest(tmp_path)
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        os.utime(tmp_path / "a", ns=(1, found.st_mtime_ns + 1))
        return found

    monkeypatch.setattr(hashing.os, "fstat", fstat)
    [found] = check_path(tmp_path, made).mismatches
    assert (found.what, found.file) == ("unreadable", "a")
    assert "changed while" in found.detail
