"""Opening the parts of a node on a home, and closing them in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from usufruct.clock import Clock, iso
from usufruct.crypto.dsse import Envelope
from usufruct.crypto.identity import Identity
from usufruct.errors import Unavailable
from usufruct.evidence.statements import sign_statement
from usufruct.ledger.account import Account
from usufruct.market.statements import Grant
from usufruct.node.auth import Gate
from usufruct.node.captions import Captions
from usufruct.node.catalogue import Catalogue
from usufruct.node.chain import Chain
from usufruct.node.delivery import Desk
from usufruct.node.denylist import DenyList
from usufruct.node.librarian import Librarian
from usufruct.node.limits import Limits
from usufruct.node.memory import Memory
from usufruct.node.metrics import Metrics
from usufruct.node.settling import Settler
from usufruct.node.slots import Slots
from usufruct.node.state import About, NodeState
from usufruct.types import AssetId, Digest
from usufruct.workspace.connection import Connection
from usufruct.workspace.delivering import Deliveries
from usufruct.workspace.home import Home
from usufruct.workspace.receipts import terms_text

_WORKERS = 32
_READERS = 16


@contextmanager
def open_state(
    home: Home,
    identity: Identity,
    connection: Connection,
    lines: Any,
    limits: Limits,
    url: list[str],
    *,
    hosts: Callable[[str], bool] | None,
    release: bool,
    clock: Clock,
) -> Iterator[NodeState]:
    """Open everything a node needs of a home, for the time of the block.

    Parameters
    ----------
    url
        Its one entry is where others reach the node, once that is known.
    hosts
        See :class:`NodeState`.
    release
        Also have prices paid out whose refund window ended unchallenged.

    Raises
    ------
    Unavailable
        The ledger does not answer, or has no contracts for a market.
    Damaged
        A file of the node is not what was written.
    """

    network, path = connection.network, home.path
    if "Licences" not in network.contracts:
        raise Unavailable(
            f"the ledger '{network.name}' has no contracts for a market",
            hint="ask its operator for a network with Licences",
        )
    contract = network.address("Licences")
    with ExitStack() as stack:
        memory = Memory(path / "node.sqlite")
        stack.callback(memory.close)
        deliveries = Deliveries(path, identity)
        stack.callback(deliveries.close)
        catalogue = Catalogue(path / "catalogue.sqlite")
        stack.callback(catalogue.close)
        wake: list[Callable[[], None]] = []

        def changed() -> None:
            for call in wake:
                call()

        chain = Chain(path / "node-index.sqlite", connection.ledger, changed=changed)
        stack.callback(chain.stop)
        chain.start()
        metrics = Metrics(lambda: chain.lag)
        captions = Captions(path, identity)
        librarian = Librarian(catalogue, chain.index, captions, deliveries, identity.address)
        wake.append(librarian.wake)
        stack.callback(librarian.stop)
        librarian.start()
        settler = Settler(
            chain.index,
            connection.ledger,
            memory,
            Account(identity.account_secret),
            contract=contract,
            owner=identity.address,
            release=release,
            clock=clock,
            fresh=lambda: chain.newer_than(time.monotonic()),
            posted=lambda what, outcome: metrics.posted.labels(what, outcome).inc(),
        )
        workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="usufruct-work")
        readers = ThreadPoolExecutor(_READERS, thread_name_prefix="usufruct-read")
        for pool in (workers, readers):
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)

        def refused(reason: str) -> None:
            metrics.refused.labels(reason).inc()

        def terms(digest: bytes) -> bytes | None:
            found = terms_text(path, digest)
            return None if found is None else found.to_bytes()

        shown = About(
            party=identity.public.to_dict(),
            chain_id=network.chain_id,
            network=network.name,
            contracts={name: str(network.address(name)) for name in network.contracts},
            url="",
        )
        settler.start()
        stack.callback(settler.stop)
        yield NodeState(
            about=lambda: About(
                shown.party, shown.chain_id, shown.network, shown.contracts, url[0]
            ),
            index=chain.index,
            chain=chain,
            catalogue=catalogue,
            deliveries=deliveries,
            terms=terms,
            gate=Gate(
                network.chain_id,
                identity.address,
                memory,
                DenyList(path / "deny.txt"),
                workers=workers,
                limits=limits,
                clock=clock,
                refused=refused,
            ),
            desk=Desk(
                chain.index,
                chain,
                deliveries,
                memory,
                chain_id=network.chain_id,
                licences=contract,
                state=_stater(identity, deliveries, clock),
                clock=clock,
                refused=refused,
            ),
            slots=Slots(limits.downloads, limits.downloads_per_account, metrics.downloads),
            metrics=metrics,
            log=lines,
            workers=workers,
            readers=readers,
            limits=limits,
            hosts=hosts,
        )


def _stater(
    identity: Identity, deliveries: Any, clock: Clock
) -> Callable[[Any, Any, AssetId, int, Digest], Envelope]:
    """Return what signs the node's word that it gave keys."""

    def state(record: Any, offer: Any, asset: AssetId, number: int, root: Digest) -> Envelope:
        grant = Grant(
            licence=record.licence,
            offer=record.offer_id,
            terms=Digest(offer.terms.hex()) if any(offer.terms) else None,
            holder=record.holder,
            asset=asset,
            version=number,
            content_root=root,
            sealed=deliveries.sealed(asset, number).digest,
            created=iso(clock()),
            expires=iso(record.expiry) if record.expiry else None,
        )
        return sign_statement(grant.payload(), [identity])

    return state
