"""Putting our contracts on a ledger: Parties, Anchors, Assets, Splits, Licences.

Where a contract stands follows from its maker's address and nonce (CREATE), so a deployment that
was cut short goes on where it stopped, without a note of its own, and contracts that know each
other are told addresses at which nothing stands yet.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto.hash import keccak256
from usufruct.errors import LedgerUnreachable, WrongNetwork
from usufruct.ledger import answers
from usufruct.ledger.account import Account, contract_address
from usufruct.ledger.bindings import anchors, assets, licences, parties, splits, tokens
from usufruct.ledger.fees import FEE_LIMIT
from usufruct.ledger.nonces import Draft, Sender
from usufruct.ledger.reader import all_results
from usufruct.ledger.transport import Transport
from usufruct.ledger.waiting import Waiter
from usufruct.types import Address

NAMES: Final = ("Parties", "Anchors", "Assets", "Splits", "Licences")
"""The contracts in the order of their deployment."""

TEST_DOLLAR: Final = "TestDollar"
"""Play money, deployed last and only on ledgers of one's own."""


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


def addresses(
    sender: Address, first_nonce: int, *, test_dollar: bool = False
) -> dict[str, Address]:
    """Return where the contracts of a deployment will stand."""
    names = (*NAMES, TEST_DOLLAR) if test_dollar else NAMES
    return {name: contract_address(sender, first_nonce + place) for place, name in enumerate(names)}


def deploy(
    transport: Transport,
    account: Account,
    chain_id: int,
    *,
    first_nonce: int | None = None,
    test_dollar: bool = False,
    timeout: float = 180.0,
    fee_limit: int = FEE_LIMIT,
) -> Deployment:
    """Deploy what is not there yet and return the whole set.

    Parameters
    ----------
    first_nonce
        Of a deployment to resume; by default a new one begins at the account's nonce.
    test_dollar
        Also deploy :data:`TEST_DOLLAR`, which anyone can mint.

    Raises
    ------
    WrongNetwork
        Something else stands where a contract of this deployment should, or the account's
        nonces went elsewhere; nothing is sent if that can be seen before.
    Unavailable
        The ledger does not answer or does not mine in time; deploy again with `first_nonce`.
    NotAllowed
        The account cannot pay.
    """
    count, newest = _state(transport, account.address)
    first = count if first_nonce is None else first_nonce
    if not first <= count:
        raise WrongNetwork(f"the account {account.address} has not come to the nonce {first} yet")
    places = addresses(account.address, first, test_dollar=test_dollar)
    names = list(places)
    done = min(count - first, len(names))
    latest = answers.quantity(
        transport.request("eth_getTransactionCount", [account.address, "latest"]), "the nonce"
    )
    # what an earlier deployment left pending is compared once it is mined
    _check(transport, places, names[: min(latest - first, done)])
    codes = [_creation_code(name, places) for name in names[done:]]
    if codes:
        gas = [_gas(transport, account.address, code) for code in codes]
        sender = Sender(transport, account, chain_id, fee_limit=fee_limit)
        drafts = [Draft(None, code, 0, limit) for code, limit in zip(codes, gas, strict=True)]
        Waiter(transport, sender, timeout=timeout).wait(sender.send(drafts))
    _await_nonce(transport, account.address, first + len(names), timeout)
    found = _check(transport, places, names)
    contracts = {
        name: {"address": str(places[name]), "code_hash": code_hash}
        for name, code_hash in zip(names, found, strict=True)
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


def _check(transport: Transport, places: Mapping[str, Address], names: Sequence[str]) -> list[str]:
    """Return the hashes of the contracts' codes, having compared them with the package's."""
    found = code_hashes(transport, [places[name] for name in names])
    for name, code_hash in zip(names, found, strict=True):
        if code_hash != "0x" + keccak256(_runtime_code(name, places)).hex():
            raise WrongNetwork(
                f"what stands at {places[name]} is not the contract {name}",
                hint="another program or an older version used the account; deploy a new set, "
                "or put the ledger's own network file back",
            )
    return found


def code_hashes(transport: Transport, places: Sequence[Address]) -> list[str]:
    """Return keccak256 of the code at each address, as a network file writes it."""
    if not places:
        return []
    found = all_results(
        transport.request_many([("eth_getCode", [place, "latest"]) for place in places])
    )
    return ["0x" + keccak256(answers.data(code, "a contract's code")).hex() for code in found]


def _creation_code(name: str, places: Mapping[str, Address]) -> bytes:
    if name == "Assets":
        return assets.deploy_data(places["Licences"], places["Splits"])
    if name == "Splits":
        return splits.deploy_data(places["Assets"], places["Licences"])
    if name == "Licences":
        return licences.deploy_data(places["Assets"], places["Splits"])
    if name == TEST_DOLLAR:
        return tokens.deploy_data()
    return parties.deploy_data() if name == "Parties" else anchors.deploy_data()


def _runtime_code(name: str, places: Mapping[str, Address]) -> bytes:
    if name == "Assets":
        return assets.runtime_code(places["Licences"], places["Splits"])
    if name == "Splits":
        return splits.runtime_code(places["Splits"], places["Assets"], places["Licences"])
    if name == "Licences":
        return licences.runtime_code(places["Assets"], places["Splits"])
    if name == TEST_DOLLAR:
        return tokens.runtime_code()
    return parties.runtime_code() if name == "Parties" else anchors.runtime_code()
