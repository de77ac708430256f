"""The index: what it answers, re-orgs, endpoints that lie, and a file that is damaged."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.chain import ACCOUNTS, OPERATOR, Scripted, plain_anvil, plain_ledger

from usufruct.crypto.hash import keccak256
from usufruct.errors import LedgerUnreachable
from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.client import Ledger
from usufruct.ledger.index import Index
from usufruct.ledger.network import Network
from usufruct.ledger.records import TABLES
from usufruct.ledger.transport import RpcError
from usufruct.types import AssetKind, AssetState

NAMES = ("Parties", "Anchors", "Assets", "Splits", "Licences", "TestDollar")
PLACES = {name: "0x" + f"{i:02x}" * 20 for i, name in enumerate(NAMES, 1)}
NETWORK = Network(
    name="test",
    chain_id=5,
    rpc=(),
    genesis_hash="0x" + "22" * 32,
    contracts={n: {"address": PLACES[n], "code_hash": "0x" + "22" * 32} for n in NAMES[:3]},
    finality={"mode": "latest", "confirmations": 0},
    operator=OPERATOR.public,
    created="2026-11-22T12:00:00Z",
)
WHO = [account.address for account in ACCOUNTS]


def digest(*parts):
    return "0x" + keccak256(repr(parts).encode()).hex()


def event(contract, layout, indexed, *plain):
    topics = [layout.topic]
    topics += [part.encode(value) for part, value in zip(layout.indexed, indexed, strict=True)]
    return contract, topics, layout.plain.encode(*plain)


def party(who, name, node=""):
    keys = b"\1" * 32, b"\2" * 32
    return event("Parties", parties.PARTY_REGISTERED, [WHO[who]], *keys, name, node)


def anchor(who, size):
    origin = anchors.log_name("log")
    return event("Anchors", anchors.ANCHORED, [WHO[who], origin], size, bytes(32))


def asset_of(who, salt):
    return assets.asset_id(WHO[who], bytes([salt]) * 16)


def registered(who, salt, parents=()):
    plain = bytes([salt]) * 16, 0, bytes(32), bytes(32), list(parents), "uri"
    return event("Assets", assets.ASSET_REGISTERED, [asset_of(who, salt), WHO[who]], *plain)


def published(who, salt, version):
    plain = version, bytes([version]) * 32, bytes(32), "uri"
    return event("Assets", assets.VERSION_PUBLISHED, [asset_of(who, salt)], *plain)


def changed(who, salt, state):
    return event("Assets", assets.STATE_CHANGED, [asset_of(who, salt)], state.number)


class Chain(Scripted):
    """A chain of scripted blocks; `limit` is how many blocks' logs one request may span."""

    def __init__(self, limit=10**9):
        super().__init__(eth_getLogs=self.logs, eth_getBlockByNumber=self.block)
        self.limit = limit
        self.blocks = [(digest("genesis"), [])]

    def add(self, *events, salt=0):
        self.blocks.append((digest(self.blocks[-1][0], salt, len(self.blocks)), list(events)))
        return self

    def block(self, tag, _):
        number = len(self.blocks) - 1 if tag == "latest" else int(tag, 16)
        if number >= len(self.blocks):
            return None
        parent = self.blocks[number - 1][0] if number else digest("nothing")
        fields = {"number": hex(number), "hash": self.blocks[number][0], "parentHash": parent}
        return fields | {"timestamp": hex(1000 + number)}

    def logs(self, query):
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last - first >= self.limit:
            raise RpcError(-32005, "block range too wide")
        found = []
        for number in range(first, min(last, len(self.blocks) - 1) + 1):
            block_hash, events = self.blocks[number]
            for position, (contract, topics, data) in enumerate(events):
                found.append(
                    {
                        "address": PLACES[contract],
                        "topics": ["0x" + topic.hex() for topic in topics],
                        "data": "0x" + data.hex(),
                        "blockNumber": hex(number),
                        "blockHash": block_hash,
                        "transactionHash": digest(number, position),
                        "logIndex": hex(position),
                    }
                )
        return found


def content(index):
    tables = [t for t in TABLES if t != "blocks"]
    return {table: index._rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables}


@pytest.fixture
def index(tmp_path):
    found = Index(tmp_path / "index.sqlite")
    yield found
    found.close()


