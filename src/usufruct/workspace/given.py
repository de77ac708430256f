"""Files that a person names: terms, allow lists, proposals; none of them is of any size."""

from __future__ import annotations

from pathlib import Path

from usufruct.errors import BadInput, Damaged, NotFound
from usufruct.store import read_bytes


def read_given(path: Path, what: str, *, limit: int) -> bytes:
    """Return the bytes of a file that somebody named.

    Parameters
    ----------
    what
        What it should be, for the error.
    limit
        Bytes it may have.

    Raises
    ------
    NotFound, BadInput
        There is none, it cannot be read, or it is too large to be what it should be.
    """
    try:
        return read_bytes(path, limit=limit)
    except NotFound:
        raise NotFound(
            f"there is no file {path}", hint=f"name the file that holds {what}"
        ) from None
    except Damaged:
        raise BadInput(
            f"{path} has more bytes than {what} can have ({limit})", hint="is it the right file?"
        ) from None
