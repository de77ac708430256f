import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import aead
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import BadInput, NotAllowed, VerificationError

MIB = 1024 * 1024
TREE = KeyTree(bytes(32), "test/seal")
ID = b"object"


def sealed(data, tree=TREE, object_id=ID):
    return b"".join(bytes(chunk) for chunk in aead.seal(tree, object_id, io.BytesIO(data)))


def opened(data, tree=TREE, object_id=ID, size=None):
    size = len(data) if size is None else size
    return b"".join(
        bytes(chunk) for chunk in aead.open_stream(tree, object_id, size, io.BytesIO(data))
    )


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
def test_round_trip(size):
    data = os.urandom(size)
    box = sealed(data)
    assert len(box) == aead.sealed_size(size)
    assert aead.opened_size(len(box)) == size
    assert opened(box) == data
    assert sealed(data) != box


def test_a_reader_that_gives_little_at_a_time():
    class Drips(io.BytesIO):
        def readinto(self, buffer):
            return super().readinto(memoryview(buffer)[:100_003])

    data = os.urandom(2 * MIB + 9)
    box = b"".join(bytes(chunk) for chunk in aead.seal(TREE, ID, Drips(data)))
    assert opened(box) == data


def test_the_cipher_is_plain_aes_gcm():
    # opened by hand with pycryptodome: the format as the docstring writes it
    import hashlib
    import hmac

    from Crypto.Cipher import AES

    box = sealed(b"hello")
    label = b"usufruct/seal/key/v1\0" + box[:32]
    key = hmac.new(TREE.leaf(0), label, hashlib.sha256).digest()
    cipher = AES.new(key, AES.MODE_GCM, nonce=bytes(12))
    cipher.update(b"usufruct/seal/chunk/v1\0\x06object" + bytes(8) + b"\1")
    assert cipher.decrypt_and_verify(box[32:-16], box[-16:]) == b"hello"


BIG = bytes(range(256)) * 4096 * 2 + b"end"
BOX = sealed(BIG)
S = aead.SEALED_CHUNK_SIZE


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        BOX[:-1],
        BOX[: 2 * S],
        BOX[:S],
        BOX[: S + 10],
        BOX + b"x",
        BOX + BOX[-51:],
        BOX[S : 2 * S] + BOX[:S] + BOX[2 * S :],
        BOX[2 * S :],
        BOX[:47],
    ],
    ids=range(10),  # ciphertext is random, and pytest-xdist wants the same names everywhere
)
def test_cut_or_moved_chunks_are_refused(bad):
    with pytest.raises(VerificationError):
        opened(bad)


def test_size_named_wrongly_is_refused():
    for size in (len(BOX) + 1, len(BOX) - 1, 2 * S, 0, -5):
        with pytest.raises(VerificationError):
            opened(BOX, size=size)


def test_another_object_or_key_is_refused():
    with pytest.raises(VerificationError):
        opened(BOX, object_id=b"other")
    with pytest.raises(VerificationError):
        opened(BOX, tree=KeyTree(bytes(32), "other"))


def test_a_grant_of_some_chunks_opens_only_these():
    cover = Cover(TREE.cover(1, 2))
    part = aead.open_chunk(cover.leaf(1), ID, 1, False, BOX[S : 2 * S])
    assert bytes(part) == BIG[MIB : 2 * MIB]
    with pytest.raises(NotAllowed):
        opened(BOX, tree=cover)


SMALL = sealed(b"some bytes")


@given(st.integers(0, len(SMALL) * 8 - 1))
def test_any_flipped_bit_is_refused(bit):
    bad = bytearray(SMALL)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError):
        opened(bytes(bad))


def test_chunks_by_hand():
    leaf = TREE.leaf(3)
    chunk = aead.seal_chunk(leaf, ID, 3, True, b"abc")
    into = memoryview(bytearray(10))
    assert bytes(aead.open_chunk(leaf, ID, 3, True, chunk, into)) == b"abc"
    assert bytes(into[:3]) == b"abc"
    for bad in (
        (leaf, ID, 2, True, chunk),
        (leaf, ID, 3, False, chunk),
        (TREE.leaf(2), ID, 3, True, chunk),
        (leaf, b"", 3, True, chunk),
        (leaf, ID, 3, True, chunk[:47]),
        (leaf, ID, 3, True, chunk + bytes(MIB)),
    ):
        with pytest.raises(VerificationError):
            aead.open_chunk(*bad)
    for call in (
        lambda: aead.open_chunk(b"short", ID, 3, True, chunk),
        lambda: aead.open_chunk(leaf, ID, 3, True, chunk, into[:2]),
        lambda: aead.open_chunk(leaf, ID, -1, True, chunk),
        lambda: aead.seal_chunk(leaf, ID, 0, True, bytes(MIB + 1)),
        lambda: aead.seal_chunk(leaf, bytes(256), 0, True, b""),
    ):
        with pytest.raises(BadInput):
            call()


def test_a_broken_reader_is_bad_input():
    class Broken:
        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    with pytest.raises(BadInput):
        list(aead.seal(TREE, ID, Broken()))


def test_small_messages():
    key = os.urandom(32)
    box = aead.seal_small(key, b"text", b"aad")
    assert aead.open_small(key, box, b"aad") == b"text"
    for bad in ((os.urandom(32), box, b"aad"), (key, box, b""), (key, box[:-1], b"aad")):
        with pytest.raises(VerificationError):
            aead.open_small(*bad)
    with pytest.raises(BadInput):
        aead.seal_small(b"short", b"")


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_small_message_are_refused(data):
    with pytest.raises(VerificationError):
        aead.open_small(bytes(32), data)
