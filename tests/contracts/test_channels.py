"""Channels, its collector and Multicall3, at the canonical addresses and by code alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi import decode, encode
from tests.contracts.evm import Evm, Receipt, call, refused
from tests.contracts.market_engine import HOSTILE
from tests.contracts.till import Till

from usufruct.crypto.hash import keccak256
from usufruct.errors import TransactionReverted
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import channel_events as told
from usufruct.ledger.bindings import channels, tokens
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.channels import ALL, CHANNELS, COLLECTOR, MULTICALL, ClaimRow
from usufruct.types import ZERO_ADDRESS, Address

pytestmark = pytest.mark.engine

PERIOD = 900
ROW = "(((address,address,address,address,address,uint40,bytes32),uint128),bytes,uint128)"


@pytest.fixture
def till(evm: Evm) -> Till:
    return Till(evm)


def heard(receipt: Receipt) -> list[Any]:
    found = [told.decode_event(log.topics, log.data) for log in receipt.logs]
    return [event for event in found if event is not None]


def hostile(till: Till, name: str, *args: Any) -> Address:
    made = HOSTILE["contracts"][name]
    inputs = next((e["inputs"] for e in made["abi"] if e["type"] == "constructor"), [])
    data = encode([field["type"] for field in inputs], args)
    return Address(till.evm.deploy(bytes.fromhex(made["bytecode"]) + data).lower())


def test_nothing_is_constructed_and_nothing_depends_on_the_place(till: Till) -> None:
    for name in ("Channels", "DepositCollector", "Multicall3"):
        made = load_artefact(name)
        assert not made.immutables
        assert not any(entry["type"] == "constructor" for entry in made.abi)
    elsewhere = Address(till.evm.deploy(load_artefact("Channels").bytecode).lower())
    config = till.config()
    for place in (CHANNELS, elsewhere):
        where = channels.domain(till.chain_id, place).separator
        found = till.evm.ask(channels.channel_id(place, config))
        assert found == config.channel_id(where)
        assert till.evm.ask_abi(place, "DOMAIN_SEPARATOR()", [], "bytes32") == where


def test_digests_are_the_contracts(till: Till) -> None:
    rows = [till.row(till.config(), 5, 7), till.row(till.config(), 1)]
    name = till.id(rows[0].config)
    ask = till.evm.ask_abi
    found = ask(CHANNELS, "getVoucherDigest(bytes32,uint128)", [name, 9], "bytes32")
    assert found == channels.voucher_digest(till.separator, name, 9)
    found = ask(CHANNELS, "getRefundDigest(bytes32,uint256,uint128)", [name, 3, 9], "bytes32")
    assert found == channels.refund_digest(till.separator, name, 3, 9)
    plain = [((_plain(row), row.maximum), row.signature, row.total) for row in rows]
    found = ask(CHANNELS, f"getClaimBatchDigest({ROW}[])", [plain], "bytes32")
    assert found == channels.batch_digest(till.separator, rows)


def _plain(row: ClaimRow) -> tuple[Any, ...]:
    return tuple(getattr(row.config, name) for name in row.config.__slots__)


# paying in


def test_deposits_by_allowance(till: Till) -> None:
    config = till.config()
    name = till.id(config)
    before = till.dollars(till.payer.address)
    receipt = till.send(channels.deposit(CHANNELS, config, 60), till.payer)
    assert heard(receipt) == [told.ChannelCreated(name, config), told.Deposited(name, 60, 60)]
    till.faucet(till.other)
    receipt = till.send(channels.deposit(CHANNELS, config, 5), till.other)
    assert heard(receipt) == [told.Deposited(name, 5, 65)]  # a present
    assert till.channel(config) == (65, 0)
    assert till.dollars(till.payer.address) == before - 60
    assert till.dollars(CHANNELS) == 65


def test_deposits_by_authorization(till: Till) -> None:
    config = till.config()
    name = till.id(config)
    data = till.authorization(config, 70, 2**255 + 5, till.payer)
    made = channels.deposit(CHANNELS, config, 70, collector=COLLECTOR, data=data)
    # whoever submits it can change neither channel nor amount
    for other in (
        channels.deposit(CHANNELS, till.config(), 70, collector=COLLECTOR, data=data),
        channels.deposit(CHANNELS, config, 71, collector=COLLECTOR, data=data),
    ):
        with refused("AuthorizationNotSigned", payer=till.payer.address):
            till.send(other, till.other)
    receipt = till.send(made, till.other)
    assert heard(receipt) == [told.ChannelCreated(name, config), told.Deposited(name, 70, 70)]
    assert till.channel(config) == (70, 0)
    assert till.dollars(COLLECTOR) == 0
    nonce = channels.authorization_nonce(name, 2**255 + 5).hex()
    with refused("AuthorizationSpent", payer=till.payer.address, nonce=nonce):
        till.send(made, till.other)


def test_nobody_takes_a_signed_deposit_from_the_queue(till: Till) -> None:
    """The collector pays its caller, so it has one."""
    config = till.config()
    data = till.authorization(config, 70, 1, till.payer)
    args = (till.payer.address, till.dollar, 70, till.id(config), data)
    steal = call(COLLECTOR, "collect(address,address,uint256,bytes32,bytes)", *args)
    with refused("NotChannels", caller=till.other.address):
        till.send(steal, till.other)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        (1, {"payer": ZERO_ADDRESS}),
        (2, {"receiver": ZERO_ADDRESS}),
        (3, {"receiver_authorizer": ZERO_ADDRESS}),
        (4, {"withdraw_delay": 899}),
        (4, {"withdraw_delay": 2_592_001}),
        (5, {"token": Address("0x" + "77" * 20)}),
    ],
)
def test_configs_that_are_refused(till: Till, why: int, changes: dict[str, Any]) -> None:
    config = till.config()
    for name, value in changes.items():
        object.__setattr__(config, name, value)  # what our own class refuses already
    with refused("BadConfig", why=why):
        till.send(channels.deposit(CHANNELS, config, 5), till.payer)


def test_amounts_that_are_refused(till: Till) -> None:
    with refused("NoAmount"):
        till.send(channels.deposit(CHANNELS, till.config(), 0), till.payer)
    plain = hostile(till, "PlainToken")
    config = till.config(token=plain)
    for _ in range(2):
        till.send(call(plain, "mint(address,uint256)", till.payer.address, 2**127), till.payer)
    till.send(tokens.approve(plain, CHANNELS, 2**256 - 1), till.payer)
    till.send(channels.deposit(CHANNELS, config, 2**127), till.payer)
    limit = {"asked": 2**128, "available": 2**128 - 1}
    with refused("AboveBalance", channel=till.id(config).hex(), **limit):
        till.send(channels.deposit(CHANNELS, config, 2**127), till.payer)


def test_words_that_are_not_clean_make_no_channel(till: Till) -> None:
    """An address with something above its 160 bits is neither taken nor mistaken for another."""
    config = till.open(50)
    for made in (
        channels.deposit(CHANNELS, config, 5),
        channels.refund(CHANNELS, config, 5),
        channels.initiate_withdraw(CHANNELS, config, 5),
    ):
        for word in range(6):
            data = bytearray(made.data)
            data[4 + 32 * word] = 1
            by = till.payee if made.data[:4] == bytes.fromhex("dce4bfae") else till.payer
            before = till.channel(config)
            receipt = till.evm.force(Call(CHANNELS, bytes(data)), by.address)
            assert not receipt.ok or heard(receipt)[0].amount == 0
            assert till.channel(config) == before


# claiming


def test_claims_grow_and_pay_once(till: Till) -> None:
    config = till.open(100)
    name = till.id(config)
    receipt = till.send(channels.claim(CHANNELS, [till.row(config, 30, 50)]), till.payee)
    assert heard(receipt) == [told.Claimed(name, 30)]
    assert (till.channel(config), till.income()) == ((100, 30), (30, 0))
    # the same again, and an older one, do nothing
    again = [till.row(config, 30, 50), till.row(config, 29)]
    assert heard(till.send(channels.claim(CHANNELS, again), till.payee)) == []
    # three of one channel in one batch count to the largest
    many = [till.row(config, total) for total in (40, 60, 50)]
    receipt = till.send(channels.claim(CHANNELS, many), till.payee)
    assert heard(receipt) == [told.Claimed(name, 40), told.Claimed(name, 60)]
    assert till.income() == (60, 0)
    before = till.dollars(till.payee.address)
    receipt = till.send(channels.settle(CHANNELS, till.payee.address, till.dollar), till.other)
    who = (till.payee.address, till.dollar, till.other.address)
    assert heard(receipt) == [told.Settled(*who, 60)]
    assert till.dollars(till.payee.address) == before + 60
    receipt = till.send(channels.settle(CHANNELS, till.payee.address, till.dollar), till.other)
    assert not receipt.logs
    assert till.income() == (60, 60)


@pytest.mark.parametrize("way", ["claim", "signed", "packed"])
def test_claims_that_are_refused(till: Till, way: str) -> None:
    config = till.open(100)
    name = till.id(config).hex()

    def send(row: ClaimRow, by: Account | None = None, key: Account | None = None) -> Receipt:
        if way == "signed":
            signature = (key or till.payee).sign_digest(
                channels.batch_digest(till.separator, [row])
            )
            made = channels.claim_with_signature(CHANNELS, [row], signature)
            return till.send(made, by or till.other)
        made = (channels.claim if way == "claim" else channels.claim_packed)(CHANNELS, [row])
        return till.send(made, by or till.payee)

    good = till.row(config, 30)
    with refused("BadVoucher", channel=name):
        send(till.row(config, 30, key=till.payee))
    with refused("BadVoucher", channel=name):
        send(dataclasses.replace(good, maximum=31))
    above = till.row(config, 30)
    object.__setattr__(above, "total", 31)
    with refused("AboveVoucher", channel=name, total=31, maximum=30):
        send(above)
    if way == "signed":
        with refused("NotAuthorized", authorizer=till.payee.address):
            send(good, key=till.other)
    else:
        zero = "00" * 32 if way == "packed" else name
        with refused("NotReceiver", channel=zero, caller=till.payer.address):
            send(good, by=till.payer)
    if way == "packed":  # cut to what is there
        assert heard(send(till.row(config, 101))) == [told.Claimed(till.id(config), 100)]
        assert heard(send(till.row(config, 102))) == []
    else:
        with refused("AboveBalance", channel=name, asked=101, available=100):
            send(till.row(config, 101))
        assert heard(send(good)) == [told.Claimed(till.id(config), 30)]


def test_signed_batches(till: Till) -> None:
    """Rows of several receivers and tokens under one authorizer, submitted by anyone."""
    authorizer, second = till.newcomer(), till.newcomer()
    plain = hostile(till, "PlainToken")
    till.send(call(plain, "mint(address,uint256)", till.payer.address, 1000), till.payer)
    till.send(tokens.approve(plain, CHANNELS, 1000), till.payer)
    common: dict[str, Any] = {"receiver_authorizer": authorizer.address}
    configs = [
        till.open(100, **common),
        till.open(100, **common),
        till.open(100, **common, receiver=second.address),
        till.open(100, **common, token=plain),
    ]
    rows = [till.row(config, total) for total, config in enumerate(configs, start=10)]
    signature = authorizer.sign_digest(channels.batch_digest(till.separator, rows))
    made = channels.claim_with_signature(CHANNELS, rows, signature)
    for wrong in (rows[:3], [*rows, rows[0]], rows[::-1]):
        with refused("NotAuthorized", authorizer=authorizer.address):
            till.send(channels.claim_with_signature(CHANNELS, wrong, signature), till.other)
    assert len(heard(till.send(made, till.other))) == 4
    assert till.income() == (21, 0)
    assert till.income(second.address) == (12, 0)
    assert till.income(token=plain) == (13, 0)
    assert heard(till.send(made, till.other)) == []  # again, in vain
    mixed = [rows[0], till.row(till.open(100), 5)]
    for wrong in ([], mixed):
        with refused("MixedBatch"):
            till.send(channels.claim_with_signature(CHANNELS, wrong, signature), till.other)


def test_packed_batches(till: Till) -> None:
    """Ten payers, with and without a key of a session; one has withdrawn, one was claimed."""
    session = till.newcomer()
    configs = [
        till.open(100, payer_authorizer=session.address if n % 2 else ZERO_ADDRESS)
        for n in range(10)
    ]
    rows = [
        till.row(config, 10 + n, 50, key=session if n % 2 else None)
        for n, config in enumerate(configs)
    ]
    till.send(channels.claim(CHANNELS, rows[3:4]), till.payee)
    till.send(channels.refund(CHANNELS, configs[5], 88), till.payee)  # 12 are left of 15
    receipt = till.send(channels.claim_packed(CHANNELS, rows), till.payee)
    totals = {till.id(row.config): row.total for row in rows} | {till.id(configs[5]): 12}
    del totals[till.id(configs[3])]
    assert {event.channel_id: event.total_claimed for event in heard(receipt)} == totals
    assert till.income() == (sum(totals.values()) + 13, 0)
    # an authorizer's voucher is not the payer's
    with refused("BadVoucher", channel=till.id(configs[1]).hex()):
        till.send(channels.claim_packed(CHANNELS, [till.row(configs[1], 60)]), till.payee)
    # shown under another receiver it is another channel, and nobody's
    made = channels.claim_packed(CHANNELS, rows[:1])
    stolen = Call(
        CHANNELS, made.data[:4] + encode(["address"], [till.other.address]) + made.data[36:]
    )
    with pytest.raises(TransactionReverted):
        till.send(stolen, till.other)
    # what no key signed is not the word of nobody
    nobody = bytes(92) + b"\1" + bytes(15) + b"\1" + bytes(64)
    kinds = ["address", "address", "address", "bytes"]
    shared = [till.payee.address, till.payee.address, till.dollar]
    with pytest.raises(TransactionReverted, match="not signed by its payer"):
        till.send(Call(CHANNELS, made.data[:4] + encode(kinds, [*shared, nobody])), till.payee)
    for size in (1, 172, 174):
        short = encode(
            ["address", "address", "address", "bytes"],
            [till.payee.address, till.payee.address, till.dollar, bytes(size)],
        )
        with refused("BadRows", length=size):
            till.send(Call(CHANNELS, made.data[:4] + short), till.payee)


def test_a_wallet_pays_and_claims(till: Till) -> None:
    """EIP-1271 on both sides; a packed row takes no wallet's word."""
    wallet = hostile(till, "Account", till.other.address)
    till.send(tokens.transfer(till.dollar, wallet, 100), till.payer)

    def by_wallet(made: Call) -> Receipt:
        act = call(wallet, "execute(address,uint256,bytes)", made.to, 0, made.data)
        return till.send(act, till.other)

    by_wallet(tokens.approve(till.dollar, CHANNELS, 100))
    config = till.config(payer=wallet, receiver_authorizer=wallet)
    by_wallet(channels.deposit(CHANNELS, config, 100))
    row = till.row(config, 40, key=till.other)
    with refused("BadVoucher", channel=till.id(config).hex()):
        till.send(channels.claim_packed(CHANNELS, [row]), till.payee)
    with refused("BadVoucher", channel=till.id(config).hex()):
        till.send(channels.claim(CHANNELS, [till.row(config, 40)]), till.payee)
    signature = till.other.sign_digest(channels.batch_digest(till.separator, [row]))
    till.send(channels.claim_with_signature(CHANNELS, [row], signature), till.payer)
    assert till.channel(config) == (100, 40)
    by_wallet(channels.initiate_withdraw(CHANNELS, config))
    till.evm.set_time(till.evm.time + PERIOD + 1)
    by_wallet(channels.finalize_withdraw(CHANNELS, config))
    assert till.dollars(wallet) == 60


