import pytest

from usufruct.crypto import ed25519
from usufruct.errors import BadInput, VerificationError
from usufruct.ports import Signer

P = 2**255 - 19

# RFC 8032 section 7.1, tests 1 to 3
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors(vector):
    secret, public, message, signature = (bytes.fromhex(text) for text in vector)
    key: Signer = ed25519.SecretKey(secret)
    assert key.public_key == public
    assert key.sign(message) == signature
    ed25519.verify(public, signature, message)
    assert secret.hex() not in repr(key)


def small_order_keys():
    """Every encoding of the eight points whose order divides eight, canonical or not."""
    d = -121665 * pow(121666, -1, P) % P
    # y of order eight: d y^4 + 2 y^2 - 1 = 0, from doubling to a point of order four (y = 0)
    root = next(
        r for r in (pow(1 + d, (P + 3) // 8, P) * f % P for f in (1, pow(2, (P - 1) // 4, P)))
        if r * r % P == (1 + d) % P
    )  # fmt: skip
    found = []
    for sign in (root, P - root):
        square = (sign - 1) * pow(d, -1, P) % P
        y = pow(square, (P + 3) // 8, P)
        for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
            if candidate * candidate % P == square:
                found += [candidate, P - candidate]
    assert len(found) == 2
    for y in (0, 1, P - 1, P, P + 1, *found):
        for top in (0, 1 << 255):
            yield (y | top).to_bytes(32, "little")


def test_keys_of_small_order_and_other_bad_keys_are_refused():
    bad = [*small_order_keys(), b"\xff" * 32, b"\x02" + bytes(31), b"short", "x" * 32, None]
    assert len(set(bad[:14])) == 14
    for public in bad:
        with pytest.raises(VerificationError):
            ed25519.verify(public, bytes(64), b"")


def test_signatures_are_not_malleable():
    public, message, signature = (bytes.fromhex(text) for text in VECTORS[1][1:])
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    for bad in (signature[:32] + s.to_bytes(32, "little"), signature[:63], signature + b"\0", None):
        with pytest.raises(VerificationError):
            ed25519.verify(public, bad, message)


def test_a_secret_has_32_bytes():
    for bad in (b"short", None, "x" * 32):
        with pytest.raises(BadInput):
            ed25519.SecretKey(bad)
