from __future__ import annotations

import subprocess
import sys

import pytest

import usufruct.learn as learn


def test_every_public_name_is_there():
    for name in learn.__all__:
        assert getattr(learn, name) is not None
    assert set(learn._HOME) == set(learn.__all__)
    with pytest.raises(AttributeError):
        _ = learn.nothing


def run(code: str) -> str:
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


def test_import_is_light_and_needs_no_ledger_and_no_node():
    assert run("import sys, usufruct.learn; print('numpy' in sys.modules)") == "False"
    code = (
        "import sys\n"
        "from usufruct.learn import Federation, LocalParty, Plan, LogisticModel\n"
        "bad = ('httpx', 'eth_account', 'usufruct.ledger', 'usufruct.log', 'sklearn')\n"
        "print([m for m in bad if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_without_numpy_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import usufruct.learn\n"
        "from usufruct.errors import MissingExtra\n"
        "try:\n    usufruct.learn.Federation\n"
        "except MissingExtra as e:\n    print(e.extra, '|', e.hint)"
    )
    assert run(code) == "learn | pip install 'usufruct[learn]'"
