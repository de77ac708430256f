"""Our payment channels, measured as the peers' are: each transaction in its own block.

Vouchers are signed by a key of a session, as public clients do it, so no row has zeros to save.
The contract holds other channels' money and has claimed for this receiver before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from bench.peers.chain import Chain, Mined
from bench.peers.figures import Figure, Job, Sheet
from tests.contracts.evm import Evm
from tests.contracts.till import put_in_place

from usufruct.crypto.hash import keccak256
from usufruct.crypto.typed_data import Domain
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import channels, tokens
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.channels import CHANNELS, COLLECTOR, ChannelConfig, ClaimRow
from usufruct.types import Address

DEPOSIT = 10_000_000  # ten dollars
CALL = 1_234  # what a paid call costs, in millionths of a dollar
DELAY = 86_400
DEADLINE = 2_000_000_000  # in 2033
ROWS = 100
OPEN_BAR, SIGNED_BAR, PACKED_BAR = 118_000, 24_000, 16_500


@dataclass
class Desk:
    """Channels on an engine, a payee, and a supply of payers and session keys."""

    chain: Chain
    dollar: Address
    payee: Account
    relay: Account
    separator: bytes
    fresh: count[int] = field(default_factory=count)
    sessions: dict[bytes, Account] = field(default_factory=dict)
    payers: dict[Address, Account] = field(default_factory=dict)

    def do(self, sender: Account, call: Call) -> Mined:
        """Mine a call."""
        return self.chain.send(sender.address, call.data, call.to)

    def payer(self) -> Account:
        """Return an account with a thousand dollars."""
        payer = self.chain.newcomer(f"payer {next(self.fresh)}")
        self.do(payer, tokens.faucet(self.dollar, payer.address))
        self.payers[payer.address] = payer
        return payer

    def config(self, payer: Account) -> ChannelConfig:
        """Return a new channel of a payer with a session key of its own."""
        seed = keccak256(f"channel {next(self.fresh)}".encode())
        session = Account(keccak256(seed))
        config = ChannelConfig(
            payer.address,
            session.address,
            self.payee.address,
            self.payee.address,
            self.dollar,
            DELAY,
            seed,
        )
        self.sessions[config.channel_id(self.separator)] = session
        return config

    def deposit(self, config: ChannelConfig) -> Mined:
        """Deposit by a signed payment that somebody else submits."""
        channel_id = config.channel_id(self.separator)
        salt = int.from_bytes(keccak256(f"salt {next(self.fresh)}".encode()))
        digest = tokens.receive_digest(
            Domain("Test Dollar", "1", self.chain.chain_id, self.dollar),
            payer=config.payer,
            to=COLLECTOR,
            value=DEPOSIT,
            valid_after=0,
            valid_before=DEADLINE,
            nonce=channels.authorization_nonce(channel_id, salt),
        )
        data = channels.collector_data(
            valid_after=0,
            valid_before=DEADLINE,
            salt=salt,
            signature=self.payers[config.payer].sign_digest(digest),
        )
        call = channels.deposit(CHANNELS, config, DEPOSIT, collector=COLLECTOR, data=data)
        return self.do(self.relay, call)

    def rows(self, configs: list[ChannelConfig], calls: int) -> list[ClaimRow]:
        """Return a claim of so many paid calls for each channel."""
        rows = []
        for config in configs:
            channel_id = config.channel_id(self.separator)
            total, maximum = calls * CALL, (calls + 1) * CALL
            digest = channels.voucher_digest(self.separator, channel_id, maximum)
            signature = self.sessions[channel_id].sign_digest(digest)
            rows.append(ClaimRow(config, maximum, signature, total))
        return rows

    def claim(self, configs: list[ChannelConfig], calls: int, *, packed: bool) -> Mined:
        """Claim in one transaction, packed or with the payee's signature."""
        rows = self.rows(configs, calls)
        if packed:
            return self.do(self.payee, channels.claim_packed(CHANNELS, rows))
        signature = self.payee.sign_digest(channels.batch_digest(self.separator, rows))
        return self.do(self.relay, channels.claim_with_signature(CHANNELS, rows, signature))


