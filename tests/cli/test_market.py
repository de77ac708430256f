"""The market by its commands: words, tables and documents, questions, and slips of the keyboard."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.workspace.homes import PASSPHRASE, Command, Ran, party, real
from tests.workspace.marketplace import node

pytestmark = pytest.mark.engine


@dataclass
class Party:
    """Commands of one party in one home."""

    run: Command
    home: Path

    def __call__(self, *arguments: object) -> Ran:
        return self.run(*arguments, "--home", self.home)

    def ok(self, *arguments: object) -> Any:
        return self.run.ok(*arguments, "--home", self.home)

    def fails(self, code: int, *arguments: object) -> Any:
        return self.run.fails(code, *arguments, "--home", self.home)


@pytest.fixture(scope="module")
def homes(served: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parties")
    return {name: party(served, folder / name, name) for name in ("Sel", "Buy")}


@pytest.fixture
def parties(
    homes: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Party, Party]:
    monkeypatch.setenv("USUFRUCT_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    sel, buy = (Party(Command(path, capsys), path) for path in homes.values())
    return sel, buy


def publish(sel: Party, title: str) -> str:
    path = Path(f"{len(title)}.csv")
    path.write_text(f"a\n{title}\n")
    return str(sel.ok("publish", path, "--title", title, "--no-rows")["asset"])


def test_selling_and_buying_in_documents(parties: tuple[Party, Party], tmp_path: Path):
    sel, buy = parties
    asset = publish(sel, "documents")
    Path("terms").write_text("Be kind.\n")
    offer = sel.ok(
        *("offer", "documents", "--use", "download", "--price", "2.5", "--period", "30d"),
        *("--cap", 9, "--royalty", "20%", "--terms", "terms"),
    )
    assert offer["price"] == "2500000" and offer["open"] and len(offer["terms"]) == 64
    assert set(offer) >= {"id", "asset", "use", "words", "token", "price_text", "sold"}
    poor = buy.fails(2, "buy", offer["id"], "--yes", "--terms", "terms")
    assert poor["hint"] == "usufruct faucet"
    assert buy.ok("faucet")["balance"] == "1000"
    assert "has 2000 TUSD" in buy("faucet").out
    refused = buy.fails(2, "buy", offer["id"], "--terms", "terms")
    assert "--yes" in refused["hint"]
    bought = buy.ok("buy", offer["id"][:10], "-y", "--terms", "terms")
    assert bought["price"] == "2500000" and Path(bought["receipt"]).is_file()
    assert "--again" in buy.fails(2, "buy", offer["id"], "-y")["hint"]
    (held,) = buy.ok("licences")["licences"]
    assert held["licence"] == bought["licence"] and held["receipt"] == bought["receipt"]
    (sold,) = sel.ok("licences", "--sold")["licences"]
    assert sold["licence"] == held["licence"] and not sold["mine"]
    shown = sel.ok("market", "show", offer["id"])
    assert shown["terms"] == {offer["terms"]: "Be kind.\n"}
    # without a node a buyer has the ledger's word alone; the seller knows what it is called
    assert asset in {one["asset"] for one in buy.ok("market", "search", "sel")["assets"]}
    listed = sel.ok("market", "search", "documents")["assets"]
    assert [one["asset"] for one in listed] == [asset]
    assert sel.ok("market", "search", "documents", "--use", "call") == {"assets": []}
    income = sel.ok("income")
    assert income["rows"][-1]["amount"] == "2.5 TUSD"
    shares = sel.ok("split", "propose", asset, "--share", "Sel=1%", "--share", "Buy=99%", "-o", "p")
    assert shares["transaction"] and shares["missing"] == []
    buy.ok("buy", offer["id"], "-y", "--again")
    assert buy.ok("split", "show", asset)["waiting"][0]["amount"] == "2500000"
    paid = buy.ok("split", "withdraw", asset)["payments"]
    assert sorted(one["money"]["amount"] for one in paid) == ["2475000", "25000"]
    assert buy.ok("split", "withdraw", asset)["payments"] == []
    closed = sel.ok("market", "close", offer["id"][:8])
    assert not closed["open"]
    assert buy.fails(2, "buy", offer["id"], "-y", "--again")["message"] == "the offer is closed"
    for what in ("licences", "income"):
        assert json.loads(buy(what, "--json").out)
    assert tmp_path.joinpath("p").exists() is False


def test_it_is_asked_before_it_is_bought(
    parties: tuple[Party, Party], monkeypatch: pytest.MonkeyPatch
):
    sel, buy = parties
    buy.ok("faucet")
    publish(sel, "asked [/red]")
    Path("terms").write_text("Line one\nis [bold]not[/bold] bold.\n")
    offer = sel.ok(
        *("offer", "asked [/red]", "--use", "compute", "--price", "1", "--terms", "terms")
    )

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    before = len(buy.ok("licences")["licences"])
    for answer, code in (("n\n", 130), ("", 130), ("y\n", 0)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        ran = buy("buy", offer["id"], "--terms", "terms", "--for", "Sel")
        assert ran.code == code, ran
        assert "is [bold]not[/bold] bold." in ran.err and "under terms" in ran.err
        # whoever only knows a name sees whose account it is
        assert f"for Sel ({offer_owner(sel)})" in ran.err
        assert "Buy it?" in ran.err
    assert len(buy.ok("licences")["licences"]) == before + 1
    # a document is asked for by programs, and these answer nothing
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ran = buy("buy", offer["id"], "--terms", "terms", "--json")
    assert ran.code == 2 and "--yes" in ran.json["hint"]


def offer_owner(sel: Party) -> str:
    return str(sel.ok("id", "show")["address"])


def test_slips_of_the_keyboard(parties: tuple[Party, Party]):
    sel, buy = parties
    asset = publish(sel, "slips")
    for arguments in (
        ("offer", asset, "--use", "sing", "--price", 1),
        ("offer", asset, "--use", "learn"),
        ("offer", asset, "--price", 1),
        ("offer", asset, "--use", "learn", "--price", 1, "--uses", 0),
        ("offer", asset, "--use", "learn", "--price", 1, "--cap", 0),
        ("offer", asset, "--use", "learn", "--price", 1, "--allow", "nobody.txt"),
        ("offer", asset, "--use", "learn", "--price", 1, "--refund", "2 weeks"),
        ("market", "show", "no such thing"),
        ("market", "close", "slips"),
        ("buy", "slips", "-y"),
        ("licences", "renew", "slips"),
        ("licences", "transfer", "0" * 12, "Sel"),
        ("download", "slips!"),
        ("split", "show", "slips!"),
        ("split", "propose", asset, "--share", "Sel:20%", "-o", "q"),
        ("split", "sign", "none.json"),
        ("split", "withdraw", asset),
    ):
        document = sel.fails(2, *arguments)
        assert document["hint"], (arguments, document)
    Path("huge").write_bytes(b"x" * 10**6)
    for arguments in (
        ("offer", asset, "--use", "learn", "--price", 1, "--terms", "huge"),
        ("split", "sign", "huge"),
        ("buy", "0" * 12, "-y", "--terms", "huge"),
    ):
        assert "huge" in sel.fails(2, *arguments)["message"]
    assert not Path("q").exists()
    assert "belongs to" in buy.fails(2, "offer", asset, "--use", "learn", "--price", 1)["message"]


def test_tables_in_a_pipe(parties: tuple[Party, Party]):
    sel, buy = parties
    title = "a rather long title that somebody chose"
    asset = publish(sel, title)
    sel.ok("offer", asset, "--use", "compute", "--price", "123456789.123456", "--royalty", "12.5%")
    offer = sel.ok("offer", asset, "--use", "compute", "--price", "0")
    assert "free" in buy("buy", offer["id"], "-y").out
    ran = real("market", "list", home=sel.home, COLUMNS=None)
    (line,) = [line for line in ran.out.splitlines() if "123456789.123456 TUSD" in line]
    assert title in line and "12.5 % royalty" in line
    # what is copied from a table is whole on a narrow screen, too
    (held,) = [one for one in buy.ok("licences")["licences"] if one["asset"] == asset]
    short = f"{held['licence'][:8]}…{held['licence'][-4:]}"
    assert short in real("licences", home=buy.home, COLUMNS="60").out
    assert offer["id"][:12] in real("market", "list", home=buy.home, COLUMNS="60").out
    sheet = sel("income", "--csv", "--all").out
    assert next(csv.reader(io.StringIO(sheet)))[:3] == ["time", "asset", "title"]
    assert "offer" in sel("market", "show", asset).out


def test_serving_to_a_buyer(parties: tuple[Party, Party], homes: dict[str, Path]):
    """What is printed as the next step is the next step."""
    sel, buy = parties
    asset = publish(sel, "delivered")
    offer = sel.ok("offer", asset, "--use", "download", "--price", "0")
    with node(homes["Sel"]) as url:
        ran = buy("buy", offer["id"], "-y", "--node", url)
        assert ran.code == 0
        follows = ran.out.split("next: usufruct ")[1].split()
        ran = buy(*follows, "--node", url, "-o", "got it")
        assert ran.code == 0, ran
        (check,) = [line for line in ran.out.splitlines() if "next:" in line]
        assert "verified" in buy("verify", check.split("'")[1]).out
        assert buy.fails(2, "download", asset, "--node", url, "-o", "got it")["hint"]


def test_a_home_without_a_ledger(usufruct: Command):
    for arguments in (("faucet",), ("market", "list"), ("licences",), ("income",), ("serve",)):
        document = usufruct.fails(3, *arguments)
        assert "ledger" in document["message"] and document["hint"]