def test_a_wallets_authorizer_is_a_key_and_not_its_code(till: Till) -> None:
    wallet = hostile(till, "Account", till.other.address)
    config = till.open(100, payer_authorizer=wallet)
    with refused("BadVoucher", channel=till.id(config).hex()):
        till.send(channels.claim(CHANNELS, [till.row(config, 1, key=till.other)]), till.payee)


# taking back


def test_the_payer_gets_the_rest_after_the_delay(till: Till) -> None:
    config = till.open(100)
    name = till.id(config)
    before = till.dollars(till.payer.address)
    start = channels.initiate_withdraw(CHANNELS, config)
    receipt = till.send(start, till.payer)
    until = receipt.time + PERIOD
    assert heard(receipt) == [told.WithdrawInitiated(name, 100, until)]
    assert till.evm.ask(channels.pending(CHANNELS, name)) == channels.Pending(100, receipt.time)
    finish = channels.finalize_withdraw(CHANNELS, config)
    # the receiver claims meanwhile
    till.send(channels.claim(CHANNELS, [till.row(config, 30)]), till.payee)
    till.evm.set_time(until - 1)
    with pytest.raises(TransactionReverted, match="is not due"):
        till.send(finish, till.payer)
    till.evm.set_time(until)
    with refused("NotPayer", channel=name.hex(), caller=till.payee.address):
        till.send(finish, till.payee)
    assert heard(till.send(finish, till.payer)) == [told.WithdrawFinalized(name, 70)]
    assert till.dollars(till.payer.address) == before + 70
    assert till.channel(config) == (30, 30)
    with refused("WithdrawalNotDue", channel=name.hex(), time=0):
        till.send(finish, till.payer)
    with refused("NoAmount"):
        till.send(start, till.payer)
    # too late for the newest voucher
    with refused("AboveBalance", channel=name.hex(), asked=40, available=30):
        till.send(channels.claim(CHANNELS, [till.row(config, 40)]), till.payee)
    # and what was claimed is still the receiver's
    till.send(channels.settle(CHANNELS, till.payee.address, till.dollar), till.other)
    assert till.dollars(CHANNELS) == 0


