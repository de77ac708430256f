"""What a node counts, for Prometheus; each node has a registry of its own."""

from __future__ import annotations

import math
from collections.abc import Callable

from usufruct.errors import MissingExtra


class Metrics:
    """Counters and gauges of one node; safe to use from many threads.

    Parameters
    ----------
    lag
        Seconds since the ledger was last read to its end.
    connections
        How many are open.

    Raises
    ------
    MissingExtra
        The part ``node`` is not installed.
    """

    def __init__(self, lag: Callable[[], float] = lambda: 0.0) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            raise MissingExtra("node", "serving a node") from None
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "usufruct_requests",
            "Requests answered.",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "usufruct_request_seconds",
            "Time until an answer was sent.",
            ("route",),
            buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, math.inf),
            registry=self.registry,
        )
        self.bytes = Counter(
            "usufruct_served_bytes", "Bytes of sealed objects sent.", registry=self.registry
        )
        self.downloads = Gauge(
            "usufruct_active_downloads", "Objects being sent.", registry=self.registry
        )
        self.refused = Counter(
            "usufruct_licences_refused", "Requests refused.", ("reason",), registry=self.registry
        )
        self.granted = Counter("usufruct_grants", "Full grants given.", registry=self.registry)
        self.posted = Counter(
            "usufruct_posted",
            "Transactions sent to the ledger in the background.",
            ("what", "outcome"),
            registry=self.registry,
        )
        self.lag = Gauge(
            "usufruct_index_lag_seconds",
            "Seconds since the ledger was last read.",
            registry=self.registry,
        )
        self.lag.set_function(lag)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
