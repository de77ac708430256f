"""Allow lists: OpenZeppelin's rule written down again, and roots that their library printed."""

from __future__ import annotations

import random

import pytest
from Crypto.Hash import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.errors import BadInput, NotFound
from usufruct.market import allowlist
from usufruct.market.allowlist import ANYONE, AllowList, is_listed

ADDRESSES = st.integers(1, 2**160 - 1).map(lambda n: f"0x{n:040x}")


def hashed(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def oz_leaf(address: str) -> bytes:
    return hashed(hashed(int(address, 16).to_bytes(32, "big")))


def oz_verify(proof: tuple[bytes, ...], root: bytes, leaf: bytes) -> bool:
    """MerkleProof.processProof with Hashes.commutativeKeccak256."""
    for item in proof:
        leaf = hashed(min(leaf, item) + max(leaf, item))
    return leaf == root


def oz_root(addresses: set[str]) -> bytes:
    """StandardMerkleTree: the last leaf of the sorted ones stands first of the leaves."""
    level = dict(enumerate(sorted(map(oz_leaf, addresses), reverse=True)))
    tree = {len(level) - 1 + i: leaf for i, leaf in level.items()}
    for i in reversed(range(len(level) - 1)):
        tree[i] = hashed(
            min(tree[2 * i + 1], tree[2 * i + 2]) + max(tree[2 * i + 1], tree[2 * i + 2])
        )
    return tree[0]


@settings(deadline=None)
@given(st.sets(ADDRESSES, min_size=1, max_size=40), ADDRESSES)
def test_every_listed_address_is_proved(addresses: set[str], other: str) -> None:
    listed = AllowList(addresses)
    assert listed.root == oz_root(addresses)
    for address in addresses:
        proof = listed.proof(address)
        assert oz_verify(proof, listed.root, oz_leaf(address))
        assert is_listed(listed.root, address, proof)
        assert address.upper().replace("0X", "0x") in listed
        if other not in addresses:
            assert other not in listed
            assert not is_listed(listed.root, other, proof)
    if other not in addresses:
        with pytest.raises(NotFound):
            listed.proof(other)


@pytest.mark.parametrize(
    ("addresses", "root"),
    [
        (
            ["0x1111111111111111111111111111111111111111",
             "0x0961Ca10D49B9B8e371aA0Bcf77fE5730b18f2E4"],
            "fcd7a701a861392c67cef2baaaf08063a1214f4ba4c3948c45b8e2008d28a35e",
        ),
        (
            ["0x35bfDe9cb65A010954B056c7Df26339539d5c3da",
             "0xf42bEA3D14951a476A7c58ca38524C408142c269",
             "0x516Fc698fb46506aA983a14F40b30c908d86Dc82"],
            "d8d277aef92411a72d50fd98822f515ea57b2394d166cc2762a086ad9795a2d9",
        ),
    ],
)  # fmt: skip
def test_roots_printed_by_openzeppelins_library(addresses: list[str], root: str) -> None:
    assert AllowList(addresses).root.hex() == root


def test_an_inner_node_is_no_buyer() -> None:
    listed = AllowList([f"0x{n:040x}" for n in range(1, 9)])
    proof = listed.proof(f"0x{3:040x}")
    for cut in range(len(proof)):
        assert not is_listed(listed.root, f"0x{3:040x}", proof[cut + 1 :])
    assert not is_listed(listed.root, f"0x{3:040x}", (*proof, bytes(32)))
    assert not is_listed(listed.root, f"0x{3:040x}", [b"short"])
    assert not is_listed(listed.root, f"0x{3:040x}", [bytes(32)] * 33)
    assert not is_listed(listed.root, "nobody", proof)
    assert is_listed(ANYONE, f"0x{3:040x}", ())


def test_a_file_as_people_write_it() -> None:
    a, b = "0x" + "Ab" * 20, "0x" + "01" * 20
    data = f"\ufeff# clinics\r\n{a}   # Basel\r\n\r\n\t{b}\n{a.lower()}\n".encode()
    listed = AllowList.from_bytes(data)
    assert listed.addresses == tuple(sorted({a.lower(), b}))
    assert len(listed) == 2
    shuffled = [a, b] * 3
    random.Random(1).shuffle(shuffled)
    assert AllowList(shuffled).root == listed.root


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"# nobody\n\n", "empty"),
        (b"\n0x12\n", "line 2 .*'0x12'"),
        (b"0x" + b"0" * 40, "line 1"),
        (b"# ok\n0x" + b"11" * 20 + b" 0x" + b"22" * 20, "line 2"),
        (b"0x" + b"11" * 20 + b"\n\xff\xfe\n", "line 2"),
        (b"\x1b[2J" * 50, "line 1 .*\\\\x1b"),
        ("0x１１".encode() + b"1" * 38, "line 1"),
        (b"x" * 100_000, "line 1"),
    ],
)
def test_hostile_files_name_the_line(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        AllowList.from_bytes(data)
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_too_long_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowlist, "MAX_LINES", 3)
    with pytest.raises(BadInput, match="4 lines"):
        AllowList.from_bytes(b"\n\n\n\n")
    with pytest.raises(BadInput, match="at most 3"):
        AllowList(f"0x{n:040x}" for n in range(1, 10))
    monkeypatch.setattr(allowlist, "MAX_FILE", 10)
    with pytest.raises(BadInput, match="more than 10"):
        AllowList.from_bytes(b"#" * 11)
