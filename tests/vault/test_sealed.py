import io
import os
import tracemalloc
import uuid

import pytest

from usufruct.crypto.aead import SEALED_CHUNK_SIZE
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
)
from usufruct.vault import Vault

MIB = 1 << 20
KEYS = KeyTree(b"k" * 32, "test/v1")
OTHER = KeyTree(b"o" * 32, "test/v1")


@pytest.fixture(params=["folder", "memory"])
def vault(request, tmp_path):
    if request.param == "folder":
        return Vault(tmp_path / "vault")
    return Vault(f"memory://{uuid.uuid4().hex}")


def read(vault, name="a", keys=KEYS, **more):
    return b"".join(bytes(chunk) for chunk in vault.get(name, keys, **more))


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
def test_comes_back(vault, size, algorithm):
    data = os.urandom(size)
    sealed = vault.put("a", io.BytesIO(data), KEYS, algorithm=algorithm)
    assert sealed.size == size
    assert sealed.chunks == max(1, -(-size // MIB))
    assert read(vault) == data
    assert read(vault, expected=sealed) == data
    vault.check(sealed)
    stored = b"".join(bytes(c) for c in vault.sealed_chunks("a"))
    assert len(stored) == sealed.sealed_size
    assert size < 100 or data[:64] not in stored


def test_life_of_an_object(vault):
    assert vault.ids() == ()
    assert not vault.exists("a")
    vault.put("a", io.BytesIO(b"one"), KEYS)
    vault.put("b-2.x", io.BytesIO(b"two"), KEYS)
    assert vault.ids() == ("a", "b-2.x")
    with pytest.raises(AlreadyExists):
        vault.put("a", io.BytesIO(b"three"), KEYS)
    assert read(vault) == b"one"
    vault.put("a", io.BytesIO(b"three"), KEYS, replace=True)
    assert read(vault) == b"three"
    vault.delete("a")
    assert vault.ids() == ("b-2.x",)
    for call in (lambda: vault.delete("a"), lambda: read(vault)):
        with pytest.raises(NotFound):
            call()


def test_single_chunks(vault):
    data = os.urandom(2 * MIB + 5)
    vault.put("a", io.BytesIO(data), KEYS)
    assert vault.get_chunk("a", 1, KEYS) == data[MIB : 2 * MIB]
    assert vault.get_chunk("a", 2, KEYS) == data[2 * MIB :]
    for index in (-1, 3):
        with pytest.raises(BadInput):
            vault.get_chunk("a", index, KEYS)


def test_a_grant_opens_its_chunks_only(vault):
    vault.put("a", io.BytesIO(bytes(3 * MIB)), KEYS)
    grant = Cover(KEYS.cover(1, 2))
    assert vault.get_chunk("a", 1, grant) == bytes(MIB)
    with pytest.raises(NotAllowed):
        vault.get_chunk("a", 2, grant)
    with pytest.raises(NotAllowed):
        read(vault, keys=grant)


def test_wrong_keys_and_names(tmp_path):
    vault = Vault(tmp_path)
    vault.put("a", io.BytesIO(b"x"), KEYS)
    with pytest.raises(VerificationError):
        read(vault, keys=OTHER)
    (tmp_path / "a.sealed").rename(tmp_path / "b.sealed")
    with pytest.raises(VerificationError):
        read(vault, "b")


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b"),
        *("A", "ä", "a\0", "a\n", "-a", ".a", "a b"),
        "a" * 129,
        None,
        7,
        b"a",
    ],
)
def test_unsafe_names(vault, name):
    calls = (vault.exists, vault.delete, lambda n: vault.put(n, io.BytesIO(), KEYS))
    for call in (*calls, lambda n: read(vault, n), lambda n: vault.get_chunk(n, 0, KEYS)):
        with pytest.raises(BadInput):
            call(name)


