from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from usufruct.assets.sidecar import write_evidence
from usufruct.assets.walk import list_files
from usufruct.errors import BadInput, Mismatch, NotFound
from usufruct.store.atomic import TEMPORARY


def test_paths_are_sorted_by_their_bytes_and_evidence_is_left_out(tmp_path: Path) -> None:
    for name in (
        "b",
        "a/z",
        "a-b",
        "a.b",
        "é",
        "日本/語",
        ".usufruct/evidence.json",
        "a/.usufruct/x",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    tree = list_files(tmp_path)
    assert tree.paths == sorted(tree.paths, key=str.encode)
    assert "a/.usufruct/x" in tree.paths
    assert ".usufruct/evidence.json" not in tree.paths
    assert len(tree.paths) == 7
    assert all(os.path.isfile(tree.prefix + path) for path in tree.paths)


def test_a_file_is_an_asset_of_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"1")
    tree = list_files(tmp_path / "x.csv")
    assert (tree.paths, tree.is_folder) == (["x.csv"], False)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing at"):
        list_files(tmp_path / "no")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(BadInput, match="holds no file"):
        list_files(tmp_path)


def test_links_are_refused_unless_followed(tmp_path: Path) -> None:
    folder = tmp_path / "asset"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(b"1")
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match="asset/link is a link") as caught:
        list_files(folder)
    assert "--follow-links" in (caught.value.hint or "")
    assert list_files(folder, follow_links=True).paths == ["link"]


def test_a_named_link_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "l").symlink_to("x")
    assert list_files(tmp_path / "l").follow_links


@pytest.mark.parametrize("follow", [False, True])
def test_folder_loops_are_named(tmp_path: Path, follow: bool) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/f").write_bytes(b"1")
    (tmp_path / "a/b/up").symlink_to("..")
    with pytest.raises(BadInput, match=r"a/b/up .*loop"):
        list_files(tmp_path, follow_links=follow)


@pytest.mark.parametrize("follow", [False, True])
def test_link_loops_are_named(tmp_path: Path, follow: bool) -> None:
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    with pytest.raises(BadInput, match="is a loop of links"):
        list_files(tmp_path, follow_links=follow)
    with pytest.raises(BadInput, match="is a loop of links"):
        list_files(tmp_path / "x", follow_links=follow)


def test_dangling_links(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("gone")
    with pytest.raises(BadInput, match="link to nothing"):
        list_files(tmp_path, follow_links=True)
    with pytest.raises(BadInput, match="link to nothing"):
        list_files(tmp_path / "x")


def test_two_links_to_one_folder_are_no_loop(tmp_path: Path) -> None:
    (tmp_path / "asset").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/f").write_bytes(b"1")
    for name in "ab":
        (tmp_path / "asset" / name).symlink_to("../data")
    assert list_files(tmp_path / "asset", follow_links=True).paths == ["a/f", "b/f"]


def test_special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe is a named pipe"):
        list_files(tmp_path)
    with pytest.raises(BadInput, match="pipe is a named pipe"):
        list_files(tmp_path / "pipe")
    os.unlink(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        with pytest.raises(BadInput, match="sock is a socket"):
            list_files(tmp_path)
    os.unlink("sock")
    os.mkfifo(tmp_path / "pipe2")
    os.mkdir("d")
    (tmp_path / "d/l").symlink_to("../pipe2")
    with pytest.raises(BadInput, match="links to a named pipe"):
        list_files(tmp_path / "d", follow_links=True)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/bad\xff"
    with open(raw, "wb") as file:
        file.write(b"1")
    with pytest.raises(BadInput, match=r"bad\\xff.*not UTF-8"):
        list_files(tmp_path)
    with pytest.raises(BadInput, match="not UTF-8"):
        list_files(Path(os.fsdecode(raw)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0)
    with pytest.raises(BadInput, match="cannot read"):
        list_files(tmp_path)


def test_problems_are_collected_for_a_check(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"1")
    (tmp_path / "link").symlink_to("good")
    os.mkfifo(tmp_path / "pipe")
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    problems: list = []
    tree = list_files(tmp_path, problems=problems)
    assert tree.paths == ["good"]
    assert {p.file for p in problems} == {"link", "pipe", "\\xff"}
    assert {p.what for p in problems} == {"unreadable"}


@pytest.mark.parametrize("name", ["run.sh", "sub/evidence.json", "evidence.json/x", "evidence.bak"])
def test_nothing_hides_beside_the_evidence(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(b"1")
    hidden = tmp_path / ".usufruct" / name
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes(b"evil")
    with pytest.raises(BadInput, match=r"only evidence\.json belongs in \.usufruct"):
        list_files(tmp_path)
    problems: list[Mismatch] = []
    assert list_files(tmp_path, problems=problems).paths == ["x"]
    top = name.split("/")[0]
    assert [(p.what, p.file) for p in problems] == [("added", f".usufruct/{top}")]


def test_what_a_killed_publisher_left_is_told_but_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    write_evidence(tmp_path, b"{}")
    left = tmp_path / ".usufruct" / f"{TEMPORARY}ab"
    left.write_bytes(b"half")
    problems: list[Mismatch] = []
    list_files(tmp_path, problems=problems)
    assert [p.what for p in problems] == ["added"]
    assert list_files(tmp_path).paths == ["x"]
    write_evidence(tmp_path, b"{}")
    assert not left.exists()