def test_withdrawals_that_are_refused(till: Till) -> None:
    session = till.key(3)
    config = till.open(100, payer_authorizer=session.address)
    name = till.id(config).hex()
    for amount in (101, ALL - 1):
        with refused("AboveBalance", channel=name, asked=amount, available=100):
            till.send(channels.initiate_withdraw(CHANNELS, config, amount), till.payer)
    with refused("NoAmount"):
        till.send(channels.initiate_withdraw(CHANNELS, config, 0), till.payer)
    with refused("NotPayer", channel=name, caller=till.payee.address):
        till.send(channels.initiate_withdraw(CHANNELS, config, 1), till.payee)
    # a session's key may begin, but not put off what is pending
    until = till.send(channels.initiate_withdraw(CHANNELS, config, 1), session).time + PERIOD
    with pytest.raises(TransactionReverted, match="is pending"):
        till.send(channels.initiate_withdraw(CHANNELS, config, 1), session)
    later = till.send(channels.initiate_withdraw(CHANNELS, config, ALL), till.payer).time + PERIOD
    assert later > until
    till.evm.set_time(later)
    till.send(channels.finalize_withdraw(CHANNELS, config), session)
    assert till.channel(config) == (0, 0)


def test_a_session_takes_nothing_for_itself(till: Till) -> None:
    session = till.key(3)
    config = till.open(100, payer_authorizer=session.address)
    before = till.dollars(till.payer.address)
    receipt = till.send(channels.initiate_withdraw(CHANNELS, config), session)
    till.evm.set_time(receipt.time + PERIOD)
    till.send(channels.finalize_withdraw(CHANNELS, config), session)
    assert till.dollars(till.payer.address) == before + 100
    assert till.dollars(session.address) == 0


