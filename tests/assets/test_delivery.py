"""Deliveries and probes: exactly the keys that were paid for, for exactly who paid."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.assets.delivery import (
    LEAST_PROBED,
    MAX_DELIVERY,
    can_probe,
    delivery_info,
    make_delivery,
    make_probe,
    open_delivery,
    open_probe,
    pick_chunk,
    probe_seed,
)
from usufruct.assets.manifest import build_manifest
from usufruct.assets.sealing import SealedAsset, SealKeys, open_manifest, seal_asset
from usufruct.crypto import aead, canonical, hpke
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, NotAllowed, VerificationError
from usufruct.evidence.content import CHUNK
from usufruct.types import AssetId, Digest, LicenceId
from usufruct.units import MIB
from usufruct.vault import SealedObject, Vault

BUYER = Identity("Bea", bytes([1]) * 32)
OTHER = Identity("Oda", bytes([2]) * 32)
ASSET, LICENCE, ROOT = AssetId("a1" * 32), LicenceId("c3" * 32), Digest("d4" * 32)
KEYS, OTHERS = SealKeys(bytes(32)), SealKeys(bytes([1]) * 32)
KEY = BUYER.public.encryption_key
INFO = delivery_info(ASSET, 1, LICENCE, BUYER.address, ROOT)


def listed(files: int, chunks: int = 1, size: int = 5) -> SealedAsset:
    def one(name: str, count: int) -> SealedObject:
        return SealedObject(name, size, aead.sealed_size(size), "blake3", bytes(32 * count))

    return SealedAsset(one("m", chunks), tuple(one(f"f{n}", 1) for n in range(files)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70_000), st.integers(1, 2000), st.data())
def test_exactly_the_keys_that_were_granted(files: int, chunks: int, data: st.DataObject):
    message = make_delivery(KEYS, files, chunks, KEY, INFO)
    assert len(message) < 4096
    sealed = replace(listed(1, chunks), files=listed(1).files * files)
    granted = open_delivery(BUYER, message, INFO, sealed=sealed)
    assert granted.files == files
    inside = data.draw(st.integers(0, files - 1))
    chunk = data.draw(st.integers(0, 2**32 - 1))
    assert granted.file(inside).leaf(chunk) == KEYS.file(inside).leaf(chunk)
    assert granted.file(inside).leaf(chunk) != OTHERS.file(inside).leaf(chunk)
    part = data.draw(st.integers(0, chunks - 1))
    assert granted.manifest.leaf(part) == KEYS.manifest.leaf(part)
    for beyond in (files, files + 1, 2**32 - 1, data.draw(st.integers(files, 2**32 - 1))):
        with pytest.raises(NotAllowed):
            granted.file(beyond)
    for beyond in (chunks, data.draw(st.integers(chunks, 2**32 - 1))):
        with pytest.raises(NotAllowed):
            granted.manifest.leaf(beyond)
    assert "key" not in repr(granted).lower().replace("grantedkeys", "")


def test_nothing_in_a_delivery_leads_beyond_it():
    """Every node handed over lies inside the range: no key in it has a leaf outside below it."""
    for count in (1, 2, 3, 5, 1000, 65_535):
        message = make_delivery(KEYS, count, count, KEY, INFO)
        plain = BUYER.hpke_open(message, b"usufruct/delivery/v1\0" + INFO)
        document = canonical.loads(plain)
        for name in ("file_keys", "manifest_keys"):
            spans = [(i << level, (i + 1) << level) for level, i, _ in document[name]]
            assert spans[0][0] == 0 and spans[-1][1] == count
            assert all(left[1] == right[0] for left, right in pairwise(spans))


def test_bound_to_who_and_what():
    message = make_delivery(KEYS, 3, 1, KEY, INFO)
    sealed = listed(3)
    open_delivery(BUYER, message, INFO, sealed=sealed)
    others = (
        delivery_info(AssetId("00" * 32), 1, LICENCE, BUYER.address, ROOT),
        delivery_info(ASSET, 2, LICENCE, BUYER.address, ROOT),
        delivery_info(ASSET, 1, LicenceId("00" * 32), BUYER.address, ROOT),
        delivery_info(ASSET, 1, LICENCE, OTHER.address, ROOT),
        delivery_info(ASSET, 1, LICENCE, BUYER.address, Digest("00" * 32)),
        b"",
    )
    for info in others:
        with pytest.raises(VerificationError):
            open_delivery(BUYER, message, info, sealed=sealed)
    with pytest.raises(VerificationError):
        open_delivery(OTHER, message, INFO, sealed=sealed)
    for at in range(0, len(message), 7):
        changed = bytearray(message)
        changed[at] ^= 1
        with pytest.raises(VerificationError):
            open_delivery(BUYER, bytes(changed), INFO, sealed=sealed)
    for data in (b"", message[:-1], message + b"x", bytes(MAX_DELIVERY + 1)):
        with pytest.raises(VerificationError):
            open_delivery(BUYER, data, INFO, sealed=sealed)
    for wrong in (listed(2), listed(4), listed(3, 2)):
        with pytest.raises(VerificationError, match="another number"):
            open_delivery(BUYER, message, INFO, sealed=wrong)


def forged(document: object) -> bytes:
    label = b"usufruct/delivery/v1\0"
    return hpke.seal(KEY, canonical.dumps(document), info=label + INFO)


def test_a_giver_who_lies():
    plain = BUYER.hpke_open(make_delivery(KEYS, 3, 1, KEY, INFO), b"usufruct/delivery/v1\0" + INFO)
    good = canonical.loads(plain)
    sealed = listed(3)
    open_delivery(BUYER, forged(good), INFO, sealed=sealed)
    first, second = good["file_keys"]
    lies = [
        {**good, "format": "usufruct/delivery/v2"},
        {**good, "more": 1},
        {**good, "file_keys": [second, first]},
        {**good, "file_keys": [first]},
        {**good, "file_keys": []},
        {**good, "file_keys": [first, second, [0, 3, first[2]]]},
        {**good, "file_keys": [[48, 0, first[2]]]},
        {**good, "file_keys": [[1, 0, "AAAA"], second]},
        {**good, "file_keys": [[True, 0, first[2]], second]},
        {**good, "file_keys": 7},
        {**good, "file_keys": [[1, 0]]},
        {**good, "files": "3"},
        {**good, "files": 4},
        {**good, "manifest_keys": first},
        [],
        None,
    ]
    for lie in lies:
        with pytest.raises(VerificationError):
            open_delivery(BUYER, forged(lie), INFO, sealed=sealed)


@pytest.mark.parametrize(("files", "chunks"), [(0, 1), (1, 0), (-1, 1), (2**32 + 1, 1)])
def test_ranges_that_cannot_be(files: int, chunks: int):
    with pytest.raises(BadInput):
        make_delivery(KEYS, files, chunks, KEY, INFO)
    with pytest.raises(BadInput):
        make_delivery(KEYS, 1, 1, bytes(31), INFO)


@pytest.mark.parametrize("wrong", [("", 1), ("x" * 64, 1), ("a1" * 32, -1), ("a1" * 32, 2**64)])
def test_what_cannot_be_named(wrong: tuple[str, int]):
    with pytest.raises(BadInput):
        delivery_info(AssetId(wrong[0]), wrong[1], LICENCE, BUYER.address, ROOT)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 5 * MIB), min_size=1, max_size=12), st.binary(max_size=40))
def test_picked_chunks_are_there(sizes: list[int], seed: bytes):
    one = listed(1).files[0]
    sealed = replace(listed(1), files=tuple(replace(one, size=size) for size in sizes))
    file, chunk = pick_chunk(sealed, seed)
    assert (file, chunk) == pick_chunk(sealed, seed)
    if any(sizes):
        assert chunk * MIB < sizes[file]
    else:
        assert (file, chunk) == (0, 0)


def test_a_small_asset_is_not_probed():
    one = listed(1).files[0]
    sizes = (0, (LEAST_PROBED - 2) * MIB, 1)
    sealed = replace(listed(1), files=tuple(replace(one, size=size) for size in sizes))
    assert not can_probe(sealed)
    assert can_probe(replace(sealed, files=(*sealed.files, replace(one, size=1))))


def test_neither_side_chooses_the_chunk():
    block = "0x" + "ab" * 32
    assert probe_seed(block, LICENCE, 1) == probe_seed(block, LICENCE, 1)
    other = LicenceId(LICENCE[:-1] + ("0" if LICENCE[-1] != "0" else "1"))
    found = {probe_seed(block, LICENCE, n) for n in (1, 2)}
    found |= {probe_seed("0x" + "ac" * 32, LICENCE, 1), probe_seed(block, other, 1)}
    assert len(found) == 4 and all(len(seed) == 32 for seed in found)


def test_every_chunk_can_be_picked():
    one = listed(1).files[0]
    sizes = (0, 3 * MIB, 1, 0, 2 * MIB)
    sealed = replace(listed(1), files=tuple(replace(one, size=size) for size in sizes))
    found = {pick_chunk(sealed, bytes([n])) for n in range(200)}
    assert found == {(1, 0), (1, 1), (1, 2), (2, 0), (4, 0), (4, 1)}


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("probe")
    data = folder / "data"
    data.mkdir()
    for name, content in (("a.csv", b"x,y\n1,2\n"), ("b", bytes(range(256)) * 10_000), ("c", b"")):
        (data / name).write_bytes(content)
    manifest = build_manifest(data)
    vault = Vault(folder / "vault")
    return folder, manifest, vault, seal_asset(data, manifest, vault, KEYS)


def ciphertext(folder: Path, one: SealedObject, chunk: int) -> bytes:
    data = (folder / "vault" / f"{one.object_id}.sealed").read_bytes()
    return data[chunk * aead.SEALED_CHUNK_SIZE :][: aead.SEALED_CHUNK_SIZE]


def test_whole_way(stood):
    _, manifest, vault, sealed = stood
    message = make_delivery(KEYS, 3, sealed.manifest.chunks, KEY, INFO)
    granted = open_delivery(BUYER, message, INFO, sealed=sealed)
    parts = vault.get(sealed.manifest.object_id, granted.manifest, expected=sealed.manifest)
    assert b"".join(map(bytes, parts)) == manifest.to_bytes()
    root = Digest(manifest.content_root.hex())
    assert open_manifest(vault, KEYS, content_root=root) == manifest
    for number, entry in enumerate(manifest.files):
        parts = vault.get(sealed.files[number].object_id, granted.file(number))
        assert sum(map(len, parts)) == entry.size
    assert CHUNK == aead.CHUNK_SIZE


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (1, 2), (2, 0)])
def test_probes(stood, place: tuple[int, int]):
    folder, manifest, _, sealed = stood
    root = Digest(manifest.content_root.hex())
    message = make_probe(KEYS, manifest, place, KEY, INFO)
    probe = open_probe(BUYER, message, INFO, place)
    good = ciphertext(folder, sealed.files[place[0]], place[1])
    probe.check(sealed, good, root)
    spoilt = good[:-1] + bytes([good[-1] ^ 1])
    for wrong in (b"", good[:-1], good + b"x", spoilt, bytes(len(good))):
        with pytest.raises(VerificationError, match="probe"):
            probe.check(sealed, wrong, root)
    with pytest.raises(VerificationError):
        probe.check(sealed, good, ROOT)
    with pytest.raises(VerificationError):
        open_probe(OTHER, message, INFO, place)
    with pytest.raises(VerificationError):
        open_probe(BUYER, message, INFO + b"x", place)
    with pytest.raises(VerificationError, match="another chunk"):
        open_probe(BUYER, message, INFO, (place[0], place[1] + 1))
    # a probe is no grant and a grant no probe
    with pytest.raises(VerificationError):
        open_delivery(BUYER, message, INFO, sealed=sealed)
    with pytest.raises(VerificationError):
        open_probe(BUYER, make_delivery(KEYS, 3, 1, KEY, INFO), INFO, place)
    assert probe.key.hex() not in repr(probe)


def test_a_probe_of_bytes_that_were_never_published(stood, tmp_path: Path):
    """The seller sealed something else, with good keys: the proof to the content root fails."""
    _, manifest, _, sealed = stood
    one = sealed.files[1]
    name = one.object_id.encode()
    fake = aead.seal_chunk(KEYS.file(1).leaf(1), name, 1, False, bytes(CHUNK))
    probe = open_probe(BUYER, make_probe(KEYS, manifest, (1, 1), KEY, INFO), INFO, (1, 1))
    with pytest.raises(VerificationError, match="chunk 1"):
        probe.check(sealed, fake, Digest(manifest.content_root.hex()))
    data = tmp_path / "data"
    data.mkdir()
    for entry in manifest.files:
        (data / entry.path).write_bytes(bytes(entry.size))
    other = build_manifest(data, rows=False)
    lying = open_probe(BUYER, make_probe(KEYS, other, (1, 1), KEY, INFO), INFO, (1, 1))
    with pytest.raises(VerificationError):
        lying.check(sealed, fake, Digest(manifest.content_root.hex()))


@pytest.mark.parametrize("place", [(-1, 0), (3, 0), (0, 1), (1, 3), (1, -1), (2, 1)])
def test_chunks_that_are_not_there(stood, place: tuple[int, int]):
    with pytest.raises(BadInput):
        make_probe(KEYS, stood[1], place, KEY, INFO)
