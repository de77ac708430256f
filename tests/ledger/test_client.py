"""The client against endpoints that lie, break off, or follow another rule of finality."""

import dataclasses
import threading

import pytest
from tests.ledger.chain import ACCOUNTS, OPERATOR, Scripted, plain_anvil, plain_ledger

from usufruct.errors import LedgerUnreachable, NotFound, TransactionReverted
from usufruct.ledger.answers import BadAnswer, TooMany
from usufruct.ledger.bindings import parties
from usufruct.ledger.client import Ledger
from usufruct.ledger.network import Network
from usufruct.ledger.reverts import as_revert
from usufruct.ledger.transport import HttpTransport, RpcError

CONTRACT = "0x" + "11" * 20
HASH = "0x" + "22" * 32
NETWORK = Network(
    name="test",
    chain_id=5,
    rpc=(),
    genesis_hash=HASH,
    contracts={"Parties": {"address": CONTRACT, "code_hash": HASH}},
    finality={"mode": "latest", "confirmations": 0},
    operator=OPERATOR.public,
    created="2026-11-22T12:00:00Z",
)
BLOCK = {"number": "0x7", "hash": HASH, "parentHash": HASH, "timestamp": "0x10"}
LOG = {
    "address": CONTRACT,
    "topics": [HASH],
    "data": "0x",
    "blockNumber": "0x7",
    "blockHash": HASH,
    "transactionHash": HASH,
    "logIndex": "0x0",
    "removed": False,
}
RECEIPT = {
    "transactionHash": HASH,
    "blockNumber": "0x7",
    "blockHash": HASH,
    "transactionIndex": "0x0",
    "status": "0x1",
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x1",
    "contractAddress": None,
    "logs": [LOG],
}


def ledger(**answers):
    return Ledger(Scripted(**answers), NETWORK)


NONSENSE = [None, 5, "", "0x", "nonsense", [], {}, {"number": None}, "0x" + "f" * 100, True]


@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_named(answer):
    calls = [
        ("eth_blockNumber", lambda it: it.finalized_block()),
        ("eth_getBalance", lambda it: it.balance(CONTRACT)),
        ("eth_getLogs", lambda it: it.logs([CONTRACT], 0, 9)),
        ("eth_getBlockByNumber", lambda it: it.block(7)),
        ("eth_getTransactionReceipt", lambda it: it.receipt(HASH)),
        ("eth_call", lambda it: it.call(parties.keys(CONTRACT, CONTRACT))),
    ]
    for method, use in calls:
        if (method, answer) in [("eth_getLogs", [])] or (
            answer is None and method == "eth_getTransactionReceipt"
        ):
            continue
        missing = (method, answer) == ("eth_getBlockByNumber", None)
        with pytest.raises(NotFound if missing else BadAnswer):
            use(ledger(**{method: answer}))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"address": "0x" + "12" * 20}, BadAnswer),
        ({"topics": []}, BadAnswer),
        ({"topics": ["0x" + "33" * 32]}, BadAnswer),
        ({"topics": [HASH] * 5}, BadAnswer),
        ({"topics": ["0x22"]}, BadAnswer),
        ({"blockNumber": "0x99"}, BadAnswer),
        ({"blockNumber": "0x0"}, BadAnswer),
        ({"removed": True}, BadAnswer),
        ({"data": "0x0"}, BadAnswer),
        ({"data": "0x" + "00" * 2**20 + "00"}, BadAnswer),
        ({"logIndex": -1}, BadAnswer),
        ({"blockHash": None}, BadAnswer),
    ],
)
def test_logs_of_a_liar(change, error):
    def ask(log):
        return ledger(eth_getLogs=[log]).logs([CONTRACT], 5, 9, topics=[b"\x22" * 32])

    assert ask(LOG)[0].block_number == 7
    with pytest.raises(error):
        ask(LOG | change)


def test_logs_out_of_order_or_too_many():
    with pytest.raises(BadAnswer, match="order"):
        ledger(eth_getLogs=[LOG, LOG]).logs([CONTRACT], 5, 9)
    many = [LOG | {"logIndex": hex(i)} for i in range(11)]
    with pytest.raises(TooMany):
        ledger(eth_getLogs=many).logs([CONTRACT], 5, 9, limit=10)


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": "0x" + "33" * 32},
        {"status": "0x2"},
        {"status": None},
        {"logs": [LOG | {"transactionHash": "0x" + "33" * 32}]},
        {"contractAddress": "0x"},
        {"blockNumber": None},
    ],
)
def test_receipts_of_a_liar(change):
    assert ledger(eth_getTransactionReceipt=RECEIPT).receipt(HASH).succeeded
    with pytest.raises(BadAnswer):
        ledger(eth_getTransactionReceipt=RECEIPT | change).receipt(HASH)