def test_refunds(till: Till) -> None:
    config = till.open(100)
    name = till.id(config)
    before = till.dollars(till.payer.address)
    with refused("NotReceiver", channel=name.hex(), caller=till.payer.address):
        till.send(channels.refund(CHANNELS, config, 1), till.payer)
    with refused("NoAmount"):
        till.send(channels.refund(CHANNELS, config, 0), till.payee)
    till.send(channels.claim(CHANNELS, [till.row(config, 40)]), till.payee)
    till.send(channels.initiate_withdraw(CHANNELS, config, 50), till.payer)
    # reduces what is asked back
    receipt = till.send(channels.refund(CHANNELS, config, 20), till.payee)
    assert heard(receipt) == [told.Refunded(name, 0, 20)]
    found = till.evm.ask(channels.pending(CHANNELS, name))
    assert found is not None and found.amount == 30
    # is cut to what is left, and ends it
    receipt = till.send(channels.refund(CHANNELS, config, 1000), till.payee)
    assert heard(receipt) == [told.Refunded(name, 1, 40)]
    assert till.evm.ask(channels.pending(CHANNELS, name)) is None
    assert till.channel(config) == (40, 40)
    assert till.dollars(till.payer.address) == before + 60
    # with nothing left it only counts
    receipt = till.send(channels.refund(CHANNELS, config, 1), till.payee)
    assert heard(receipt) == [told.Refunded(name, 2, 0)]
    assert till.evm.ask(channels.refund_nonce(CHANNELS, name)) == 3


