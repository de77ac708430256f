"""Every kind of damage to the stored files has a name."""

import random
import shutil
import sqlite3

import pytest
from tests.log.conftest import ORIGIN
from tests.log.tilereader import TileReader

from usufruct.crypto.ed25519 import SecretKey
from usufruct.crypto.notes import Checkpoint, sign_checkpoint
from usufruct.errors import Damaged, UsufructError
from usufruct.log import Log


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    folder = tmp_path_factory.mktemp("master") / "log"
    with Log.open(folder, origin=ORIGIN, signer=SecretKey(b"s" * 32)) as log:
        log.append_many([b"envelope %d" % i for i in range(600)])
        log.checkpoint()
        log.append_many([b"envelope %d" % i for i in range(600, 700)])
        log.checkpoint()
        log.append_many([b"later %d" % i for i in range(20)])
    return folder


@pytest.fixture
def folder(master, tmp_path):
    return shutil.copytree(master, tmp_path / "log")


def sql(folder, statement, *values):
    connection = sqlite3.connect(folder / "log.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


def judge(log):
    TileReader(log.static_folder, ORIGIN, log.public_key).check()


def files(folder):
    return sorted(p for p in (folder / "static").rglob("*") if p.is_file())


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone", "folder"])
def test_a_damaged_tile_or_checkpoint_is_named_then_mended(folder, open_log, how):
    names = [p.relative_to(folder / "static") for p in files(folder)]
    # partial tiles of older checkpoints (600) are a courtesy and not looked after

    for name in names:
        path = folder / "static" / name
        if name.parent.name == "002.p" and name.name != str(700 % 256):
            continue
        log = open_log(folder)
        good = path.read_bytes()
        log.check()
        if how == "flip":
            path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        elif how == "cut":
            path.write_bytes(good[:-1])
        elif how == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()
            if how == "folder":
                path.mkdir()
        with pytest.raises(Damaged, match=str(name)):
            log.check()
        log.close()
        if how == "folder" and str(name) == "checkpoint":
            path.rmdir()
        log = open_log(folder)
        assert str(name) in log.repaired
        assert path.read_bytes() == good
        log.check()
        judge(log)
        log.close()


def test_the_whole_static_folder_gone(folder, open_log):
    shutil.rmtree(folder / "static")
    log = open_log(folder)
    assert "checkpoint" in log.repaired
    judge(log)
    log.check()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET envelope = x'00' WHERE idx = 300",
        "UPDATE entries SET salt = x'00' WHERE idx = 300",
        "UPDATE entries SET salt = NULL WHERE idx = 300",
        "UPDATE entries SET envelope = 'text' WHERE idx = 300",
        "UPDATE entries SET entry = zeroblob(32) WHERE idx = 300",
        "UPDATE entries SET entry = x'00' WHERE idx = 300",
        "UPDATE entries SET entry = 5 WHERE idx = 700",
        "DELETE FROM entries WHERE idx = 300",
        "DELETE FROM entries WHERE idx >= 690",
        "DELETE FROM entries WHERE idx >= 400",
        "DELETE FROM entries WHERE idx = 719 - 30",
        "INSERT INTO entries VALUES (100000, zeroblob(32), NULL, NULL)",
        "UPDATE tiles SET root = zeroblob(32) WHERE idx = 1",
        "UPDATE tiles SET root = 'x' WHERE idx = 1",
        "UPDATE tiles SET digest = zeroblob(32) WHERE idx = 1",
        "UPDATE tiles SET bundle = zeroblob(32) WHERE idx = 1",
        "DELETE FROM tiles WHERE idx = 0",
        "DELETE FROM tiles",
        "INSERT INTO tiles VALUES (3, 0, zeroblob(32), zeroblob(32), NULL)",
        "UPDATE published SET root = zeroblob(32)",
        "UPDATE published SET root = zeroblob(32) WHERE size = 600",
        "UPDATE published SET note = zeroblob(32)",
        "UPDATE published SET size = 900 WHERE size = 700",
        "DELETE FROM published WHERE size = 700",
        "DELETE FROM published",
        "DELETE FROM meta WHERE key = 'origin'",
        "UPDATE meta SET value = 'zz' WHERE key = 'public key'",
        "UPDATE meta SET value = 'journal' WHERE key = 'application'",
        "UPDATE meta SET value = '99' WHERE key = 'schema'",
        "UPDATE meta SET value = 'x' WHERE key = 'schema'",
        "DROP TABLE entries",
        "DROP TABLE tiles",
        "DROP TABLE published",
    ],
)
def test_a_changed_database_is_damaged(folder, open_log, statement):
    sql(folder, statement)
    with pytest.raises(Damaged):
        open_log(folder).check()


