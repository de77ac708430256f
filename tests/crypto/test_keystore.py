import copy
import json
import pickle
import secrets
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st
from mnemonic import Mnemonic

from usufruct.crypto import canonical, dsse, hpke, keystore, secp256k1
from usufruct.crypto.hash import sha256
from usufruct.crypto.identity import binding_message
from usufruct.errors import BadInput, Damaged, VerificationError, WrongPassphrase

PHRASE = "abandon " * 23 + "art"
ME = keystore.recover("clinic", PHRASE)
DOCUMENT = keystore.seal_keystore(ME, "correct horse", scrypt_log_n=10)


def test_bip_39_and_bip_32_vectors():
    # the reference vectors of BIP-39 (passphrase TREZOR) and test vector 1 of BIP-32
    assert Mnemonic.to_seed(PHRASE, "TREZOR").hex().startswith("bda85446c68413707090a52022edd26a")
    assert ME.export_entropy() == bytes(32)
    assert ME.export_phrase() == PHRASE
    seed = bytes(range(16))
    for path, key in (
        ((), "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"),
        ((1 << 31,), "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"),
        ((1 << 31, 1), "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"),
    ):
        assert secp256k1.derive(seed, path).hex() == key


@settings(max_examples=10, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_account_and_binding_agree_with_eth_account(entropy):
    me = keystore.Identity("me", entropy)
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(me.export_phrase())
    assert account.address.lower() == me.address
    assert bytes(account.key) == me.account_secret
    message = encode_defunct(binding_message(me.address, me.public_key, me.public.encryption_key))
    binding = me.public.binding
    r, s = int.from_bytes(binding[:32], "big"), int.from_bytes(binding[32:], "big")
    found = {Account.recover_message(message, vrs=(v, r, s)).lower() for v in (27, 28)}
    assert me.address in found
    theirs = account.sign_message(message)
    assert (theirs.r, theirs.s) == (r, s)
    keystore.verify_binding(me.public)
    digest = secrets.token_bytes(32)
    signature = secp256k1.sign_digest(me.account_secret, digest)
    hashed = account.unsafe_sign_hash(digest)
    assert signature == hashed.r.to_bytes(32, "big") + hashed.s.to_bytes(32, "big")
    secp256k1.verify_digest(me.public.account_key, signature, digest)


def test_derived_keys_are_pinned():
    # a change here would lose every party's keys
    assert ME.address == "0xf278cf59f82edcf871d630f28ecc8056f25c1cdb"
    assert ME.public_key.hex() == "c99c746941a6d7e9a72e3eee24180bd71e270330faca36f4de8399dc85304c3f"
    assert (
        ME.public.encryption_key.hex()
        == "14d0d90727b14ea9ace4cb71896807ba24c0e410be9483ff9b766f828e3b2e43"
    )


def test_keys_sign_and_open():
    envelope = dsse.sign("text/plain", b"hello", [ME])
    assert dsse.verify(envelope, {ME.public.key_id: ME.public.signing_key}) == (ME.public.key_id,)
    box = hpke.seal(ME.public.encryption_key, b"secret", info=b"i", aad=b"a")
    assert ME.hpke_open(box, b"i", b"a") == b"secret"
    with pytest.raises(VerificationError):
        ME.hpke_open(box, b"j", b"a")


def test_new_identities_recover_from_their_phrase():
    me, phrase = keystore.new_identity("Hôpital 1")
    assert len(phrase.split()) == 24
    assert keystore.recover("Hôpital 1", phrase).public == me.public
    spaced = "  " + phrase.upper().replace(" ", "\n\t ") + "\n"
    assert keystore.recover("Hôpital 1", spaced).public == me.public
    assert keystore.new_identity("x")[1] != phrase


@pytest.mark.parametrize(
    ("phrase", "part"),
    [
        ("abandon " * 22 + "abandom art", "word 23 of the phrase, 'abandom'"),
        ("abandon " * 24, "do not fit together"),
        ("abandon " * 11 + "about", "12 words, not 24"),
        ("", "0 words"),
        ("abandon " * 300, "24 words"),
        (None, "24 words"),
        ("ābandon " * 23 + "art", "word 1"),
    ],
)
def test_wrong_phrases_say_what_is_wrong(phrase, part):
    with pytest.raises(BadInput, match=part):
        keystore.recover("x", phrase)


def test_a_close_word_is_suggested():
    with pytest.raises(BadInput) as caught:
        keystore.recover("x", "abandon " * 22 + "abandom art")
    assert "abandon" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        *("", " a", "a\n", "x" * 65, "../a", ".a", "a/b", "a\\b", "\u202ea", 3),
        "Hospital (0x" + "ab" * 20 + ")",  # would stand beside the real address
    ],
)
def test_names_that_cannot_be_used(name):
    with pytest.raises(BadInput):
        keystore.new_identity(name)


