import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OutsideEnvelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from usufruct.crypto import canonical, dsse
from usufruct.crypto.ed25519 import SecretKey
from usufruct.errors import BadInput, UsufructError, VerificationError

ONE, TWO = SecretKey(bytes([1] * 32)), SecretKey(bytes([2] * 32))
KIND = "application/vnd.in-toto+json"
KEYS = {dsse.key_id(key.public_key): key.public_key for key in (ONE, TWO)}
ID_1, ID_2 = KEYS


def test_pae_of_the_protocol_document():
    assert (
        dsse.pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(st.characters(exclude_categories=("Cs",))), st.binary(max_size=200))
def test_pae_agrees_with_securesystemslib(kind, payload):
    assert dsse.pae(kind, payload) == OutsideEnvelope(payload, kind, {}).pae()


def outside_key(key):
    public = {"public": key.public_key.hex()}
    return SSlibKey(dsse.key_id(key.public_key), "ed25519", "ed25519", public)


def test_securesystemslib_verifies_ours():
    ours = dsse.sign(KIND, b'{"a":1}', [ONE, TWO])
    theirs = OutsideEnvelope.from_dict(json.loads(ours.to_bytes()))
    accepted = theirs.verify([outside_key(ONE), outside_key(TWO)], 2)
    assert set(accepted) == set(KEYS)


def test_we_verify_securesystemslib():
    signer = CryptoSigner.generate_ed25519()
    theirs = OutsideEnvelope(b"payload", KIND, {})
    signature = theirs.sign(signer)
    public = bytes.fromhex(signer.public_key.keyval["public"])
    ours = dsse.Envelope(
        KIND,
        b"payload",
        (dsse.Signature(dsse.key_id(public), bytes.fromhex(signature.signature)),),
    )
    assert dsse.verify(ours, {dsse.key_id(public): public}) == (dsse.key_id(public),)


def test_thresholds_and_strangers():
    one = dsse.sign(KIND, b"payload", [ONE])
    both = dsse.add_signature(one, TWO)
    assert dsse.verify(one, KEYS) == (ID_1,)
    assert dsse.verify(both, KEYS, 2) == (ID_1, ID_2)
    assert dsse.verify(both, {ID_2: KEYS[ID_2]}) == (ID_2,)
    for envelope, keys, threshold in (
        (one, KEYS, 2),
        (one, {ID_2: KEYS[ID_2]}, 1),
        (one, {}, 1),
        (dsse.Envelope(KIND, b"payload"), KEYS, 1),
    ):
        with pytest.raises(VerificationError):
            dsse.verify(envelope, keys, threshold)


def test_one_key_never_counts_twice():
    one = dsse.sign(KIND, b"payload", [ONE])
    with pytest.raises(BadInput):
        dsse.add_signature(one, ONE)
    with pytest.raises(BadInput):
        dsse.sign(KIND, b"payload", [ONE, ONE])
    other = dsse.Signature(ID_2, one.signatures[0].sig)
    with pytest.raises(BadInput):
        dsse.verify(
            dsse.Envelope(KIND, b"payload", (*one.signatures, other)),
            {ID_1: KEYS[ID_1], ID_2: KEYS[ID_1]},
            2,
        )


def test_requests_that_make_no_sense():
    one = dsse.sign(KIND, b"payload", [ONE])
    for call in (
        lambda: dsse.verify(one, KEYS, 0),
        lambda: dsse.sign(KIND, b"payload", []),
        lambda: dsse.key_id(b"short"),
        lambda: dsse.sign("", b"payload", [ONE]),
        lambda: dsse.sign("a\nb", b"payload", [ONE]),
        lambda: dsse.sign("a" * 256, b"payload", [ONE]),
        lambda: dsse.Envelope(KIND, "text"),
        lambda: dsse.Signature("ed25519:" + "A" * 64, bytes(64)),
        lambda: dsse.Signature(ID_1, bytes(63)),
    ):
        with pytest.raises(BadInput):
            call()


GOOD = dsse.sign(KIND, b'{"a":1}', [ONE])


@given(st.integers(0, len(GOOD.to_bytes()) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place, change):
    data = bytearray(GOOD.to_bytes())
    data[place] ^= change
    with pytest.raises((VerificationError, BadInput)):
        dsse.verify(dsse.Envelope.from_bytes(bytes(data)), {ID_1: KEYS[ID_1]})


def test_a_changed_payload_type_or_signature_is_a_verification_error():
    for bad in (
        dsse.Envelope("other", GOOD.payload, GOOD.signatures),
        dsse.Envelope(KIND, b"other", GOOD.signatures),
        dsse.Envelope(KIND, GOOD.payload, (dsse.Signature(ID_1, bytes(64)),)),
        dsse.Envelope(KIND, GOOD.payload, (dsse.Signature(ID_1, b"\xff" * 64),)),
    ):
        with pytest.raises(VerificationError):
            dsse.verify(bad, KEYS)


def test_the_encoding_is_one():
    data = GOOD.to_bytes()
    assert dsse.Envelope.from_bytes(data) == GOOD
    document = json.loads(data)
    assert list(document) == ["payload", "payloadType", "signatures"]
    for change in (
        {"payload": document["payload"].rstrip("=")},
        {"payload": None},
        {"payloadType": 3},
        {"signatures": {}},
        {"signatures": [None]},
        {"signatures": document["signatures"] * 2},
        {"signatures": [{**document["signatures"][0], "extra": 1}]},
        {"signatures": [{"sig": document["signatures"][0]["sig"]}]},
        {"signatures": [{"keyid": None, "sig": document["signatures"][0]["sig"]}]},
        {"signatures": [{"keyid": ID_1, "sig": None}]},
        {"signatures": document["signatures"] * 300},
        {"extra": 1},
    ):
        with pytest.raises(BadInput):
            dsse.Envelope.from_bytes(canonical.dumps({**document, **change}))
    for bad in (b"", b"[]", b"{}", json.dumps(document).encode(), data + b"\n", os.urandom(50)):
        with pytest.raises(BadInput):
            dsse.Envelope.from_bytes(bad)
    with pytest.raises(BadInput):
        dsse.Envelope.from_bytes(data, max_bytes=len(data) - 1)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_envelope_or_a_known_error(data):
    try:
        dsse.Envelope.from_bytes(data)
    except UsufructError:
        pass
