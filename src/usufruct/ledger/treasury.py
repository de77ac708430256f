"""Gas money for new parties: one journaled transfer an address, from the genesis treasury."""

from __future__ import annotations

import threading

from usufruct.errors import BadInput, NotAllowed
from usufruct.ledger.account import Account, transaction_hash
from usufruct.ledger.embedded import EmbeddedEngine
from usufruct.ledger.transport import RpcError
from usufruct.types import Address, parse_address
from usufruct.units import WEI_PER_ETHER, WEI_PER_GWEI

GIFT_WEI = 10 * WEI_PER_ETHER
CAP_WEI = 100_000 * WEI_PER_ETHER


class Treasury:
    """Pays each new party once; what was paid is remembered in the ledger's journal.

    Parameters
    ----------
    engine
        The ledger.
    secret
        The treasury account's secret key, 32 bytes.
    gift
        What an address gets, in wei.
    cap
        What all addresses together get, in wei. Addresses cost nothing to make, so this and
        not the limit of one gift an address is what bounds the treasury's loss.
    """

    def __init__(
        self, engine: EmbeddedEngine, secret: bytes, *, gift: int = GIFT_WEI, cap: int = CAP_WEI
    ) -> None:
        if gift <= 0 or cap < 0:
            raise BadInput("a treasury's gift and cap are amounts in wei")
        self._engine = engine
        self._account = Account(secret)
        self._gift = gift
        self._cap = cap
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Treasury({self._account.address})"

    def fund(self, address: str) -> str:
        """Pay `address` its gas money, if it has not had it, and return the transaction's hash.

        Raises
        ------
        BadInput
            Not an address.
        NotAllowed
            The cap is reached.
        RpcError
            The treasury is empty.
        EngineDied
            The ledger has stopped.
        """
        receiver = parse_address(address)
        journal = self._engine.journal
        with self._lock:
            known = journal.funding(receiver)
            if known is not None and journal.holds(known[1]):
                return "0x" + known[1].hex()
            if journal.funded() + self._gift > self._cap:
                raise NotAllowed(
                    "the treasury has paid out all it may",
                    hint="ask the ledger's operator for ether, or to raise the cap",
                )
            for last in (False, False, True):
                try:
                    return self._pay(receiver)
                except RpcError as error:
                    # another user of the treasury's key may have taken the nonce meanwhile
                    if last or "nonce" not in error.message:
                        raise
        raise AssertionError("unreachable")

    def _pay(self, receiver: Address) -> str:
        raw = self._account.sign_transaction(
            {
                "chainId": self._engine.chain_id,
                "nonce": self._nonce(),
                "maxFeePerGas": 100 * WEI_PER_GWEI,
                "maxPriorityFeePerGas": 0,
                "gas": 21_000,
                "to": receiver,
                "value": self._gift,
            }
        )
        # noted first: after a crash between the two the transfer is made anew, never twice
        name = bytes.fromhex(transaction_hash(raw)[2:])
        self._engine.journal.fund(receiver, self._gift, name)
        return str(self._engine.request("eth_sendRawTransaction", ["0x" + raw.hex()]))

    def _nonce(self) -> int:
        answer = self._engine.request("eth_getTransactionCount", [self._account.address, "latest"])
        return int(answer, 16)
