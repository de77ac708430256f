from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from usufruct.assets import sidecar
from usufruct.assets.publish import asset_id, check_title, new_salt, prepare
from usufruct.assets.sidecar import evidence_path, read_evidence, write_evidence
from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, Damaged, NotFound
from usufruct.evidence import predicates
from usufruct.evidence.statements import read_payload
from usufruct.types import Address, AssetKind

OWNER = Address("0x" + "ab" * 20)


def test_a_version_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "x").write_bytes(b"12345")
    ready = prepare(tmp_path)
    assert (ready.size, ready.files, ready.rows) == (13, 2, 2)
    assert ready.content_root == ready.manifest.content_root.hex()
    assert ready.manifest.salt_root.hex() not in repr(ready)
    salt = new_salt()
    said = ready.version(
        owner=OWNER,
        salt=salt,
        number=1,
        kind=AssetKind.DATASET,
        title="Heart",
        created="2026-11-22T00:00:00Z",
        metadata={"licence": "CC0"},
    )
    assert predicates.Version.read(read_payload(said.payload())) == said
    assert said.asset == asset_id(OWNER, salt) == predicates.asset_id(OWNER, salt)
    assert list(tmp_path.rglob(".usufruct")) == []


def test_asset_ids() -> None:
    salt = bytes(range(16))
    assert asset_id(OWNER, salt) == keccak256(b"\xab" * 20 + salt).hex()
    assert asset_id(Address(OWNER.upper().replace("0X", "0x")), salt) == asset_id(OWNER, salt)
    for owner, bad in ((OWNER, b"short"), ("0x12", salt)):
        with pytest.raises(BadInput):
            asset_id(Address(owner), bad)
    assert len({new_salt() for _ in range(10)}) == 10


@pytest.mark.parametrize("title", ["", "  ", "x" * 201, "a\nb", "a\x1b[31mb"])
def test_titles(title: str) -> None:
    assert check_title("Herz, Köln 日本") == "Herz, Köln 日本"
    with pytest.raises(BadInput):
        check_title(title)


def test_where_evidence_lives(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f.csv").write_bytes(b"1")
    assert evidence_path(tmp_path / "d") == tmp_path / "d/.usufruct/evidence.json"
    assert evidence_path(tmp_path / "f.csv") == tmp_path / "f.csv.usufruct"
    for path in (tmp_path / "d", tmp_path / "f.csv"):
        with pytest.raises(NotFound, match="no evidence beside"):
            read_evidence(path)
        assert write_evidence(path, b"{}") == evidence_path(path)
        write_evidence(path, b"{1}")
        assert read_evidence(path) == b"{1}"
    with pytest.raises(NotFound, match="nothing at"):
        read_evidence(tmp_path / "no")
    assert prepare(tmp_path / "f.csv").files == 1


def test_evidence_has_the_permissions_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    for mode in (0o600, 0o644):
        path.chmod(mode)
        written = write_evidence(path, b"x")
        umask = os.umask(0)
        os.umask(umask)
        assert stat.S_IMODE(written.stat().st_mode) == mode & ~umask


def test_the_evidence_folder_is_no_part_of_the_asset(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    before = prepare(tmp_path, salt_root=bytes(32)).content_root
    write_evidence(tmp_path, b"{}")
    assert prepare(tmp_path, salt_root=bytes(32)).content_root == before


def test_a_read_only_folder_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"1")
    monkeypatch.setattr(sidecar.os, "access", lambda *_: False)
    for path in (tmp_path, tmp_path / "f"):
        with pytest.raises(BadInput, match="read-only") as caught:
            prepare(path)
        assert caught.value.hint
        with pytest.raises(BadInput, match="read-only"):
            write_evidence(path, b"x")
    assert prepare(tmp_path, evidence=False).files == 1


def test_something_else_in_the_place_of_evidence(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_bytes(b"1")
    (tmp_path / "f").write_bytes(b"1")
    (tmp_path / "f.usufruct").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        prepare(tmp_path / "f")
    (tmp_path / "d/.usufruct").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="not a folder"):
        prepare(tmp_path / "d")
    (tmp_path / "d/.usufruct").unlink()
    (tmp_path / "d/.usufruct").write_bytes(b"1")
    with pytest.raises(BadInput, match="not a folder"):
        prepare(tmp_path / "d")


def test_size_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"1")
    monkeypatch.setattr(sidecar, "MAX_EVIDENCE", 10)
    with pytest.raises(BadInput, match="larger"):
        write_evidence(tmp_path / "f", bytes(11))
    (tmp_path / "f.usufruct").write_bytes(bytes(11))
    with pytest.raises(Damaged):
        read_evidence(tmp_path / "f")


def test_evidence_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a\n1\n")
    os.mkfifo(tmp_path / "x.csv.usufruct")
    with pytest.raises(BadInput, match="no regular file"):
        read_evidence(tmp_path / "x.csv")
    (tmp_path / ".usufruct").mkdir()
    (tmp_path / ".usufruct" / "evidence.json").symlink_to("/dev/zero")
    with pytest.raises(BadInput, match="no regular file"):
        read_evidence(tmp_path)