def test_signed_refunds(till: Till) -> None:
    config = till.open(100)
    name = till.id(config)

    def signed(amount: int, nonce: int, key: Account | None = None) -> bytes:
        digest = channels.refund_digest(till.separator, name, nonce, amount)
        return (key or till.payee).sign_digest(digest)

    def made(amount: int, nonce: int, signature: bytes) -> Call:
        return channels.refund_with_signature(
            CHANNELS, config, amount, nonce=nonce, signature=signature
        )

    for wrong in (made(31, 0, signed(30, 0)), made(30, 0, signed(30, 0, till.payer))):
        with refused("NotAuthorized", authorizer=till.payee.address):
            till.send(wrong, till.other)
    good = made(30, 0, signed(30, 0))
    assert heard(till.send(good, till.other)) == [told.Refunded(name, 0, 30)]
    with refused("WrongNonce", channel=name.hex(), nonce=1, given=0):
        till.send(good, till.other)
    # claiming and giving back the rest in one, as servers do
    row = till.row(config, 25)
    batch = till.payee.sign_digest(channels.batch_digest(till.separator, [row]))
    both = channels.multicall(
        CHANNELS,
        [channels.claim_with_signature(CHANNELS, [row], batch), made(45, 1, signed(45, 1))],
    )
    receipt = till.send(both, till.other)
    assert heard(receipt) == [told.Claimed(name, 25), told.Refunded(name, 1, 45)]
    assert till.channel(config) == (25, 25)
    # one that fails undoes all
    spoilt = channels.multicall(CHANNELS, [channels.deposit(CHANNELS, config, 5), good])
    with refused("WrongNonce", channel=name.hex(), nonce=2, given=0):
        till.send(spoilt, till.payer)


