from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest
from tests.ledger.engine import CHAIN, OTHER, TREASURY, raw

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, Damaged
from usufruct.ledger import rlp
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.genesis import check_genesis, contracts_of, genesis_digest, make_genesis
from usufruct.ledger.journal import Journal
from usufruct.ledger.rawtx import read_transaction


def _entries(*names: int) -> list[tuple[bytes, bytes]]:
    return [(bytes([n]) * 32, b"raw %d" % n) for n in names]


def _written(path: Path) -> Path:
    journal = Journal(path)
    for number, names in enumerate([(1,), (2, 3), (4,), (5, 6, 7)], start=1):
        assert journal.append(1000 + number, _entries(*names)) == number
        journal.seal(number, bytes([200 + number]) * 32, {})
    journal.close()
    return path


def test_round_trip(tmp_path: Path) -> None:
    journal = Journal(_written(tmp_path / "j"))
    assert (journal.height, journal.transactions, journal.timestamp) == (4, 7, 1004)
    blocks = list(journal.blocks(2))
    assert [block.number for block in blocks] == [2, 3, 4]
    assert [entry.raw for entry in blocks[0].entries] == [b"raw 2", b"raw 3"]
    assert journal.block_hash(3) == bytes([203]) * 32
    assert journal.block_hash(9) is None
    assert journal.count(2) == 4
    assert journal.holds(b"\5" * 32)
    assert not journal.knows(b"\x09" * 32)
    journal.close()
    journal.close()


def test_dropped_and_withdrawn(tmp_path: Path) -> None:
    journal = Journal(_written(tmp_path / "j"))
    journal.append(1010, _entries(8, 9))
    journal.seal(5, b"h" * 32, {b"\x09" * 32: "why"})
    assert journal.holds(b"\x08" * 32)
    assert not journal.holds(b"\x09" * 32)
    assert journal.knows(b"\x09" * 32)
    journal.append(1011, _entries(10))
    assert journal.block_hash(6) is None
    journal.withdraw()
    assert (journal.height, journal.transactions, journal.timestamp) == (5, 9, 1010)
    assert journal.append(1012, _entries(10)) == 6
    journal.close()
    assert Journal(tmp_path / "j").height == 6


def test_fundings(tmp_path: Path) -> None:
    journal = Journal(_written(tmp_path / "j"))
    journal.fund("0xaa", 5, b"\1" * 32)
    journal.fund("0xbb", 7, b"\x63" * 32)
    assert journal.funding("0xaa") == (5, b"\1" * 32)
    assert journal.funding("0xcc") is None
    assert journal.funded() == 5
    journal.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transactions SET raw = X'00' WHERE block = 2 AND position = 1",
        "UPDATE transactions SET raw = 'text' WHERE block = 2 AND position = 1",
        "UPDATE transactions SET block = 3, position = 1 WHERE block = 2 AND position = 1",
        "UPDATE transactions SET block = 9 WHERE block = 4 AND position = 2",
        "UPDATE transactions SET raw = (SELECT raw FROM transactions WHERE block = 1)",
        "DELETE FROM transactions WHERE block = 4 AND position = 2",
        "DELETE FROM transactions WHERE block = 1",
        "DELETE FROM blocks WHERE number = 2",
        "DELETE FROM blocks WHERE number = 4",
        "UPDATE blocks SET timestamp = 1 WHERE number = 3",
        "UPDATE blocks SET timestamp = -1 WHERE number = 3",
        "UPDATE blocks SET timestamp = 'x' WHERE number = 3",
        "UPDATE blocks SET count = 1 WHERE number = 2",
        "UPDATE blocks SET digest = X'00' WHERE number = 4",
        "UPDATE blocks SET hash = NULL WHERE number = 2",
        "UPDATE blocks SET number = 8 WHERE number = 4",
        "DROP TABLE blocks",
        "UPDATE meta SET value = 'log' WHERE key = 'application'",
        "UPDATE meta SET value = '99' WHERE key = 'schema'",
    ],
)
def test_any_change_is_found(tmp_path: Path, change: str) -> None:
    path = _written(tmp_path / "j")
    with sqlite3.connect(path) as db:
        db.execute(change)
        db.commit()
    db.close()
    with pytest.raises(Damaged) as caught:
        Journal(path)
    assert "meta" in change or "backup" in (caught.value.hint or "")


