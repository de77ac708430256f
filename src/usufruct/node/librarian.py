"""Keeps the catalogue as the ledger and the home are, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from usufruct.errors import UsufructError
from usufruct.node.captions import Caption
from usufruct.node.catalogue import Catalogue, Entry
from usufruct.node.needs import Deliverer, IndexReader
from usufruct.types import Address, AssetId, Use

if TYPE_CHECKING:
    from usufruct.ledger.records import AssetRecord

EVERY = 2.0
"""Seconds between two looks at the home's files."""

_log = logging.getLogger(__name__)


class Captioner(Protocol):
    """Tells what assets are called: ``Captions``."""

    def changed(self) -> bool: ...  # noqa: D102
    def read(self) -> None: ...  # noqa: D102
    def of(self, index: IndexReader, asset: AssetRecord) -> Caption | None: ...  # noqa: D102


class Librarian:
    """Fills the catalogue again after something changed.

    Parameters
    ----------
    owner
        The node's party, whose assets may be delivered here.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        index: IndexReader,
        captions: Captioner,
        deliveries: Deliverer,
        owner: Address,
    ) -> None:
        self._catalogue = catalogue
        self._index = index
        self._captions = captions
        self._deliveries = deliveries
        self._owner = owner
        self._served: set[tuple[AssetId, int]] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Say that something happened on the ledger."""
        self._wake.set()

    def start(self) -> None:
        """Fill the catalogue, then keep it so in a thread."""
        self._refresh()
        self._thread = threading.Thread(target=self._run, name="usufruct-librarian", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; may be called twice."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def refresh(self) -> int:
        """Fill the catalogue; returns how many entries changed."""
        if self._captions.changed():
            self._captions.read()
        return self._catalogue.fill(self._entries())

    def _run(self) -> None:
        while not self._stop.is_set():
            woken = self._wake.wait(EVERY)
            if self._stop.is_set():
                return
            if woken or self._captions.changed():
                self._wake.clear()
                self._refresh()

    def _refresh(self) -> None:
        try:
            self.refresh()
        except UsufructError as error:
            _log.warning("the catalogue is not up to date: %s", type(error).__name__)
            if not self._stop.wait(EVERY):
                self._wake.set()
        except Exception as error:  # noqa: BLE001 the thread outlives every fault
            _log.error("filling the catalogue failed: %s", type(error).__name__)

    def _entries(self) -> Iterator[Entry]:
        names = {one.address: one.name for one in self._index.parties()}
        uses: dict[AssetId, set[Use]] = {}
        for made in self._index.offers(open_only=True):
            uses.setdefault(made.offer.asset, set()).add(made.offer.use)
        for seq, asset in enumerate(self._index.assets(), 1):
            caption = self._captions.of(self._index, asset)
            yield Entry(
                seq,
                asset.asset,
                asset.kind,
                asset.state,
                asset.owner,
                tuple(sorted(uses.get(asset.asset, ()))),
                caption.title if caption else "",
                caption.description if caption else "",
                names.get(asset.owner, ""),
                asset.owner == self._owner and self._delivers(asset.asset, asset.versions),
            )

    def _delivers(self, asset: AssetId, number: int) -> bool:
        if not number:
            return False
        if (asset, number) not in self._served:
            try:
                self._deliveries.sealed(asset, number)
            except UsufructError:
                return False
            self._served.add((asset, number))
        return True