def test_a_voucher_is_good_again_only_beyond_what_was_claimed(till: Till) -> None:
    config = till.open(100)
    row = till.row(config, 80)
    till.send(channels.claim(CHANNELS, [till.row(config, 30)]), till.payee)
    receipt = till.send(channels.initiate_withdraw(CHANNELS, config), till.payer)
    till.evm.set_time(receipt.time + PERIOD)
    till.send(channels.finalize_withdraw(CHANNELS, config), till.payer)
    till.send(channels.deposit(CHANNELS, config, 60), till.payer)
    till.send(channels.claim(CHANNELS, [row]), till.payee)
    assert till.channel(config) == (90, 80)
    assert till.income() == (80, 0)


# hostile tokens


def fund(till: Till, token: Address) -> None:
    till.send(call(token, "mint(address,uint256)", till.payer.address, 10_000), till.payer)
    till.send(tokens.approve(token, CHANNELS, 10_000), till.payer)


@pytest.mark.parametrize(
    ("name", "refusal", "values"),
    [
        ("FeeToken", "TokenTookFee", {"received": 990, "price": 1000}),
        ("FalseToken", "SafeERC20FailedOperation", None),
        ("FalseButPaidToken", None, {}),  # only its transfer says so
    ],
)
def test_tokens_that_do_not_pay(
    till: Till, name: str, refusal: str | None, values: dict[str, Any] | None
) -> None:
    token = hostile(till, name)
    fund(till, token)
    config = till.config(token=token)
    made = channels.deposit(CHANNELS, config, 1000)
    if refusal:
        with refused(refusal, **({"token": token} if values is None else values)):
            till.send(made, till.payer)
        assert till.channel(config) == (0, 0)
    else:
        till.send(made, till.payer)
        till.send(channels.claim(CHANNELS, [till.row(config, 10)]), till.payee)
        with refused("SafeERC20FailedOperation", token=token):
            till.send(channels.settle(CHANNELS, till.payee.address, token), till.other)
        assert till.income(token=token) == (10, 0)  # still owed
        with refused("SafeERC20FailedOperation", token=token):
            till.send(channels.refund(CHANNELS, config, 5), till.payee)
        assert till.channel(config) == (1000, 10)


