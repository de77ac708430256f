"""The bindings of Channels against eth_abi, eth_account and what x402 publishes of itself."""

from __future__ import annotations

from typing import Any

import eth_abi
import pytest
from eth_account import Account as Judge
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput
from usufruct.ledger.account import Account, recover
from usufruct.ledger.bindings import channel_events as events
from usufruct.ledger.bindings import channels
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.channels import ChannelConfig, ClaimRow
from usufruct.types import ZERO_ADDRESS, Address

AT = channels.CHANNELS
CONFIG = "(address,address,address,address,address,uint40,bytes32)"
ROW = f"(({CONFIG},uint128),bytes,uint128)"
DOMAIN = {"name": "x402 Batch Settlement", "version": "1", "chainId": 8453, "verifyingContract": AT}
SEPARATOR = channels.domain(8453).separator
FIELDS = (
    *("payer", "payerAuthorizer", "receiver", "receiverAuthorizer", "token", "withdrawDelay"),
    "salt",
)
KINDS = CONFIG[1:-1].split(",")
KEYS = [Account(bytes([n]) * 32) for n in range(1, 4)]

words = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 2**256 - 1)
amounts = st.integers(0, 2**128 - 1)
addresses = st.binary(min_size=20, max_size=20).filter(any).map(lambda b: Address("0x" + b.hex()))
configs = st.builds(
    ChannelConfig,
    payer=addresses,
    payer_authorizer=st.one_of(st.just(ZERO_ADDRESS), addresses),
    receiver=addresses,
    receiver_authorizer=addresses,
    token=addresses,
    withdraw_delay=st.integers(channels.MIN_DELAY, channels.MAX_DELAY),
    salt=words,
)


@st.composite
def claim_rows(draw: st.DrawFn) -> ClaimRow:
    total, more = draw(st.integers(0, 2**127 - 1)), draw(st.integers(0, 2**127 - 1))
    signature = draw(st.binary(min_size=66, max_size=200))
    return ClaimRow(draw(configs), total + more, signature, total)


def plain(config: ChannelConfig) -> tuple[Any, ...]:
    return (
        config.payer,
        config.payer_authorizer,
        config.receiver,
        config.receiver_authorizer,
        config.token,
        config.withdraw_delay,
        config.salt,
    )


def plain_row(row: ClaimRow) -> tuple[Any, ...]:
    return (plain(row.config), row.maximum), row.signature, row.total


def expect(call: Call, name: str, types: list[str], values: list[Any]) -> None:
    assert call.to == AT
    selector = keccak256(f"{name}({','.join(types)})".encode())[:4]
    assert call.data == selector + eth_abi.encode(types, values)


def judged(kind: str, fields: list[dict[str, str]], message: dict[str, Any], **more: Any) -> bytes:
    """The digest as eth_account makes it."""
    made = encode_typed_data(
        domain_data=DOMAIN, message_types={kind: fields} | more, message_data=message
    )
    return keccak256(b"\x19\x01" + made.header + made.body)


def fields(text: str) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), one.split(), strict=True)) for one in text.split(",")]


def test_addresses_are_those_that_public_clients_know() -> None:
    """As in x402's specification of batch settlement; Multicall3's as in everybody's."""
    assert "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003".lower() == channels.CHANNELS
    assert "0x4020806089470a89826cB9fB1f4059150b550004".lower() == channels.COLLECTOR
    assert "0xcA11bde05977b3631167028862bE2a173976CA11".lower() == channels.MULTICALL


@given(configs)
def test_channel_id(config: ChannelConfig) -> None:
    names = [{"name": n, "type": t} for n, t in zip(FIELDS, KINDS, strict=True)]
    message = dict(zip(FIELDS, plain(config), strict=True))
    assert config.channel_id(SEPARATOR) == judged("ChannelConfig", names, message)
    assert ChannelConfig.decode(config.encode()) == config
    assert config.encode() == eth_abi.encode([CONFIG], [plain(config)])
    assert config.channel_id(SEPARATOR) != config.channel_id(channels.domain(1).separator)


def test_channel_id_of_the_public_sdk() -> None:
    """Computed with the public x402 package, version 2.25."""
    config = ChannelConfig(
        *(Address("0x" + f"{n:02x}" * 20) for n in range(0x11, 0x16)), 900, b"\x16" * 32
    )
    found = config.channel_id(channels.domain(84532).separator).hex()
    assert found == "3de303700e14c71dea963974b2a2ee6189a1d2ca6f36a69c8aff573edc94c2ec"