def test_what_it_answers(index):
    asset, child = asset_of(0, 1), asset_of(1, 2)
    chain = Chain().add(party(0, "first"), party(1, "second"))
    chain.add(registered(0, 1), published(0, 1, 1)).add().add(party(0, "renamed", "https://n"))
    chain.add(registered(1, 2, [asset]), published(0, 1, 2), anchor(0, 5), anchor(0, 2**64 - 1))
    done = index.sync(Ledger(chain, NETWORK))
    assert (done.block, done.events, done.undone) == (5, 9, 0)
    assert index.party(WHO[0]).name == "renamed" and index.party(WHO[0]).timestamp == 1004
    assert index.party(WHO[3]) is None
    assert [record.name for record in index.parties()] == ["second", "renamed"]
    found = index.asset(asset)
    assert (found.versions, found.state, found.kind) == (2, AssetState.ACTIVE, AssetKind.DATASET)
    assert found.latest_root == b"\2" * 32 and found.owner == WHO[0] and found.timestamp == 1002
    assert [version.version for version in index.versions(asset)] == [1, 2]
    assert index.asset(child).state is AssetState.DRAFT and index.asset(child).latest_root is None
    assert index.parents(child) == [asset] and index.children(asset) == [child]
    assert [record.asset for record in index.assets()] == [asset, child]
    assert index.anchor_head(WHO[0], "log").size == 2**64 - 1
    assert [record.size for record in index.anchors(WHO[0], "log")] == [5, 2**64 - 1]
    assert index.anchor_head(WHO[0], "other log") is None
    assert index.asset("77" * 32) is None and index.versions("77" * 32) == []
    chain.add(changed(0, 1, AssetState.RETIRED))
    moved = event("Assets", assets.TRANSFER, [WHO[0], WHO[2], asset])
    chain.add(moved, event("Assets", assets.SPLIT_FIXED, [asset], b"\7" * 32))
    assert index.sync(Ledger(chain, NETWORK)).events == 3
    found = index.asset(asset)
    assert (found.state, found.owner, found.creator) == (AssetState.RETIRED, WHO[2], WHO[0])
    assert found.split_hash == b"\7" * 32
    assert index.sync(Ledger(chain, NETWORK)).events == 0


def test_narrow_endpoints_are_asked_in_small_windows(index):
    chain = Chain(limit=3)
    for number in range(40):
        chain.add(party(number % 4, f"name {number}"))
    assert index.sync(Ledger(chain, NETWORK)).events == 40
    assert index.party(WHO[3]).name == "name 39"
    chain.limit = 0
    chain.add()
    with pytest.raises(RpcError, match="range"):
        index.sync(Ledger(chain, NETWORK))


steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 6), st.booleans()), max_size=12
)


@settings(max_examples=35, deadline=None)
@given(steps, st.integers(1, 5))
def test_any_reorgs_leave_what_a_fresh_index_reads(tmp_path_factory, steps, limit):
    folder = tmp_path_factory.mktemp("index")
    chain = Chain(limit)
    index = Index(folder / "a.sqlite")
    for salt, (back, who, more, sync) in enumerate(steps, 1):
        del chain.blocks[max(1, len(chain.blocks) - back) :]
        for number in range(more):
            known = {repr(e) for _, events in chain.blocks for e in events}
            new = [party(who, f"{salt} {number}"), anchor(who, salt)]
            if repr(registered(who, number)) not in known:
                new.append(registered(who, number))
            elif repr(published(who, number, 1)) not in known:
                new.append(published(who, number, 1))
            chain.add(*new, salt=salt)
        if sync:
            index.sync(Ledger(chain, NETWORK))
    index.sync(Ledger(chain, NETWORK))
    fresh = Index(folder / "b.sqlite")
    fresh.sync(Ledger(chain, NETWORK))
    assert content(index) == content(fresh)
    index.close()
    fresh.close()


def test_a_chain_that_shrinks_and_one_that_is_another(index):
    chain = Chain().add(party(0, "one")).add(party(1, "two"))
    index.sync(Ledger(chain, NETWORK))
    del chain.blocks[2:]
    assert index.sync(Ledger(chain, NETWORK)).undone == 1
    assert [record.name for record in index.parties()] == ["one"]
    other = dataclasses.replace(NETWORK, chain_id=6)
    assert index.sync(Ledger(Chain().add(party(2, "else")), other)).events == 1
    assert [record.name for record in index.parties()] == ["else"]


def test_a_chain_that_never_stands_still(index):
    chain = Chain().add(party(0, "one")).add(party(1, "two"))
    plain, count = chain.logs, [0]

    def restless(query):
        count[0] += 1
        chain.blocks[2] = (digest("restless", count[0]), chain.blocks[2][1])
        return plain(query)

    chain.answers["eth_getLogs"] = restless
    with pytest.raises(BadAnswer, match="change each time"):
        index.sync(Ledger(chain, NETWORK))
    chain.answers["eth_getLogs"] = plain
    assert index.sync(Ledger(chain, NETWORK)).events == 2


def spoiled(**change):
    return lambda chain: lambda query: [log | change for log in chain.logs(query)]