def test_another_block_than_asked_for():
    with pytest.raises(BadAnswer, match="instead"):
        ledger(eth_getBlockByNumber=BLOCK).block(8)


def test_finality():
    finality = {"mode": "confirmations", "confirmations": 3}
    network = dataclasses.replace(NETWORK, finality=finality)
    assert Ledger(Scripted(eth_blockNumber="0x9"), network).finalized_block() == 7
    assert Ledger(Scripted(eth_blockNumber="0x1"), network).finalized_block() == 0
    assert ledger(eth_blockNumber="0x9").finalized_block() == 9
    network = dataclasses.replace(NETWORK, finality={"mode": "finalized", "confirmations": 0})
    found = Ledger(Scripted(eth_getBlockByNumber=lambda tag, _: {"finalized": BLOCK}[tag]), network)
    assert found.finalized_block() == 7


@pytest.mark.parametrize(
    "data",
    [
        "0x09ef1558",
        "Reverted 0x09ef1558",
        {"data": "0x09ef1558"},
        {"originalError": {"data": "0x09ef1558"}},
    ],
)
def test_reverts_wherever_endpoints_put_them(data):
    assert as_revert(RpcError(3, "execution reverted", data)).name == "NoLicences"


@pytest.mark.parametrize("data", [None, 5, [], {}, "0x", "no hex", {"data": {"data": {}}}])
def test_reverts_without_data(data):
    found = as_revert(RpcError(3, "execution reverted", data))
    assert isinstance(found, TransactionReverted) and found.hint
    assert data == "0x" or as_revert(RpcError(-32000, "header not found", data)) is None


def test_other_refusals_stay_what_they_are():
    with pytest.raises(RpcError, match="busy"):
        ledger(eth_blockNumber=RpcError(-32005, "busy")).finalized_block()
    with pytest.raises(LedgerUnreachable):
        ledger(eth_blockNumber=LedgerUnreachable("gone")).finalized_block()
    with pytest.raises(TransactionReverted):
        refusal = RpcError(3, "execution reverted", "0x09ef1558")
        ledger(eth_call=refusal).call(parties.keys(CONTRACT, CONTRACT))


def register(found):
    return parties.register(
        found.network.address("Parties"),
        signing_key=b"\1" * 32,
        encryption_key=b"\2" * 32,
        name="confirmed",
    )


@pytest.mark.engine
def test_waiting_for_confirmations_and_endpoints_without_block_receipts():
    with plain_anvil() as url:
        finality = {"mode": "confirmations", "confirmations": 3}
        found = plain_ledger(url, finality=finality)
        done = []
        call = register(found)
        thread = threading.Thread(target=lambda: done.append(found.transact(ACCOUNTS[1], call)))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()  # one confirmation
        other = HttpTransport(url)
        other.request("anvil_mine", ["0x2"])
        thread.join(10)
        assert done[0].succeeded

        class Old(HttpTransport):
            def request(self, method, params):
                if method == "eth_getBlockReceipts":
                    raise RpcError(-32601, "no such method")
                return super().request(method, params)

        old = Ledger(Old(url), found.network)
        assert old.receipt_proof(done[0].tx_hash) == found.receipt_proof(done[0].tx_hash)
        old.close()
        impatient = Ledger(found.transport, found.network, timeout=0.2)
        with pytest.raises(LedgerUnreachable, match="not final"):
            impatient.transact(ACCOUNTS[1], call)
        # a re-org while waiting: the transaction is mined again on the other branch
        snapshot = other.request("evm_snapshot", [])
        done.clear()
        thread = threading.Thread(target=lambda: done.append(found.transact(ACCOUNTS[2], call)))
        thread.start()
        thread.join(0.5)
        raw_hash = other.request("eth_getBlockByNumber", ["latest", False])["transactions"][0]
        raw = other.request("eth_getRawTransactionByHash", [raw_hash])
        assert other.request("evm_revert", [snapshot])
        other.request("anvil_mine", ["0x1"])
        other.request("eth_sendRawTransaction", [raw])
        other.request("anvil_mine", ["0x3"])
        thread.join(10)
        block = other.request("eth_getBlockByNumber", [hex(done[0].block_number), False])
        assert block["hash"] == done[0].block_hash and raw_hash in block["transactions"]
        found.close()
        other.close()


def test_a_dead_endpoint():
    found = Ledger(HttpTransport("http://127.0.0.1:9", timeout=2), NETWORK)
    with pytest.raises(LedgerUnreachable) as error:
        found.check()
    assert error.value.hint
    found.close()
