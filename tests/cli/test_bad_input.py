"""Bad input: a clear error with a hint, the right exit code, nothing half-written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from tests.workspace.homes import ROWS, Command, environment, real, snapshot, spawn

from usufruct.store import HomeLock


def loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)


def dangling(folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def not_utf8(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9")).write_bytes(b"x")


def ragged(folder: Path) -> None:
    (folder / "t.csv").write_text("a,b\n1,2\n1,2,3\n")


def latin(folder: Path) -> None:
    (folder / "t.csv").write_bytes(b"a,b\n1,\xe9\n")


def quoted(folder: Path) -> None:
    (folder / "t.csv").write_text('a,b\n1,"open\n')


def nothing(folder: Path) -> None:
    (folder / "one.txt").unlink()


@pytest.mark.parametrize(
    ("spoil", "about"),
    [
        (loop, "loop"),
        (dangling, "gone"),
        (pipe, "pipe"),
        (not_utf8, "UTF-8"),
        (ragged, "line 3"),
        (latin, "line 2"),
        (quoted, "line"),
        (nothing, "no file"),
    ],
)
def test_a_folder_that_cannot_be_published(
    usufruct: Command, tmp_path: Path, home: Path, spoil, about: str
):
    data = tmp_path / "data"
    (data / "one.txt").write_text("one")
    usufruct.ok("log", "status")
    spoil(data)
    before = snapshot(home), sorted(data.iterdir())
    error = usufruct.fails(2, "publish", data, "--title", "bad")
    assert about in error["message"] and error["hint"]
    after = snapshot(home)
    for made in ("records.sqlite", "assets.sqlite"):
        after.pop(made, None), before[0].pop(made, None)
    assert (after, sorted(data.iterdir())) == before
    assert usufruct.ok("asset", "list") == {"assets": []}
    assert usufruct.ok("log", "status")["size"] == 1


def test_missing_and_strange_paths(usufruct: Command, tmp_path: Path):
    usufruct.fails(2, "publish", "nowhere", "--title", "x")
    usufruct.fails(2, "publish", "", "--title", "x")
    usufruct.fails(2, "publish", "/dev/null", "--title", "x")
    usufruct.fails(2, "publish", "x" * 300, "--title", "x")
    usufruct.fails(2, "verify", "x" * 300)
    usufruct.fails(2, "verify", "ü" * 200)
    usufruct.fails(2, "verify", "")
    usufruct.fails(2, "verify", "nowhere")
    usufruct.fails(2, "verify", tmp_path / "data" / "no" / "folder")
    for title in ("", " ", "x" * 201, "a\nb", "a\x1b[31mb", "a\u202eb"):
        (tmp_path / "f").write_text("f")
        error = usufruct.fails(2, "publish", "f", "--title", title)
        assert title == "" or "title" in error["message"]


def test_empty_file_and_strange_names(usufruct: Command, tmp_path: Path):
    for name in ("empty", "größe 💚.csv", "a\nb", "[red]x[bold]", "-dash", "a\x1b[31mred"):
        path = tmp_path / "data" / name
        path.write_bytes(b"")
        usufruct.ok("publish", path, "--title", f"file {path.stat().st_ino}")
        assert usufruct("verify", path).code == 0
        path.write_bytes(b"x")
        error = usufruct.fails(1, "verify", path)
        assert error["mismatches"][0]["file"] == name


def test_the_home_itself_is_not_published(usufruct: Command, tmp_path: Path, home: Path):
    for path in (tmp_path, home):
        error = usufruct.fails(2, "publish", path, "--title", "all")
        assert "holds this home" in error["message"]


def test_a_file_that_changes_while_it_is_read(usufruct: Command, tmp_path: Path):
    path = tmp_path / "growing"
    with path.open("wb") as file:
        file.truncate(256 << 20)
    stop = threading.Event()

    def grow() -> None:
        with path.open("r+b", buffering=0) as file:
            while not stop.wait(0.001):
                os.pwrite(file.fileno(), os.urandom(8), 100 << 20)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        error = usufruct.fails(2, "publish", path, "--title", "growing")
    finally:
        stop.set()
        writer.join()
    assert "chang" in error["message"]
    os.truncate(path, 10)
    usufruct.ok("publish", path, "--title", "growing")


def test_passphrases(usufruct: Command, table: Path, tmp_path: Path, monkeypatch, home: Path):
    before = snapshot(home)
    monkeypatch.setenv("USUFRUCT_PASSPHRASE", "wrong")
    error = usufruct.fails(2, "publish", table, "--title", "x")
    assert error["error"] == "WrongPassphrase" and "wrong" not in error["message"].split()
    usufruct.fails(2, "id", "export")
    monkeypatch.setenv("USUFRUCT_PASSPHRASE", "")
    usufruct.fails(2, "id", "export")
    monkeypatch.delenv("USUFRUCT_PASSPHRASE")
    assert "terminal" in usufruct.fails(2, "id", "export")["message"]
    usufruct.fails(2, "id", "export", "--passphrase-file", tmp_path / "none")
    usufruct.fails(2, "id", "export", "--passphrase-file", tmp_path)
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    usufruct.fails(2, "id", "export", "--passphrase-file", tmp_path / "key")
    (tmp_path / "key").write_text("correct horse\r\nsecond line")
    usufruct.ok("id", "export", "--passphrase-file", tmp_path / "key")
    assert {k: v for k, v in snapshot(home).items() if k in before} == before


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("home.json", {3}),
        ("keys/Ann.json", {3}),
        ("log.sqlite", {3}),
        ("assets.sqlite", {3}),
        ("records.sqlite", {3}),
        ("cache.sqlite", {0}),
    ],
)
def test_damage(usufruct: Command, table: Path, home: Path, name: str, codes: set[int]):
    usufruct.ok("publish", table, "--title", "people")
    usufruct.ok("verify", "people")
    (path,) = home.rglob(name.split("/")[-1])
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    whole = path.read_bytes()
    spoilt = [b"", b"\0" * len(whole), b"nonsense", whole[: len(whole) // 2]]
    spoilt += [whole[:at] + b"\xff\xfe\xfd" + whole[at + 3 :] for at in (0, 20, len(whole) // 2)]
    for data in spoilt[1:] if name.endswith("sqlite") else spoilt:
        path.write_bytes(data)
        for command in ("publish", "verify"):
            if name == "keys/Ann.json" and command == "verify":
                continue
            title = f"again {len(list(home.iterdir()))} {spoilt.index(data)}"
            arguments = [table, "--title", title] if command == "publish" else ["people"]
            ran = usufruct(command, *arguments, "--json")
            if data in spoilt[:4]:
                assert ran.code in codes, (command, data[:40], ran)
            assert ran.code in codes | {0, 2, 1} and "should not happen" not in ran.out, ran
            if ran.code == 3:
                assert ran.json["error"] in ("Damaged", "Unavailable")
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.write_bytes(data)
    path.write_bytes(whole)
    usufruct.ok("verify", table)


@pytest.mark.parametrize("name", ["assets.sqlite", "records.sqlite"])
def test_another_kind_of_database(usufruct: Command, table: Path, home: Path, name: str):
    usufruct.ok("publish", table, "--title", "people")
    (home / name).unlink()
    with contextlib.closing(sqlite3.connect(home / name)) as other:
        other.execute("CREATE TABLE work (other)")
        other.execute("CREATE TABLE assets (other)")
    assert usufruct.fails(3, "asset", "list")["error"] == "Damaged"


def test_damaged_documents_in_the_records(usufruct: Command, table: Path, home: Path):
    usufruct.ok("publish", table, "--title", "people")
    with contextlib.closing(sqlite3.connect(home / "records.sqlite")) as records:
        records.execute("INSERT INTO work (kind, document) VALUES ('version', 'nonsense')")
        records.execute("INSERT INTO bundles (digest, document) VALUES ('x', 'nonsense')")
        records.commit()
    assert usufruct.fails(3, "publish", table, "--title", "y")["error"] == "Damaged"
    assert usufruct.fails(3, "asset", "list")["error"] == "Damaged"


def test_damaged_evidence(usufruct: Command, table: Path):
    made = usufruct.ok("publish", table, "--title", "people")
    path = Path(made["evidence"])
    whole = path.read_bytes()
    for data in (b"", b"{}", whole[:-1], whole[:500], whole.replace(b"people", b"peeple", 1)):
        path.write_bytes(data)
        error = usufruct.fails(1, "verify", table)
        assert error["error"] == "VerificationError"
    for at in range(0, len(whole), len(whole) // 12):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert usufruct("verify", table).code == 1
        path.rename("bundle.json")
        assert usufruct("verify", "bundle.json").code in (1, 2)
        Path("bundle.json").unlink()
    path.write_bytes(whole)
    usufruct.ok("verify", table)


def test_a_home_in_use(usufruct: Command, table: Path, home: Path):
    usufruct.ok("publish", table, "--title", "people")
    with HomeLock(home / "lock"):
        error = usufruct.fails(3, "publish", table, "--title", "other")
        assert error["error"] == "HomeBusy" and str(os.getpid()) in error["message"]
        usufruct.fails(3, "asset", "retire", "people")
        usufruct.fails(3, "id", "new", "Other")
        usufruct.ok("asset", "list")
        usufruct.ok("verify", "people")
        usufruct.ok("log", "show")
    usufruct.ok("publish", table, "--title", "other")


def test_two_that_make_one_home(usufruct: Command, tmp_path: Path):
    new = tmp_path / "new"
    new.mkdir()
    with HomeLock(new / "being-made"):
        assert "process" in usufruct.fails(3, "init", "--name", "A", "--home", new)["message"]
    # the lock's file is what a killed attempt leaves: the next one goes on
    (new / "keys").mkdir()
    (new / "keys" / "Old.json").write_text("left")
    usufruct.ok("init", "--name", "A", "--home", new)
    assert [path.name for path in (new / "keys").iterdir()] == ["A.json"]


@pytest.mark.parametrize("what", ["file", "other", "keys"])
def test_places_that_are_no_home(usufruct: Command, tmp_path: Path, what: str):
    new = tmp_path / "new"
    if what == "file":
        new.write_text("x")
    else:
        new.mkdir()
        (new / what).mkdir()
        (new / what / "Ann.json").write_text("precious")
    before = snapshot(new) if new.is_dir() else None
    usufruct.fails(2, "init", "--name", "A", "--home", new)
    assert before is None or snapshot(new) == before
    usufruct.fails(2, "init", "--name", "a/b", "--home", tmp_path / "bad")
    usufruct.fails(2, "init", "--name", "\x1b[31m", "--home", tmp_path / "bad")
    usufruct.fails(2, "init", "--name", "x", "--network", "none.json", "--home", tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_the_reader_goes_away(usufruct: Command, tmp_path: Path, home: Path):
    for number in range(8):
        (tmp_path / "data" / f"{number}").write_text("x")
    usufruct.ok("publish", "data", "--title", "x")
    for command in (["log", "show"], ["log", "show", "--json"], ["--help"]):
        child = spawn(*command, home=home)
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.wait(30) == 0
        assert child.stderr.read() == ""
        child.stderr.close()


def test_output_that_is_full_or_closed(home: Path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = "exec {} -m usufruct {} {}"
    import subprocess
    import sys

    for arguments, redirect, code in (
        ("log show --json", ">/dev/full", 3),
        ("log show", ">/dev/full", 3),
        ("log show", ">&-", 0),
        ("log show --json", ">&- 2>&-", 0),
        ("nonsense", "2>&-", 2),
    ):
        done = subprocess.run(
            ["sh", "-c", command.format(sys.executable, arguments, redirect)],
            env=environment(home),
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, (arguments, redirect, done)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_a_terminal_that_knows_no_unicode(home: Path, tmp_path: Path):
    (tmp_path / "größe 💚").write_text("x")
    latin = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    made = real("publish", "größe 💚", home=home, cwd=tmp_path, **latin)
    assert made.code == 0 and "gr??e" in made.out
    shown = real("asset", "list", "--json", home=home, **latin)
    assert shown.json["assets"][0]["title"] == "größe 💚" and shown.out.isascii()
    assert real("asset", "list", home=home, **latin).code == 0
    assert real("setup", "--no-engine", home=home, **latin).code == 0


def test_a_folder_that_was_deleted(home: Path, tmp_path: Path, table: Path):
    import subprocess
    import sys

    gone = tmp_path / "gone"
    for arguments, codes in (
        (f"publish {table} --title x", {0}),
        (f"verify {table}", {0}),
        ("log show", {0}),
        ("publish nowhere", {2, 3}),
        ("init --name A --home new --json", {2, 3}),
        ("prove x -o out.json", {2, 3}),
    ):
        gone.mkdir()
        done = subprocess.run(
            ["sh", "-c", f"cd {gone} && rmdir {gone} && {sys.executable} -m usufruct {arguments}"],
            env=environment(home),
            capture_output=True,
            text=True,
        )
        assert done.returncode in codes and "Traceback" not in done.stderr, done
        assert "should not happen" not in done.stderr + done.stdout, done


def test_a_home_that_cannot_be_written(home: Path, tmp_path: Path, table: Path, usufruct: Command):
    usufruct.ok("publish", table, "--title", "people")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root writes everywhere")
    import subprocess
    import sys

    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    prefix = prefix if os.geteuid() == 0 else []
    for path in (tmp_path, *tmp_path.rglob("*"), *tmp_path.parents):
        with contextlib.suppress(OSError):
            if path.is_dir() and str(path).startswith("/tmp"):
                path.chmod(0o555 if path == home or home in path.parents else 0o755)
            elif path.is_file():
                path.chmod(0o444)
    try:
        for arguments in (
            ["asset", "list"],
            ["log", "status"],
            ["log", "show"],
            ["verify", "people"],
            ["publish", str(table), "--title", "y"],
            ["id", "new", "Z"],
            ["init", "--name", "A", "--home", str(home / "inner")],
        ):
            done = subprocess.run(
                [*prefix, sys.executable, "-m", "usufruct", *arguments, "--json"],
                env=environment(home) | {"PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
            )
            if "No module named" in done.stderr or "Permission denied: '/" in done.stderr:
                pytest.skip("this interpreter is not for everybody")
            assert done.returncode in (2, 3) and "Traceback" not in done.stderr, done
            assert "should not happen" not in done.stdout
            assert ROWS not in done.stdout
    finally:
        for path in (home, *home.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)


def test_a_full_disk(usufruct: Command, table: Path, monkeypatch: pytest.MonkeyPatch, home: Path):
    import errno

    usufruct.ok("publish", table, "--title", "people")
    before = usufruct.ok("log", "status")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        usufruct.fails(3, "id", "new", "Other")
        usufruct.fails(3, "prove", "people", "-o", "p.json")
        usufruct.fails(3, "publish", table, "--title", "other")
        usufruct.fails(3, "init", "--name", "X", "--home", "new")
    assert not Path("p.json").exists() and not Path("new").exists()
    usufruct.ok("id", "new", "Other")
    ran = usufruct("publish", table, "--title", "other", "--json")
    assert ran.code in (0, 2)
    usufruct.ok("verify", "other")
    assert usufruct.ok("log", "status")["size"] == before["size"] + 1
