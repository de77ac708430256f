"""Channels and what belongs to it at the canonical addresses, for the tests and the bench."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from tests.contracts.evm import Evm, Receipt
from tests.contracts.shop import KEYS

from usufruct.crypto.typed_data import Domain
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import channels, tokens
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.channels import CHANNELS, COLLECTOR, ChannelConfig, ClaimRow
from usufruct.types import ZERO_ADDRESS, Address

FAR = 2_000_000_000
CODES = {
    CHANNELS: channels.runtime_code,
    COLLECTOR: channels.collector_code,
    channels.MULTICALL: channels.multicall_code,
}


def put_in_place(evm: Evm) -> None:
    """Give the engine the contracts as a genesis has them: code alone, nothing was constructed."""
    for place, code in CODES.items():
        evm.rpc("anvil_setCode", place, "0x" + code().hex())


@dataclass
class Till:
    """Channels on an engine whose accounts 1, 2, 3 pay, receive and look on, with keys."""

    evm: Evm
    dollar: Address = field(init=False)
    fresh: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        put_in_place(self.evm)
        self.dollar = self.evm.deploy(tokens.deploy_data())
        self.payer, self.payee, self.other = map(self.key, (1, 2, 3))
        self.chain_id = int(self.evm.rpc("eth_chainId"), 16)
        self.separator = channels.domain(self.chain_id).separator
        self.faucet(self.payer)

    def key(self, number: int) -> Account:
        account = Account(bytes(KEYS[number]))
        assert account.address == self.evm.accounts[number].lower()
        return account

    def newcomer(self) -> Account:
        """Return a key nobody has, for signing alone."""
        return Account(next(self.fresh).to_bytes(32, "big"))

    def faucet(self, account: Account, allow: int = 2**255) -> None:
        self.send(tokens.faucet(self.dollar, account.address), account)
        self.send(tokens.approve(self.dollar, CHANNELS, allow), account)

    def config(self, **changes: object) -> ChannelConfig:
        """Return a channel of its own from payer to payee."""
        fields: dict[str, object] = {
            "payer": self.payer.address,
            "payer_authorizer": ZERO_ADDRESS,
            "receiver": self.payee.address,
            "receiver_authorizer": self.payee.address,
            "token": self.dollar,
            "withdraw_delay": 900,
            "salt": next(self.fresh).to_bytes(32, "big"),
        }
        return ChannelConfig(**(fields | changes))  # type: ignore[arg-type]

    def send(self, call: Call, by: Account) -> Receipt:
        return self.evm.send(call, by.address)

    def open(self, amount: int = 100, **changes: object) -> ChannelConfig:
        config = self.config(**changes)
        self.send(channels.deposit(CHANNELS, config, amount), self.payer)
        return config

    def id(self, config: ChannelConfig) -> bytes:
        return config.channel_id(self.separator)

    def row(
        self,
        config: ChannelConfig,
        total: int,
        maximum: int | None = None,
        key: Account | None = None,
    ) -> ClaimRow:
        """Return a claim by a voucher; the digest is judged in tests/ledger."""
        limit = total if maximum is None else maximum
        digest = channels.voucher_digest(self.separator, self.id(config), limit)
        return ClaimRow(config, limit, (key or self.payer).sign_digest(digest), total)

    def channel(self, config: ChannelConfig) -> tuple[int, int]:
        found = self.evm.ask(channels.channel(CHANNELS, self.id(config)))
        return found.balance, found.total_claimed

    def income(self, who: Address | None = None, token: Address | None = None) -> tuple[int, int]:
        view = channels.income(CHANNELS, who or self.payee.address, token or self.dollar)
        found = self.evm.ask(view)
        return found.total_claimed, found.total_settled

    def dollars(self, who: Address) -> int:
        return int(self.evm.ask(tokens.balance_of(self.dollar, who)))

    def authorization(
        self, config: ChannelConfig, amount: int, salt: int, key: Account, *, before: int = FAR
    ) -> bytes:
        """Return what the collector needs to fetch a deposit of test dollars."""
        digest = tokens.receive_digest(
            Domain("Test Dollar", "1", self.chain_id, self.dollar),
            payer=config.payer,
            to=COLLECTOR,
            value=amount,
            valid_after=0,
            valid_before=before,
            nonce=channels.authorization_nonce(self.id(config), salt),
        )
        return channels.collector_data(
            valid_after=0, valid_before=before, salt=salt, signature=key.sign_digest(digest)
        )
