"""What a node answers, read as a stranger's: bounded JSON, errors, its account of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import PublicIdentity, verify_binding
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
    WrongNetwork,
)

MAX_DEPTH: Final = 32
MAX_WAIT: Final = 60
"""Longest time that a node may make us wait before we ask again, in seconds."""

NODE_FORMAT: Final = "usufruct/node/v1"

_KINDS: Final[Mapping[str, type[UsufructError]]] = {
    kind.__name__: kind for kind in (AlreadyExists, BadInput, NotAllowed, NotFound, Unavailable)
}
_STATUSES: Final[Mapping[int, type[UsufructError]]] = {
    400: BadInput,
    401: NotAllowed,
    402: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: AlreadyExists,
    410: NotFound,
    413: BadInput,
    416: NotFound,
    422: BadInput,
}


class NodeBusy(Unavailable):
    """The node cannot answer now; `wait` is in how many seconds to ask again, 0 if not said."""

    def __init__(self, message: str, *, hint: str | None = None, wait: int = 0) -> None:
        super().__init__(message, hint=hint or (f"try again in {wait} seconds" if wait else None))
        self.wait = wait


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself; the party's keys are bound to its account, the rest is its word.

    Parameters
    ----------
    party
        Who operates it.
    chain_id
        The ledger it reads.
    document
        All that it said.
    """

    party: PublicIdentity
    chain_id: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as it came: the HPKE message, and the statement that it was given."""

    grant: bytes
    statement: dsse.Envelope


def read_json(data: bytes) -> Any:
    """Return a stranger's JSON (BadInput: it is none, too deep, or holds what JSON has not)."""
    canonical.check_brackets(data, MAX_DEPTH)
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise BadInput("it is not JSON") from None


def read_node(value: Any, *, chain_id: int | None, node: str | None) -> NodeInfo:
    """Return a node's account of itself, if it is the node and the ledger that are wanted.

    Raises
    ------
    BadInput
        Not of this format.
    VerificationError
        Another party's node, or its keys are not bound to its account.
    WrongNetwork
        It reads another ledger.
    """
    if not isinstance(value, dict) or value.get("format") != NODE_FORMAT:
        raise BadInput(f"it is not of format {NODE_FORMAT}")
    party = PublicIdentity.from_dict(value.get("party"))
    chain = value.get("chain_id")
    if type(chain) is not int or chain < 1:
        raise BadInput("it names no chain")
    verify_binding(party)
    if node is not None and party.address != node:
        raise VerificationError(
            f"the node is {party.address}'s, not {node}'s",
            hint="check its URL; the ledger names each party's node",
        )
    if chain_id is not None and chain != chain_id:
        raise WrongNetwork(
            f"the node reads the ledger with chain id {chain}, not {chain_id}",
            hint="join its ledger, or ask for a node of yours",
        )
    return NodeInfo(party, chain, value)


def read_grant(value: Any) -> Granted:
    """Return a grant and its statement, neither of them checked (BadInput)."""
    if not isinstance(value, dict):
        raise BadInput("it holds no grant")
    message: Any = value.get("grant")
    return Granted(canonical.unb64(message), dsse.Envelope.from_dict(value.get("statement")))


def error_of(where: str, status: int, data: bytes, again: str = "") -> UsufructError:
    """Return the error that a node answered, in our own classes.

    Parameters
    ----------
    where
        The node's URL.
    data
        The body; of any form.
    again
        The header ``Retry-After``.
    """
    try:
        value = read_json(data)
    except BadInput:
        value = None
    said: dict[str, Any] = value if isinstance(value, dict) else {}
    message = _line(said.get("message")) or f"HTTP status {status}"
    hint = _line(said.get("hint")) or None
    name = said.get("error")
    if status >= 500 or status == 429:
        wait = min(int(again), MAX_WAIT) if again.isdigit() and len(again) < 9 else 0
        return NodeBusy(f"the node at {where} says: {message}", hint=hint, wait=wait)
    if isinstance(name, str) and name in _KINDS:
        kind = _KINDS[name]
    else:
        # whatever else a stranger calls it, his word breaks no evidence of ours
        kind = _STATUSES.get(status, Unavailable)
    return kind(f"the node at {where} says: {message}", hint=hint)


def _line(value: Any) -> str:
    """Return text of a stranger that is safe to show in one line."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:500]).strip()


def _refuse(name: str) -> Any:
    raise ValueError(name)
