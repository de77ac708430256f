"""Where the time comes from, so that tests and nodes can hand in their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time in whole seconds since 1970 (UTC)."""

    def __call__(self) -> int:
        """Return the time now, in seconds."""
        ...


def system_clock() -> int:
    """Return the machine's time, in seconds since 1970 (UTC)."""
    return int(time.time())


def iso(seconds: int) -> str:
    """Return a time as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