def test_tokens_that_answer_nothing_work(till: Till) -> None:
    token = hostile(till, "SilentToken")
    fund(till, token)
    config = till.config(token=token)
    till.send(channels.deposit(CHANNELS, config, 1000), till.payer)
    till.send(channels.claim_packed(CHANNELS, [till.row(config, 300)]), till.payee)
    till.send(channels.settle(CHANNELS, till.payee.address, token), till.other)
    till.send(channels.refund(CHANNELS, config, 700), till.payee)
    assert till.evm.ask(tokens.balance_of(token, CHANNELS)) == 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("inside", ["deposit", "settle", "refund", "finalize", "claim"])
@pytest.mark.parametrize("outside", ["deposit", "settle", "refund"])
def test_tokens_that_call_back(till: Till, outside: str, inside: str, late: bool) -> None:
    """A token that is payer and receiver of a second channel, and calls while money moves."""
    token = hostile(till, "ReenteringToken")
    fund(till, token)
    till.send(call(token, "mint(address,uint256)", token, 10_000), till.other)
    till.send(call(token, "setLate(bool)", late), till.other)
    mine = till.config(token=token)
    its = till.config(token=token, receiver=token, receiver_authorizer=token)
    till.send(channels.deposit(CHANNELS, mine, 1000), till.payer)
    till.send(channels.deposit(CHANNELS, its, 1000), till.payer)
    till.send(channels.claim(CHANNELS, [till.row(mine, 300)]), till.payee)
    row = till.row(its, 200)
    attack = {
        "deposit": channels.deposit(CHANNELS, its, 5),
        "settle": channels.settle(CHANNELS, till.payee.address, token),
        "refund": channels.refund(CHANNELS, its, 5),
        "finalize": channels.finalize_withdraw(CHANNELS, its),
        "claim": channels.claim(CHANNELS, [row]),
    }[inside]
    arm = call(token, "arm(address,uint256,bytes)", CHANNELS, 0, attack.data)
    till.send(arm, till.other)
    made, by = {
        "deposit": (channels.deposit(CHANNELS, mine, 7), till.payer),
        "settle": (channels.settle(CHANNELS, till.payee.address, token), till.other),
        "refund": (channels.refund(CHANNELS, mine, 7), till.payee),
    }[outside]
    receipt = till.send(made, by)
    topic = keccak256(b"Struck(uint256,bool,bytes4)")
    struck = [
        decode(["uint256", "bool", "bytes4"], log.data)
        for log in receipt.logs
        if log.topics[0] == topic
    ]
    assert struck
    guarded = keccak256(b"ReentrancyGuardReentrantCall()")[:4]
    for _, ok, selector in struck:
        assert ok == (inside == "claim")
        assert ok or selector == guarded
    # a claim in between counts, once; everything adds up
    claimed = 200 if inside == "claim" else 0
    assert till.channel(its) == (1000, claimed)
    assert till.income(token, token) == (claimed, 0)
    held = till.evm.ask(tokens.balance_of(token, CHANNELS))
    paid, settled = till.income(token=token)
    total = sum(till.channel(config)[0] - till.channel(config)[1] for config in (mine, its))
    assert held == total + claimed + paid - settled


