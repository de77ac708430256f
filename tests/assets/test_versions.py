from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from usufruct.assets.manifest import build_manifest
from usufruct.assets.versions import AssetRecord, AssetStore, VersionRecord
from usufruct.errors import AlreadyExists, BadInput, Damaged, NotAllowed, NotFound
from usufruct.types import Address, AssetId, AssetKind, AssetState, Digest

ASSET = AssetRecord(
    AssetId("ab" * 32),
    "Heart disease, Cleveland",
    AssetKind.DATASET,
    Address("0x" + "1" * 40),
    bytes(16),
    AssetState.DRAFT,
    1000,
)


def version(number: int, root: bytes, **changes: object) -> VersionRecord:
    record = VersionRecord(
        ASSET.id, number, Digest(root.hex()), Digest(f"{number:064x}"), 7, Path("/data/é"), False, 1
    )
    return replace(record, **changes)


@pytest.fixture
def manifest(tmp_path: Path):
    (tmp_path / "data.csv").write_bytes(b"a,b\n1,2\n")
    return build_manifest(tmp_path / "data.csv")


@pytest.fixture
def store(tmp_path: Path):
    with AssetStore(tmp_path / "assets.sqlite") as opened:
        yield opened


def test_what_goes_in_comes_out(store: AssetStore, manifest, tmp_path: Path) -> None:
    one = version(1, manifest.content_root)
    store.add_version(one, manifest, asset=ASSET)
    store.add_version(version(2, bytes(32), log_index=None, source=None, sealed=True), None)
    store.close()
    again = AssetStore(tmp_path / "assets.sqlite")
    active = replace(ASSET, state=AssetState.ACTIVE)
    assert again.assets() == [active] == again.assets(kind=AssetKind.DATASET)
    assert again.assets(kind=AssetKind.MODEL) == []
    first, second = again.versions(ASSET.id)
    assert first == one
    assert (second.log_index, second.source, second.sealed) == (None, None, True)
    assert again.manifest(ASSET.id, 1) == manifest
    with pytest.raises(NotFound, match="not kept here"):
        again.manifest(ASSET.id, 2)
    assert again.version(ASSET.id) == second
    assert again.by_content_root(one.content_root) == [one]
    assert again.by_statement(one.statement) == [one]
    assert again.by_source(Path("/data/é")) == [one]
    again.set_log_index(ASSET.id, 2, 9)
    assert again.version(ASSET.id, 2).log_index == 9
    again.close()


def test_lookup(store: AssetStore) -> None:
    other = replace(ASSET, id=AssetId("abababab" + "0" * 56), title="abcdef")
    store.add_asset(ASSET)
    store.add_asset(other)
    for text in ("ab" * 32, "0x" + "AB" * 32, "ababababab", ASSET.title):
        assert store.find(text) == ASSET
    assert store.find("abcdef") == other
    assert store.find("abababab00") == other
    with pytest.raises(BadInput, match="several"):
        store.find("ababab")
    for text in ("ababa", "", "no such", "zzzzzzzz", "ab" * 33, "heart disease, cleveland", "%"):
        with pytest.raises(NotFound) as caught:
            store.find(text)
        assert "asset list" in (caught.value.hint or "")
    store.add_asset(replace(ASSET, id=AssetId("12" * 32)))
    with pytest.raises(BadInput, match="several"):
        store.find(ASSET.title)


def test_numbers_follow_and_nothing_is_half_written(store: AssetStore, manifest) -> None:
    with pytest.raises(NotFound):
        store.add_version(version(1, bytes(32)), manifest)
    with pytest.raises(BadInput, match="next version"):
        store.add_version(version(2, bytes(32)), manifest, asset=ASSET)
    assert store.assets() == []
    store.add_version(version(1, manifest.content_root), manifest, asset=ASSET)
    with pytest.raises(AlreadyExists):
        store.add_version(version(1, manifest.content_root), manifest)
    with pytest.raises(AlreadyExists):
        store.add_asset(ASSET)
    for missing in (
        lambda: store.version(ASSET.id, 9),
        lambda: store.asset(AssetId("0" * 64)),
        lambda: store.set_log_index(ASSET.id, 9, 1),
    ):
        with pytest.raises(NotFound):
            missing()