def test_secrets_are_not_shown_nor_pickled():
    shown = repr(ME) + str(ME)
    for secret in (ME.account_secret, ME.export_entropy(), ME._encryption_secret):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    assert "abandon" not in shown
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(ME)


def test_public_identity_round_trip():
    document = ME.public.to_dict()
    data = canonical.dumps(document)
    assert keystore.PublicIdentity.from_dict(canonical.loads(data)) == ME.public
    for field, value in (
        ("name", ""),
        ("name", None),
        ("address", ME.address.upper()),
        ("address", None),
        ("address", "0x" + "F" * 40),
        ("signing_key", ME.public_key.hex().upper()),
        ("signing_key", ME.public_key.hex()[2:]),
        ("account_key", None),
        ("account_key", "0x00"),
        ("binding", ME.public.binding.hex() + "\n"),
        ("encryption_key", b"x" * 32),
        ("extra", 1),
    ):
        with pytest.raises(BadInput):
            keystore.PublicIdentity.from_dict({**document, field: value})
    for bad in (None, [], {}, {key: document[key] for key in list(document)[1:]}):
        with pytest.raises(BadInput):
            keystore.PublicIdentity.from_dict(bad)


def test_a_binding_that_does_not_hold_is_refused():
    public, other = ME.public, keystore.new_identity("other")[0].public
    s = secp256k1.ORDER - int.from_bytes(public.binding[32:], "big")
    high = public.binding[:32] + s.to_bytes(32, "big")
    digest = secp256k1.personal_digest(
        binding_message(public.address, bytes(32), public.encryption_key)
    )
    weak = secp256k1.sign_digest(ME.account_secret, digest)
    off_curve = bytes(63) + b"\1"
    for bad in (
        replace(public, binding=other.binding),
        replace(public, binding=high),
        replace(public, binding=bytes(64)),
        replace(public, binding=b"\xff" * 64),
        replace(public, signing_key=other.signing_key),
        replace(public, encryption_key=other.encryption_key),
        replace(public, account_key=other.account_key),
        replace(public, account_key=other.account_key, address=other.address),
        replace(public, account_key=off_curve, address=secp256k1.address_of(off_curve)),
        # signed by the account, but a key under which one signature fits many messages
        replace(public, signing_key=bytes(32), binding=weak),
    ):
        with pytest.raises(VerificationError):
            keystore.verify_binding(bad)


def test_keystore_round_trip():
    assert keystore.read_public(DOCUMENT) == ME.public
    opened = keystore.open_keystore(DOCUMENT, "correct horse")
    assert opened.public == ME.public
    assert opened.export_phrase() == PHRASE
    again = keystore.seal_keystore(ME, "correct horse", scrypt_log_n=10)
    assert again != DOCUMENT
    for secret in (PHRASE, ME.account_secret.hex(), canonical.b64(bytes(32))):
        assert secret.encode() not in DOCUMENT


def test_a_keystore_of_this_version_stays_readable():
    assert keystore.open_keystore(PINNED, "pass").public == ME.public


PINNED = (
    b'{"checksum":"07ef7aa8a334f1503a30083e2cc3dd7d162172d5a2da1a89e574cf7445ae3910","format":'
    b'"usufruct/keystore/v1","kdf":{"log_n":10,"name":"scrypt","p":1,"r":8,"salt":"LIszmNZPCOc'
    b'7Zq2HGZDgAxPoH4KtorD+N0tKTrF1hKs="},"public":{"account_key":"dc286c821c7490afbe20a79d131'
    b"23b9f41f3d7ef21e4a9caacd22f5983b28eca0e4dbd5624505a2c968fec15f25990c7324736890f6d0f74241"
    b'f98e4259c1d42","address":"0xf278cf59f82edcf871d630f28ecc8056f25c1cdb","binding":"ea7955f'
    b"af52b298740c37457bb51fefc5faba8beb2f70712caa378a0d3a8dd8f016b8f6503385f9973236f9238cb3ac"
    b'449392a15fb575463fcdd1896ace14a5a","encryption_key":"14d0d90727b14ea9ace4cb71896807ba24c'
    b'0e410be9483ff9b766f828e3b2e43","name":"clinic","signing_key":"c99c746941a6d7e9a72e3eee24'
    b'180bd71e270330faca36f4de8399dc85304c3f"},"sealed":"jJXt6GxeQfbQEAm/zE+U0SRLdlJMJEny1Smbe'
    b'42SQybX3n+p5Tyt/Deo+VzlUBhlt5EANzPBoFO0CvULCBHYOB3eKD0FymcpbdGf/LC+sNg="}'
)


