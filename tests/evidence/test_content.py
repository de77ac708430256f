"""Content roots: against the encoding written down again here, and against hostile manifests."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usufruct.crypto import canonical
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.evidence.content import (
    CHUNK,
    FileEntry,
    FileSalts,
    Manifest,
    check_paths,
    chunk_count,
    file_seeds,
    row_leaf,
    row_leaves,
)
from usufruct.evidence.proofs import FileProof, RowProof, prove_file, prove_row

ROOT = bytes(range(32))
ROWS = [["63", "1", "a,b"], ["", "é"], [], ["x"] * 5]


def h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def tree(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there."""
    if not hashes:
        return h(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return h(b"\1" + tree(hashes[:k]) + tree(hashes[k:]))


def manifest(count: int = 3, rows: list[list[str]] | None = None) -> Manifest:
    names = sorted([f"d/{n}.bin" for n in range(count - 1)] + ["t.csv"])
    seeds = list(file_seeds(ROOT, count))
    files = []
    for name, seed in zip(names, seeds, strict=True):
        if name == "t.csv":
            leaves, number = row_leaves(ROWS if rows is None else rows, FileSalts.of(seed))
            files.append(FileEntry(name, "table", 9, "sha256", h(b"t"), leaves, number))
        else:
            size = CHUNK * 2 + 1
            files.append(
                FileEntry(name, "file", size, "sha256", b"".join(map(h, [b"1", b"2", b"3"])))
            )
    return Manifest("sha256", CHUNK, ROOT, tuple(files))


def test_root_equals_the_written_encoding() -> None:
    m = manifest()
    leaves = []
    for entry, seed in zip(m.files, file_seeds(ROOT, 3), strict=True):
        both = hashlib.sha512(b"usufruct/salts/v1\0" + seed).digest()
        digests = [entry.chunk_digests[i : i + 32] for i in range(0, len(entry.chunk_digests), 32)]
        chunks = h(b"usufruct/chunks/v1\0" + both[16:32] + tree([h(b"\0" + d) for d in digests]))
        row_root = bytes(32)
        if entry.row_leaves is not None:
            salts = FileSalts.of(seed).row_salts(0, 4)
            row_root = tree(
                [
                    h(
                        b"\0usufruct/row/v1\0"
                        + salt
                        + struct.pack(">I", len(row))
                        + b"".join(lp(f.encode()) for f in row)
                    )
                    for row, salt in zip(ROWS, salts, strict=True)
                ]
            )
        leaf = b"usufruct/file/v1\0" + lp(entry.path.encode()) + lp(entry.kind.encode())
        leaf += struct.pack(">Q", entry.size) + lp(b"sha256") + chunks
        leaf += struct.pack(">Q", entry.row_count) + row_root + both[:16]
        leaves.append(h(b"\0" + leaf))
    assert m.content_root == tree(leaves)
    assert len(set(leaves)) == 3


def test_format_is_pinned() -> None:
    # version 1 must never change: a change of this value needs a new format
    assert manifest().content_root.hex() == PINNED


PINNED = "3f25471df96d795699bcc66903f871b623258a55112962b19fbe76e8e86f453b"


def test_roundtrip_and_totals() -> None:
    m = manifest(9)
    assert Manifest.from_bytes(m.to_bytes()) == m
    assert (m.rows, m.size) == (4, 8 * (2 * CHUNK + 1) + 9)
    assert m.index("t.csv") == 8
    with pytest.raises(NotFound):
        m.index("t.cs")
    assert ROOT.hex() not in repr(m)


def test_one_salt_and_one_row_salt_alone() -> None:
    m = manifest()
    assert m.salts(2) == FileSalts.of(list(file_seeds(ROOT, 3))[2])
    assert list(m.salts(2).row_salts(0, 4))[3] == m.salts(2).row_salt(3)


@pytest.mark.parametrize(
    "paths",
    [
        ["/a"], [""], ["a//b"], ["a/"], ["."], [".."], ["a/.."], ["../a"], ["a/./b"], ["a\0b"],
        ["\ud800"], ["b", "a"], ["a", "a"], ["a", "a/b"], ["a", "a.b", "a/b/c"], ["x" * 4097],
        ["é" * 2049],
    ],
)  # fmt: skip
def test_bad_paths(paths: list[str]) -> None:
    with pytest.raises(BadInput):
        check_paths(paths)


@pytest.mark.parametrize(
    "paths", [["a"], [".a", "a..b", "b/..c/d", "ü/é", "…"], ["a", "a.b/c", "ab"], ["é" * 2048]]
)
def test_good_paths(paths: list[str]) -> None:
    check_paths(paths)


@given(st.lists(st.text(), unique=True))
def test_string_order_is_byte_order(texts: list[str]) -> None:
    plain = [t for t in texts if not any("\ud800" <= c <= "\udfff" for c in t)]
    assert sorted(plain) == sorted(plain, key=str.encode)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "usufruct/manifest/v2"}, {"algorithm": "md5"}, {"algorithm": 5}, {"extra": 1},
        {"chunk_size": 1}, {"chunk_size": True}, {"salt_root": "00"}, {"salt_root": "0" * 63 + "A"},
        {"paths": []}, {"paths": "abc"}, {"paths": [1, 2, 3]}, {"sizes": [1, 2]},
        {"sizes": [1, 2, True]}, {"sizes": [-1, 1, 1]}, {"sizes": ["1", 1, 1]},
        {"sizes": [2**52, 2**52, 1]}, {"chunks": ""}, {"chunks": 5}, {"chunks": "AAAA"},
        {"tables": {}}, {"tables": [5]}, {"tables": [{"file": 3, "leaves": ""}]},
        {"tables": [{"file": 1, "leaves": "AA=="}]}, {"tables": [{"file": True, "leaves": ""}]},
        {"tables": [{"file": 1, "leaves": ""}] * 2}, {"tables": [{"file": -1, "leaves": ""}]},
    ],
)  # fmt: skip
def test_hostile_manifests(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Manifest.from_bytes(canonical.dumps(manifest().to_dict() | change))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"format":"usufruct/manifest/v1"}'])
def test_not_a_manifest(data: bytes) -> None:
    with pytest.raises(BadInput):
        Manifest.from_bytes(data)


