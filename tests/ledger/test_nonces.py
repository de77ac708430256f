"""Fees, nonces under contention, and transactions that are stuck or lost."""

import threading

import pytest
from tests.ledger.chain import ACCOUNTS, Scripted, plain_anvil

from usufruct.errors import LedgerUnreachable, NotAllowed, Unavailable
from usufruct.ledger.account import transaction_hash
from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.fees import Fees, suggest_fees
from usufruct.ledger.nonces import Draft, Sender
from usufruct.ledger.transport import HttpTransport, RpcError
from usufruct.ledger.waiting import Waiter
from usufruct.units import WEI_PER_GWEI

DRAFT = Draft(ACCOUNTS[1].address, b"", 1, 21_000)
HISTORY = {
    "baseFeePerGas": [hex(20 * WEI_PER_GWEI)] * 11,
    "reward": [["0x0"], [hex(WEI_PER_GWEI)], [hex(3 * WEI_PER_GWEI)], [hex(2 * WEI_PER_GWEI)]],
}


def test_fees_are_twice_the_base_and_the_usual_tip():
    fees = suggest_fees(Scripted(eth_feeHistory=HISTORY))
    assert fees == Fees(most=42 * WEI_PER_GWEI, tip=2 * WEI_PER_GWEI)
    empty = suggest_fees(Scripted(eth_feeHistory=HISTORY | {"reward": None}))
    assert 0 < empty.tip < WEI_PER_GWEI and empty.most > 40 * WEI_PER_GWEI
    old = Scripted(eth_feeHistory=RpcError(-32601, "no such method"), eth_gasPrice=hex(10**9))
    assert suggest_fees(old).most > 10**9


def test_fees_have_a_limit():
    with pytest.raises(Unavailable, match="limit"):
        suggest_fees(Scripted(eth_feeHistory=HISTORY), limit=20 * WEI_PER_GWEI)
    assert suggest_fees(Scripted(eth_feeHistory=HISTORY), 30 * WEI_PER_GWEI).most == 30 * 10**9


@pytest.mark.parametrize(
    "history",
    [
        None,
        [],
        {},
        {"baseFeePerGas": []},
        {"baseFeePerGas": ["0x1"] * 1000},
        {"baseFeePerGas": [-5]},
        {"baseFeePerGas": ["0x1"], "reward": [["nonsense"]]},
        {"baseFeePerGas": ["0x1"], "reward": "0x1"},
        {"baseFeePerGas": ["0x" + "f" * 65]},
    ],
)
def test_fees_from_a_liar(history):
    with pytest.raises(BadAnswer):
        suggest_fees(Scripted(eth_feeHistory=history))


def test_raised_fees_replace():
    fees = Fees(most=100, tip=9)
    raised = fees.raised(Fees(1, 1))
    assert raised == Fees(113, 11)
    assert fees.raised(Fees(1000, 50)) == Fees(1000, 50)


class Pool(Scripted):
    """A node's pool of one account, with a script of refusals in front of it."""

    def __init__(self, start=0, refusals=()):
        super().__init__(
            eth_feeHistory=HISTORY,
            eth_getBalance=hex(10**20),
            eth_getTransactionCount=lambda *_: hex(self.count),
            eth_sendRawTransaction=self.take,
            eth_getTransactionByHash=self.find,
        )
        self.count = start
        self.refusals = list(refusals)
        self.taken = []

    def find(self, digest):
        return {"hash": digest} if digest in self.taken else None

    def take(self, raw):
        refusal = self.refusals.pop(0) if self.refusals else None
        if callable(refusal):
            refusal = refusal(self, raw)
        if refusal is not None:
            raise refusal
        digest = transaction_hash(bytes.fromhex(raw[2:]))
        self.taken.append(digest)
        self.count += 1
        return digest


def sender(pool, **options):
    return Sender(pool, ACCOUNTS[0], 31337, sleep=lambda _: None, **options)


def test_nonces_follow_each_other():
    pool = Pool(start=5)
    one = sender(pool)
    assert [item.nonce for item in one.send([DRAFT] * 3)] == [5, 6, 7]
    pool.count = 7  # an endpoint that lags behind
    assert one.send([DRAFT])[0].nonce == 8
    one.forget()
    pool.count = 6
    assert one.send([DRAFT])[0].nonce == 6
    assert one.send([]) == []


def stolen(pool, raw):
    pool.count += 1
    return RpcError(-32000, "nonce too low: next nonce 6, tx nonce 5")


