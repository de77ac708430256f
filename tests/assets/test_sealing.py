from __future__ import annotations

import os
from pathlib import Path

import pytest

from usufruct.assets.manifest import build_manifest
from usufruct.assets.sealing import (
    SealedAsset,
    SealKeys,
    check_sealed,
    open_manifest,
    restore,
    seal_asset,
)
from usufruct.crypto import canonical
from usufruct.errors import AlreadyExists, BadInput, NotFound, VerificationError
from usufruct.evidence.content import CHUNK
from usufruct.types import Digest
from usufruct.vault import Vault

KEYS = SealKeys(bytes(range(32)))


@pytest.fixture
def sealed(tmp_path: Path):
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "sub/patients é.csv").write_bytes(b"a,b\n1,2\n")
    (data / "big").write_bytes(os.urandom(2 * CHUNK + 7))
    (data / "exact").write_bytes(os.urandom(CHUNK))
    (data / "empty").write_bytes(b"")
    made = build_manifest(data)
    vault = Vault(tmp_path / "vault")
    return data, made, vault, seal_asset(data, made, vault, KEYS)


def root(made) -> Digest:
    return Digest(made.content_root.hex())


def test_round_trip(sealed, tmp_path: Path) -> None:
    data, made, vault, asset = sealed
    check_sealed(vault, asset)
    assert open_manifest(vault, KEYS, content_root=root(made), sealed=asset) == made
    out = tmp_path / "out"
    assert restore(vault, KEYS, out, content_root=root(made), sealed=asset) == made
    for entry in made.files:
        assert (out / entry.path).read_bytes() == (data / entry.path).read_bytes()
    with pytest.raises(AlreadyExists):
        restore(vault, KEYS, out, content_root=root(made))
    assert SealedAsset.from_bytes(asset.to_bytes()) == asset


def test_nothing_readable_is_stored_or_published(sealed, tmp_path: Path) -> None:
    _, made, _, asset = sealed
    stored = b"".join(p.read_bytes() + os.fsencode(p.name) for p in (tmp_path / "vault").rglob("*"))
    for secret in (b"patients", b"a,b\n", made.salt_root, made.salt_root.hex().encode()):
        assert secret not in stored + asset.to_bytes()
    assert made.files[0].chunk_digests[:32] not in asset.manifest.digests
    assert len({one.object_id for one in asset.objects}) == 5
    assert {KEYS.object_id(i) for i in range(4)}.isdisjoint(
        {SealKeys(bytes(32)).object_id(i) for i in range(4)}
    )


def test_a_file_asset(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"1,2\n")
    made = build_manifest(tmp_path / "x.csv", algorithm="sha256")
    vault = Vault(tmp_path / "vault")
    seal_asset(tmp_path / "x.csv", made, vault, KEYS)
    restore(vault, KEYS, tmp_path / "out", content_root=root(made))
    assert (tmp_path / "out/x.csv").read_bytes() == b"1,2\n"


def test_a_file_that_changed_leaves_nothing_behind(sealed, tmp_path: Path) -> None:
    data, made, _, _ = sealed
    vault = Vault(tmp_path / "other")
    (data / "exact").write_bytes(bytes(CHUNK))
    with pytest.raises(BadInput, match="exact changed"):
        seal_asset(data, made, vault, KEYS)
    assert vault.ids() == ()
    (data / "exact").unlink()
    with pytest.raises(BadInput, match="exact: No such file"):
        seal_asset(data, made, vault, KEYS)
    assert vault.ids() == ()


def test_keys_are_used_once(sealed) -> None:
    data, made, vault, asset = sealed
    with pytest.raises(AlreadyExists):
        seal_asset(data, made, vault, KEYS)
    check_sealed(vault, asset)


def test_damage_is_named_without_keys(sealed, tmp_path: Path) -> None:
    _, made, vault, asset = sealed
    stored = next((tmp_path / "vault").rglob(f"{asset.files[0].object_id}*"))
    content = bytearray(stored.read_bytes())
    content[CHUNK + 100] ^= 1
    stored.write_bytes(content)
    vault.delete(asset.files[1].object_id)
    with pytest.raises(VerificationError) as caught:
        check_sealed(vault, asset)
    found = [(m.what, m.file, m.chunk) for m in caught.value.mismatches]
    assert found == [
        ("changed", asset.files[0].object_id, 1),
        ("missing", asset.files[1].object_id, None),
    ]
    with pytest.raises(VerificationError):
        restore(vault, KEYS, tmp_path / "out", content_root=root(made))
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".usufruct-tmp*"))


def test_other_keys_or_another_root(sealed) -> None:
    _, made, vault, _ = sealed
    with pytest.raises(NotFound):
        open_manifest(vault, SealKeys(bytes(32)), content_root=root(made))
    with pytest.raises(VerificationError, match="another content root"):
        open_manifest(vault, KEYS, content_root=Digest("0" * 64))
    with pytest.raises(BadInput):
        SealKeys(b"short")


def test_digests_are_read_strictly(sealed) -> None:
    value = canonical.loads(sealed[3].to_bytes())
    good = value["objects"][0]
    for bad in (
        {**value, "format": "usufruct/sealed/v2"},
        {**value, "objects": []},
        {**value, "objects": [good]},
        {**value, "more": 1},
        *(
            {**value, "objects": [{**good, key: wrong}, good]}
            for key, wrong in (
                ("id", 1),
                ("size", -1),
                ("sealed_size", True),
                ("algorithm", None),
                ("digests", ""),
                ("digests", "AAAA"),
                ("digests", 5),
            )
        ),
    ):
        with pytest.raises(BadInput):
            SealedAsset.from_bytes(canonical.dumps(bad))
