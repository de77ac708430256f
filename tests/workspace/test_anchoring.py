"""After an anchor the evidence beside the data says so, and nothing else is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import ROWS, passphrase

from usufruct.workspace import create, open_home, verify

pytestmark = pytest.mark.engine


def test_evidence_beside_the_data_learns_of_the_anchor(tmp_path: Path) -> None:
    home = tmp_path / "home"
    create(home, name="Ada", network="embedded", passphrase=passphrase)
    one, two, moved = (tmp_path / f"{name}.csv" for name in ("one", "two", "moved"))
    for path in (one, two, moved):
        path.write_text(ROWS)
    with open_home(home, passphrase=passphrase) as ws:
        for path in (one, two, moved):
            ws.publish(path, title=path.stem)
        (tmp_path / "moved.csv.usufruct").unlink()
        before = verify(one)
        anchor = ws.anchor()
        assert ws.anchor() == anchor
        assert {str(s.grade) for s in before.steps} == {"proved", "attested", "logged"}
        for path in (one, two):
            grades = {str(step.grade) for step in verify(path).steps}
            assert grades == {"proved", "attested", "anchored"}
        assert not (tmp_path / "moved.csv.usufruct").exists()
        ws.publish(one, title="one again")
        shutil.copyfile(tmp_path / "one.csv.usufruct", tmp_path / "kept")
        ws.anchor()
        assert verify(one).report.statement == ws.reference("one again").statement
    assert verify("one", home=home, ledger=True, passphrase=passphrase).report.ok