def test_passphrases():
    for wrong in ("", "correct  horse", "Correct horse"):
        with pytest.raises(WrongPassphrase):
            keystore.open_keystore(DOCUMENT, wrong)
    # typed with a combining accent elsewhere, it is the same passphrase
    box = keystore.seal_keystore(ME, "caf\u00e9", scrypt_log_n=10)
    assert keystore.open_keystore(box, "cafe\u0301").public == ME.public
    for bad in (None, b"bytes", "\ud800"):
        with pytest.raises(BadInput):
            keystore.seal_keystore(ME, bad, scrypt_log_n=10)
    for log_n in (9, 21):
        with pytest.raises(BadInput):
            keystore.seal_keystore(ME, "x", scrypt_log_n=log_n)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(DOCUMENT) - 1), st.integers(1, 255))
def test_any_changed_byte_is_damage(place, change):
    data = bytearray(DOCUMENT)
    data[place] ^= change
    with pytest.raises(Damaged):
        keystore.open_keystore(bytes(data), "correct horse")
    with pytest.raises(Damaged):
        keystore.read_public(bytes(data))


def test_a_cut_keystore_is_damage():
    for end in range(0, len(DOCUMENT), 50):
        with pytest.raises(Damaged):
            keystore.open_keystore(DOCUMENT[:end], "correct horse")


def rewritten(**changes):
    """Return the keystore with other fields and a checksum that fits them."""
    document = json.loads(DOCUMENT)
    del document["checksum"]
    document |= changes
    document = {name: value for name, value in document.items() if value is not ...}
    document["checksum"] = sha256(canonical.dumps(document)).hex()
    return canonical.dumps(document)


KDF = json.loads(DOCUMENT)["kdf"]
OTHER = keystore.new_identity("other")[0]


@pytest.mark.parametrize(
    "data",
    [
        rewritten(kdf={**KDF, "log_n": 40}),
        rewritten(kdf={**KDF, "log_n": 1}),
        rewritten(kdf={**KDF, "log_n": True}),
        rewritten(kdf={**KDF, "r": 2**30}),
        rewritten(kdf={**KDF, "name": "md5"}),
        rewritten(kdf={**KDF, "salt": "?"}),
        rewritten(kdf={**KDF, "more": 1}),
        rewritten(kdf=None),
        rewritten(sealed=3),
        rewritten(sealed=...),
        rewritten(public=None),
        rewritten(public={**ME.public.to_dict(), "address": OTHER.address}),
        rewritten(more=1),
        canonical.dumps({"checksum": 3}),
        canonical.dumps([]),
        canonical.dumps({}),
        b"[" * 100,
    ],
)
def test_planted_keystores_are_damage(data):
    with pytest.raises(Damaged):
        keystore.open_keystore(data, "correct horse")


def test_other_planted_keystores():
    with pytest.raises(BadInput):
        keystore.open_keystore(rewritten(format="usufruct/keystore/v2"), "correct horse")
    # the public part is bound to the secret one
    with pytest.raises(WrongPassphrase):
        keystore.open_keystore(rewritten(public=OTHER.public.to_dict()), "correct horse")
    with pytest.raises(WrongPassphrase):
        keystore.open_keystore(rewritten(sealed=""), "correct horse")


@pytest.mark.parametrize(
    "call",
    [
        lambda: secp256k1.public_key(bytes(32)),
        lambda: secp256k1.public_key(secp256k1.ORDER.to_bytes(32, "big")),
        lambda: secp256k1.public_key(b"short"),
        lambda: secp256k1.public_key(None),
        lambda: secp256k1.address_of(b"short"),
        lambda: secp256k1.sign_digest(ME.account_secret, b"short"),
        lambda: keystore.Identity("x", b"short"),
    ],
)
def test_malformed_secrets_are_bad_input(call):
    with pytest.raises(BadInput):
        call()


def test_malformed_account_signatures():
    good = [ME.public.account_key, ME.public.binding, bytes(32)]
    for place in range(3):
        for junk in (None, b"", b"x" * 63, "x" * 64):
            bad = copy.copy(good)
            bad[place] = junk
            with pytest.raises(VerificationError):
                secp256k1.verify_digest(*bad)