@pytest.mark.parametrize("seed", range(6))
def test_damaged_bytes(tmp_path: Path, seed: int) -> None:
    path = _written(tmp_path / "j")
    data = bytearray(path.read_bytes())
    if seed == 0:
        data = bytearray(b"not a database at all" * 100)
    elif seed == 1:
        data = data[: len(data) // 2]
    else:
        found = data.find(b"raw %d" % seed)
        assert found > 0
        data[found] ^= 1
    path.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(f"{path}{suffix}"):
            os.unlink(f"{path}{suffix}")
    with pytest.raises(Damaged):
        Journal(path)


def test_genesis_commits_to_everything() -> None:
    genesis = make_genesis(7, TREASURY.address, 1000)
    check_genesis(genesis)
    assert genesis == make_genesis(7, TREASURY.address, 1000)
    others = [
        make_genesis(8, TREASURY.address, 1000),
        make_genesis(7, OTHER.address, 1000),
        make_genesis(7, TREASURY.address, 1001),
    ]
    assert len({g["coinbase"] for g in [genesis, *others]}) == 4
    for broken in (
        genesis | {"gasLimit": "0x1"},
        genesis | {"alloc": {}},
        genesis | {"coinbase": "0x" + "0" * 40},
        {},
        None,
        [],
        {"config": {}},
    ):
        with pytest.raises(BadInput):
            check_genesis(broken)
    for version in (0, 3, "2", None):
        other = genesis | {"config": genesis["config"] | {"usufructGenesis": version}}
        with pytest.raises(BadInput, match=f"version {version}"):
            check_genesis(other)


def test_genesis_holds_contracts() -> None:
    genesis = make_genesis(7, TREASURY.address, 1000)
    places = contracts_of(genesis)
    assert places == {
        "Channels": "0x4020074e9df2ce1dee5a9c1b5c3f541d02a10003",
        "DepositCollector": "0x4020806089470a89826cb9fb1f4059150b550004",
        "Multicall3": "0xca11bde05977b3631167028862be2a173976ca11",
    }
    for name, place in places.items():
        entry = genesis["alloc"][place]
        assert bytes.fromhex(entry["code"][2:]) == load_artefact(name).runtime_code()
        # the fee recipient commits to the code, and a version 2 without it is none
        other = dict(genesis["alloc"]) | {place: entry | {"code": entry["code"] + "00"}}
        assert genesis_digest(genesis | {"alloc": other}) != genesis_digest(genesis)
        with pytest.raises(BadInput, match="was changed"):
            check_genesis(genesis | {"alloc": other})
        for bare in ({}, {place: {"code": "0x"}}, {place: {"code": 7}}):
            rest = {at: held for at, held in genesis["alloc"].items() if at != place} | bare
            made = genesis | {"alloc": rest}
            made["coinbase"] = "0x" + genesis_digest(made)[12:].hex()
            with pytest.raises(BadInput, match="lacks a contract"):
                check_genesis(made)


def test_genesis_of_version_1_is_opened_as_it_is() -> None:
    old = json.loads((Path(__file__).parent / "data" / "genesis-1.json").read_text())
    check_genesis(old)
    assert contracts_of(old) == {}
    assert old["coinbase"] == "0x75fc8052ffdf851e3d7ebca2c9a564d8b0aac13b"
    with pytest.raises(BadInput, match="was changed"):
        check_genesis(old | {"config": old["config"] | {"usufructGenesis": 2}})


@pytest.mark.parametrize(("chain", "time"), [(0, 1), (2**53, 1), (True, 1), ("1", 1), (1, 0)])
def test_genesis_limits(chain: int, time: int) -> None:
    with pytest.raises(BadInput):
        make_genesis(chain, TREASURY.address, time)


def test_transactions_read_like_eth_account() -> None:
    eth_account = pytest.importorskip("eth_account")
    signer = eth_account.Account.from_key(b"\x4c" * 32)
    common = {"nonce": 5, "gas": 90_000, "to": b"\x22" * 20, "value": 3, "data": b"\0\1"}
    access = [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "44" * 32]}]
    kinds = [
        {"gasPrice": 7, "chainId": CHAIN},
        {"gasPrice": 7, "chainId": CHAIN, "type": 1, "accessList": access},
        {"maxFeePerGas": 7, "maxPriorityFeePerGas": 2, "chainId": CHAIN, "accessList": access},
    ]
    for kind in kinds:
        signed = signer.sign_transaction(common | kind)
        read = read_transaction(bytes(signed.raw_transaction), chain_id=CHAIN)
        assert read.hash == bytes(signed.hash)
        assert read.sender == signer.address.lower()
        assert (read.nonce, read.gas, read.value, read.max_fee) == (5, 90_000, 3, 7)
        assert read.cost == 3 + 7 * 90_000
        with pytest.raises(BadInput, match="another chain"):
            read_transaction(bytes(signed.raw_transaction), chain_id=1)
    unprotected = signer.sign_transaction(common | {"gasPrice": 7})
    with pytest.raises(BadInput, match="EIP-155"):
        read_transaction(bytes(unprotected.raw_transaction), chain_id=CHAIN)


