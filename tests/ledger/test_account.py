"""Signing, judged byte for byte by eth_account."""

import pytest
from eth_account import Account as Judge
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, VerificationError
from usufruct.ledger.account import Account, contract_address, recover, transaction_hash
from usufruct.types import Address

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
secrets = st.integers(1, ORDER - 1).map(lambda n: n.to_bytes(32, "big"))


def word(bits):
    return st.integers(0, bits).flatmap(lambda b: st.integers(0, 2**b - 1))


@settings(max_examples=150, deadline=None)
@given(
    secret=secrets,
    chain=word(53),
    nonce=word(62),
    tip=word(100),
    extra=word(100),
    gas=word(60),
    to=st.none() | st.binary(min_size=20, max_size=20),
    value=word(250),
    data=st.binary(max_size=300),
)
def test_transactions_equal_eth_account(secret, chain, nonce, tip, extra, gas, to, value, data):
    fields = {
        "chainId": chain,
        "nonce": nonce,
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": tip + extra,
        "gas": gas,
        "value": value,
        "data": data,
    }
    target = None if to is None else "0x" + to.hex()
    raw = Account(secret).sign_transaction({**fields, "to": target})
    judged = Judge.from_key(secret)
    theirs = fields | {"type": 2} | ({} if to is None else {"to": judged_checksum(target)})
    signed = judged.sign_transaction(theirs)
    assert raw == bytes(signed.raw_transaction)
    assert transaction_hash(raw) == "0x" + bytes(signed.hash).hex()
    assert Judge.recover_transaction(raw).lower() == Account(secret).address


def judged_checksum(address):
    from eth_utils import to_checksum_address

    return to_checksum_address(address)


@settings(max_examples=100, deadline=None)
@given(secret=secrets, message=st.binary())
def test_digests_recover_to_the_address(secret, message):
    account, digest = Account(secret), keccak256(message)
    signature = account.sign_digest(digest)
    judged = Judge.from_key(secret).unsafe_sign_hash(digest)
    assert signature[:64] + bytes([signature[64] + 27]) == bytes(judged.signature)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2


def test_address_of_a_known_key():
    # anvil's first development account
    secret = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    account = Account(secret)
    assert account.address == "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert secret.hex() not in repr(account)


def test_contract_addresses():
    # the first contracts of the account above, as every anvil shows them
    sender = Address("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    assert contract_address(sender, 0) == "0x5fbdb2315678afecb367f032d93f642f64180aa3"
    assert contract_address(sender, 1) == "0xe7f1725e7734ce288f8367e1bb143e90bb3f0512"


@pytest.mark.parametrize("secret", [b"", b"\0" * 32, b"\xff" * 32, b"\1" * 31, "1" * 32])
def test_bad_secrets(secret):
    with pytest.raises(BadInput):
        Account(secret)


GOOD = {"chainId": 1, "nonce": 0, "maxPriorityFeePerGas": 1, "maxFeePerGas": 2, "gas": 21000}


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": -1},
        {"nonce": True},
        {"nonce": 2**64},
        {"gas": None},
        {"chainId": "1"},
        {"maxFeePerGas": 0},
        {"value": 2**256},
        {"to": "0x12"},
        {"data": "0x"},
        {"gasPrice": 1},
        {"type": 0},
    ],
)
def test_bad_fields(change):
    account = Account(b"\1" * 32)
    assert account.sign_transaction(GOOD)
    with pytest.raises(BadInput):
        account.sign_transaction(GOOD | change)


def test_bad_digest():
    with pytest.raises(BadInput):
        Account(b"\1" * 32).sign_digest(b"short")


@settings(max_examples=100, deadline=None)
@given(secret=secrets, message=st.binary())
def test_recovering_is_eth_accounts(secret, message):
    digest = keccak256(message)
    signature = bytes(Judge.from_key(secret).unsafe_sign_hash(digest).signature)
    assert recover(digest, signature) == Account(secret).address
    assert recover(digest, Account(secret).sign_digest(digest)) == Account(secret).address
    assert recover(keccak256(digest), signature) != Account(secret).address


@settings(max_examples=200, deadline=None)
@given(digest=st.binary(min_size=32, max_size=32), noise=st.binary(min_size=65, max_size=65))
def test_noise_is_no_signature_or_somebody_elses(digest, noise):
    try:
        found = recover(digest, noise)
    except VerificationError:
        return
    bit = noise[64] % 27
    judged = Judge._recover_hash(digest, signature=noise[:64] + bytes([bit + 27]))
    assert found == judged.lower()


def test_one_signature_of_a_digest_only():
    account, digest = Account(b"\1" * 32), keccak256(b"message")
    good = account.sign_digest(digest)
    r, s = good[:32], int.from_bytes(good[32:64], "big")
    flipped = r + (ORDER - s).to_bytes(32, "big") + bytes([good[64] ^ 1])
    zero, order = bytes(32), ORDER.to_bytes(32, "big")
    for bad in (
        flipped,
        *(good[:64] + bytes([bit]) for bit in (2, 3, 4, 26, 29, 255)),
        zero + good[32:],
        good[:32] + zero + good[64:],
        order + good[32:],
        good[:32] + order + good[64:],
        (5).to_bytes(32, "big") + good[32:],  # no point of the curve has this x
    ):
        with pytest.raises(VerificationError):
            recover(digest, bad)
    for value in (b"", good[:64], good + b"\0", good.hex()):
        with pytest.raises(BadInput):
            recover(digest, value)
    with pytest.raises(BadInput):
        recover(digest[:31], good)
