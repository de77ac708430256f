"""How a home reaches its ledger: by the URLs of its network file, or an engine of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.crypto.identity import Identity
from usufruct.errors import (
    Damaged,
    HomeBusy,
    LedgerUnreachable,
    NotAllowed,
    UsageError,
    UsufructError,
    VerificationError,
    WrongNetwork,
)
from usufruct.evidence.anchoring import TrustedLedger
from usufruct.store import read_bytes
from usufruct.types import Address
from usufruct.workspace.home import EMBEDDED, Home

if TYPE_CHECKING:
    from usufruct.ledger.client import Ledger
    from usufruct.ledger.network import Network
    from usufruct.ledger.treasury import Treasury

LEAST_WEI = 10**16
"""An account with less is given gas money where the ledger does that (0.01 ether)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open ledger.

    Parameters
    ----------
    ledger
        Its client.
    fund
        Asks for gas money for an address; None where nobody gives any.
    """

    ledger: Ledger
    fund: Callable[[Address], None] | None

    @property
    def network(self) -> Network:
        """What the ledger must be."""
        return self.ledger.network

    @property
    def trusted(self) -> TrustedLedger:
        """What evidence needs to know of it."""
        return TrustedLedger(self.network.chain_id, self.network.address("Anchors"))

    def afford(self, address: Address) -> None:
        """Make sure that an account can pay for its transactions.

        Raises
        ------
        NotAllowed
            It has nothing and nobody gives it any.
        """
        if self.ledger.balance(address) >= LEAST_WEI:
            return
        if self.fund is not None:
            with contextlib.suppress(UsufructError):
                self.fund(address)
        if self.ledger.balance(address) == 0:
            raise NotAllowed(
                f"the account {address} has no ether on '{self.network.name}' to pay for gas",
                hint=f"have somebody send it some: usufruct wallet send {address} 0.1",
            )


def load_network(path: Path, operator: str | None = None) -> tuple[Network, bytes]:
    """Return the network that a file describes, and the file's bytes.

    Raises
    ------
    NotFound, BadInput, VerificationError
        There is no such file, it is no network file, or its signature does not hold.
    """
    from usufruct.ledger.network import MAX_BYTES, read_network

    data = read_bytes(path, limit=MAX_BYTES)
    return read_network(data, operator=operator), data


def reach(network: Network) -> Connection:
    """Connect to a network by the first of its URLs that answers as it must.

    Raises
    ------
    LedgerUnreachable
        None answers.
    WrongNetwork
        What answers is another ledger.
    """
    from usufruct.ledger.client import Ledger
    from usufruct.ledger.transport import HttpTransport

    failed: UsufructError = LedgerUnreachable(
        f"the network '{network.name}' has no URL",
        hint="it is one home's own ledger; its owner can share it: usufruct ledger serve",
    )
    for url in network.rpc:
        ledger = Ledger(HttpTransport(url), network)
        try:
            ledger.check()
        except (LedgerUnreachable, WrongNetwork) as error:
            ledger.close()
            failed = error
            continue
        return Connection(ledger, partial(_ask_for_gas, ledger))
    raise failed


@contextmanager
def connect(home: Home, identity: Callable[[], Identity]) -> Iterator[Connection]:
    """Open the ledger of a home.

    Parameters
    ----------
    identity
        Gives the keys; asked only where the engine is the home's own.
    """
    with ExitStack() as stack:
        yield _open(home, identity, stack)


def _open(home: Home, identity: Callable[[], Identity], stack: ExitStack) -> Connection:
    path = home.path / "network.json"
    if home.ledger == EMBEDDED:
        from usufruct.ledger.serve import LedgerServer

        server = LedgerServer(home.path, operator=identity(), listen=False)
        try:
            stack.enter_context(server)
            return Connection(server.ledger, partial(_pay, server.treasury))
        except HomeBusy:
            # `usufruct ledger serve` has the engine: it is reached like any other ledger
            if not _own_network(path).rpc:
                raise
    connection = reach(_own_network(path))
    stack.callback(connection.ledger.close)
    return connection


def _own_network(path: Path) -> Network:
    """Return the network of this home's own copy of the file, which nobody else wrote."""
    try:
        return load_network(path)[0]
    except (UsageError, VerificationError) as error:
        raise Damaged(
            f"{path} is damaged: {error.message}",
            hint="put the network file back as its operator gave it",
        ) from error


def _pay(treasury: Treasury, address: Address) -> None:
    treasury.fund(address)


def _ask_for_gas(ledger: Ledger, address: Address) -> None:
    ledger.transport.request("usufruct_fund", [address])
