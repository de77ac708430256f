"""SingularityNET: its MultiPartyEscrow and token from npm, used as its daemon and SDK use them.

A payer puts tokens into the escrow and opens a channel from what it has there; the payee claims by
messages that the payer's signer signed, one at a time or many together, and withdraws. Where there
is a choice we took what is cheapest for it: deposit and opening in one call, channels left open
when they are claimed (their nonce goes up), an allowance that is not written down again.
"""

from __future__ import annotations

import json
from typing import Any

from bench.peers.chain import ETHER, Chain, Contract, Mined
from bench.peers.figures import LIMITLESS, Figure, Job, Sheet
from bench.peers.npm import install
from eth_abi.packed import encode_packed
from tests.contracts.evm import Evm

from usufruct.crypto.hash import keccak256
from usufruct.ledger.account import Account

DEPOSIT = ETHER // 10  # the token has 8 decimals; what it is does not change the gas
CALL = 123_456
EXPIRATION = 1_000_000_000  # in blocks
GROUP = keccak256(b"group")
ROWS = 100


class Escrow:
    """The escrow, its token, a payee, and how often each channel was claimed."""

    def __init__(self, chain: Chain) -> None:
        modules = install("snet")
        self.chain = chain
        self.version = _read(modules, "singularitynet-platform-contracts", "package")["version"]
        named = ("SingularityNET", "AGI")
        self.token = _deploy(
            chain, modules, "singularitynet-token-contracts", "SingularityNetToken", *named
        )
        self.escrow = _deploy(
            chain,
            modules,
            "singularitynet-platform-contracts",
            "MultiPartyEscrow",
            self.token.address,
        )
        self.payee = chain.newcomer("payee")
        self.nonces: dict[int, int] = {}
        self.signers: dict[int, Account] = {}

    def payer(self, name: str) -> Account:
        """Return an account with tokens."""
        payer = self.chain.newcomer(name)
        self.token.send(self.chain.accounts[0], "mint", payer.address, 1000 * DEPOSIT)
        return payer

    def approve(self, payer: Account, amount: int) -> Mined:
        """Let the escrow take tokens."""
        return self.token.send(payer.address, "approve", self.escrow.address, amount)

    def open(self, payer: Account, function: str = "depositAndOpenChannel") -> tuple[Mined, int]:
        """Open a channel with a signer of its own; return the transaction and the id."""
        signer = Account(keccak256(f"signer {len(self.signers)}".encode()))
        mined = self.escrow.send(
            payer.address,
            function,
            signer.address,
            self.payee.address,
            GROUP,
            DEPOSIT,
            EXPIRATION,
        )
        channel = int(self.escrow.event(mined, "ChannelOpen")["channelId"])
        self.nonces[channel], self.signers[channel] = 0, signer
        return mined, channel

    def claim(self, channels: list[int], *, close: bool = False) -> Mined:
        """Claim of each channel what one message allows."""
        signed = [self._sign(channel, CALL) for channel in channels]
        for channel in channels:
            self.nonces[channel] += 1
        amounts = [CALL] * len(channels)
        rs, ss = ([part[place] for part in signed] for place in (0, 1))
        vs = [part[2] for part in signed]
        if len(channels) == 1:
            one = (channels[0], CALL, CALL, vs[0], rs[0], ss[0], close)
            return self.escrow.send(self.payee.address, "channelClaim", *one)
        many = (channels, amounts, amounts, [close] * len(channels), vs, rs, ss)
        return self.escrow.send(self.payee.address, "multiChannelClaim", *many)

    def _sign(self, channel: int, amount: int) -> tuple[bytes, bytes, int]:
        kinds = ("string", "address", "uint256", "uint256", "uint256")
        values = (
            "__MPE_claim_message",
            self.escrow.address,
            channel,
            self.nonces[channel],
            amount,
        )
        message = keccak256(encode_packed(kinds, values))
        digest = keccak256(b"\x19Ethereum Signed Message:\n32" + message)
        made = self.signers[channel].sign_digest(digest)
        return made[:32], made[32:64], made[64] + 27


def measure(evm: Evm) -> list[Sheet]:
    """Return its one sheet."""
    snet = Escrow(Chain(evm))
    figures = _paying_in(snet) + _claiming(snet) + _paying_out(snet)
    notes = (
        "opening: approve, then deposit and open in one call (cheapest), or each by itself",
        "each claim ends the vouchers signed before it; a payer gets the rest back at the "
        "expiration it set itself, without notice",
        f"figures of {ROWS} and of 10 channels are of one transaction, divided",
    )
    return [Sheet(f"SingularityNET {snet.version}", tuple(figures), notes)]


def _paying_in(snet: Escrow) -> list[Figure]:
    first = snet.payer("first")  # so that the escrow holds others' tokens
    snet.approve(first, LIMITLESS)
    snet.open(first)
    joint, apart = snet.payer("joint"), snet.payer("apart")
    approve = snet.approve(joint, LIMITLESS)
    opened, _ = snet.open(joint)
    steps = [
        snet.approve(apart, LIMITLESS),
        snet.escrow.send(apart.address, "deposit", DEPOSIT),
        snet.open(apart, "openChannel")[0],
    ]
    more = snet.escrow.send(apart.address, "deposit", 5 * DEPOSIT)
    added = snet.escrow.send(apart.address, "channelAddFunds", max(snet.nonces), DEPOSIT)
    return [
        _figure(Job.OPEN_CHANNEL, approve, opened, way="approve, depositAndOpenChannel"),
        _figure(Job.OPEN_CHANNEL, *steps, way="approve, deposit, openChannel"),
        _figure(Job.OPEN_CHANNEL, opened, way="standing allowance"),
        _figure(Job.TOP_UP, more, added, way="deposit, channelAddFunds"),
    ]


def _claiming(snet: Escrow) -> list[Figure]:
    payer = snet.payer("payer")
    snet.approve(payer, LIMITLESS)
    channels = [snet.open(payer)[1] for _ in range(ROWS)]
    snet.claim(channels)  # so that neither nonces nor the payee's balance are new
    figures = []
    jobs = ((Job.CLAIM_ONE, 1), (Job.CLAIM_TEN, 10), (Job.CLAIM_HUNDRED, ROWS))
    for job, rows in jobs:
        gas = snet.claim(channels[:rows]).gas
        figures.append(Figure(job, 1, -(-gas // rows), "later"))
    return figures


def _paying_out(snet: Escrow) -> list[Figure]:
    payer = snet.payer("leaving")
    snet.approve(payer, LIMITLESS)
    _, channel = snet.open(payer)
    withdrawals = []
    for _ in range(2):
        withdrawals.append(snet.escrow.send(snet.payee.address, "withdraw", 3 * CALL))
    refunded = snet.claim([channel], close=True)
    had = snet.escrow.send(payer.address, "withdraw", DEPOSIT - CALL)
    return [
        _figure(Job.PAY_OUT, withdrawals[0], way="first"),
        _figure(Job.PAY_OUT, withdrawals[1], way="later"),
        _figure(Job.REFUND, refunded, had, way="claim with send back, withdraw"),
    ]


def _figure(job: Job, *steps: Mined, way: str = "") -> Figure:
    return Figure(job, len(steps), sum(step.gas for step in steps), way)


def _deploy(chain: Chain, modules: Any, package: str, name: str, *args: Any) -> Contract:
    abi = _read(modules, package, f"abi/{name}")
    return Contract.create(chain, abi, _read(modules, package, f"bytecode/{name}"), *args)


def _read(modules: Any, package: str, name: str) -> Any:
    return json.loads((modules / package / f"{name}.json").read_text("utf-8"))
