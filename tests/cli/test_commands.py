"""Every command that needs no ledger: words, one JSON document, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import ROWS, Command, Ran

from usufruct.cli.run import run


def words(ran: Ran) -> str:
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out


def test_init_shows_the_words_once(tmp_path: Path, usufruct: Command):
    made = usufruct.ok("init", "--name", "Zoë", "--home", tmp_path / "new")
    assert made["name"] == "Zoë" and len(made["phrase"].split()) == 24
    assert (made["ledger"], made["transaction"], made["note"]) == ("none", None, None)
    said = words(usufruct("init", "--name", "Bo", "--home", tmp_path / "other"))
    assert "Write these 24 words down" in said and " 24 " in said
    again = usufruct.fails(2, "init", "--name", "Bo", "--home", tmp_path / "other")
    assert again["error"] == "AlreadyExists"


def test_words_are_only_where_they_are_asked_for(usufruct: Command, table: Path, tmp_path: Path):
    phrase = usufruct.ok("id", "export")["phrase"]
    assert words(usufruct("id", "export")).strip() == phrase
    new = usufruct.ok("id", "new", "Second")
    assert len(new["phrase"].split()) == 24
    (tmp_path / "words").write_text(usufruct.ok("id", "export", "Second")["phrase"])
    usufruct.ok("publish", table, "--title", "people")
    documents = [
        usufruct.ok(*command.split())
        for command in (
            *("id list", "id show", "id use Ann", "log status", "log show", "log show 0"),
            *("asset list", "asset show people", "asset history people", "lineage people"),
            *("verify people", "prove people -o p.json", "setup --no-engine"),
            "asset retire people",
        )
    ]
    said = json.dumps(documents)
    assert phrase not in said and new["phrase"] not in said and '"phrase"' not in said


def test_identities(usufruct: Command):
    new = usufruct.ok("id", "new", "Second")
    listed = usufruct.ok("id", "list")["identities"]
    assert [(k["name"], k["current"]) for k in listed] == [("Ann", True), ("Second", False)]
    assert "Second" in words(usufruct("id", "list"))
    assert usufruct.ok("id", "use", "Second") == {"current": "Second"}
    assert usufruct.ok("id", "show")["address"] == new["address"]
    assert new["address"] in words(usufruct("id", "show"))
    assert usufruct.ok("id", "show", "Ann")["current"] is False
    assert "Second is current" in words(usufruct("id", "use", "Second"))
    usufruct.fails(2, "id", "show", "Nobody")
    usufruct.fails(2, "id", "use", "Nobody")
    usufruct.fails(2, "id", "new", "Second")
    usufruct.fails(2, "id", "new", "../escape")


def test_recover_brings_the_same_party_and_log_back(
    usufruct: Command, table: Path, tmp_path: Path, home: Path
):
    first = usufruct.ok("publish", table, "--title", "people")
    phrase = usufruct.ok("id", "export")["phrase"]
    address = usufruct.ok("id", "show")["address"]
    (home / "keys" / "Ann.json").unlink()
    (tmp_path / "words").write_text("  " + phrase.replace(" ", "\n"))
    usufruct.fails(2, "id", "show")
    usufruct.fails(2, "publish", table, "--update", "people")
    back = usufruct.ok("id", "recover", "Ann", "--phrase-file", tmp_path / "words")
    assert back == {"name": "Ann", "address": address}
    second = usufruct.ok("publish", table, "--update", "people")
    assert (second["version"], second["index"]) == (2, first["index"] + 1)
    usufruct.ok("verify", "people")
    usufruct.fails(2, "id", "recover", "Ann", "--phrase-file", tmp_path / "words")


@pytest.mark.parametrize(
    ("text", "about"),
    [
        (b"one two three", "word"),
        (b"abandon " * 24, "fit together"),
        (b"abandon " * 23 + b"qwertz", "qwertz"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "word"),
    ],
)
def test_wrong_words(usufruct: Command, tmp_path: Path, home: Path, text: bytes, about: str):
    (tmp_path / "words").write_bytes(text)
    error = usufruct.fails(2, "id", "recover", "Old", "--phrase-file", tmp_path / "words")
    assert about in error["message"] and not (home / "keys" / "Old.json").exists()


def test_nobody_to_ask_for_words(usufruct: Command):
    assert "terminal" in usufruct.fails(2, "id", "recover", "Old")["message"]


def test_publish_verify_prove(usufruct: Command, table: Path, tmp_path: Path):
    made = usufruct.ok("publish", table, "--title", "people")
    for name in ("asset", "content_root", "statement"):
        assert len(made[name]) == 64
    assert (made["version"], made["rows"], made["files"]) == (1, 51, 1)
    assert Path(made["evidence"]).name == "people.csv.usufruct"

    assert "verified" in words(usufruct("verify", table))
    checked = usufruct.ok("verify", table)
    assert checked["checked"][0]["rows"] == 51 and checked["ledger"] is None
    for target in ("people", made["asset"], made["asset"][:8]):
        assert usufruct.ok("verify", target)["checked"]
    usufruct.ok("verify", table, "--full")
    assert usufruct.ok("verify", table, "--sample", 1)["checked"][0]["mode"] == "sample"
    usufruct.fails(2, "verify", table, "--full", "--sample", 1)

    proved = usufruct.ok("prove", "people", "-o", "bundle.json")
    assert usufruct.ok("verify", "bundle.json")["ok"] is True
    assert usufruct.ok("verify", "bundle.json", "--data", table)["checked"]
    assert proved["statement"] == made["statement"]
    assert usufruct.fails(2, "prove", "people", "-o", "bundle.json")["error"] == "AlreadyExists"
    usufruct.ok("prove", "people", "-o", "bundle.json", "--file", "people.csv", "--force")
    usufruct.ok("verify", "bundle.json")
    assert "row 51" in words(usufruct("prove", "people", "-o", "row.json", "--row", 51))
    usufruct.ok("verify", "row.json")
    assert Path("row.json").stat().st_size < 16_000
    for wrong in (("--row", 52), ("--file", "other.csv"), ("--version", 2), ("--row", 0)):
        usufruct.fails(2, "prove", "people", "-o", "none.json", *wrong)
    usufruct.fails(2, "prove", "people", "-o", tmp_path / "no" / "folder.json")
    usufruct.fails(2, "prove", "people", "-o", tmp_path, "--force")
    assert not Path("none.json").exists()


def test_a_changed_byte_is_named(usufruct: Command, table: Path):
    usufruct.ok("publish", table, "--title", "people")
    usufruct.ok("prove", "people", "-o", "bundle.json")
    table.write_text(ROWS.replace("person 7,27", "person 7,28"))
    for command in (("verify", table), ("verify", "people"), ("verify", "people", "--full")):
        error = usufruct.fails(1, *command)
        assert error["error"] == "VerificationError"
        (found,) = error["mismatches"]
        assert (found["file"], found["chunk"]) == ("people.csv", 0)
        assert (found["row"], found["line"]) == (9, 9)
    said = usufruct("verify", "bundle.json", "--data", table).err
    assert "row 9" in said and "line 9" in said and "Ann" in said
    assert usufruct.fails(1, "prove", "people", "-o", "r.json", "--row", 9)["mismatches"]
    usufruct.ok("prove", "people", "-o", "r.json", "--row", 8)


def test_a_folder_update_history_and_parents(usufruct: Command, tmp_path: Path):
    data = tmp_path / "data"
    (data / "tief").mkdir()
    (data / "tief" / "größe 💚.csv").write_text(ROWS)
    (data / "leer").write_bytes(b"")
    first = usufruct.ok("publish", data, "--no-rows", "--kind", "algorithm")
    assert (first["title"], first["rows"], first["files"]) == ("data", 0, 2)
    (data / "more.tsv").write_text("a\tb\n1\t2\n")
    second = usufruct.ok("publish", data, "--update", "data", "--sha256")
    assert (second["version"], second["rows"], second["asset"]) == (2, 53, first["asset"])
    assert len(usufruct.ok("asset", "history", "data")["versions"]) == 2
    assert second["content_root"][:16] in words(usufruct("asset", "history", "data"))
    usufruct.ok("verify", data)
    (tmp_path / "made").write_text("made")
    child = usufruct.ok("publish", "made", "--title", "made", "--parent", "data")
    tree = words(usufruct("lineage", "made"))
    assert "made" in tree and "data" in tree
    assert "made" in words(usufruct("lineage", "data", "--down"))
    assert words(usufruct("lineage", "made", "--format", "dot")).startswith("digraph")
    graph = json.loads(words(usufruct("lineage", "made", "--format", "json")))
    assert graph == usufruct.ok("lineage", "made", "--up") and graph["direction"] == "up"
    assert child["statement"] == graph["start"]
    usufruct.ok("prove", "data", "-o", "old.json", "--version", 1)
    usufruct.ok("verify", "old.json")
    usufruct.ok("prove", "data", "-o", "f.json", "--file", "tief/größe 💚.csv")
    usufruct.ok("verify", "f.json")
    assert usufruct.fails(2, "prove", "data", "-o", "g.json", "--row", 1)["hint"]
    usufruct.fails(2, "publish", "made", "--title", "made")
    usufruct.fails(2, "publish", "made", "--parent", "nothing", "--title", "x")
    usufruct.fails(2, "publish", "made", "--update", "nothing")


def test_assets(usufruct: Command, table: Path):
    assert "no assets yet" in words(usufruct("asset", "list"))
    made = usufruct.ok("publish", table, "--title", "people")
    (listed,) = usufruct.ok("asset", "list")["assets"]
    assert listed == usufruct.ok("asset", "show", "people")
    assert listed["id"] == made["asset"] and listed["mine"] and listed["owner_name"] == "Ann"
    assert "people" in words(usufruct("asset", "list"))
    assert made["asset"] in words(usufruct("asset", "show", "people"))
    assert "retired" in words(usufruct("asset", "retire", "people"))
    assert usufruct.ok("asset", "show", "people")["state"] == "retired"
    usufruct.fails(2, "asset", "retire", "people")
    usufruct.fails(2, "publish", table, "--update", "people")
    usufruct.ok("verify", "people")
    for command in ("show", "history", "retire"):
        assert usufruct.fails(2, "asset", command, "nothing")["hint"]


def test_another_partys_evidence(usufruct: Command, table: Path, tmp_path: Path, home: Path):
    usufruct.ok("publish", table, "--title", "people")
    usufruct.ok("prove", "people", "-o", "people.json")
    usufruct.ok("init", "--name", "Zoë", "--home", tmp_path / "zoe")
    there = ("--home", tmp_path / "zoe")
    added = usufruct.ok("asset", "add", "people.json", *there)
    assert (added["title"], added["owner_name"], added["mine"]) == ("people", "Ann", False)
    assert "added people of Ann" in words(usufruct("asset", "add", "people.json", *there))
    usufruct.ok("publish", table, "--title", "derived", "--parent", "people", *there)
    assert "people" in words(usufruct("lineage", "derived", *there))
    usufruct.ok("prove", "derived", "-o", "derived.json", *there)
    usufruct.ok("verify", "derived.json")
    usufruct.ok("verify", "people", *there)
    usufruct.ok("asset", "show", "people", *there)
    usufruct.fails(2, "asset", "retire", "people", *there)
    usufruct.fails(2, "publish", table, "--update", "people", *there)
    usufruct.fails(1, "asset", "add", table, *there)
    usufruct.ok("prove", "people", "-o", "row.json", "--row", 1)
    usufruct.fails(2, "asset", "add", "row.json", *there)


def test_log(usufruct: Command, table: Path):
    assert usufruct.ok("log", "status")["size"] == 1
    usufruct.ok("publish", table, "--title", "people")
    status = usufruct.ok("log", "status")
    assert (status["size"], status["checkpoint"], status["anchored"]) == (2, 2, None)
    assert status["root"] in words(usufruct("log", "status"))
    entries = usufruct.ok("log", "show")["entries"]
    assert [entry["index"] for entry in entries] == [0, 1] and entries[1]["subject"] == "people"
    assert "people" in words(usufruct("log", "show"))
    assert len(usufruct.ok("log", "show", "--last", 1)["entries"]) == 1
    assert usufruct.ok("log", "show", 1)["entries"][0]["predicate"]["title"] == "people"
    assert json.loads(words(usufruct("log", "show", 1)))["index"] == 1
    usufruct.fails(2, "log", "show", 2)
    usufruct.fails(2, "log", "show", -1)


def test_what_needs_a_ledger_says_so(usufruct: Command, table: Path):
    usufruct.ok("publish", table, "--title", "people")
    for command in (
        ("log", "anchor"),
        ("wallet", "show"),
        ("wallet", "send", "0x" + "11" * 20, "1"),
        ("ledger", "status"),
        ("ledger", "tx", "0x" + "11" * 32),
        ("verify", "people", "--ledger"),
    ):
        error = usufruct.fails(3, *command)
        assert "uses no ledger" in error["message"] and "ledger join" in error["hint"]
    usufruct.fails(2, "ledger", "tx", "nonsense")
    usufruct.fails(2, "wallet", "send", "nobody", "1")


def test_setup_says_what_works(usufruct: Command):
    parts = usufruct.ok("setup", "--no-engine")["parts"]
    assert {part["name"] for part in parts} == {"evidence", "ledger", "learn", "engine"}
    assert "publish, prove, verify" in words(usufruct("setup", "--no-engine"))


@pytest.mark.parametrize(
    "command",
    [
        ["publish"],
        ["publish", "x", "--kind", "[red]"],
        ["publish", "x", "y"],
        ["nonsense"],
        ["asset"],
        ["log", "show", "first"],
        ["verify", "x", "--sample", "0"],
        ["prove", "x"],
        ["ledger", "serve", "--port", "99999"],
        ["publish", "--nonsense\x1b[31m", "x"],
    ],
)
def test_wrong_use(usufruct: Command, command: list[str]):
    words = usufruct(*command)
    assert words.code == 2 and "usufruct" in words.err + words.out
    document = usufruct(*command, "--json")
    assert document.code == 2 and document.err == ""
    assert document.json["error"] == "UsageError" and "\x1b" not in document.json["message"]


def test_no_home(usufruct: Command, tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch):
    usufruct.ok("publish", table, "--title", "people")
    monkeypatch.setenv("USUFRUCT_HOME", str(tmp_path / "none"))
    for command in ("asset list", "log status", "id list", "publish people.csv", "wallet show"):
        error = usufruct.fails(2, *command.split())
        assert error["error"] == "NotFound" and "usufruct init" in error["hint"]
    usufruct.ok("verify", table)
    assert usufruct.fails(2, "verify", "people")["error"] == "NotFound"
    usufruct.fails(2, "verify", table, "--ledger")
    assert not (tmp_path / "none").exists()
    shutil.copy(table, tmp_path / "bare.csv")
    assert "publish" in usufruct.fails(2, "verify", tmp_path / "bare.csv")["hint"]


def test_the_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("usufruct 0.")
