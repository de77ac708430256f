import hashlib
import random
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.log.conftest import ORIGIN
from tests.log.tilereader import H, TileReader, mth, path, proof

from usufruct.crypto.ed25519 import SecretKey
from usufruct.crypto.merkle import verify_consistency, verify_inclusion
from usufruct.crypto.notes import open_checkpoint
from usufruct.errors import BadInput, Damaged, HomeBusy, NotAllowed, NotFound, Unavailable
from usufruct.log import Log, LogEntry
from usufruct.log.tiles import Tile
from usufruct.log.tree import Edge, consistency, inclusion, range_root


def envelope(i):
    return b"envelope %d" % i


def fill(log, count):
    return log.append_many([envelope(i) for i in range(log.size, log.size + count)])


def judge(log):
    reader = TileReader(log.static_folder, ORIGIN, log.public_key)
    return reader, reader.check()


def test_append_get_find(log):
    entry = log.append(b"one")
    assert (entry.index, len(entry.salt)) == (0, 32)
    assert entry.entry_hash == hashlib.sha256(entry.salt + b"one").digest()
    assert log.get(0) == LogEntry(0, entry.salt, b"one", entry.entry_hash)
    assert log.append(b"two").index == 1
    assert log.append(b"one").index == 2
    assert log.size == 3
    assert [e.envelope for e in log.entries()] == [b"one", b"two", b"one"]
    assert [e.index for e in log.entries(1, 2)] == [1]
    assert log.find(H(b"one")) == 0
    assert log.find(H(b"two")) == 1
    assert log.find(H(b"three")) is None
    log.append(b"three")
    assert log.find(H(b"three")) == 3
    with pytest.raises(NotFound):
        log.get(4)


