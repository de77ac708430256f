import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from usufruct.errors import BadInput, Damaged, NotFound, Unavailable
from usufruct.store import make_folder, read_bytes, remove, write_atomic


def test_writes_whole_files_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "a"
    for data in (b"", b"one", b"x" * 100_000):
        write_atomic(target, data)
        assert target.read_bytes() == data
        assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="missing/a"):
        write_atomic(tmp_path / "missing" / "a", b"x")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_atomic(target, b"old")
    with pytest.raises(TypeError):
        write_atomic(target, "text")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_killed_writer_leaves_old_or_new_never_a_part(tmp_path: Path) -> None:
    target = tmp_path / "a"
    size = 300_000
    script = (
        "import sys\nfrom pathlib import Path\nfrom usufruct.store import write_atomic\n"
        "n = 0\n"
        "while True:\n"
        f"    write_atomic(Path(sys.argv[1]), bytes([n % 256]) * {size})\n    n += 1\n"
    )
    for seed in range(4):
        child = subprocess.Popen([sys.executable, "-c", script, str(target)])
        deadline = time.monotonic() + 20
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.02 + 0.013 * seed)
        child.send_signal(signal.SIGKILL)
        child.wait()
        data = target.read_bytes()
        assert len(data) == size and len(set(data)) == 1


def test_reading_guards_size_and_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_bytes(tmp_path / "none", limit=10)
    (tmp_path / "big").write_bytes(b"x" * 11)
    with pytest.raises(Damaged, match="larger"):
        read_bytes(tmp_path / "big", limit=10)
    with pytest.raises(BadInput):
        read_bytes(tmp_path, limit=10)


def test_removing_twice_is_fine(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"")
    remove(tmp_path / "a")
    remove(tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(BadInput):
        make_folder(tmp_path / "a")
    with pytest.raises(BadInput):
        make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "c" / "d")
    assert (tmp_path / "c" / "d").stat().st_mode & 0o777 == 0o700
