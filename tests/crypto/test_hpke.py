import os

import pytest
from cryptography.hazmat.primitives import hpke as outside
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from usufruct.crypto import hpke
from usufruct.errors import BadInput, VerificationError

INFO = b"Ode on a Grecian Urn"
PLAIN = b"Beauty is truth, truth beauty"

# base mode vectors of RFC 9180: appendix A.1.1 (AES-128-GCM), and the companion test-vectors.json
# for DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; the first encryption of each
VECTORS = [
    (
        1,
        "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
        "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
        "6d8770ac83d07bea87e13c512a",
    ),
    (
        2,
        "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11",
        "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
        "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
        "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be99319"
        "80a41de125a925cdad859d5b7a",
    ),
]
SUITE = outside.Suite(outside.KEM.X25519, outside.KDF.HKDF_SHA256, outside.AEAD.AES_256_GCM)


@pytest.mark.parametrize("vector", VECTORS, ids=["A.1.1", "AES-256-GCM"])
def test_published_vectors(vector):
    aead, ephemeral, secret, public, enc, ct = (
        vector[0],
        *(bytes.fromhex(text) for text in vector[1:]),
    )
    assert hpke.public_key(secret) == public
    fresh = X25519PrivateKey.from_private_bytes(ephemeral)
    assert hpke._seal(public, PLAIN, INFO, b"Count-0", fresh, aead) == enc + ct
    assert hpke._open(secret, enc + ct, INFO, b"Count-0", aead) == PLAIN
    if aead == 2:
        assert hpke.open_(secret, enc + ct, info=INFO, aad=b"Count-0") == PLAIN


def pair():
    secret = os.urandom(32)
    return secret, hpke.public_key(secret)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_agrees_with_cryptography_both_ways(plaintext, info):
    secret, public = pair()
    ours = hpke.seal(public, plaintext, info=info)
    assert len(ours) == len(plaintext) + hpke.OVERHEAD
    key = X25519PrivateKey.from_private_bytes(secret)
    assert SUITE.decrypt(ours, key, info) == plaintext
    theirs = SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    assert hpke.open_(secret, theirs, info=info) == plaintext


SECRET, PUBLIC = pair()
BOX = hpke.seal(PUBLIC, b"message", info=b"i", aad=b"a")


@given(st.integers(0, len(BOX) * 8 - 1))
def test_any_flipped_bit_is_refused(bit):
    bad = bytearray(BOX)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError):
        hpke.open_(SECRET, bytes(bad), info=b"i", aad=b"a")


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data):
    with pytest.raises(VerificationError):
        hpke.open_(SECRET, data, info=b"i", aad=b"a")


def test_what_is_bound_must_be_named():
    assert hpke.open_(SECRET, BOX, info=b"i", aad=b"a") == b"message"
    for secret, info, aad in (
        (SECRET, b"j", b"a"),
        (SECRET, b"i", b""),
        (os.urandom(32), b"i", b"a"),
    ):
        with pytest.raises(VerificationError):
            hpke.open_(secret, BOX, info=info, aad=aad)
    # an encapsulated key of small order
    with pytest.raises(VerificationError):
        hpke.open_(SECRET, bytes(32) + BOX[32:], info=b"i", aad=b"a")


def test_bad_keys_are_bad_input():
    for call in (
        lambda: hpke.seal(b"short", b"", info=b""),
        lambda: hpke.seal(bytes(32), b"", info=b""),
        lambda: hpke.open_(b"short", BOX, info=b""),
        lambda: hpke.public_key("x" * 32),
    ):
        with pytest.raises(BadInput):
            call()
