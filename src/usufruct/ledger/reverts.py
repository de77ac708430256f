"""From an endpoint's words about a failed call to the contract's own, typed refusal."""

from __future__ import annotations

import re
from typing import Any

from usufruct.errors import TransactionReverted
from usufruct.ledger.bindings.errors import decode_revert
from usufruct.ledger.transport import RpcError

_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})*)(?![0-9a-fA-F])")
_MAX_DATA = 64 * 1024


def as_revert(error: RpcError) -> TransactionReverted | None:
    """Return the revert that an RPC error reports, None if it reports something else.

    Endpoints put the revert data in ``error.data`` as text, within an object there, or nowhere.
    """
    found = _data(error.data, depth=3)
    text = str(error).lower()
    if found is None and "revert" not in text:
        return None
    return decode_revert(found or b"")


def _data(value: Any, depth: int) -> bytes | None:
    if isinstance(value, str) and len(value) <= _MAX_DATA:
        match = _HEX.search(value)
        return bytes.fromhex(match[1]) if match else None
    if isinstance(value, dict) and depth:
        for key in ("data", "originalError", "result"):
            found = _data(value.get(key), depth - 1)
            if found is not None:
                return found
    return None
