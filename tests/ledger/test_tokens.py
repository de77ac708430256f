"""Tokens are strangers: what they answer is bounded, and what is signed is what wallets sign."""

from __future__ import annotations

from typing import Any

import eth_abi
import pytest
from eth_account import Account as Judge
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from usufruct.crypto.typed_data import Domain, digest, struct_hash
from usufruct.errors import BadInput
from usufruct.ledger.bindings import licences, splits, tokens
from usufruct.ledger.bindings.splits import Split
from usufruct.types import Address, AssetId, LicenceId

TOKEN = Address("0x" + "a1" * 20)
ME, OTHER = Address("0x" + "b2" * 20), Address("0x" + "c3" * 20)
CHAIN = 31337
DOMAIN = Domain("Test Dollar", "1", CHAIN, TOKEN)
SYMBOL = tokens.symbol(TOKEN)


def judged(domain: Domain, kind: str, fields: str, values: list[Any]) -> bytes:
    """What eth_account signs for a struct."""
    pairs = [field.split() for field in fields.split(", ")]
    message = encode_typed_data(
        {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": domain.contract,
        },
        {kind: [{"type": of, "name": name} for of, name in pairs]},
        {name: value for (_, name), value in zip(pairs, values, strict=True)},
    )
    return bytes(Judge.from_key(b"\1" * 32).sign_message(message).message_hash)


TIMES = "uint256 validAfter, uint256 validBefore, bytes32 nonce"


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**64), st.binary(min_size=32, max_size=32))
def test_what_is_signed(value: int, time: int, nonce: bytes) -> None:
    assert tokens.permit_digest(
        DOMAIN, owner=ME, spender=OTHER, value=value, nonce=7, deadline=time
    ) == judged(
        DOMAIN,
        "Permit",
        "address owner, address spender, uint256 value, uint256 nonce, uint256 deadline",
        [ME, OTHER, value, 7, time],
    )
    for make, kind in (
        (tokens.receive_digest, "ReceiveWithAuthorization"),
        (tokens.transfer_digest, "TransferWithAuthorization"),
    ):
        assert make(
            DOMAIN, payer=ME, to=OTHER, value=value, valid_after=0, valid_before=time, nonce=nonce
        ) == judged(
            DOMAIN,
            kind,
            f"address from, address to, uint256 value, {TIMES}",
            [ME, OTHER, value, 0, time, nonce],
        )
    assert tokens.cancel_digest(DOMAIN, payer=ME, nonce=nonce) == judged(
        DOMAIN, "CancelAuthorization", "address authorizer, bytes32 nonce", [ME, nonce]
    )


def test_what_the_market_has_signed() -> None:
    licence, root = LicenceId("ab" * 32), b"\7" * 32
    where = licences.domain(CHAIN, TOKEN)
    assert (where.name, where.version) == ("Usufruct Licences", "1")
    assert licences.use_digest(where, licence, 5) == judged(
        where, "Use", "uint256 licence, uint32 total", [int(licence, 16), 5]
    )
    assert licences.acknowledgement_digest(where, licence, root) == judged(
        where, "Acknowledgement", "uint256 licence, bytes32 root", [int(licence, 16), root]
    )
    where = splits.domain(CHAIN, TOKEN)
    assert (where.name, where.version) == ("Usufruct Splits", "1")
    asset = AssetId("cd" * 32)
    old = Split(asset, 1, (ME,), (1_000_000,))
    new = Split(asset, 2, (ME, OTHER), (400_000, 600_000))
    fields = "uint256 asset, bytes32 from, bytes32 to"
    values = [int(asset, 16), old.digest, new.digest]
    assert splits.succession_digest(where, old, new) == judged(where, "Succession", fields, values)
    offer = licences.OfferId("12" * 24)
    nonce = licences.authorization_nonce(offer, ME, root)
    types = ["uint256", "address", "bytes32"]
    from usufruct.crypto.hash import keccak256

    assert nonce == keccak256(eth_abi.encode(types, [int(offer, 16), ME, root]))


def test_another_domain_is_another_signature() -> None:
    hashed = struct_hash("Thing(uint256 a)", 1)
    domains = [
        DOMAIN,
        Domain("Test Dollars", "1", CHAIN, TOKEN),
        Domain("Test Dollar", "2", CHAIN, TOKEN),
        Domain("Test Dollar", "1", CHAIN + 1, TOKEN),
        Domain("Test Dollar", "1", CHAIN, ME),
    ]
    assert len({digest(domain, hashed) for domain in domains}) == 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (eth_abi.encode(["string"], ["TUSD"]), "TUSD"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (b"x" * 32, "x" * 32),
        (b"", ""),
        (b"\0", ""),
        (bytes(32), ""),
        (bytes(64), ""),
        (eth_abi.encode(["string"], [""]), ""),
        (eth_abi.encode(["string"], ["A" * 5000]), "A" * 32),
        (eth_abi.encode(["string"], ["é" * 500]), "é" * 32),
        (eth_abi.encode(["string"], ["a\n\x1b[31m\0b\u202e"]), "a[31mb"),
        (eth_abi.encode(["bytes"], [b"\xff\xfeOK"]), "OK"),
        (eth_abi.encode(["string"], ["cut short"])[:-40], ""),
        ((32).to_bytes(32, "big") + (2**256 - 1).to_bytes(32, "big") + b"long", "long"),
        ((2**256 - 1).to_bytes(32, "big") + bytes(64), ""),
        (b"A" * 10_000_000, "A" * 32),
    ],
)
def test_symbols_of_strangers(answer: bytes, expected: str) -> None:
    assert SYMBOL.decode(answer) == expected


@given(st.binary(max_size=300))
def test_any_answer_is_a_short_printable_text(answer: bytes) -> None:
    for view in (SYMBOL, tokens.name(TOKEN), tokens.version(TOKEN)):
        text = view.decode(answer)
        assert len(text) <= tokens.MAX_TEXT
        assert text.isprintable()
    assert 0 <= tokens.decimals(TOKEN).decode(answer) < 256


@given(st.integers(0, 2**256 - 1), st.binary(max_size=64))
def test_numbers_of_strangers(number: int, more: bytes) -> None:
    answer = number.to_bytes(32, "big") + more
    assert tokens.balance_of(TOKEN, ME).decode(answer) == number
    assert tokens.domain_separator(TOKEN).decode(answer) == answer[:32]
    assert tokens.authorization_state(TOKEN, ME, bytes(32)).decode(answer) is (number != 0)
    assert tokens.decimals(TOKEN).decode(answer) == (number if number < 256 else 0)
    for view in (tokens.balance_of(TOKEN, ME), tokens.allowance(TOKEN, ME, OTHER)):
        with pytest.raises(BadInput):
            view.decode(answer[:31])


def test_transfers() -> None:
    topics = [
        tokens.TRANSFER.topic,
        eth_abi.encode(["address"], [ME]),
        eth_abi.encode(["address"], [OTHER]),
    ]
    data = eth_abi.encode(["uint256"], [2**256 - 1])
    assert tokens.decode_event(topics, data) == tokens.Transfer(ME, OTHER, 2**256 - 1)
    # an ERC-721 token's has the number as a topic
    with pytest.raises(BadInput):
        tokens.decode_event([*topics, bytes(32)], b"")
    assert tokens.decode_event([b"\7" * 32], b"") is None