@pytest.mark.parametrize(
    "refusal",
    [stolen, RpcError(-32000, "replacement transaction underpriced")],
)
def test_a_nonce_that_another_program_took(refusal):
    pool = Pool(start=5, refusals=[refusal, refusal])
    [item] = sender(pool).send([DRAFT])
    assert item.nonce >= 6 and item.hashes == tuple(pool.taken)
    pool = Pool(start=5, refusals=[None, refusal])
    assert len({item.nonce for item in sender(pool).send([DRAFT] * 3)}) == 3


def test_a_race_without_end_is_given_up():
    pool = Pool(refusals=[stolen] * 100)
    with pytest.raises(LedgerUnreachable, match="another program"):
        sender(pool).send([DRAFT])


def lost_answer(pool, raw):
    pool.take(raw)
    return LedgerUnreachable("the connection broke")


@pytest.mark.parametrize("again", ["already known", "nonce too low"])
def test_an_answer_that_was_lost(again):
    pool = Pool(refusals=[lost_answer, None, RpcError(-32000, again)])
    # the first take() within lost_answer() takes the None
    [item] = sender(pool).send([DRAFT])
    assert item.nonce == 0 and pool.taken == list(item.hashes)


def test_an_endpoint_that_stays_away_names_the_transaction():
    pool = Pool(refusals=[LedgerUnreachable("gone")] * 3)
    with pytest.raises(LedgerUnreachable, match=r"0x[0-9a-f]{64} may still be mined"):
        sender(pool).send([DRAFT])


def test_other_refusals_are_errors():
    with pytest.raises(RpcError, match="intrinsic"):
        sender(Pool(refusals=[RpcError(-32000, "intrinsic gas too low")])).send([DRAFT])
    with pytest.raises(NotAllowed):
        sender(Pool(refusals=[RpcError(-32000, "insufficient funds for gas")])).send([DRAFT])
    poor = Pool()
    poor.answers["eth_getBalance"] = hex(1000)
    with pytest.raises(NotAllowed, match="needs up to"):
        sender(poor).send([DRAFT])
    assert not poor.taken
    liar = Pool()
    liar.answers["eth_sendRawTransaction"] = "0x" + "00" * 32
    with pytest.raises(BadAnswer, match="another transaction"):
        sender(liar).send([DRAFT])


def test_replacing_within_the_limit_only():
    pool = Pool()
    one = sender(pool, fee_limit=45 * WEI_PER_GWEI)
    [item] = one.send([DRAFT])
    assert one.replace(item) == item
    dear = sender(pool)
    replaced = dear.replace(item)
    assert len(replaced.hashes) == 2 and replaced.nonce == item.nonce
    assert replaced.fees.most >= item.fees.most * 1.125
    pool.refusals = [RpcError(-32000, "nonce too low")]
    again = dear.replace(replaced)
    assert again.hashes == replaced.hashes and again.fees.most > replaced.fees.most


@pytest.mark.engine
def test_a_stuck_transaction_is_replaced_and_a_lost_one_sent_again():
    with plain_anvil("--no-mining", "--order", "fees") as url:
        transport = HttpTransport(url)
        one = Sender(transport, ACCOUNTS[0], 31337)
        [item] = one.send([DRAFT])
        # the base fee jumps above what was offered
        jump = 3 * item.fees.most
        transport.request("anvil_setNextBlockBaseFeePerGas", [hex(jump)])
        transport.request("evm_mine", [])
        assert transport.request("eth_getTransactionReceipt", [item.hashes[0]]) is None
        done = []
        waiter = Waiter(transport, one, stuck_after=0.2, timeout=20)
        thread = threading.Thread(target=lambda: done.extend(waiter.wait([item])))
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            transport.request("evm_mine", [])
        assert done[0].succeeded and done[0].tx_hash not in item.hashes
        # a transaction of another program takes the nonce
        [item] = one.send([DRAFT])
        transport.request("anvil_dropTransaction", [item.hashes[0]])
        Sender(transport, ACCOUNTS[0], 31337).send([Draft(ACCOUNTS[2].address, b"", 7, 21_000)])
        transport.request("evm_mine", [])
        done.clear()
        waiter = Waiter(transport, one, timeout=20)
        thread = threading.Thread(target=lambda: done.extend(waiter.wait([item])))
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            transport.request("evm_mine", [])
        assert done[0].succeeded and done[0].tx_hash not in item.hashes
        [item] = one.send([DRAFT])
        with pytest.raises(LedgerUnreachable, match=item.hashes[0]):
            Waiter(transport, one, timeout=0.1).wait([item])
        transport.close()
