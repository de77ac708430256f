"""EIP-712 digests, judged by eth_account."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account as Judge
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from usufruct.crypto.typed_data import Domain, digest, struct_hash, type_hash
from usufruct.errors import BadInput
from usufruct.types import Address

AT = Address("0x" + "a1" * 20)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
addresses = st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uint8": st.integers(0, 255),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "address": addresses,
    "bool": st.booleans(),
    "bytes16": st.binary(min_size=16, max_size=16),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=80),
    "string": text,
}


@given(
    st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6),
    st.tuples(text, text, st.integers(1, 2**64), addresses),
    st.data(),
)
def test_digests_are_eth_accounts(
    kinds: list[str], where: tuple[str, str, int, str], data: st.DataObject
) -> None:
    fields = [{"name": f"field{i}", "type": kind} for i, kind in enumerate(kinds)]
    values = [data.draw(VALUES[kind]) for kind in kinds]
    names = ("name", "version", "chainId", "verifyingContract")
    judged = encode_typed_data(
        dict(zip(names, where, strict=True)),
        {"Thing": fields},
        {field["name"]: value for field, value in zip(fields, values, strict=True)},
    )
    members = ",".join(f"{kind} field{i}" for i, kind in enumerate(kinds))
    signature = f"Thing({members})"
    name, version, chain_id, contract = where
    domain = Domain(name, version, chain_id, Address(contract))
    assert domain.separator == judged.header
    assert struct_hash(signature, *values) == judged.body
    # what the judge signs is recovered from our digest
    signed = Judge.from_key(b"\1" * 32).sign_message(judged)
    assert digest(domain, struct_hash(signature, *values)) == bytes(signed.message_hash)


def test_type_hashes() -> None:
    # the permit's, as every EIP-2612 token has it
    permit = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    expected = "6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9"
    assert type_hash(permit).hex() == expected
    assert struct_hash("Nothing()") == keccak(keccak(b"Nothing()"))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "Thing",
        "Thing(",
        "Thing(uint256)",
        "Thing(uint256 a",
        "Thing(uint256 a,)",
        "Thing(uint256 a, uint256 b)",
        "Thing(uint256  a)",
        "Thing(uint7 a)",
        "Thing(uint0 a)",
        "Thing(uint264 a)",
        "Thing(uint a)",
        "Thing(int256 a)",
        "Thing(bytes33 a)",
        "Thing(bytes0 a)",
        "Thing(uint256[] a)",
        "Thing(Other a)",
        "Thing(uint256 a)Other(uint256 b)",
        "Thing(uint256 a)\n",
        "1Thing(uint256 a)",
        "Thing(uint256 ä)",
    ],
)
def test_what_is_no_struct_of_atoms(signature: str) -> None:
    with pytest.raises(BadInput):
        type_hash(signature)
    with pytest.raises(BadInput):
        struct_hash(signature, 1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", "1"),
        ("uint256", 2**256),
        ("address", "a1" * 20),
        ("address", "0x12"),
        ("address", bytes(20)),
        ("address", AT + "\n"),
        ("bool", 1),
        ("bytes32", bytes(31)),
        ("bytes16", bytes(32)),
        ("bytes32", "00" * 32),
        ("bytes", "text"),
        ("string", 5),
        ("string", "\ud800"),
    ],
)
def test_values_that_do_not_fit(kind: str, value: object) -> None:
    with pytest.raises(BadInput):
        struct_hash(f"Thing({kind} a)", value)


def test_numbers_of_values_domains_and_hashes() -> None:
    for values in ((), (1, 2)):
        with pytest.raises(BadInput, match="values are needed"):
            struct_hash("Thing(uint256 a)", *values)
    wrong: list[tuple[Any, ...]] = [
        (5, "1", 1, AT),
        ("n", "1", -1, AT),
        ("n", "1", True, AT),
        ("n", "1", 1, "0x"),
        ("\ud800", "1", 1, AT),
    ]
    for fields in wrong:
        with pytest.raises(BadInput):
            Domain(*fields)
    for hashed in (bytes(31), "00" * 32):
        with pytest.raises(BadInput, match="32 bytes"):
            digest(Domain("n", "1", 1, AT), hashed)  # type: ignore[arg-type]