def test_a_collector_that_brings_nothing_or_calls_back(till: Till) -> None:
    """Any contract may be named as collector; what counts is what arrives."""
    config = till.config()
    # Multicall3 has no such function; the token neither; an account without code either
    for collector in (MULTICALL, till.dollar, till.other.address):
        made = channels.deposit(CHANNELS, config, 5, collector=collector)
        assert not till.evm.force(made, till.payer.address).ok
    # code that stops at once
    till.evm.rpc("anvil_setCode", "0x" + "5a" * 20, "0x00")
    with refused("TokenTookFee", received=0, price=5):
        lazy = channels.deposit(CHANNELS, config, 5, collector=Address("0x" + "5a" * 20))
        till.send(lazy, till.payer)
    assert till.channel(config) == (0, 0)


# Multicall3

CALLS = "(address,bytes)[]"
CALLS3 = "(address,bool,bytes)[]"


def test_multicall3(till: Till) -> None:
    config = till.open(100)
    good = channels.channel(CHANNELS, till.id(config))
    bad = call(CHANNELS, "nothing()")
    refuses = channels.refund(CHANNELS, config, 5)
    results = "(bool,bytes)[]"
    ask = till.evm.ask_abi
    listed = [(one.to, one.data) for one in (good, bad, refuses)]
    found = ask(MULTICALL, f"tryAggregate(bool,{CALLS})", [False, listed], results)
    assert [ok for ok, _ in found] == [True, False, False]
    assert good.decode(found[0][1]) == channels.Channel(100, 0)
    assert found[2][1][:4] == keccak256(b"NotReceiver(bytes32,address)")[:4]
    whole = [(to, True, data) for to, data in listed]
    assert ask(MULTICALL, f"aggregate3({CALLS3})", [whole], results) == found
    # one that must not fail fails with its own reason
    whole[2] = (whole[2][0], False, whole[2][2])
    for made in (
        call(MULTICALL, f"aggregate3({CALLS3})", whole),
        call(MULTICALL, f"tryAggregate(bool,{CALLS})", True, [listed[0], listed[2]]),
        call(MULTICALL, f"aggregate({CALLS})", [listed[0], listed[2]]),
    ):
        with refused("NotReceiver", channel=till.id(config).hex(), caller=MULTICALL):
            till.send(made, till.other)
    number, answers = ask(MULTICALL, f"aggregate({CALLS})", [listed[:1]], "uint256", "bytes[]")
    assert number >= int(till.evm.rpc("eth_blockNumber"), 16)
    assert good.decode(answers[0]) == channels.Channel(100, 0)
    assert ask(MULTICALL, "getChainId()", [], "uint256") == till.chain_id
    assert ask(MULTICALL, "getCurrentBlockTimestamp()", [], "uint256") == till.evm.time + 1
    assert ask(MULTICALL, "getBlockNumber()", [], "uint256") == number
    wei = ask(MULTICALL, "getEthBalance(address)", [till.other.address], "uint256")
    assert wei == int(till.evm.rpc("eth_getBalance", till.other.address, "latest"), 16)


def test_no_coin_is_taken(till: Till) -> None:
    for place in (CHANNELS, COLLECTOR, MULTICALL):
        receipt = till.evm.mine({"to": place, "value": "0x1"}, till.other.address)
        assert not receipt.ok
