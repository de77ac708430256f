"""Receipt proofs over real blocks of an engine, over every trie shape, and under tampering."""

import copy
import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.chain import ACCOUNTS, plain_anvil

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, VerificationError
from usufruct.ledger import receipts, rlp
from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.blocks import encode_header, encode_receipt
from usufruct.ledger.transport import HttpTransport
from usufruct.ledger.trie import EMPTY_ROOT, ListTrie, verify_trie

# LOG2 with topics 1 and 2 over the calldata; reverts when there is none
RUNTIME = bytes.fromhex("36600857600080fd5b36600060003760026001366000a200")
DEPLOY = bytes.fromhex(f"60{len(RUNTIME):02x}600c60003960{len(RUNTIME):02x}6000f3") + RUNTIME


@pytest.fixture(scope="module")
def blocks():
    """JSON of blocks with 0, 1, 2, 3, 17 and 300 transactions, with their receipts."""
    with plain_anvil("--no-mining", "--order", "fifo", "--gas-limit", "100000000") as url:
        transport, account = HttpTransport(url), ACCOUNTS[0]
        nonce, found = 0, []

        def send(to, data):
            nonlocal nonce
            fields = {"chainId": 31337, "nonce": nonce, "maxPriorityFeePerGas": 10**9}
            fields |= {"maxFeePerGas": 10**11, "gas": 200_000, "to": to, "data": data}
            transport.request("eth_sendRawTransaction", ["0x" + sign(account, fields)])
            nonce += 1

        send(None, DEPLOY)
        transport.request("evm_mine", [])
        receipt = transport.request("eth_getBlockReceipts", ["0x1"])[0]
        contract = receipt["contractAddress"]
        assert contract and receipt["status"] == "0x1"
        for count in (0, 1, 2, 3, 17, 300):
            for index in range(count):
                send(contract, b"" if index % 7 == 6 else bytes([index % 256]) * (1 + index % 90))
            transport.request("evm_mine", [])
            block = transport.request("eth_getBlockByNumber", ["latest", False])
            found.append((block, transport.request("eth_getBlockReceipts", [block["number"]])))
            assert len(found[-1][1]) == count
        transport.close()
        return found


def sign(account, fields):
    return account.sign_transaction(fields).hex()


@pytest.mark.engine
def test_every_transaction_of_real_blocks(blocks):
    for block, items in blocks:
        assert keccak256(encode_header(block)) == bytes.fromhex(block["hash"][2:])
        for index, item in enumerate(items):
            if len(items) > 20 and index % 13 and index not in (127, 128, 129, 255, 256, 299):
                continue
            proof = receipts.build(31337, block, items, index)
            again = receipts.ReceiptProof.from_dict(copy.deepcopy(proof.to_dict()))
            assert again == proof
            found = receipts.verify(again, block_hash=bytes.fromhex(block["hash"][2:]))
            assert found.status == (item["status"] == "0x1")
            assert found.status == (index % 7 != 6)
            assert found.block_number == int(block["number"], 16)
            assert found.timestamp == int(block["timestamp"], 16)
            assert [log.data.hex() for log in found.logs] == [
                log["data"][2:] for log in item["logs"]
            ]
            if found.status:
                assert found.logs[0].topics == (
                    (1).to_bytes(32, "big"),
                    (2).to_bytes(32, "big"),
                )


@pytest.mark.engine
def test_another_index_or_block_is_refused(blocks):
    block, items = blocks[-1]
    proof = receipts.build(31337, block, items, 128)
    other = receipts.build(31337, *blocks[-2], 3)
    changes = [
        {"tx_index": 129},
        {"tx_index": 300},
        {"tx_index": -1},
        {"block_number": proof.block_number + 1},
        {"receipt_rlp": other.receipt_rlp},
        {"header_rlp": other.header_rlp},
        {"nodes": proof.nodes[:-1]},
        {"nodes": proof.nodes[1:]},
        {"nodes": (*proof.nodes, proof.nodes[-1])},
        {"nodes": ()},
        {"nodes": proof.nodes * 20},
        {"nodes": list(proof.nodes)},
        {"header_rlp": b""},
        {"receipt_rlp": None},
        {"chain_id": True},
    ]
    for change in changes:
        with pytest.raises(VerificationError):
            receipts.verify(dataclasses.replace(proof, **change))
    with pytest.raises(VerificationError, match="another block"):
        receipts.verify(proof, block_hash=other.block_hash)


@pytest.mark.engine
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mutation_is_a_verification_error(blocks, data):
    block, items = blocks[data.draw(st.integers(1, 5))]
    index = data.draw(st.integers(0, len(items) - 1))
    proof = receipts.build(31337, block, items, index) if len(items) < 20 else big(blocks)
    document = proof.to_dict()
    del document["chain_id"]  # no header binds it: the caller compares it with the network
    path, value = data.draw(st.sampled_from(list(leaves(document))))
    changed = data.draw(mutations(value).filter(lambda new: not same(new, value)))
    put(document, path, changed)
    with pytest.raises(VerificationError):
        receipts.verify(
            receipts.ReceiptProof.from_dict(document | {"chain_id": 31337}),
            block_hash=proof.block_hash,
        )


