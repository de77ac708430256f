"""A ledger that version 0.1 set up: its contracts stay as they are, and all they can do goes on.

``data/Assets-0.1.json`` is the contract Assets as version 0.1 shipped it, which knows no Splits;
``data/genesis-1.json`` a genesis of version 1, which holds no contracts.
"""

import dataclasses
import json
from pathlib import Path

import pytest
from tests.ledger.chain import OPERATOR, served

from usufruct.clock import iso
from usufruct.errors import BadInput, NotFound, TransactionReverted, WrongNetwork
from usufruct.ledger.account import Account, contract_address
from usufruct.ledger.binary import find_engine
from usufruct.ledger.bindings import anchors, assets, channels, parties
from usufruct.ledger.deploy import NAMES, code_hashes
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.genesis import contracts_of, make_genesis
from usufruct.ledger.index import Index
from usufruct.ledger.network import Network, read_network, sign_network
from usufruct.ledger.nonces import Draft, Sender
from usufruct.ledger.serve import treasury_account
from usufruct.types import AssetKind, AssetState

pytestmark = pytest.mark.engine

OLD = json.loads((Path(__file__).parent / "data" / "Assets-0.1.json").read_text())
GENESIS = Path(__file__).parent / "data" / "genesis-1.json"
OLD_NAMES = ("Parties", "Anchors", "Assets")
PARTY = Account(b"\3" * 32)


def set_up(folder):
    """Make a home's ledger as version 0.1 did, with a party that has its gas money."""
    treasury = treasury_account(OPERATOR)
    genesis = json.loads(GENESIS.read_text())
    assert treasury.address in genesis["alloc"]
    engine = EmbeddedEngine(folder / "ledger", genesis=genesis, binary=find_engine())
    codes = [
        parties.deploy_data(),
        anchors.deploy_data(),
        bytes.fromhex(OLD["bytecode"]) + bytes(32),
    ]
    drafts = [Draft(None, code, 0, 5_000_000) for code in codes]
    # the treasury pays with the nonces where Splits and Licences would go today
    drafts += [Draft(PARTY.address, b"", 10**18, 21_000)] * 2
    Sender(engine, treasury, 777).send(drafts)
    first = engine.request("eth_getBlockByNumber", ["0x0", False])
    places = [contract_address(treasury.address, nonce) for nonce in range(3)]
    hashes = code_hashes(engine, places)
    network = Network(
        name="old",
        chain_id=777,
        rpc=(),
        genesis_hash=first["hash"],
        contracts={
            name: {"address": place, "code_hash": code_hash}
            for name, place, code_hash in zip(OLD_NAMES, places, hashes, strict=True)
        },
        finality={"mode": "latest", "confirmations": 0},
        operator=OPERATOR.public,
        created=iso(int(first["timestamp"], 16)),
    )
    (folder / "network.json").write_bytes(sign_network(network, OPERATOR))
    engine.close()
    return network


def test_it_is_served_unchanged(tmp_path):
    network = set_up(tmp_path)
    data = (tmp_path / "network.json").read_bytes()
    index = Index(tmp_path / "index.sqlite")
    for start in range(2):
        with served(tmp_path, listen=False) as server:
            assert server.network == network
            assert server.network_path.read_bytes() == data
            ledger = server.ledger
            ledger.check()
            for name in ("Splits", "Licences", "TestDollar", "Channels", "Multicall3"):
                with pytest.raises(NotFound, match=f"no contract {name}"):
                    network.address(name)
            if start == 0:
                use(ledger)
            index.sync(ledger)
    salt = b"\5" * 16
    asset = assets.asset_id(PARTY.address, salt)
    found = index.asset(asset)
    assert (found.versions, found.state, found.owner) == (1, AssetState.RETIRED, PARTY.address)
    assert found.split_hash == b"\6" * 32
    assert index.party(PARTY.address).name == "old friend"
    assert index.offers() == index.licences() == index.purchases() == index.payments() == []
    assert index.splits(asset) == [] and index.licence("0" * 64) is None
    index.close()