def damaged(tmp_path, position, size=3 * MIB):
    vault = Vault(tmp_path)
    sealed = vault.put("a", io.BytesIO(os.urandom(size)), KEYS)
    with open(tmp_path / "a.sealed", "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))
    return vault, sealed


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 31, 32, 5000, SEALED_CHUNK_SIZE - 1])
def test_a_flipped_byte_names_its_chunk(tmp_path, chunk, place):
    vault, sealed = damaged(tmp_path, chunk * SEALED_CHUNK_SIZE + place)
    calls = (
        lambda: read(vault),
        lambda: read(vault, expected=sealed),
        lambda: vault.check(sealed),
        lambda: vault.get_chunk("a", chunk, KEYS),
    )
    for call in calls:
        with pytest.raises(VerificationError, match=f"chunk {chunk}") as caught:
            call()
        assert caught.value.mismatches[0].chunk == chunk
        assert caught.value.mismatches[0].file == "a"
    opened = []
    with pytest.raises(VerificationError):
        opened.extend(len(c) for c in vault.get("a", KEYS))
    assert opened == [] or sum(opened) == chunk * MIB


def test_every_byte_of_a_small_object(tmp_path):
    vault = Vault(tmp_path)
    sealed = vault.put("a", io.BytesIO(b"secret"), KEYS)
    good = (tmp_path / "a.sealed").read_bytes()
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1
        (tmp_path / "a.sealed").write_bytes(bad)
        for more in ({}, {"expected": sealed}):
            with pytest.raises(VerificationError):
                read(vault, **more)


@pytest.mark.parametrize("cut", [0, 1, 47, 48, SEALED_CHUNK_SIZE - 1, SEALED_CHUNK_SIZE])
def test_cut_short(tmp_path, cut):
    vault = Vault(tmp_path)
    sealed = vault.put("a", io.BytesIO(bytes(2 * MIB)), KEYS)
    os.truncate(tmp_path / "a.sealed", cut)
    for call in (lambda: read(vault), lambda: vault.check(sealed)):
        with pytest.raises(VerificationError):
            call()


def test_longer_swapped_and_replayed_chunks(tmp_path):
    vault = Vault(tmp_path)
    sealed = vault.put("a", io.BytesIO(os.urandom(3 * MIB)), KEYS)
    path, n = tmp_path / "a.sealed", SEALED_CHUNK_SIZE
    good = path.read_bytes()
    swapped = good[n : 2 * n] + good[:n] + good[2 * n :]
    for bad in (good + good[:n], good + b"x", swapped, good[:n] + good[2 * n :]):
        path.write_bytes(bad)
        for call in (lambda: read(vault), lambda: vault.check(sealed)):
            with pytest.raises(VerificationError):
                call()
    # an older object under the same keys is genuine, but not the one expected
    path.unlink()
    vault.put("a", io.BytesIO(bytes(3 * MIB)), KEYS)
    assert read(vault) == bytes(3 * MIB)
    with pytest.raises(VerificationError, match="chunk 0"):
        read(vault, expected=sealed)


class Failing(io.RawIOBase):
    def __init__(self):
        self.left = 2

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.left:
            raise OSError("the cable was pulled")
        self.left -= 1
        return len(buffer)


def test_nothing_is_left_when_the_reader_fails(vault):
    vault.put("a", io.BytesIO(b"old"), KEYS)
    for name, replace in (("b", False), ("a", True)):
        with pytest.raises(BadInput):
            vault.put(name, Failing(), KEYS, replace=replace)
    assert vault.ids() == ("a",)
    assert read(vault) == b"old"
    assert vault._place.names() == ["a.sealed"]


class Zeros:
    def __init__(self, size):
        self.left = size

    def readinto(self, buffer):
        n = min(len(buffer), self.left)
        self.left -= n
        return n


def test_memory_stays_bounded(tmp_path):
    vault = Vault(tmp_path)
    tracemalloc.start()
    try:
        vault.put("a", Zeros(64 * MIB), KEYS)
        assert sum(len(chunk) for chunk in vault.get("a", KEYS)) == 64 * MIB
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()


def test_a_full_or_forbidden_storage_is_unavailable(tmp_path, monkeypatch):
    vault = Vault(tmp_path)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable):
        vault.put("a", io.BytesIO(b"x"), KEYS)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", "nosuchscheme://x"):
        with pytest.raises(UsufructError):
            Vault(place)


def test_file_url_is_a_folder(tmp_path):
    Vault(f"file://{tmp_path}/v").put("a", io.BytesIO(b"x"), KEYS)
    assert (tmp_path / "v/a.sealed").is_file()


def test_a_link_is_not_followed(tmp_path):
    vault = Vault(tmp_path / "v")
    (tmp_path / "outside").write_bytes(bytes(100))
    (tmp_path / "v/a.sealed").symlink_to(tmp_path / "outside")
    with pytest.raises(Unavailable):
        read(vault)
