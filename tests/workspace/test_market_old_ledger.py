"""A home on a ledger that version 0.1 set up: no market there, and all else goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.chain import served
from tests.ledger.test_old_ledger import set_up
from tests.workspace.homes import party, passphrase

from usufruct.errors import NotFound, UsufructError
from usufruct.types import Use
from usufruct.workspace import open_home, verify
from usufruct.workspace.workspace import Workspace

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("old")
    set_up(folder)
    with served(folder) as server:
        yield party(server, folder / "home", "Ann")


def test_evidence_goes_on(old: Path, tmp_path: Path):
    table = tmp_path / "x.csv"
    table.write_text("a\n1\n")
    with open_home(old, passphrase=passphrase) as ws:
        made = ws.publish(table, title="x")
        assert made.transaction
        table.write_text("a\n2\n")
        assert ws.publish(table, update="x").version == 2
        ws.draft("y", parents=["x"])
        other = tmp_path / "y.csv"
        other.write_text("a\n3\n")
        assert ws.publish(other, title="z", parents=["x"]).transaction
        assert ws.anchor().transaction
        assert json.dumps(ws.log_status())
    assert "anchored" in verify(str(table), full=True, home=old).summary


def test_there_is_no_market(old: Path, tmp_path: Path):
    asks: list[Callable[[Workspace], Any]] = [
        lambda ws: ws.market.offer("x", use=Use.DOWNLOAD, price="1"),
        lambda ws: ws.market.close("abcdef"),
        lambda ws: ws.market.search("x"),
        lambda ws: ws.market.show("x"),
        lambda ws: ws.market.buy("abcdef"),
        lambda ws: ws.market.licences(),
        lambda ws: ws.market.renew("abcdef"),
        lambda ws: ws.market.transfer("abcdef", "Ann"),
        lambda ws: ws.market.download("x"),
        lambda ws: ws.market.split("x"),
        lambda ws: ws.market.propose("x", ["Ann=100%"], tmp_path / "p"),
        lambda ws: ws.market.withdraw("x"),
        lambda ws: ws.market.income(),
        lambda ws: ws.market.faucet(),
    ]
    with open_home(old, passphrase=passphrase) as ws:
        for ask in asks:
            with pytest.raises(NotFound, match="no market") as caught:
                ask(ws)
            assert caught.value.hint
    assert not (tmp_path / "p").exists() and not list((old / "vault").glob("*"))


def test_a_node_says_so(old: Path):
    from usufruct.node.run import run_node

    with pytest.raises(UsufructError) as caught:
        run_node(old, passphrase=passphrase, started=lambda said: pytest.fail("it started"))
    assert caught.value.hint