def use(ledger):
    """All that version 0.1 could do, by today's bindings."""
    place, salt = ledger.network.address("Assets"), b"\5" * 16
    keys = {"signing_key": b"\1" * 32, "encryption_key": b"\2" * 32}
    parties_at = ledger.network.address("Parties")
    ledger.transact(PARTY, parties.register(parties_at, name="old friend", **keys))
    asset = assets.asset_id(PARTY.address, salt)
    ledger.transact(
        PARTY,
        assets.register(place, salt=salt, kind=AssetKind.MODEL, metadata=bytes(32)),
    )
    version = {"asset": asset, "kind": AssetKind.MODEL, "root": b"\7" * 32, "metadata": bytes(32)}
    # nobody there asks what a split is
    split = {"split_hash": b"\6" * 32}
    ledger.transact(PARTY, assets.publish(place, **version, **split))
    ledger.transact(PARTY, assets.set_state(place, asset, AssetState.RETIRED))
    assert ledger.call(assets.asset(place, asset)).versions == 1
    with pytest.raises(TransactionReverted):
        ledger.transact(PARTY, assets.publish(place, **version, offers=b"\1"))


def test_a_new_address_is_written_with_the_old_contracts(tmp_path):
    network = set_up(tmp_path)
    with served(tmp_path, url="https://ledger.example.org") as server:
        written = read_network(server.network_path.read_bytes(), operator=OPERATOR.address)
    assert written.contracts == network.contracts
    assert written.rpc == ("https://ledger.example.org",)


def test_contracts_that_are_not_what_the_file_says(tmp_path):
    network = set_up(tmp_path)
    path = tmp_path / "network.json"
    good = path.read_bytes()
    entry = dict(network.contracts["Assets"]) | {"code_hash": "0x" + "9" * 64}
    lying = dataclasses.replace(network, contracts=dict(network.contracts) | {"Assets": entry})
    for wrong in (sign_network(lying, OPERATOR), None):
        if wrong is None:
            path.unlink()
        else:
            path.write_bytes(wrong)
        with pytest.raises(WrongNetwork) as error:
            served(tmp_path, listen=False).start()
        assert "network file" in error.value.hint
        # nothing was overwritten, and nothing deployed beside the old contracts
        assert path.exists() == (wrong is not None)
    path.write_bytes(good)
    with served(tmp_path, listen=False) as server:
        assert server.network == network
        count = server.engine.request(
            "eth_getTransactionCount", [treasury_account(OPERATOR).address, "latest"]
        )
        assert int(count, 16) == 5


def test_the_file_of_another_ledger_is_not_taken_for_this_ones(tmp_path):
    (tmp_path / "a").mkdir()
    set_up(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "network.json").write_bytes((tmp_path / "a" / "network.json").read_bytes())
    with served(tmp_path / "b", listen=False) as server:
        born = contracts_of(make_genesis(1, OPERATOR.address, 1))
        assert set(server.network.contracts) == {*NAMES, "TestDollar", *born}
        server.ledger.check()


def test_the_fixture_is_another_contract_than_todays():
    code = bytes.fromhex(OLD["deployedBytecode"])
    assert code != bytes.fromhex(OLD["bytecode"]) and code not in assets.deploy_data()
    with pytest.raises(BadInput):
        assets.deploy_data("nobody")


def test_a_ledger_without_a_network_file_gets_no_contracts_its_genesis_lacks(tmp_path):
    """Set up today from a genesis of version 1, as after a crash before the first deployment."""
    genesis = json.loads(GENESIS.read_text())
    EmbeddedEngine(tmp_path / "ledger", genesis=genesis, binary=find_engine()).close()
    with served(tmp_path, listen=False) as server:
        assert set(server.network.contracts) == {*NAMES, "TestDollar"}
        server.ledger.check()
        assert server.engine.request("eth_getCode", [channels.CHANNELS, "latest"]) == "0x"