def measure(evm: Evm) -> list[Sheet]:
    """Return our one sheet."""
    put_in_place(evm)
    dollar = evm.deploy(tokens.deploy_data())
    chain = Chain(evm)
    separator = channels.domain(chain.chain_id).separator
    desk = Desk(chain, dollar, chain.newcomer("payee"), chain.newcomer("relay"), separator)
    desk.deposit(desk.config(desk.payer()))  # others have money in it
    figures = _paying_in(desk) + _claiming(desk) + _paying_out(desk)
    notes = (
        "a deposit is signed by the payer (EIP-3009) and submitted by anyone; by allowance an "
        "approval comes first, and is counted",
        "a claim with signature may be submitted by anyone; a packed one by the payee",
        f"figures of {ROWS} and of 10 channels are of one transaction, divided",
    )
    return [Sheet("Usufruct", tuple(figures), notes)]


def _paying_in(desk: Desk) -> list[Figure]:
    config = desk.config(desk.payer())
    opened, more = desk.deposit(config), desk.deposit(config)
    payer = desk.payer()
    approve = desk.do(payer, tokens.approve(desk.dollar, CHANNELS, 100 * DEPOSIT))
    other = desk.config(payer)
    first = desk.do(payer, channels.deposit(CHANNELS, other, DEPOSIT))
    later = desk.do(payer, channels.deposit(CHANNELS, other, DEPOSIT))
    return [
        _figure(Job.OPEN_CHANNEL, opened, way="EIP-3009", bar=OPEN_BAR),
        _figure(Job.OPEN_CHANNEL, approve, first, way="approve, deposit"),
        _figure(Job.OPEN_CHANNEL, first, way="standing allowance"),
        _figure(Job.TOP_UP, more, way="EIP-3009"),
        _figure(Job.TOP_UP, later, way="standing allowance"),
    ]


def _claiming(desk: Desk) -> list[Figure]:
    payers = [desk.payer() for _ in range(10)]
    configs = [desk.config(payers[n % 10]) for n in range(ROWS)]
    for config in configs:
        desk.deposit(config)
    desk.claim(configs[:1], 1, packed=True)
    figures = []
    jobs = ((Job.CLAIM_ONE, 1), (Job.CLAIM_TEN, 10), (Job.CLAIM_HUNDRED, ROWS))
    calls = 1
    for job, rows in jobs:
        for packed, way, bar in ((False, "signed", SIGNED_BAR), (True, "packed", PACKED_BAR)):
            calls += 100
            gas = desk.claim(configs[:rows], calls, packed=packed).gas
            met = bar if job is Job.CLAIM_HUNDRED else None
            figures.append(Figure(job, 1, -(-gas // rows), way, met))
    return figures


def _paying_out(desk: Desk) -> list[Figure]:
    settle = channels.settle(CHANNELS, desk.payee.address, desk.dollar)
    first = desk.do(desk.relay, settle)
    back, given = desk.config(desk.payer()), desk.config(desk.payer())
    for config in (back, given):
        desk.deposit(config)
        desk.claim([config], 7, packed=True)
    later = desk.do(desk.relay, settle)
    payer = desk.payers[back.payer]
    asked = desk.do(payer, channels.initiate_withdraw(CHANNELS, back))
    desk.chain.wait(DELAY)
    taken = desk.do(payer, channels.finalize_withdraw(CHANNELS, back))
    refunded = desk.do(desk.payee, channels.refund(CHANNELS, given, DEPOSIT))
    return [
        _figure(Job.PAY_OUT, first, way="first"),
        _figure(Job.PAY_OUT, later, way="later"),
        _figure(Job.WITHDRAW, asked, taken),
        _figure(Job.REFUND, refunded),
    ]


def _figure(job: Job, *steps: Mined, way: str = "", bar: int | None = None) -> Figure:
    return Figure(job, len(steps), sum(step.gas for step in steps), way, bar)