_BIG = []


def big(blocks):
    if not _BIG:
        _BIG.append(receipts.build(31337, *blocks[-1], 200))
    return _BIG[0]


def same(new, old):
    return type(new) is type(old) and new == old


def leaves(document):
    for key, value in document.items():
        yield (key,), value
        if isinstance(value, list):
            for place, part in enumerate(value):
                yield (key, place), part


def put(document, path, value):
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


def mutations(value):
    odd = st.sampled_from([None, True, 1.5, "", "0x", "0x0", [], {}, -1, 2**70, "0X00"])
    if isinstance(value, list):
        return odd | st.just([*value, *value[-1:]]) | st.permutations(value) | st.just(value[:-1])
    if isinstance(value, int):
        return odd | st.integers(-1, 2**60)
    places, digits = st.integers(2, max(2, len(value) - 1)), st.sampled_from("0123456789abcdefAg")
    flipped = st.builds(lambda at, digit: value[:at] + digit + value[at + 1 :], places, digits)
    return odd | flipped | st.just(value[:-2]) | st.just(value + "00") | st.just(value.upper())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.data())
def test_list_tries_of_every_shape(count, size, data):
    # short values give nodes that stand inside their parents
    values = [bytes([1 + i % 255]) * (1 + (i * 7) % size) for i in range(count)]
    trie = ListTrie(values)
    index = data.draw(st.integers(0, count - 1))
    proof = trie.proof(index)
    assert verify_trie(trie.root, index, proof, max_value=100) == values[index]
    absent = data.draw(st.integers(count, count + 300))
    with pytest.raises(VerificationError):
        verify_trie(trie.root, absent, proof, max_value=100)
    with pytest.raises(BadInput):
        trie.proof(count)


def test_empty_trie():
    assert ListTrie([]).root == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    with pytest.raises(VerificationError):
        verify_trie(EMPTY_ROOT, 0, (rlp.encode(b""),), max_value=10)


def test_header_of_the_public_chain():
    zero = "0x" + "00" * 32
    empty = "0x" + EMPTY_ROOT.hex()
    genesis = {
        "parentHash": zero,
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": "0x" + "00" * 20,
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "transactionsRoot": empty,
        "receiptsRoot": empty,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x400000000",
        "number": "0x0",
        "gasLimit": "0x1388",
        "gasUsed": "0x0",
        "timestamp": "0x0",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
        "mixHash": zero,
        "nonce": "0x0000000000000042",
        "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    }
    assert keccak256(encode_header(genesis)).hex() == genesis["hash"][2:]
    for name in genesis:
        with pytest.raises(BadAnswer):
            encode_header({**genesis, name: "0x1234567"})
        with pytest.raises(BadAnswer):
            encode_header({key: value for key, value in genesis.items() if key != name})


@pytest.mark.engine
@pytest.mark.parametrize(
    "spoil",
    [
        lambda block, items: block.pop("receiptsRoot"),
        lambda block, items: items.pop(),
        lambda block, items: items.reverse(),
        lambda block, items: items[0].update(status="0x2"),
        lambda block, items: items[0].update(logs=None),
        lambda block, items: items[0].update(logsBloom="0x00"),
        lambda block, items: items[0].update(type="0xff"),
        lambda block, items: items[0]["logs"][0].update(topics=["0x"] * 5),
        lambda block, items: items[0]["logs"][0].update(data="0x1"),
        lambda block, items: items.__setitem__(0, None),
        lambda block, items: block.update(timestamp="0x1"),
        lambda block, items: block.update(number=7),
    ],
)
def test_lying_endpoints(blocks, spoil):
    block, items = copy.deepcopy(blocks[3])
    assert receipts.build(31337, block, items, 0)
    spoil(block, items)
    with pytest.raises(BadAnswer):
        receipts.build(31337, block, items, 0)


def test_deposit_receipts_have_two_more_numbers():
    plain = {"type": "0x7e", "status": "0x1", "cumulativeGasUsed": "0x5", "logs": []}
    plain["logsBloom"] = "0x" + "00" * 256
    short = rlp.decode(encode_receipt(plain)[1:])
    more = plain | {"depositNonce": "0x7", "depositReceiptVersion": "0x1"}
    assert rlp.decode(encode_receipt(more)[1:]) == [*short, b"\7", b"\1"]


def test_verifying_needs_the_base_installation_only():
    code = (
        "import sys; import usufruct.ledger.receipts;"
        "bad = {'coincurve', 'httpx', 'eth_abi', 'eth_account', 'rlp', 'numpy'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
