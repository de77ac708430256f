"""Commands that use a ledger: shared, of the home's own, gone, or another than it should be."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.ledger.chain import SECRETS, plain_anvil
from tests.workspace.homes import (
    PASSPHRASE,
    Command,
    killed,
    party,
    real,
    snapshot,
    spawn,
    use,
)

from usufruct.ledger.serve import LedgerServer

pytestmark = pytest.mark.engine


@pytest.fixture
def joined(joined_template: Path, tmp_path: Path, monkeypatch, capsys) -> Command:
    home = tmp_path / "home"
    shutil.copytree(joined_template, home)
    use(home, tmp_path, monkeypatch)
    return Command(home, capsys)


@pytest.fixture
def ben(served: LedgerServer, tmp_path: Path, monkeypatch, capsys) -> Command:
    """A party of its own on the shared ledger."""
    home = party(served, tmp_path / "home", f"Ben {time.monotonic_ns()}")
    use(home, tmp_path, monkeypatch)
    return Command(home, capsys)


def test_a_shared_ledger(ben: Command, served: LedgerServer, table: Path, tmp_path: Path):
    network = served.network_path
    status = ben.ok("ledger", "status")
    assert status == ben.ok("ledger", "status", "--network", network)
    assert "shared" in ben("ledger", "status").out

    made = ben.ok("publish", table, "--title", "people")
    tx = ben.ok("ledger", "tx", made["transaction"])
    assert tx["succeeded"] and "VersionPublished" in [event["event"] for event in tx["events"]]
    assert "VersionPublished" in ben("ledger", "tx", made["transaction"][2:]).out
    ben.fails(2, "ledger", "tx", "0x" + "ab" * 32)

    grades = [step["grade"] for step in ben.ok("verify", table)["steps"]]
    assert "anchored" not in grades
    anchor = ben.ok("log", "anchor")
    assert anchor["size"] == 2 and ben.ok("log", "anchor")["transaction"] == anchor["transaction"]
    assert "anchored in block" in ben("log", "anchor").out
    assert ben.ok("log", "status")["anchored"] == 2
    ben.ok("prove", "people", "-o", "p.json")
    assert "anchored" in [step["grade"] for step in ben.ok("verify", "p.json")["steps"]]
    found = ben.ok("verify", "p.json", "--network", network)
    assert "confirmed" in [step["grade"] for step in found["steps"]]
    assert found["ledger"]["chain_id"] == status["chain_id"]
    assert ben.ok("verify", "people", "--ledger")["ledger"]["chain_id"] == status["chain_id"]
    assert ben("verify", "p.json", "--ledger").code == 0

    second = ben.ok("publish", table, "--update", "people", "--sealed")
    assert second["version"] == 2 and second["transaction"] != made["transaction"]
    (tmp_path / "child").write_text("child")
    ben.ok("publish", "child", "--parent", "people")
    assert ben.ok("asset", "retire", "people")["state"] == "retired"
    ben.fails(2, "asset", "retire", "people")

    wallet = ben.ok("wallet", "show")
    assert int(wallet["balance_wei"]) > 0 and wallet["address"] in ben("wallet", "show").out
    sent = ben.ok("wallet", "send", "0x" + "77" * 20, "0.001")
    assert sent["amount_wei"] == str(10**15)
    assert "sent 0.001 ether" in ben("wallet", "send", "0x" + "77" * 20, "0.001").out
    for amount in ("0", "-1", "many", "1e3", "1000000000"):
        assert ben.fails(2, "wallet", "send", "--", "0x" + "77" * 20, amount)["message"]
    ben.fails(2, "wallet", "send", "0x77", "1")
    ben.fails(2, "ledger", "join", network, "--home", tmp_path / "none")


def test_joining_later_registers_what_was_published(
    usufruct: Command, served: LedgerServer, table: Path, tmp_path: Path
):
    usufruct.ok("publish", table, "--title", "people")
    usufruct.ok("publish", table, "--update", "people")
    joined = usufruct.ok("ledger", "join", served.network_path)
    assert joined["transaction"]
    assert usufruct.ok("ledger", "join", served.network_path)["transaction"] is None
    third = usufruct.ok("publish", table, "--update", "people")
    from usufruct.ledger.bindings import assets

    call = assets.asset(served.network.address("Assets"), third["asset"])
    known = served.ledger.call(call)
    assert known is not None and known.versions == third["version"] == 3
    (tmp_path / "child").write_text("child")
    usufruct.ok("publish", "child", "--parent", "people")
    usufruct.fails(1, "ledger", "join", served.network_path, "--operator", "0x" + "11" * 20)


def test_a_wrong_passphrase_joins_nothing(
    usufruct: Command, served: LedgerServer, home: Path, monkeypatch
):
    before = snapshot(home)
    monkeypatch.setenv("USUFRUCT_PASSPHRASE", "wrong")
    usufruct.fails(2, "ledger", "join", served.network_path)
    assert snapshot(home) == before


def test_network_files_that_are_wrong(
    usufruct: Command, served: LedgerServer, tmp_path: Path, home: Path
):
    whole = json.loads(served.network_path.read_bytes())
    text = served.network_path.read_text()
    bad = tmp_path / "bad.json"
    before = snapshot(home)
    for data, codes in (
        ("not json", {2}),
        ("{}", {2}),
        ("", {2}),
        (text[: len(text) // 2], {2}),
        (json.dumps(whole), {1, 2}),
        (text.replace('"payload":"', '"payload":"QUFB', 1), {1, 2}),
    ):
        bad.write_text(data)
        for command in (
            ["ledger", "join", bad],
            ["init", "--name", "X", "--network", bad, "--home", tmp_path / "new"],
            ["ledger", "status", "--network", bad],
        ):
            ran = usufruct(*command, "--json")
            assert ran.code in codes and ran.json["message"], (data[:40], command, ran)
    usufruct.fails(2, "ledger", "join", tmp_path / "none.json")
    assert snapshot(home) == before and not (tmp_path / "new").exists()


def test_another_chain_answers(
    usufruct: Command, served: LedgerServer, tmp_path: Path, home: Path, table: Path
):
    from dataclasses import replace

    from tests.ledger.chain import OPERATOR

    from usufruct.ledger.network import sign_network

    with plain_anvil() as url:
        other = tmp_path / "other.json"
        other.write_bytes(sign_network(replace(served.network, rpc=(url,)), OPERATOR))
        before = snapshot(home)
        assert usufruct.fails(3, "ledger", "join", other)["error"] == "WrongNetwork"
        new = ("init", "--name", "X", "--network", other, "--home", tmp_path / "new")
        assert usufruct.fails(3, *new)["error"] == "WrongNetwork"
    assert usufruct.fails(3, "ledger", "join", other)["error"] == "LedgerUnreachable"
    assert usufruct.fails(3, *new)["error"] == "LedgerUnreachable"
    assert snapshot(home) == before and not (tmp_path / "new").exists()


def test_the_ledger_is_down(tmp_path: Path, table: Path, monkeypatch, capsys):
    from tests.ledger.chain import served as serve

    with serve(tmp_path / "ledger") as server:
        home = party(server, tmp_path / "home", "Ben")
        use(home, tmp_path, monkeypatch)
        ben = Command(home, capsys)
        ben.ok("publish", table, "--title", "people")
    before = ben.ok("log", "status"), ben.ok("asset", "list"), sorted(tmp_path.iterdir())
    (tmp_path / "other").write_text("x")
    for command in (
        ["publish", "other", "--title", "y"],
        ["publish", table, "--update", "people", "--sealed"],
        ["log", "anchor"],
        ["wallet", "show"],
        ["asset", "retire", "people"],
        ["verify", "people", "--ledger"],
        ["ledger", "status"],
    ):
        error = ben.fails(3, *command)
        assert error["error"] == "LedgerUnreachable" and error["hint"]
    (tmp_path / "other").unlink()
    vault = home / "vault"
    assert not vault.exists() or not list(vault.iterdir())
    after = ben.ok("log", "status"), ben.ok("asset", "list"), sorted(tmp_path.iterdir())
    assert after == before
    ben.ok("verify", "people")
    ben.ok("prove", "people", "-o", "p.json")
    ben.ok("asset", "list")
    with serve(tmp_path / "ledger"):
        (tmp_path / "other").write_text("x")
        assert ben.ok("publish", "other", "--title", "y")["transaction"]


def test_a_damaged_network_file_in_the_home(joined: Command, table: Path):
    path = joined.home / "network.json"
    whole = path.read_text()
    for data in ("", "nonsense", whole.replace('"sig":"', '"sig":"AAAA', 1)):
        path.write_text(data)
        assert joined.fails(3, "publish", table, "--title", "x")["error"] == "Damaged"
        assert joined.fails(3, "ledger", "status")["error"] == "Damaged"
    path.unlink()
    assert joined.fails(3, "wallet", "show")["error"] == "Damaged"


def test_a_ledger_of_its_own(usufruct: Command, tmp_path: Path, table: Path, monkeypatch):
    home = tmp_path / "own"
    made = usufruct.ok("init", "--name", "Own", "--network", "embedded", "--home", home)
    assert made["transaction"] and made["ledger"]
    monkeypatch.setenv("USUFRUCT_HOME", str(home))
    published = usufruct.ok("publish", table, "--title", "people")
    assert usufruct.ok("ledger", "tx", published["transaction"])["succeeded"]
    assert usufruct.ok("log", "anchor")["size"] == 2
    assert int(usufruct.ok("wallet", "show")["balance_wei"]) > 0
    assert "confirmed" in [
        step["grade"] for step in usufruct.ok("verify", "people", "--ledger")["steps"]
    ]
    monkeypatch.delenv("USUFRUCT_PASSPHRASE")
    usufruct.ok("verify", "people")
    assert "passphrase" in usufruct.fails(2, "wallet", "show")["message"]


def test_no_engine(home: Path, tmp_path: Path, table: Path, served: LedgerServer):
    empty = tmp_path / "empty"
    empty.mkdir()
    for env in (
        {"USUFRUCT_ANVIL": str(tmp_path / "nowhere")},
        {"USUFRUCT_ANVIL": None, "XDG_CACHE_HOME": str(empty), "PATH": str(empty)},
    ):
        for command in (
            ["init", "--name", "X", "--network", "embedded", "--home", str(tmp_path / "new")],
            ["ledger", "serve", "--home", str(home)],
        ):
            ran = real(*command, "--json", home=home, **env)
            assert ran.code == 3 and ran.json["error"] == "EngineMissing", ran
            assert "USUFRUCT_ANVIL" in ran.json["message"] + ran.json["hint"]
    assert not (tmp_path / "new").exists()
    assert json.loads((home / "home.json").read_text())["ledger"] == "none"
    # all that needs no engine works as before
    env = {"USUFRUCT_ANVIL": str(tmp_path / "nowhere")}
    assert real("publish", str(table), "--title", "p", home=home, **env).code == 0
    assert real("setup", "--no-engine", "--json", **env).code in (0, 3)


def document(child: subprocess.Popen[str]) -> dict[str, object]:
    text = ""
    assert child.stdout is not None
    for line in child.stdout:
        text += line
        if line == "}\n":
            break
    return json.loads(text)


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()[1:]]
    found = [child for child, parent in pairs if parent == pid]
    return found + [lower for child in found for lower in children(child)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_until_it_is_stopped(usufruct: Command, home: Path, tmp_path: Path, how):
    child = spawn("ledger", "serve", "--json", "--network", str(tmp_path / "n.json"), home=home)
    try:
        said = document(child)
        assert said["network"] == str(tmp_path / "n.json") and said["url"]
        for pid in children(child.pid):
            shown = Path(f"/proc/{pid}/environ"), Path(f"/proc/{pid}/cmdline")
            assert not any(PASSPHRASE.encode() in path.read_bytes() for path in shown)
        new = tmp_path / "joiner"
        assert usufruct.ok("init", "--name", "J", "--network", "n.json", "--home", new)
        # the operator's own commands go on while it serves, and a second server does not
        assert usufruct.ok("wallet", "show")["chain_id"] == said["chain_id"]
        assert usufruct.fails(3, "ledger", "serve")["error"] == "HomeBusy"
        child.send_signal(how)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, out, err) == (0, "", "")
    finally:
        if child.poll() is None:
            killed(child)
    assert not children(child.pid)


def test_the_engine_is_killed_while_it_serves(usufruct: Command, home: Path, tmp_path: Path):
    child = spawn("ledger", "serve", "--json", "--network", str(tmp_path / "n.json"), home=home)
    try:
        document(child)
        new = tmp_path / "joiner"
        usufruct.ok("init", "--name", "J", "--network", "n.json", "--home", new)
        engines = children(child.pid)
        assert engines
        os.kill(engines[-1], signal.SIGKILL)
        (tmp_path / "f").write_text("f")
        # restarted and replayed, or a clear end: never a wrong answer
        for attempt in range(3):
            ran = usufruct("publish", "f", "--title", f"f{attempt}", "--home", new, "--json")
            assert ran.code in (0, 3) and "should not happen" not in ran.out, ran
        assert ran.code == 0, ran
    finally:
        killed(child)
    # the ledger was killed: its next server has every acknowledged block
    again = spawn("ledger", "serve", "--json", home=home)
    try:
        document(again)
        assert usufruct.ok("publish", "f", "--update", "f2", "--home", new)["version"] == 2
    finally:
        again.send_signal(signal.SIGINT)
        assert again.communicate(timeout=30)[1] == "" and again.returncode == 0


def test_a_port_that_is_taken(home: Path, served: LedgerServer):
    port = served.url.rsplit(":", 1)[1].rstrip("/")
    ran = real("ledger", "serve", "--port", port, "--json", home=home)
    assert ran.code == 3 and port in ran.json["message"]


def test_deploy_on_a_chain_where_nobody_gives_gas(
    usufruct: Command, tmp_path: Path, home: Path, table: Path
):
    from usufruct.ledger.account import Account
    from usufruct.ledger.nonces import Draft, Sender
    from usufruct.ledger.transport import HttpTransport

    with plain_anvil() as url:
        target = tmp_path / "net.json"
        deploy = ("ledger", "deploy", "--rpc", url, "--network", target, "--name", "[red]x[/]")
        assert usufruct(*deploy).code == 2  # no ether

        def pay(address: str) -> None:
            with contextlib.closing(HttpTransport(url)) as transport:
                rich = Sender(transport, Account(SECRETS[0]), 31337)
                rich.send([Draft(address, b"", 10**18, 21_000)])

        pay(usufruct.ok("id", "show")["address"])
        made = usufruct.ok(*deploy, "--finality", "latest")
        assert made["chain_id"] == 31337
        usufruct.fails(2, *deploy)
        # a new party has nothing yet: it has a home all the same, and is told
        new = tmp_path / "new"
        joined = usufruct.ok("init", "--name", "P", "--network", target, "--home", new)
        assert joined["transaction"] is None and "no ether" in joined["note"]
        assert (
            "no ether"
            in usufruct.fails(2, "publish", table, "--title", "t", "--home", new)["message"]
        )
        assert usufruct.ok("asset", "list", "--home", new) == {"assets": []}
        pay(joined["address"])
        assert usufruct.ok("publish", table, "--title", "t", "--home", new)["transaction"]
        assert "[red]x[/]" in usufruct("wallet", "show", "--home", new).out
        assert "[red]x[/]" in usufruct("ledger", "status", "--home", new).out
    usufruct.fails(3, "ledger", "deploy", "--rpc", url, "--network", "n2", "--name", "x")
    usufruct.fails(2, "ledger", "deploy", "--rpc", "ftp://x", "--network", "n2", "--name", "x")
    usufruct.fails(
        2,
        *("ledger", "deploy", "--rpc", url, "--network", "n2", "--name", "x"),
        *("--finality", "soon"),
    )
    assert not Path("n2").exists()
