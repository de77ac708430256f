"""One byte range of a representation, as RFC 9110 (sections 13.1.5 and 14) has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BYTES = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,19})[ \t]*-[ \t]*(\d{0,19})[ \t]*\Z", re.ASCII | re.I)
_UNIT = re.compile(r"bytes[ \t]*=", re.I)


class Unsatisfiable(Exception):
    """The range asked for is none of this representation's: 416."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes from `start` to `stop` (exclusive)."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def wanted(range_: str | None, if_range: str | None, *, size: int, etag: str) -> Slice | None:
    """Return the range to send, None for the whole.

    Parameters
    ----------
    range_, if_range
        The two headers, None where absent.
    size
        Bytes of the representation.
    etag
        Its strong entity tag, with quotes.

    Raises
    ------
    Unsatisfiable
        It begins behind the end, is malformed, or more than one is asked for: one answer holds
        one range here.
    """
    if range_ is None or not _UNIT.match(range_.strip()):
        return None
    if if_range is not None and if_range.strip() != etag:
        # what the caller holds is of something else: it gets the whole
        return None
    found = _BYTES.match(range_.strip())
    if found is None:
        raise Unsatisfiable
    first, last = found[1], found[2]
    if not first:
        if not last or int(last) == 0 or size == 0:
            raise Unsatisfiable
        return Slice(max(size - int(last), 0), size)
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if start >= size or (last and int(last) < start):
        raise Unsatisfiable
    return Slice(start, stop)