def test_equal_envelopes_have_unequal_entries(log):
    a, b = log.append_many([b"same", b"same"])
    assert a.entry_hash != b.entry_hash


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 700, 5000])
def test_an_outside_reader_agrees(log, size):
    entries = fill(log, size)
    note = log.checkpoint()
    reader, read = judge(log)
    assert (log.static_folder / "checkpoint").read_bytes() == note
    assert read == [entry.entry_hash for entry in entries]
    assert (reader.size, reader.root) == (log.size, log.root)
    for index in {0, size // 3, size - 1} if size else ():
        assert list(log.inclusion_proof(index)) == path(index, reader.leaves())
    for old in {0, 1, size // 2, size} if size else ():
        wanted = proof(old, reader.leaves()) if old else []
        assert list(log.consistency(old)) == wanted


def test_checkpoints_while_growing(log):
    chance = random.Random(2)
    seen = []
    while log.size < 1500:
        fill(log, chance.randrange(1, 90))
        note = log.checkpoint()
        reader, _ = judge(log)
        assert log.checkpoint() == note
        for size, root in seen[-5:]:
            verify_consistency(size, reader.size, root, reader.root, log.consistency(size))
            assert log.root_at(size) == root
        seen.append((reader.size, reader.root))
        assert log.checkpoint_at_size(reader.size) == note
    assert log.published_sizes() == tuple(size for size, _ in seen)
    with pytest.raises(NotFound):
        log.checkpoint_at_size(log.size + 1)
    partial = [p for p in log.static_folder.rglob("*.p") if int(p.name[:3]) < 1500 // 256]
    assert [p for p in partial if p.parent.name in ("0", "entries")] == []
    log.check()


@given(size=st.integers(1, 1100), data=st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_of_any_tree(size, data):
    entries = [H(b"%d" % i) for i in range(size)]
    leaves = [H(b"\0" + e) for e in entries]
    rows: dict[int, list[bytes]] = {0: leaves}
    level = 0
    while len(rows[level]) >= 256:
        row = rows[level]
        rows[level + 1] = [mth(row[i : i + 256]) for i in range(0, len(row) // 256 * 256, 256)]
        level += 1

    def hashes(level, index, start, stop):
        found = rows[level][index * 256 + start : index * 256 + stop]
        assert len(found) == stop - start
        return found

    new = data.draw(st.integers(1, size))
    index, old = data.draw(st.integers(0, new - 1)), data.draw(st.integers(1, new))
    assert range_root(hashes, 0, new) == mth(leaves[:new])
    assert list(inclusion(hashes, index, new)) == path(index, leaves[:new])
    assert list(consistency(hashes, old, new)) == proof(old, leaves[:new])
    edge, at = Edge(), 0
    while at < size:
        step = data.draw(st.integers(1, 600))
        edge, _ = edge.extended(entries[at : at + step])
        at += step
        assert edge.root() == mth(leaves[:at])


def test_three_levels_of_tiles():
    # 65,536 entries and a few, without a disk
    entries = [i.to_bytes(32, "big") for i in range(65_536 + 300)]
    edge, filled = Edge().extended(entries)
    assert edge.root() == mth([H(b"\0" + e) for e in entries])
    assert [(t.level, t.index) for t in filled if t.level] == [(1, 0)]
    assert len(filled) == 258


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1234067, 3), "tile/1/x001/x234/067.p/3"),
        (Tile(3, 1000), "tile/3/x001/000"),
    ],
)
def test_paths(tile, path):
    assert tile.path == path
    assert tile.bundle_path == path.replace(f"tile/{tile.level}", "tile/entries")


def test_proofs_for_older_sizes_and_bad_arguments(log):
    entries = fill(log, 600)
    for size in (1, 256, 300, 600):
        leaf = H(b"\0" + entries[0].entry_hash)
        verify_inclusion(leaf, 0, size, log.inclusion_proof(0, size), log.root_at(size))
    for call in (
        lambda: log.inclusion_proof(600),
        lambda: log.inclusion_proof(-1),
        lambda: log.inclusion_proof(5, 5),
        lambda: log.inclusion_proof(0, 601),
        lambda: log.consistency(-1),
        lambda: log.consistency(5, 4),
        lambda: log.consistency(5, 601),
        lambda: log.root_at(601),
        lambda: log.find(b"short"),
        lambda: log.append(b""),
        lambda: log.append("text"),
        lambda: log.append(bytes(16 * 1024 * 1024 + 1)),
    ):
        with pytest.raises(BadInput):
            call()
    assert log.size == 600


def test_many_threads(log):
    got: dict[int, bytes] = {}
    notes = []

    def work(number):
        for i in range(40):
            data = b"%d of %d" % (i, number)
            if i % 10 == 9:
                for entry in log.append_many([data] * 5):
                    got[entry.index] = data
                notes.append(log.checkpoint())
            else:
                got[log.append(data).index] = data

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(log.size)) and log.size == 16 * (36 + 20)
    assert {e.index: e.envelope for e in log.entries()} == got
    for note in notes:
        shown = open_checkpoint(note, ORIGIN, log.public_key)
        assert log.root_at(shown.size) == shown.root
    log.checkpoint()
    judge(log)
    log.check()


def test_comes_back_after_closing(open_log):
    log = open_log()
    fill(log, 700)
    note, root = log.checkpoint(), log.root
    fill(log, 100)
    log.close()
    log = open_log()
    assert log.repaired == ()
    assert log.size == 800 and log.root_at(700) == root
    assert (log.static_folder / "checkpoint").read_bytes() == note
    log.check()
    log.checkpoint()
    judge(log)


def test_closed_and_read_only(open_log, tmp_path):
    with pytest.raises(NotFound):
        open_log(signer=None)
    assert not (tmp_path / "log").exists()
    writer = open_log()
    reader = open_log(signer=None)
    with pytest.raises(NotFound):
        reader.checkpoint()
    fill(writer, 300)
    assert reader.size == 300 and reader.root == writer.root
    assert reader.public_key == writer.public_key
    note = writer.checkpoint()
    assert reader.checkpoint() == note
    assert reader.find(H(envelope(7))) == 7
    writer.find(H(envelope(7)))
    writer.append(b"later")
    assert reader.find(H(envelope(7))) == 7
    assert reader.find(H(b"later")) == 300
    assert reader.find(H(b"never")) is None
    reader.check()
    for call in (lambda: reader.append(b"x"), lambda: reader.erase(0)):
        with pytest.raises(NotAllowed):
            call()
    writer.close()
    writer.close()
    with pytest.raises(NotAllowed):
        writer.append(b"x")


def test_one_writer_one_name_one_key(open_log):
    log = open_log()
    with pytest.raises(HomeBusy):
        open_log()
    log.close()
    with pytest.raises(BadInput, match="called"):
        open_log(origin="other")
    with pytest.raises(BadInput, match="another key"):
        open_log(signer=SecretKey(b"t" * 32))
    for name in ("", "a b", "a+b", "a\nb", "x" * 256):
        with pytest.raises(BadInput):
            open_log(origin=name)
    open_log()


def everything(folder: Path):
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("size", [20, 3000, 100_000])
def test_erase(open_log, tmp_path, size):
    log = open_log()
    secrets = [hashlib.shake_256(b"%d" % i).digest(size) for i in range(5)]
    entries = log.append_many(secrets)
    assert log.find(H(secrets[2])) == 2
    note = log.checkpoint()
    log.erase(2)
    log.erase(2)
    assert log.get(2) == LogEntry(2, None, None, entries[2].entry_hash)
    assert log.find(H(secrets[2])) is None
    assert log.find(H(secrets[3])) == 3
    assert log.checkpoint() == note
    judge(log)
    log.check()
    with pytest.raises(NotFound):
        log.erase(5)
    stored = everything(tmp_path / "log")
    assert secrets[1][:20] in stored
    for gone in (secrets[2][:20], secrets[2][-20:], entries[2].salt, H(secrets[2])[:8]):
        assert gone not in stored
    log.close()
    stored = everything(tmp_path / "log")
    assert secrets[2][-20:] not in stored and entries[2].salt not in stored
    open_log().check()


def test_a_failed_commit_is_not_in_the_log(log, monkeypatch):
    fill(log, 10)
    database = log._writer._database
    original = type(database).write

    def failing(self):
        if self is database:
            raise Unavailable("no space left")
        return original(self)

    monkeypatch.setattr(type(database), "write", failing)
    with pytest.raises(Unavailable, match="no space"):
        log.append(b"x")
    monkeypatch.undo()
    assert log.size == 10
    assert log.append(b"x").index == 10
    log.checkpoint()
    judge(log)


def test_tiles_that_could_not_be_written_come_later(log, monkeypatch):
    publisher = type(log._writer._publisher)

    def failing(self, tiles):
        for _ in tiles:
            raise Unavailable("no space left")

    monkeypatch.setattr(publisher, "write_full", failing)
    fill(log, 600)
    monkeypatch.undo()
    log.checkpoint()
    judge(log)


def test_a_foreign_change_is_never_signed(log, tmp_path):
    fill(log, 300)
    log.checkpoint()
    with sqlite3.connect(tmp_path / "log/log.sqlite") as other:
        other.execute("DELETE FROM entries WHERE idx >= 280")
    other.close()
    with pytest.raises(Damaged):
        log.append(b"x")
        log.checkpoint()


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(groups=st.lists(st.integers(0, 400), min_size=1, max_size=6), again=st.booleans())
def test_any_grouping_gives_a_readable_log(signer, tmp_path_factory, groups, again):
    folder = tmp_path_factory.mktemp("log")
    log = Log.open(folder, origin=ORIGIN, signer=signer)
    try:
        for count in groups:
            fill(log, count)
            log.checkpoint()
            if again:
                log.close()
                log = Log.open(folder, origin=ORIGIN, signer=signer)
                assert log.repaired == ()
        _, read = judge(log)
        assert len(read) == sum(groups)
        log.check()
    finally:
        log.close()
