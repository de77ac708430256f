"""Token buckets: so many requests a second of one caller, and so many at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 20_000
"""Callers that are remembered; the ones seen longest ago are forgotten first."""


class Rates:
    """One bucket a caller; safe to use from many threads.

    Parameters
    ----------
    rate
        Tokens a second that come back.
    burst
        Tokens a bucket holds.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take a token: 0.0, or how many seconds the caller has to wait for one."""
        now = self._clock()
        with self._lock:
            left, seen = self._buckets.pop(caller, (self._burst, now))
            left = min(self._burst, left + (now - seen) * self._rate)
            short = max(0.0, 1.0 - left)
            self._buckets[caller] = (left if short else left - 1.0, now)
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
        return short / self._rate
