import pytest

from usufruct.crypto.ed25519 import SecretKey
from usufruct.log import Log

ORIGIN = "usufruct.test/log"


@pytest.fixture
def signer():
    return SecretKey(b"s" * 32)


@pytest.fixture
def open_log(tmp_path, signer):
    opened = []

    def opener(folder=None, **more):
        more = {"origin": ORIGIN, "signer": signer, "clock": lambda: 1_800_000_000, **more}
        log = Log.open(folder or tmp_path / "log", **more)
        opened.append(log)
        return log

    yield opener
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log):
    return open_log()