LIES = {
    "another contract": spoiled(address="0x" + "99" * 20),
    "another of our contracts": spoiled(address=PLACES["Anchors"]),
    "wrong topics": spoiled(topics=["0x" + "99" * 32]),
    "no topics": spoiled(topics=[]),
    "too few topics": spoiled(topics=["0x" + parties.PARTY_REGISTERED.topic.hex()]),
    "broken data": spoiled(data="0x1234"),
    "no data": spoiled(data="0x"),
    "another block's number": spoiled(blockNumber="0x1"),
    "another block's hash": spoiled(blockHash=digest("else")),
    "a block to come": spoiled(blockNumber="0x77"),
    "withdrawn": spoiled(removed=True),
    "each twice": lambda chain: lambda query: [log for log in chain.logs(query) for _ in "12"],
    "no list": lambda chain: lambda query: {},
    "nothing": lambda chain: lambda query: None,
    "huge": lambda chain: lambda query: [{}] * 200_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named_and_nothing_is_kept(index, lie):
    chain = Chain().add(party(0, "true")).add(party(1, "also true"))
    index.sync(Ledger(chain, NETWORK))
    before = content(index)
    chain.add(party(0, "new"))
    chain.answers["eth_getLogs"] = LIES[lie](chain)
    with pytest.raises(BadAnswer):
        index.sync(Ledger(chain, NETWORK))
    assert content(index) == before
    chain.answers["eth_getLogs"] = chain.logs
    assert index.sync(Ledger(chain, NETWORK)).events == 1


@pytest.mark.parametrize(
    "events",
    [
        [published(0, 1, 1)],
        [registered(0, 1), published(0, 1, 2)],
        [registered(0, 1), registered(0, 1)],
        [registered(0, 1), published(0, 1, 1), published(0, 1, 1)],
        [changed(0, 1, AssetState.RETIRED)],
        [event("Assets", assets.SPLIT_FIXED, [asset_of(0, 1)], bytes(32))],
        [
            event(
                "Assets",
                assets.ASSET_REGISTERED,
                [asset_of(0, 1), WHO[1]],
                *(b"\1" * 16, 0, bytes(32), bytes(32), [], ""),
            )
        ],
    ],
)
def test_histories_that_no_contract_can_have(index, events):
    with pytest.raises(BadAnswer):
        index.sync(Ledger(Chain().add(*events), NETWORK))
    assert not any(content(index).values())


def test_strangers_texts_are_capped(index):
    chain = Chain().add(party(0, "é" * 5000, "https://" + "x" * 5000))
    chain.add(party(1, "a\0b\x1b[31m", "x" * 256))
    contract, topics, data = party(2, "bad")
    chain.add((contract, topics, data.replace(b"bad", b"\xff\xfe\xfd")))
    index.sync(Ledger(chain, NETWORK))
    assert index.party(WHO[0]).name == "é" * 128 and index.party(WHO[0]).node == ""
    assert index.party(WHO[1]).name == "a\0b\x1b[31m" and len(index.party(WHO[1]).node) == 256
    assert index.party(WHO[2]).name == "\ufffd" * 3


def test_an_endpoint_that_breaks_off_keeps_whole_windows(index):
    chain = Chain(limit=2)
    for number in range(12):
        chain.add(party(number % 4, f"name {number}"))
    plain = chain.logs

    def breaking(query):
        if int(query["fromBlock"], 16) > 8:
            raise LedgerUnreachable("gone")
        return plain(query)

    chain.answers["eth_getLogs"] = breaking
    with pytest.raises(LedgerUnreachable):
        index.sync(Ledger(chain, NETWORK))
    kept = len(content(index)["parties"])
    assert 0 < kept <= 8
    chain.answers["eth_getLogs"] = plain
    assert index.sync(Ledger(chain, NETWORK)).events == 12 - kept


@pytest.mark.parametrize("damage", [b"", b"not a database", b"\0" * 5000])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    path = tmp_path / "index.sqlite"
    path.write_bytes(damage)
    index = Index(path)
    assert index.sync(Ledger(Chain().add(party(0, "one")), NETWORK)).events == 1
    index.close()
    again = Index(path)
    assert again.party(WHO[0]).name == "one"
    again.close()


@pytest.mark.engine
def test_a_real_reorg(index):
    with plain_anvil() as url:
        ledger = plain_ledger(url)
        place = ledger.network.address("Parties")

        def name(account, text):
            keys = {"signing_key": b"\1" * 32, "encryption_key": b"\2" * 32}
            ledger.transact(account, parties.register(place, name=text, **keys))

        name(ACCOUNTS[1], "stays")
        index.sync(ledger)
        snapshot = ledger.transport.request("evm_snapshot", [])
        name(ACCOUNTS[1], "goes")
        name(ACCOUNTS[2], "goes too")
        index.sync(ledger)
        assert len(index.parties()) == 2
        assert ledger.transport.request("evm_revert", [snapshot])
        name(ACCOUNTS[3], "comes")
        done = index.sync(ledger)
        assert done.undone == 2 and done.events == 1
        assert [record.name for record in index.parties()] == ["stays", "comes"]
        ledger.close()