def test_every_flipped_byte_is_refused_or_another_transaction() -> None:
    good = bytes.fromhex(raw(3)[2:])
    sender = read_transaction(good, chain_id=CHAIN).sender
    for place in range(len(good)):
        for bit in (1, 0x80):
            broken = bytearray(good)
            broken[place] ^= bit
            try:
                read = read_transaction(bytes(broken), chain_id=CHAIN)
            except BadInput:
                continue
            assert read.sender != sender
    for cut in range(len(good)):
        with pytest.raises(BadInput):
            read_transaction(good[:cut], chain_id=CHAIN)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"gas": 20_999}, "intrinsic gas"),
        ({"gas": 21_015, "data": b"\1"}, "intrinsic gas"),
        ({"to": None, "data": b"\1" * 49_153, "gas": 10**7}, "code to run once"),
        ({"nonce": 2**64 - 1}, "nonce"),
        ({"data": b"\1" * 140_000, "gas": 10**7}, "bytes"),
    ],
)
def test_what_no_block_can_hold(changed: dict[str, object], why: str) -> None:
    fields = {"nonce": 0} | changed
    with pytest.raises(BadInput, match=why):
        text = raw(fields.pop("nonce"), **fields)  # type: ignore[arg-type]
        read_transaction(bytes.fromhex(text[2:]), chain_id=CHAIN)


def test_priority_fee_above_the_whole() -> None:
    body: list[rlp.Encodable] = [CHAIN, 0, 5, 4, 21_000, b"\x22" * 20, 0, b"", []]
    signature = TREASURY.sign_digest(keccak256(b"\2" + rlp.encode(body)))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    with pytest.raises(BadInput, match="max priority fee"):
        read_transaction(b"\2" + rlp.encode([*body, signature[64], r, s]), chain_id=CHAIN)
    high = 2**256 - 0x14551231950B75FC4402DA1732FC9BEBF - s  # the same signature with a high s
    body[2] = 3
    with pytest.raises(BadInput, match="signature"):
        read_transaction(b"\2" + rlp.encode([*body, signature[64] ^ 1, r, high]), chain_id=CHAIN)