@given(words, amounts, numbers)
def test_digests(channel_id: bytes, amount: int, nonce: int) -> None:
    voucher = {"channelId": channel_id, "maxClaimableAmount": amount}
    said = judged("Voucher", fields("bytes32 channelId,uint128 maxClaimableAmount"), voucher)
    assert channels.voucher_digest(SEPARATOR, channel_id, amount) == said
    refund = {"channelId": channel_id, "nonce": nonce, "amount": amount}
    said = judged("Refund", fields("bytes32 channelId,uint256 nonce,uint128 amount"), refund)
    assert channels.refund_digest(SEPARATOR, channel_id, nonce, amount) == said
    packed = eth_abi.encode(["bytes32", "uint256"], [channel_id, nonce])
    assert channels.authorization_nonce(channel_id, nonce) == keccak256(packed)


@given(st.lists(claim_rows(), max_size=4))
def test_rows(rows: list[ClaimRow]) -> None:
    listed = [plain_row(row) for row in rows]
    expect(channels.claim(AT, rows), "claim", [f"{ROW}[]"], [listed])
    call = channels.claim_with_signature(AT, rows, b"s" * 70)
    expect(call, "claimWithSignature", [f"{ROW}[]", "bytes"], [listed, b"s" * 70])
    entry = fields("bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed")
    claims = [
        {
            "channelId": row.config.channel_id(SEPARATOR),
            "maxClaimableAmount": row.maximum,
            "totalClaimed": row.total,
        }
        for row in rows
    ]
    if rows:
        said = judged(
            "ClaimBatch", fields("ClaimEntry[] claims"), {"claims": claims}, ClaimEntry=entry
        )
        assert channels.batch_digest(SEPARATOR, rows) == said


