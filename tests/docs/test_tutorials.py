"""Every page with commands or code is run as it stands."""

import pytest
from tests.docs.pages import DOCS, run_console, run_python

from usufruct.ledger.binary import find_engine


def test_evidence(tmp_path):
    assert run_console(DOCS / "tutorials" / "evidence.md", tmp_path) == []


def test_learning(tmp_path):
    assert run_python(DOCS / "tutorials" / "learning.md", tmp_path) == []


@pytest.mark.engine
def test_selling(tmp_path):
    engine = str(find_engine())
    page = DOCS / "tutorials" / "selling.md"
    assert run_console(page, tmp_path, USUFRUCT_ANVIL=engine) == []


@pytest.mark.engine
def test_shared_ledger(tmp_path):
    engine = str(find_engine())
    page = DOCS / "how-to" / "shared-ledger.md"
    assert run_console(page, tmp_path, USUFRUCT_ANVIL=engine) == []


@pytest.mark.engine
def test_python_reference(tmp_path):
    assert run_python(DOCS / "reference" / "python.md", tmp_path) == []
