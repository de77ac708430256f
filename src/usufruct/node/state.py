"""What a running node consists of, handed to its routers; a test builds one of its own parts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from usufruct.node.auth import Gate
from usufruct.node.catalogue import Catalogue
from usufruct.node.delivery import Desk
from usufruct.node.limits import Limits
from usufruct.node.logs import RequestLog
from usufruct.node.metrics import Metrics
from usufruct.node.needs import Deliverer, IndexReader, Ledgerlike
from usufruct.node.slots import Slots


@dataclass(frozen=True, slots=True)
class About:
    """What a node says of itself.

    Parameters
    ----------
    party
        The operator's public identity as plain data.
    contracts
        Address of each contract, by name.
    url
        Where others reach the node; empty until that is known.
    """

    party: dict[str, Any]
    chain_id: int
    network: str
    contracts: dict[str, str]
    url: str


@dataclass(frozen=True, slots=True)
class NodeState:
    """The parts of a node.

    Parameters
    ----------
    about
        Called for each answer, for the URL is known only once the node listens.
    terms
        Gives a text of terms by its SHA-256, None if this node has none such.
    workers, readers
        Threads for what waits on disk or ledger, and for reading what is sent.
    hosts
        Host names this node answers to; None for any. On loopback it keeps pages of the web
        from asking through a name that leads here.
    """

    about: Callable[[], About]
    index: IndexReader
    chain: Ledgerlike
    catalogue: Catalogue
    deliveries: Deliverer
    terms: Callable[[bytes], bytes | None]
    gate: Gate
    desk: Desk
    slots: Slots
    metrics: Metrics
    log: RequestLog
    workers: Executor
    readers: Executor
    limits: Limits = field(default_factory=Limits)
    hosts: Callable[[str], bool] | None = None
