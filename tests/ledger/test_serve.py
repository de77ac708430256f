"""The shared ledger as its operator runs it: set up once, resumed after a crash, restarted."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.ledger.chain import ACCOUNTS, OPERATOR, plain_anvil, served

from usufruct.crypto.hash import keccak256
from usufruct.crypto.identity import Identity
from usufruct.errors import BadInput, Damaged, HomeBusy, NotAllowed, Unavailable, WrongNetwork
from usufruct.ledger.account import Account
from usufruct.ledger.binary import find_engine
from usufruct.ledger.bindings import (
    anchors,
    assets,
    channel_events,
    channels,
    licences,
    parties,
    splits,
    tokens,
)
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.client import Ledger
from usufruct.ledger.deploy import NAMES, addresses, deploy
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.genesis import contracts_of, make_genesis
from usufruct.ledger.index import Index
from usufruct.ledger.network import read_network
from usufruct.ledger.nonces import Draft, Sender
from usufruct.ledger.serve import LedgerServer, treasury_account
from usufruct.ledger.transport import HttpTransport
from usufruct.types import ZERO_ADDRESS

pytestmark = pytest.mark.engine


def register(network, name):
    keys = {"signing_key": b"\1" * 32, "encryption_key": b"\2" * 32}
    return parties.register(network.address("Parties"), name=name, **keys)


def test_a_ledger_is_set_up_once_and_restarted(tmp_path):
    with served(tmp_path, name="hospitals") as server:
        data = server.network_path.read_bytes()
        network = read_network(data, operator=OPERATOR.address)
        assert network == server.network and network.name == "hospitals"
        assert network.rpc == (server.url,)
        client = Ledger(HttpTransport(network.rpc[0]), network)
        client.check()
        assert client.call(assets.licences(network.address("Assets"))) == network.address(
            "Licences"
        )
        assert client.call(assets.splits(network.address("Assets"))) == network.address("Splits")
        assert client.transport.request("usufruct_network", []) == data.decode()
        party = Account(b"\3" * 32)
        with pytest.raises(NotAllowed):
            client.transact(party, register(network, "poor"))
        client.transport.request("usufruct_fund", [party.address])
        client.transact(party, register(network, "rich"))
        height = server.engine.height
        client.close()
    server.stop()
    with pytest.raises(BadInput):
        server.engine  # noqa: B018
    with served(tmp_path) as server:
        # same contracts, same file, same URL, nothing deployed again
        assert server.network_path.read_bytes() == data
        assert server.network == network and server.engine.height == height
        found = server.ledger.call(parties.keys(network.address("Parties"), party.address))
        assert found.signing_key == b"\1" * 32
        with pytest.raises(HomeBusy):
            served(tmp_path).start()


def test_code_hashes_are_of_the_code_that_stands_there(tmp_path):
    with served(tmp_path, listen=False) as server:
        assert server.network.rpc == ()
        with pytest.raises(BadInput):
            server.url  # noqa: B018
        born = contracts_of(make_genesis(1, OPERATOR.address, 1))
        assert set(server.network.contracts) == {*NAMES, "TestDollar", *born}
        for name, place in born.items():
            assert server.network.address(name) == place
            code = load_artefact(name).runtime_code()
            assert server.engine.request("eth_getCode", [place, "latest"]) == "0x" + code.hex()
        for entry in server.network.contracts.values():
            code = server.engine.request("eth_getCode", [entry["address"], "latest"])
            assert "0x" + keccak256(bytes.fromhex(code[2:])).hex() == entry["code_hash"]
        places = addresses(treasury_account(OPERATOR).address, 0, test_dollar=True)
        assert places == {name: server.network.address(name) for name in places}
        server.treasury.fund(OPERATOR.address)
        assert server.ledger.balance(OPERATOR.address) > 0


@pytest.mark.parametrize("done", [0, 1, 3, 4, 5, 6])
def test_a_crash_between_the_deployments(tmp_path, done):
    treasury = treasury_account(OPERATOR)
    genesis = make_genesis(777, treasury.address, int(time.time()))
    places = addresses(treasury.address, 0, test_dollar=True)
    codes = [
        parties.deploy_data(),
        anchors.deploy_data(),
        assets.deploy_data(places["Licences"], places["Splits"]),
        splits.deploy_data(places["Assets"], places["Licences"]),
        licences.deploy_data(places["Assets"], places["Splits"]),
        tokens.deploy_data(),
    ]
    engine = EmbeddedEngine(tmp_path / "ledger", genesis=genesis, binary=find_engine())
    sender = Sender(engine, treasury, 777)
    for code in codes[:done]:
        sender.send([Draft(None, code, 0, 8_000_000)])
    engine.close()
    with served(tmp_path) as server:
        server.ledger.check()
        assert server.network.chain_id == 777
        assert {name: server.network.address(name) for name in places} == places
        count = server.engine.request("eth_getTransactionCount", [treasury.address, "latest"])
        assert count == "0x6"


def test_killed_while_it_is_set_up(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.ledger.chain import served\n"
        "served(Path(sys.argv[1])).start(); print('up', flush=True); sys.stdin.read()"
    )
    for wait in (0.35, 0.5, 0.6, 0.7, 0.8):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
    with served(tmp_path) as server:
        server.ledger.check()
        treasury = treasury_account(OPERATOR).address
        assert server.engine.request("eth_getTransactionCount", [treasury, "latest"]) == "0x6"


def test_contracts_of_the_first_block_work_and_outlive_a_restart(tmp_path):
    with served(tmp_path, listen=False) as server:
        network, party = server.network, Account(b"\3" * 32)
        assert network.address("Channels") == channels.CHANNELS
        server.treasury.fund(party.address)
        dollar = network.address("TestDollar")
        ledger = server.ledger
        ledger.transact(party, tokens.faucet(dollar, party.address))
        ledger.transact(party, tokens.approve(dollar, channels.CHANNELS, 2**255))
        config = channels.ChannelConfig(
            party.address, ZERO_ADDRESS, OPERATOR.address, OPERATOR.address, dollar, 900, bytes(32)
        )
        receipt = ledger.transact(party, channels.deposit(channels.CHANNELS, config, 5))
        where = config.channel_id(channels.domain(network.chain_id).separator)
        told = channel_events.decode_event(receipt.logs[-1].topics, receipt.logs[-1].data)
        assert told == channel_events.Deposited(where, 5, 5)
        # the index reads the ledger and passes over what it does not keep
        index = Index(tmp_path / "index.sqlite")
        index.sync(ledger)
        index.close()
    for keep in (True, False):
        if not keep:  # the saved state is lost: replayed from the genesis
            for path in (tmp_path / "ledger").glob("*state*"):
                path.unlink()
        with served(tmp_path, listen=False) as server:
            server.ledger.check()
            found = server.ledger.call(channels.channel(channels.CHANNELS, where))
            assert found == channels.Channel(5, 0)


def test_code_that_is_not_the_network_files_is_found(tmp_path):
    with served(tmp_path, listen=False) as server:
        entry = dict(server.network.contracts["Channels"]) | {"code_hash": "0x" + "9" * 64}
        lying = dict(server.network.contracts) | {"Channels": entry}
        ledger = Ledger(server.engine, dataclasses.replace(server.network, contracts=lying))
        with pytest.raises(WrongNetwork, match="contract Channels"):
            ledger.check()


def test_the_network_file(tmp_path):
    with served(tmp_path, name="one") as server:
        data = server.network_path.read_bytes()
    # lost: written again, the same but for what only it knew
    server.network_path.unlink()
    with served(tmp_path, name="one", port=int(server_port(data))) as server:
        assert server.network_path.read_bytes() == data
    # damaged: said so, and nothing is overwritten
    server.network_path.write_bytes(data[:-40])
    with pytest.raises(Damaged) as error:
        served(tmp_path).start()
    assert error.value.hint and server.network_path.read_bytes() == data[:-40]
    # another address: signed anew
    server.network_path.write_bytes(data)
    with served(tmp_path, url="https://ledger.example.org") as server:
        assert read_network(server.network_path.read_bytes()).rpc == ("https://ledger.example.org",)
        assert server.network.name == "one"


def server_port(data):
    return read_network(data).rpc[0].rpartition(":")[2]


def test_another_operator_or_chain(tmp_path):
    with served(tmp_path, listen=False, chain_id=99):
        pass
    with pytest.raises(WrongNetwork):
        served(tmp_path, chain_id=98).start()
    mallory = Identity("mallory", b"\2" * 32)
    with pytest.raises(Damaged, match="another operator"):
        LedgerServer(tmp_path, operator=mallory).start()
    (tmp_path / "network.json").unlink()
    with pytest.raises(WrongNetwork):
        LedgerServer(tmp_path, operator=mallory).start()
    with served(tmp_path, listen=False) as server:
        assert server.network.chain_id == 99


def test_a_port_that_is_taken(tmp_path):
    with served(tmp_path / "a") as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(Unavailable):
            served(tmp_path / "b", port=port).start()
    # what failed to start let go of everything
    with served(tmp_path / "b") as server:
        server.ledger.check()


def test_deploying_on_a_foreign_network():
    with plain_anvil() as url:
        transport = HttpTransport(url)
        first = deploy(transport, ACCOUNTS[0], 31337)
        again = deploy(transport, ACCOUNTS[0], 31337, first_nonce=first.first_nonce)
        assert again.contracts == first.contracts
        assert set(first.contracts) == set(NAMES)  # play money is for ledgers of one's own
        second = deploy(transport, ACCOUNTS[0], 31337)
        assert second.first_nonce == 5 and second.start_block > first.start_block
        assert second.contracts["Assets"]["address"] != first.contracts["Assets"]["address"]
        # Parties and Anchors know nobody
        hashes = [first.contracts[name]["code_hash"] for name in NAMES[:2]]
        assert [second.contracts[name]["code_hash"] for name in NAMES[:2]] == hashes
        # a deployment that was cut short while its transactions were pending
        transport.request("evm_setAutomine", [False])
        codes = [parties.deploy_data(), anchors.deploy_data()]
        sender = Sender(transport, ACCOUNTS[3], 31337)
        sender.send([Draft(None, code, 0, 5_000_000) for code in codes])
        mining = threading.Timer(0.5, transport.request, ["evm_mine", []])
        mining.start()
        third = deploy(transport, ACCOUNTS[3], 31337, first_nonce=0, timeout=20)
        assert [third.contracts[name]["code_hash"] for name in NAMES[:2]] == hashes
        mining.join()
        transport.request("evm_setAutomine", [True])
        # the account was used for something else in between
        Sender(transport, ACCOUNTS[1], 31337).send([Draft(ACCOUNTS[0].address, b"", 1, 21_000)])
        with pytest.raises(WrongNetwork, match="is not the contract"):
            deploy(transport, ACCOUNTS[1], 31337, first_nonce=0)
        with pytest.raises(WrongNetwork, match="has not come"):
            deploy(transport, ACCOUNTS[2], 31337, first_nonce=5)
        transport.close()