def test_states(store: AssetStore) -> None:
    store.add_asset(ASSET)
    with pytest.raises(NotFound):
        store.version(ASSET.id)
    with pytest.raises(NotAllowed):
        store.set_state(ASSET.id, AssetState.RETIRED)
    for state in (AssetState.ACTIVE, AssetState.RETIRED, AssetState.ACTIVE, AssetState.REVOKED):
        store.set_state(ASSET.id, state)
    for state in AssetState:
        with pytest.raises(NotAllowed):
            store.set_state(ASSET.id, state)
    with pytest.raises(NotAllowed):
        store.add_version(version(1, bytes(32)), None)


def test_damage_is_told(store: AssetStore, manifest, tmp_path: Path) -> None:
    store.add_version(version(1, manifest.content_root), manifest, asset=ASSET)
    store.add_version(version(2, bytes(32)), manifest)
    with pytest.raises(Damaged, match="another content root"):
        store.manifest(ASSET.id, 2)
    with sqlite3.connect(tmp_path / "assets.sqlite") as raw:
        raw.execute("UPDATE manifests SET data = x'00112233' WHERE number = 1")
        raw.execute("UPDATE assets SET kind = 'painting'")
    raw.close()
    with pytest.raises(Damaged):
        store.asset(ASSET.id)
    with sqlite3.connect(tmp_path / "assets.sqlite") as raw:
        raw.execute("UPDATE assets SET kind = 'dataset'")
    raw.close()
    with pytest.raises(Damaged, match="manifest of version 1"):
        store.manifest(ASSET.id, 1)


def test_not_an_asset_store(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"something else entirely" * 100)
    with pytest.raises(Damaged):
        AssetStore(tmp_path / "x")


def test_format_1_stays_readable(tmp_path: Path) -> None:
    """The schema of the first release, by hand: a later program opens it."""
    with sqlite3.connect(tmp_path / "old") as raw:
        raw.executescript(
            """
            CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
            INSERT INTO meta VALUES ('application', 'asset store'), ('schema', '1');
            CREATE TABLE assets (id TEXT PRIMARY KEY, title TEXT NOT NULL, kind TEXT NOT NULL,
                owner TEXT NOT NULL, salt BLOB NOT NULL, state TEXT NOT NULL,
                created INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TABLE versions (asset TEXT NOT NULL REFERENCES assets (id),
                number INTEGER NOT NULL CHECK (number > 0), content_root TEXT NOT NULL,
                statement TEXT NOT NULL, log_index INTEGER, source BLOB, sealed INTEGER NOT NULL,
                created INTEGER NOT NULL, PRIMARY KEY (asset, number)) WITHOUT ROWID;
            CREATE TABLE manifests (asset TEXT NOT NULL, number INTEGER NOT NULL,
                data BLOB NOT NULL, PRIMARY KEY (asset, number));
            """
        )
        raw.execute(
            "INSERT INTO assets VALUES (?, 'old', 'model', ?, ?, 'active', 5)",
            ("cd" * 32, ASSET.owner, bytes(16)),
        )
    raw.close()
    with AssetStore(tmp_path / "old") as store:
        assert store.find("old").kind is AssetKind.MODEL
        store.add_version(version(1, bytes(32), asset=AssetId("cd" * 32)), None)


def test_threads(store: AssetStore) -> None:
    failures = []

    def work(number: int) -> None:
        try:
            store.add_asset(replace(ASSET, id=AssetId(f"{number:064x}"), title=str(number)))
            store.find(str(number))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(store.assets()) == 8
