"""One suite for every ledger: embedded in the process, behind the gateway, any RPC by URL."""

import threading

import pytest
from tests.ledger.chain import ACCOUNTS, SECRETS, plain_anvil, plain_ledger

from usufruct.crypto.hash import keccak256
from usufruct.errors import NotAllowed, NotFound, TransactionReverted, WrongNetwork
from usufruct.ledger import receipts
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.client import Ledger
from usufruct.ledger.index import Index
from usufruct.ledger.network import Network
from usufruct.ledger.nonces import Draft
from usufruct.ledger.transport import HttpTransport
from usufruct.types import AssetKind, AssetState
from usufruct.units import WEI_PER_ETHER

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", params=["embedded", "gateway", "foreign"])
def ledger(request, tmp_path_factory):
    if request.param == "foreign":
        with plain_anvil() as url:
            found = plain_ledger(url)
            yield found
            found.close()
        return
    from tests.ledger.chain import served

    with served(tmp_path_factory.mktemp("ledger")) as server:
        if request.param == "embedded":
            yield server.ledger
        else:
            found = Ledger(HttpTransport(server.url), server.network)
            yield found
            found.close()


@pytest.fixture(scope="module")
def rich(ledger):
    """An account with money, made from a key nobody else uses."""
    return fund(ledger, b"\7" * 32)


def fund(ledger, secret):
    account = Account(secret)
    if ledger.network.chain_id == 31337:
        ledger.send(ACCOUNTS[0], [Draft(account.address, b"", WEI_PER_ETHER, 21_000)])
    else:
        from tests.ledger.chain import fund_by_treasury

        fund_by_treasury(ledger, account.address)
    return account


def register(ledger, name="party", node=""):
    return parties.register(
        ledger.network.address("Parties"),
        signing_key=keccak256(name.encode()),
        encryption_key=b"\2" * 32,
        name=name,
        node=node,
    )


def test_it_is_the_network(ledger):
    ledger.check()
    fields = {name: getattr(ledger.network, name) for name in Network.__slots__}
    other = dict(fields["contracts"])
    other["Assets"] = {**other["Assets"], "code_hash": "0x" + "00" * 32}
    nowhere = dict(fields["contracts"])
    nowhere["Assets"] = {**nowhere["Assets"], "address": "0x" + "77" * 20}
    for change, words in [
        ({"chain_id": 5}, "chain id"),
        ({"genesis_hash": "0x" + "00" * 32}, "first block"),
        ({"contracts": other}, "other code"),
        ({"contracts": nowhere}, "no code"),
    ]:
        with pytest.raises(WrongNetwork, match=words):
            Ledger(ledger.transport, Network(**(fields | change))).check()


def test_a_party_registers_and_is_read_back(ledger, rich):
    receipt = ledger.transact(rich, register(ledger, "Kantonsspital Zürich", "https://k.example"))
    assert receipt.succeeded and receipt.gas_used < 200_000
    [log] = receipt.logs
    event = parties.decode_event(log.topics, log.data)
    assert event.party == rich.address and event.name == "Kantonsspital Zürich"
    keys = ledger.call(parties.keys(ledger.network.address("Parties"), rich.address))
    assert keys.encryption_key == b"\2" * 32
    assert ledger.receipt(receipt.tx_hash) == receipt
    assert ledger.finalized_block() >= receipt.block_number
    assert ledger.block(receipt.block_number).hash == receipt.block_hash
    assert 0 < ledger.balance(rich.address) < 10 * WEI_PER_ETHER


def test_an_asset_lives_its_life(ledger, rich):
    contract, salt = ledger.network.address("Assets"), b"life" * 4
    asset = assets.asset_id(rich.address, salt)
    assert ledger.call(assets.asset(contract, asset)) is None
    publish = assets.publish(
        contract,
        asset=asset,
        salt=salt,
        kind=AssetKind.DATASET,
        root=b"\5" * 32,
        metadata=b"\6" * 32,
    )
    ledger.transact(rich, publish)
    found = ledger.call(assets.asset(contract, asset))
    assert (found.owner, found.state, found.versions) == (rich.address, AssetState.ACTIVE, 1)
    ledger.transact(rich, assets.set_state(contract, asset, AssetState.REVOKED))
    with pytest.raises(TransactionReverted) as refused:
        ledger.transact(rich, publish)
    assert refused.value.name == "NotPublishable" and refused.value.hint
    # with gas given nothing is estimated: the refusal is found out after it was mined
    with pytest.raises(TransactionReverted) as refused:
        ledger.transact(rich, publish, gas=300_000)
    assert refused.value.name == "NotPublishable"


def test_receipt_proofs(ledger, rich):
    contract = ledger.network.address("Anchors")
    calls = [
        anchors.anchor(contract, name=b"n" * 32, size=1 + i, root=bytes([i]) * 32)
        for i in range(20)
    ]
    found = ledger.transact_many(rich, calls, gas=100_000)
    for i in (0, 7, 19):
        proof = ledger.receipt_proof(found[i].tx_hash)
        block = ledger.block(found[i].block_number)
        verified = receipts.verify(proof, block_hash=bytes.fromhex(block.hash[2:]))
        assert verified.timestamp == block.timestamp and verified.status
        [log] = verified.logs
        event = anchors.decode_event(log.topics, log.data)
        assert log.address == contract
        assert event == anchors.Anchored(rich.address, b"n" * 32, 1 + i, bytes([i]) * 32)
    with pytest.raises(NotFound):
        ledger.receipt_proof("0x" + "12" * 32)
    with pytest.raises(TransactionReverted) as refused:
        ledger.transact(rich, calls[0])
    assert refused.value.name == "NotGrowing"


def test_many_threads_share_an_account(ledger, rich):
    errors, done = [], []

    def work(number):
        try:
            for i in range(3):
                done.append(ledger.transact(rich, register(ledger, f"thread {number} {i}")))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len({receipt.tx_hash for receipt in done}) == 18


def test_two_programs_share_an_account(ledger, rich):
    clients = [Ledger(ledger.transport, ledger.network) for _ in range(3)]
    errors, done = [], []

    def work(client, number):
        try:
            for i in range(4):
                done.append(client.transact(rich, register(ledger, f"program {number} {i}")))
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(client, number))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len({receipt.tx_hash for receipt in done}) == 12


def test_the_poor(ledger):
    poor = Account(b"\x09" * 32)
    with pytest.raises(NotAllowed) as refused:
        ledger.transact(poor, register(ledger))
    assert "cannot pay" in refused.value.message and refused.value.hint


def test_a_contract_that_is_not_there(ledger, rich):
    nowhere = Call("0x" + "99" * 20, b"\1\2\3\4")
    assert ledger.call_bytes(nowhere) == b""
    with pytest.raises(NotFound):
        ledger.block(10**9)
    assert ledger.receipt("0x" + "ab" * 32) is None


def test_the_index_follows(ledger, rich, tmp_path):
    index = Index(tmp_path / "index.sqlite")
    index.sync(ledger)
    ledger.transact(rich, register(ledger, "last name"))
    index.sync(ledger)
    assert index.party(rich.address).name == "last name"
    index.close()


def test_secrets_do_not_show(ledger):
    assert not any(secret.hex() in repr(vars(ledger)) for secret in SECRETS)
