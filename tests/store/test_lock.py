import signal
import subprocess
import sys
from pathlib import Path

import pytest

from usufruct.errors import BadInput, HomeBusy
from usufruct.store import HomeLock

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom usufruct.store import HomeLock\n"
    "lock = HomeLock(Path(sys.argv[1])).acquire()\nprint('held', flush=True)\ntime.sleep(60)\n"
)


def test_one_process_at_a_time_and_death_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(HomeBusy, match=str(child.pid)):
            HomeLock(path).acquire()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]
    with HomeLock(path):
        pass


def test_release_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = HomeLock(path).acquire()
    with pytest.raises(HomeBusy):
        HomeLock(path).acquire()
    first.release()
    first.release()
    with HomeLock(path):
        pass


def test_a_place_that_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        HomeLock(tmp_path / "missing" / "lock").acquire()