@given(configs, amounts, st.sampled_from(KEYS), st.booleans())
def test_packed_rows(config: ChannelConfig, amount: int, key: Account, wallets: bool) -> None:
    digest = channels.voucher_digest(SEPARATOR, config.channel_id(SEPARATOR), amount)
    signature = key.sign_digest(digest)
    if wallets:
        signature = signature[:64] + bytes([signature[64] + 27])
    row = ClaimRow(config, amount, signature, amount // 2)
    packed = row.pack()
    assert len(packed) == channels.PACKED_ROW
    shared = {
        "receiver": config.receiver,
        "receiver_authorizer": config.receiver_authorizer,
        "token": config.token,
    }
    again = ClaimRow.unpack(packed, **shared)
    assert (again.config, again.maximum, again.total) == (config, amount, amount // 2)
    assert again.pack() == packed
    assert recover(digest, again.signature) == key.address
    assert Judge._recover_hash(digest, signature=again.signature).lower() == key.address
    values = [config.receiver, config.receiver_authorizer, config.token, packed * 2]
    kinds = ["address", "address", "address", "bytes"]
    expect(channels.claim_packed(AT, [row, row]), "claimPacked", kinds, values)
    for size in (0, 172, 174):
        with pytest.raises(BadInput):
            ClaimRow.unpack((packed * 2)[:size], **shared)


@given(configs, amounts, addresses, st.binary(max_size=80), numbers)
def test_other_calls(
    config: ChannelConfig, amount: int, other: Address, data: bytes, nonce: int
) -> None:
    one = plain(config)
    call = channels.deposit(AT, config, amount, collector=other, data=data)
    kinds = [CONFIG, "uint128", "address", "bytes"]
    expect(call, "deposit", kinds, [one, amount, other, data])
    expect(
        channels.settle(AT, other, config.token), "settle", ["address"] * 2, [other, config.token]
    )
    call = channels.initiate_withdraw(AT, config, amount)
    expect(call, "initiateWithdraw", [CONFIG, "uint128"], [one, amount])
    expect(channels.finalize_withdraw(AT, config), "finalizeWithdraw", [CONFIG], [one])
    expect(channels.refund(AT, config, amount), "refund", [CONFIG, "uint128"], [one, amount])
    call = channels.refund_with_signature(AT, config, amount, nonce=nonce, signature=b"s" * 66)
    kinds = [CONFIG, "uint128", "uint256", "bytes"]
    expect(call, "refundWithSignature", kinds, [one, amount, nonce, b"s" * 66])
    calls = [channels.refund(AT, config, amount), channels.finalize_withdraw(AT, config)]
    expect(channels.multicall(AT, calls), "multicall", ["bytes[]"], [[c.data for c in calls]])
    signed = channels.collector_data(
        valid_after=amount, valid_before=nonce, salt=nonce, signature=b"s" * 67
    )
    kinds = ["uint256", "uint256", "uint256", "bytes"]
    assert signed == eth_abi.encode(kinds, [amount, nonce, nonce, b"s" * 67])
    expect(channels.channel_id(AT, config), "getChannelId", [CONFIG], [one])


@given(words, amounts, amounts, st.integers(0, 2**40 - 1), addresses)
def test_answers(channel_id: bytes, first: int, second: int, time: int, who: Address) -> None:
    both = eth_abi.encode(["uint128"] * 2, [first, second])
    view = channels.channel(AT, channel_id)
    expect(view, "channels", ["bytes32"], [channel_id])
    assert view.decode(both) == channels.Channel(first, second)
    assert view.decode(both).available == first - second
    waiting = channels.pending(AT, channel_id)
    expect(waiting, "pendingWithdrawals", ["bytes32"], [channel_id])
    found = waiting.decode(eth_abi.encode(["uint128", "uint40"], [first, time]))
    assert found == (channels.Pending(first, time) if time else None)
    income = channels.income(AT, who, AT)
    expect(income, "receivers", ["address"] * 2, [who, AT])
    assert income.decode(both) == channels.Income(first, second)
    nonce = channels.refund_nonce(AT, channel_id)
    expect(nonce, "refundNonce", ["bytes32"], [channel_id])
    assert nonce.decode(both[:32]) == first


@given(configs, words, amounts, amounts, numbers, addresses)
def test_events(
    config: ChannelConfig, channel_id: bytes, one: int, two: int, nonce: int, who: Address
) -> None:
    def decode(layout: Any, indexed: list[Any], kinds: list[str], values: list[Any]) -> Any:
        topics = [
            eth_abi.encode(["bytes32" if type(v) is bytes else "address"], [v]) for v in indexed
        ]
        return events.decode_event([layout.topic, *topics], eth_abi.encode(kinds, values))

    parties: list[Any] = [channel_id, config.payer, config.receiver]
    made = decode(events.CHANNEL_CREATED, parties, [CONFIG], [plain(config)])
    assert made == events.ChannelCreated(channel_id, config)
    if who != config.payer:
        with pytest.raises(BadInput):
            decode(
                events.CHANNEL_CREATED,
                [channel_id, who, config.receiver],
                [CONFIG],
                [plain(config)],
            )
    found = decode(events.DEPOSITED, [channel_id], ["uint128"] * 2, [one, two])
    assert found == events.Deposited(channel_id, one, two)
    found = decode(events.CLAIMED, [channel_id], ["uint128"], [one])
    assert found == events.Claimed(channel_id, one)
    found = decode(events.SETTLED, [who, config.token, config.payer], ["uint128"], [one])
    assert found == events.Settled(who, config.token, config.payer, one)
    found = decode(events.WITHDRAW_INITIATED, [channel_id], ["uint128", "uint40"], [one, 7])
    assert found == events.WithdrawInitiated(channel_id, one, 7)
    found = decode(events.WITHDRAW_FINALIZED, [channel_id], ["uint128"], [two])
    assert found == events.WithdrawFinalized(channel_id, two)
    found = decode(events.REFUNDED, [channel_id], ["uint256", "uint128"], [nonce, two])
    assert found == events.Refunded(channel_id, nonce, two)
    assert events.decode_event([b"\0" * 32], b"") is None


GOOD: dict[str, Any] = {
    "payer": KEYS[0].address,
    "payer_authorizer": ZERO_ADDRESS,
    "receiver": KEYS[1].address,
    "receiver_authorizer": KEYS[1].address,
    "token": Address("0x" + "11" * 20),
    "withdraw_delay": 900,
    "salt": bytes(32),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payer", ZERO_ADDRESS),
        ("payer", "0x" + "AB" * 20),
        ("payer", None),
        ("receiver", ZERO_ADDRESS),
        ("receiver_authorizer", ZERO_ADDRESS),
        ("token", ZERO_ADDRESS),
        ("withdraw_delay", 899),
        ("withdraw_delay", 2_592_001),
        ("withdraw_delay", True),
        ("withdraw_delay", "900"),
        ("salt", bytes(31)),
        ("salt", 7),
    ],
)
def test_configs_that_the_contract_refuses(name: str, value: Any) -> None:
    assert ChannelConfig(**GOOD).signer == KEYS[0].address
    assert ChannelConfig(**GOOD | {"payer_authorizer": AT}).signer == AT
    with pytest.raises(BadInput):
        ChannelConfig(**GOOD | {name: value})


def test_rows_that_cannot_be() -> None:
    config = ChannelConfig(**GOOD)
    for maximum, total in ((1, 2), (2**128, 1), (-1, -1), (True, 0)):
        with pytest.raises(BadInput):
            ClaimRow(config, maximum, bytes(65), total)
    low = bytes(31) + b"\1"
    for signature in (low * 2, low + b"\x80" + bytes(32), low * 2 + b"\2", low * 2 + b"\x1d", "x"):
        with pytest.raises(BadInput):
            ClaimRow(config, 1, signature, 1).pack()  # type: ignore[arg-type]
    good = ClaimRow(config, 1, low * 2 + b"\1", 1)
    other = ClaimRow(ChannelConfig(**GOOD | {"receiver": AT}), 1, low * 2 + b"\1", 1)
    for rows in ([], [good, other]):
        with pytest.raises(BadInput):
            channels.claim_packed(AT, rows)
    with pytest.raises(BadInput):
        channels.multicall(AT, [channels.settle(Address("0x" + "11" * 20), AT, AT)])
    with pytest.raises(BadInput):
        config.channel_id(b"short")
