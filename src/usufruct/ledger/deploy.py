"""Putting our contracts on a ledger: Parties, Anchors, Assets.

Where a contract stands follows from its maker's address and nonce (CREATE), so a deployment that
was cut short goes on where it stopped, without a note of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto.hash import keccak256
from usufruct.errors import LedgerUnreachable, WrongNetwork
from usufruct.ledger import answers
from usufruct.ledger.account import Account, contract_address
from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.fees import FEE_LIMIT
from usufruct.ledger.nonces import Draft, Sender
from usufruct.ledger.reader import all_results
from usufruct.ledger.transport import Transport
from usufruct.ledger.waiting import Waiter
from usufruct.types import Address

NAMES: Final = ("Parties", "Anchors", "Assets")
"""The contracts in the order of their deployment."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A set of contracts on a ledger.

    Parameters
    ----------
    contracts
        As a network file names them: ``address`` and ``code_hash`` by name.
    first_nonce
        The nonce that made the first; give it to :func:`deploy` to resume.
    start_block
        No contract is older than this block.
    """

    contracts: dict[str, dict[str, str]]
    first_nonce: int
    start_block: int


def addresses(sender: Address, first_nonce: int) -> dict[str, Address]:
    """Return where the contracts of a deployment will stand."""
    return {name: contract_address(sender, first_nonce + place) for place, name in enumerate(NAMES)}


def deploy(
    transport: Transport,
    account: Account,
    chain_id: int,
    *,
    first_nonce: int | None = None,
    timeout: float = 180.0,
    fee_limit: int = FEE_LIMIT,
) -> Deployment:
    """Deploy what is not there yet and return the whole set.

    Parameters
    ----------
    first_nonce
        Of a deployment to resume; by default a new one begins at the account's nonce.

    Raises
    ------
    WrongNetwork
        Something else stands where a contract of this deployment should, or the account's
        nonces went elsewhere.
    Unavailable
        The ledger does not answer or does not mine in time; deploy again with `first_nonce`.
    NotAllowed
        The account cannot pay.
    """
    count, newest = _state(transport, account.address)
    first = count if first_nonce is None else first_nonce
    if not first <= count:
        raise WrongNetwork(f"the account {account.address} has not come to the nonce {first} yet")
    places = addresses(account.address, first)
    done = min(count - first, len(NAMES))
    codes = _creation_codes()[done:]
    if codes:
        gas = [_gas(transport, account.address, code) for code in codes]
        sender = Sender(transport, account, chain_id, fee_limit=fee_limit)
        drafts = [Draft(None, code, 0, limit) for code, limit in zip(codes, gas, strict=True)]
        Waiter(transport, sender, timeout=timeout).wait(sender.send(drafts))
    _await_nonce(transport, account.address, first + len(NAMES), timeout)
    found = _runtime_hashes(transport, [places[name] for name in NAMES])
    for name, code_hash, expected in zip(NAMES, found, _expected_hashes(), strict=True):
        if code_hash != expected:
            raise WrongNetwork(
                f"what stands at {places[name]} is not the contract {name}",
                hint="another program used the account meanwhile; deploy a new set",
            )
    contracts = {
        name: {"address": str(places[name]), "code_hash": code_hash}
        for name, code_hash in zip(NAMES, found, strict=True)
    }
    return Deployment(contracts, first, newest if first_nonce is None else 0)


def _state(transport: Transport, address: Address) -> tuple[int, int]:
    """Return the account's nonce and the newest block's number."""
    calls: list[tuple[str, list[Any]]] = [
        ("eth_getTransactionCount", [address, "pending"]),
        ("eth_blockNumber", []),
    ]
    count, number = all_results(transport.request_many(calls))
    return (
        answers.quantity(count, "the account's nonce", bits=63),
        answers.quantity(number, "the block's number", bits=53),
    )


def _await_nonce(transport: Transport, address: Address, nonce: int, timeout: float) -> None:
    """Wait for transactions that an earlier, cut short deployment left pending."""
    stop = time.monotonic() + timeout
    while True:
        count = transport.request("eth_getTransactionCount", [address, "latest"])
        if answers.quantity(count, "the account's nonce", bits=63) >= nonce:
            return
        if time.monotonic() > stop:
            raise LedgerUnreachable(
                f"the deployment by {address} is not mined after {timeout:.0f} s",
                hint="deploy again with the same first nonce",
            )
        time.sleep(0.2)


def _gas(transport: Transport, sender: Address, code: bytes) -> int:
    fields = {"from": sender, "data": "0x" + code.hex()}
    gas = answers.quantity(transport.request("eth_estimateGas", [fields]), "the gas", bits=40)
    return gas + gas // 5


def _runtime_hashes(transport: Transport, places: Sequence[Address]) -> list[str]:
    found = all_results(
        transport.request_many([("eth_getCode", [place, "latest"]) for place in places])
    )
    return ["0x" + keccak256(answers.data(code, "a contract's code")).hex() for code in found]


def _creation_codes() -> list[bytes]:
    return [parties.deploy_data(), anchors.deploy_data(), assets.deploy_data()]


def _expected_hashes() -> list[str]:
    codes = (parties.runtime_code(), anchors.runtime_code(), assets.runtime_code())
    return ["0x" + keccak256(code).hex() for code in codes]