def test_a_reader_checks_too(folder, open_log):
    open_log(folder, signer=None).check()
    sql(folder, "UPDATE entries SET envelope = x'00' WHERE idx = 300")
    log = open_log(folder, signer=None)
    with pytest.raises(Damaged, match="entry 300"):
        log.check()
    with pytest.raises(Damaged, match="entry 300"):
        log.get(300)
    assert log.get(299).envelope == b"envelope 299"


def test_a_lost_index_of_envelopes(folder, open_log):
    sql(folder, "INSERT OR REPLACE INTO meta VALUES ('indexed', 'many')")
    with pytest.raises(Damaged):
        open_log(folder).find(bytes(32))


@pytest.mark.parametrize("size", [900, 720])
def test_a_checkpoint_beyond_the_database_is_a_rollback(folder, open_log, size):
    head = Checkpoint(ORIGIN, size, b"r" * 32)
    note = sign_checkpoint(head, SecretKey(b"s" * 32), ORIGIN)
    (folder / "static/checkpoint").write_bytes(note)
    with pytest.raises(Damaged, match="does not extend"):
        open_log(folder)


def test_an_older_database_beside_newer_files(folder, open_log, tmp_path):
    older = shutil.copytree(folder, tmp_path / "older")
    with open_log(folder) as log:
        log.checkpoint()
    shutil.copy(older / "log.sqlite", folder / "log.sqlite")
    # all entries are there, but the database does not know that it signed them
    with pytest.raises(Damaged, match="no record"):
        open_log(folder)


def test_a_lost_database(folder, open_log):
    for file in folder.glob("log.sqlite*"):
        file.unlink()
    with pytest.raises(Damaged):
        open_log(folder)


def use(log):
    log.check()
    for entry in log.entries():
        log.find(entry.entry_hash)
        break
    log.append(b"x")
    log.checkpoint()


@pytest.mark.parametrize("cut", [0, 1, 99, 100, 4096, 5000, 40_960, 0.5, 0.9, -1])
def test_a_database_cut_short(folder, open_log, cut):
    path = folder / "log.sqlite"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: int(size * cut) if isinstance(cut, float) else cut])
    with pytest.raises(Damaged):
        use(open_log(folder))


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_in_the_database(folder, open_log, seed):
    path = folder / "log.sqlite"
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 3, 50])):
        data[chance.randrange(0, chance.choice([200, len(data)]))] ^= chance.randrange(1, 256)
    path.write_bytes(data)
    # Unused bytes of a page may hold anything; else it must be one of our errors.
    try:
        use(open_log(folder))
    except UsufructError:
        pass


def test_a_flipped_byte_in_a_stored_envelope(folder, open_log):
    path = folder / "log.sqlite"
    data = path.read_bytes()
    assert data.count(b"envelope 300") == 1
    path.write_bytes(data.replace(b"envelope 300", b"envelopE 300"))
    log = open_log(folder)
    with pytest.raises(Damaged, match="entry 300"):
        log.check()


@pytest.mark.parametrize("full_is_there", [True, False])
def test_a_torn_partial_tile_does_not_hide_the_full_one(folder, open_log, full_is_there):
    log = open_log(folder)
    log.append_many([b"more %d" % i for i in range(100)])
    log.close()
    for kind in ("0", "entries"):
        full = folder / f"static/tile/{kind}/002"
        assert full.is_file()
        if not full_is_there:
            full.unlink()
        torn = folder / f"static/tile/{kind}/002.p/188"
        torn.parent.mkdir()
        torn.write_bytes(bytes(10))
    log = open_log(folder)
    judge(log)
    log.check()
