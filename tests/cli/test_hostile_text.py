"""Strangers' words never drive the terminal: escapes, rich markup, directions of writing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import Command

from usufruct.assets import publish as assets_publish
from usufruct.cli.output import json_text, plain, safe
from usufruct.crypto.identity import Identity
from usufruct.errors import UsufructError
from usufruct.evidence import predicates
from usufruct.workspace import open_home
from usufruct.workspace.home import Home

EVIL = "[red]x[/red] \x1b[31m\x9b31m\u202egnp.exe\x07[/] [link=http://x]"
WICKED = "[bold red]VERIFIED[/] [/nonsense] \\[x] :smile:"


def test_the_helpers():
    for text in (EVIL, "\r\n\x00", "\u2066", "\ud800"):
        assert plain(text).isprintable()
        shown = json_text({text: [text]})
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert not set("\x1b\x9b\u202e\x07\x7f") & set(shown)
    assert plain("größe 💚") == "größe 💚" and "💚" in json_text("💚")
    assert len(plain("x" * 1000)) == 200 and "\\[red]" in safe("[red]")


def test_markup_in_titles_and_names_is_text(usufruct: Command, tmp_path: Path):
    home = tmp_path / "evil"
    name = "[red]Ann[bold] :smile:"
    with Home.create(home) as made:
        identity = Identity(name, b"\7" * 32)
        made.add(Identity("plain", b"\6" * 32), "correct horse")
    (tmp_path / "data" / "[bold]f[").write_text("x")
    with open_home(home, identity=identity) as ws:
        ws.publish(tmp_path / "data", title=WICKED)
        ws.prove(WICKED, tmp_path / "evil.json")
    shutil.rmtree(home)
    usufruct.ok("asset", "add", "evil.json")
    (tmp_path / "mine").write_text("mine")
    usufruct.ok("publish", "mine", "--parent", WICKED)
    for command in (
        ["asset", "list"],
        ["asset", "show", WICKED],
        ["verify", "evil.json"],
        ["verify", tmp_path / "data"],
        ["lineage", "mine"],
        ["lineage", "mine", "--format", "dot"],
        ["asset", "add", "evil.json"],
    ):
        ran = usufruct(*command)
        assert ran.code == 0, ran
        assert "[bold red]VERIFIED" in ran.out and "😄" not in ran.out
    (tmp_path / "data" / "[bold]f[").write_text("y")
    assert "[bold]f[" in usufruct("verify", tmp_path / "data").err
    assert "[bold]f[" in usufruct("verify", "[/bold]f[").err + "[bold]f["


def test_escapes_in_a_strangers_bundle(
    usufruct: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Signed by somebody whose program checks nothing: ours refuses, or shows it tamed."""
    data = tmp_path / "data" / "f\x1b[31m\x9b"
    data.write_text("x")
    home = tmp_path / "evil"
    with Home.create(home) as made:
        made.add(Identity("plain", b"\6" * 32), "correct horse")
    with monkeypatch.context() as patch:
        patch.setattr(assets_publish, "check_title", lambda title: title)
        patch.setattr("usufruct.workspace.publishing.check_title", lambda title: title)
        for name in ("check_title", "title"):
            if hasattr(predicates, name):
                patch.setattr(predicates, name, lambda text, *more: text)
        with open_home(home, identity=Identity("plain", b"\6" * 32)) as ws:
            try:
                ws.publish(tmp_path / "data", title=EVIL)
                ws.prove(EVIL, tmp_path / "evil.json")
            except UsufructError:
                ws.publish(tmp_path / "data", title="tame")
                ws.prove("tame", tmp_path / "evil.json")
    for command in (["verify", "evil.json"], ["asset", "add", "evil.json"], ["asset", "list"]):
        for ran in (usufruct(*command), usufruct(*command, "--json")):
            said = ran.out + ran.err
            assert not set("\x1b\x9b\u202e\x07") & set(said)
    data.write_text("y")
    for ran in (usufruct("verify", tmp_path / "data"), usufruct("verify", "data", "--json")):
        assert ran.code == 1 and not set("\x1b\x9b\u202e\x07") & set(ran.out + ran.err)