def test_entries_must_fit() -> None:
    with pytest.raises(BadInput):
        FileEntry("a", "file", 1, "sha256", b"")
    with pytest.raises(BadInput):
        FileEntry("a", "table", 0, "sha256", b"")
    with pytest.raises(BadInput):
        FileEntry("a", "table", 0, "sha256", b"", bytes(32), 2)
    with pytest.raises(BadInput):
        FileEntry("a", "file", 0, "sha256", b"", b"", 0)
    assert chunk_count(0) == 0
    assert chunk_count(CHUNK) == 1
    assert chunk_count(CHUNK + 1) == 2


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_rows_never_collide(one: list[str], other: list[str]) -> None:
    texts = [*one, *other]
    if any("\ud800" <= c <= "\udfff" for text in texts for c in text):
        return
    assert (row_leaf(one, bytes(16)) == row_leaf(other, bytes(16))) == (one == other)


def test_a_row_of_surrogates_is_refused() -> None:
    with pytest.raises(BadInput):
        row_leaf(["\ud800"], bytes(16))


def test_proofs_hold_and_are_small() -> None:
    rows = [[str(n), "1", "145", "233.5", "fbs"] * 3 for n in range(5000)]
    m = manifest(3000, rows)
    root = m.content_root
    one = prove_row(m, "t.csv", 4321, rows[4320])
    one.verify(root)
    assert len(canonical.dumps(one.to_dict())) < 4096
    assert RowProof.from_dict(one.to_dict()) == one
    whole = prove_file(m, "d/7.bin")
    whole.verify(root)
    assert FileProof.from_dict(whole.to_dict()) == whole
    whole.check_chunks(2 * CHUNK + 1, b"".join(map(h, [b"1", b"2", b"3"])))
    for size, digests in ((2 * CHUNK, bytes(64)), (2 * CHUNK + 1, bytes(96)), (0, b"")):
        with pytest.raises(VerificationError) as caught:
            whole.check_chunks(size, digests)
        assert caught.value.mismatches[0].file == "d/7.bin"


def test_row_proof_hides_the_chunk_root() -> None:
    m = manifest()
    shown = str(prove_row(m, "t.csv", 1, ROWS[0]).to_dict())
    assert m.files[2].chunk_root.hex() not in shown
    assert m.salts(2).chunks.hex() not in shown
    assert m.salts(2).rows.hex() not in shown


def test_proving_what_is_not_there() -> None:
    m = manifest()
    for row in (0, 5, -1):
        with pytest.raises(NotFound):
            prove_row(m, "t.csv", row, ["x"])
    with pytest.raises(NotFound):
        prove_row(m, "d/0.bin", 1, ["x"])
    with pytest.raises(VerificationError) as caught:
        prove_row(m, "t.csv", 2, ["", "e"])
    assert (caught.value.mismatches[0].row, caught.value.mismatches[0].file) == (2, "t.csv")


@given(st.data())
def test_no_changed_proof_verifies(data: st.DataObject) -> None:
    m = manifest(6)
    row = data.draw(st.booleans())
    proof = prove_row(m, "t.csv", 2, ROWS[1]) if row else prove_file(m, "d/1.bin")
    value = proof.to_dict()
    where = data.draw(st.sampled_from(["leaf", "top"]))
    target = value["leaf"] if where == "leaf" else value
    key = data.draw(st.sampled_from(sorted(set(target) - {"leaf"})))
    old = target[key]
    target[key] = data.draw(
        st.one_of(
            st.integers(-1, 9), st.text(max_size=3), st.none(), st.lists(st.text(max_size=2)),
            st.just(str(old)[::-1]), st.sampled_from(["file", "table", "blake3", "sha256"]),
        )
    )  # fmt: skip
    if target[key] == old and type(target[key]) is type(old):
        return
    kind = RowProof if row else FileProof
    # a lone proof cannot bind the number of files: the signed statement does (see test_tamper)
    if key == "count":
        return
    with pytest.raises((BadInput, VerificationError)):
        kind.from_dict(value).verify(m.content_root)
