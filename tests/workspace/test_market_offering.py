"""Putting assets up for sale: what a clumsy seller is told before anything is written."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.chain import OPERATOR
from tests.workspace.homes import environment, passphrase
from tests.workspace.marketplace import Market, creation

from usufruct.errors import AlreadyExists, BadInput, NotAllowed, NotFound, UsufructError
from usufruct.ledger.network import sign_network
from usufruct.types import Use
from usufruct.workspace import create, open_home
from usufruct.workspace.money import Tokens

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def asset(market: Market) -> str:
    return market.asset("Sally", "plain rows")


def test_offers_that_make_no_sense_leave_nothing(market: Market, asset: str, tmp_path: Path):
    files = {
        "list": b"# buyers\n" + market.address("Bert").encode() + b"\nBert\n",
        "control": b"Terms\n\x1b[31mred\n",
        "huge": b"x" * (256 * 1024 + 1),
        "latin": "für immer".encode("latin-1"),
        "empty": b" \n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    plain = market.token("MuteToken")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"price": "0.0000001"}, "finer"),
        ({"price": "-1"}, "not a price"),
        ({"price": "5,00"}, "not a price"),
        ({"price": str(2**128)}, "too large"),
        ({"period": "30"}, "not a period"),
        ({"period": "200y"}, "period"),
        ({"uses": -1}, "uses"),
        ({"cap": -1}, "cap"),
        ({"royalty": "20"}, "two ways"),
        ({"royalty": "101%"}, "more than the whole"),
        ({"use": Use.CALL, "period": "1d", "royalty": "1%"}, "royalty"),
        ({"use": Use.CALL}, "never earn"),
        ({"price": "0", "refund": "1h"}, "nothing to refund"),
        ({"refund": "31d"}, "refund window"),
        ({"refund": "2h", "period": "1h"}, "refund window"),
        ({"allow": tmp_path / "list"}, "line 3"),
        ({"allow": tmp_path / "empty"}, "empty"),
        ({"allow": tmp_path}, "directory"),
        ({"terms": tmp_path / "control"}, "line 2"),
        ({"terms": tmp_path / "huge"}, "bytes"),
        ({"terms": tmp_path / "latin"}, "UTF-8"),
        ({"terms": tmp_path / "empty"}, "empty"),
        ({"token": "gold"}, "address"),
        ({"token": market.address("Bert")}, "no usable token"),
        ({"token": market.contract}, "no usable token"),
    ]
    market.send("Mallory", plain, "setMute(bool)", 1)
    refused.append(({"token": plain}, "no usable token"))
    with market.as_("Sally") as ws:
        before, files_before = len(ws.index.offers()), kept(market.home("Sally"))
        for terms, words in refused:
            fields: dict[str, Any] = {"use": Use.DOWNLOAD, "price": "5"} | terms
            with pytest.raises(BadInput) as caught:
                ws.market.offer(asset, **fields)
            assert words in caught.value.message, (terms, caught.value.message)
        with pytest.raises(NotFound):
            ws.market.offer(asset, use=Use.DOWNLOAD, price="5", terms=tmp_path / "none")
        assert len(ws.index.offers()) == before
    assert kept(market.home("Sally")) == files_before


def kept(home: Path) -> set[Path]:
    """Return what an offer leaves in a home."""
    return {path for name in ("terms", "allow", "vault") for path in (home / name).glob("*")}


def test_assets_that_cannot_be_offered(market: Market, asset: str):
    terms: dict[str, Any] = {"use": Use.COMPUTE, "price": "1"}
    retired = market.asset("Sally", "worn out")
    with market.as_("Sally") as ws:
        ws.retire(retired)
        with pytest.raises(NotAllowed, match="retired"):
            ws.market.offer(retired, **terms)
        draft = ws.draft("not yet", parents=[asset])
        with pytest.raises(NotAllowed, match="draft") as caught:
            ws.market.offer(draft.id, **terms)
        assert "publish" in str(caught.value.hint)
        with pytest.raises(NotFound, match="no asset"):
            ws.market.offer("ab" * 32, **terms)
    with market.as_("Bert") as ws:
        with pytest.raises(NotAllowed, match="belongs to"):
            ws.market.offer(asset, **terms)
        with pytest.raises(NotFound, match="plain rows"):
            ws.market.offer("plain rows", **terms)


def test_the_same_terms_are_offered_once_and_anew_after_closing(market: Market):
    asset = market.asset("Sally", "twice")
    with market.as_("Sally") as ws:
        made = ws.market.offer(asset, use=Use.DOWNLOAD, price="5", period="30d")
        with pytest.raises(AlreadyExists) as caught:
            ws.market.offer("twice", use=Use.DOWNLOAD, price="5.00", period="720h")
        assert made.id[:12] in str(caught.value.hint)
        other = ws.market.offer(asset, use=Use.DOWNLOAD, price="5")
        assert other.id != made.id
        assert ws.market.offer(asset, use=Use.DOWNLOAD, price="5", token="ether").token != "0x"
    with market.as_("Bert") as ws, pytest.raises(NotAllowed, match="another"):
        ws.market.close(made.id)
    with market.as_("Sally") as ws:
        assert ws.market.close(made.id[:10]).transaction
        closed = ws.market.close(made.id)
        assert (closed.open, closed.transaction) == (False, None)
        again = ws.market.offer(asset, use=Use.DOWNLOAD, price="5", period="30d")
        assert again.id != made.id
        assert {one.id: one.open for one in ws.market.show(asset).offers}[made.id] is False
        assert made.id not in {one.id for item in ws.market.search() for one in item.offers}
        with pytest.raises(NotFound):
            ws.market.close("abcdef012345")
        with pytest.raises(BadInput):
            ws.market.close("twice")


def test_a_newer_version_is_sealed_by_offering_again(market: Market):
    asset = market.asset("Sally", "growing")
    with market.as_("Sally") as ws:
        ws.market.offer(asset, use=Use.DOWNLOAD, price="5")
        path = market.folder / "growing.csv"
        path.write_text("a,b\n1,2\n3,4\n")
        ws.publish(path, update=asset)
        with pytest.raises(AlreadyExists):
            ws.market.offer(asset, use=Use.DOWNLOAD, price="5")
    names = {path.name for path in (market.home("Sally") / "vault").glob(f"{asset[:32]}*.json")}
    assert names == {f"{asset[:32]}-1.json", f"{asset[:32]}-2.json"}


def test_a_ledger_without_test_dollars(market: Market, tmp_path: Path):
    network = market.server.network
    kept = {name: one for name, one in network.contracts.items() if name != "TestDollar"}
    file = tmp_path / "network.json"
    bare = dataclasses.replace(network, contracts=kept, rpc=(market.server.url,))
    file.write_bytes(sign_network(bare, OPERATOR))
    create(tmp_path / "home", name="Nell", network=str(file), passphrase=passphrase)
    (tmp_path / "x.csv").write_text("a\n1\n")
    with open_home(tmp_path / "home", passphrase=passphrase) as ws:
        made = ws.publish(tmp_path / "x.csv", title="x")
        with pytest.raises(BadInput, match="no test dollar") as caught:
            ws.market.offer(made.asset, use=Use.COMPUTE, price="5")
        assert "--token" in str(caught.value.hint)
        with pytest.raises(NotFound, match="no test dollars"):
            ws.market.faucet()
        offer = ws.market.offer(made.asset, use=Use.COMPUTE, price="0.001", token="ETHER")
        assert (offer.price, offer.price_text) == (10**15, "0.001 ether")


KILLED = """
import os, signal, sys
from pathlib import Path
from usufruct.ledger.client import Ledger
from usufruct.types import Use
from usufruct.workspace import open_home
real, after = Ledger.transact, sys.argv[2] == "after"
def transact(self, *args, **kwargs):
    if after:
        real(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
with open_home(Path(sys.argv[1]), passphrase=lambda: os.environ["USUFRUCT_PASSPHRASE"]) as ws:
    ws.connection.afford(ws.public.address)
    Ledger.transact = transact
    exec(sys.argv[3])
"""


def kill(home: Path, when: str, script: str) -> None:
    """Run a script that is killed before or after its next transaction."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), when, script],
        env=environment(),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_killed_around_the_transaction(market: Market):
    asset = market.asset("Sally", "killed")
    home = market.home("Sally")
    script = f"ws.market.offer({asset!r}, use=Use.DOWNLOAD, price='5')"
    kill(home, "before", script)
    with market.as_("Sally") as ws:
        assert ws.records.unfinished() == []
        assert ws.index.offers(asset=asset) == []
    kill(home, "after", script)
    with market.as_("Sally") as ws:
        (record,) = ws.index.offers(asset=asset)
        with pytest.raises(AlreadyExists) as caught:
            ws.market.offer(asset, use=Use.DOWNLOAD, price="5")
        assert record.offer_id[:12] in str(caught.value.hint)
    assert os.listdir(home / "vault")


def test_strangers_offers_do_not_keep_others_from_being_listed(market: Market):
    """Anybody may offer what is his for a token that answers nothing any more."""
    token = market.token("MuteToken")
    asset = market.asset("Mallory", "bait")
    market.offer("Mallory", asset, token=token, price="1")
    market.send("Mallory", token, "setMute(bool)", 1)
    with market.as_("Bert") as ws:
        listed = {item.asset: item for item in ws.market.search()}
        assert listed[asset].offers[0].price_text.endswith(token[:14])
        with pytest.raises(UsufructError, match="no usable token"):
            ws.market.buy(listed[asset].offers[0].id)


def test_a_token_that_burns_all_gas_is_shown_by_its_address(market: Market):
    """Anybody may offer for a token whose every answer is an error of the machine."""
    ledger = market.server.ledger
    for code in ("fe", "5b5f56", "62200000600060003e622000005ff3"):  # stops, turns round, talks
        made = ledger.deploy(market.account("Mallory"), creation(bytes.fromhex(code))).contract
        with market.as_("Bert") as ws:
            shown = Tokens(ws.ledger).shown(made)
            assert (shown.symbol, shown.decimals) == (made[:14], 0)
            with pytest.raises(BadInput, match="no usable token"):
                Tokens(ws.ledger).balance(made, ws.public.address)


def test_a_tokens_name_is_not_believed(market: Market):
    ledger = market.server.ledger
    known = Tokens(ledger)
    for symbol in ("TUSD", "ether", "ETH"):
        fake = market.named_token(symbol)
        shown = known.at(fake).text(5_000_000)
        assert shown == f"5 {symbol}@{fake[:10]}"[: len(shown)] and fake[:8] in shown
    rude = market.named_token("[/]\x1b[31m")
    assert "\x1b" not in known.at(rude).symbol
    assert known.at(market.dollar).text(5_000_000) == "5 TUSD"
