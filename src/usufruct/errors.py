"""Every error a caller may meet, as one small tree.

Nothing foreign leaves the package: an ``httpx.ConnectError`` becomes
:class:`LedgerUnreachable`, a ``sqlite3.DatabaseError`` becomes :class:`Damaged`.
Each error says what happened and why in its message and what to do next in ``hint``.

::

    UsufructError                    exit  what it means
    ├── UsageError                   2     the request is wrong as it stands
    │   ├── BadInput                 2     a file, folder or value that cannot be used
    │   ├── NotFound                 2     no such asset, key, entry, home
    │   ├── AlreadyExists            2     would overwrite something
    │   ├── WrongPassphrase          2     the keystore does not open with it
    │   ├── NotAllowed               2     the caller has no right to do this
    │   └── TransactionReverted      2     a contract refused (decoded, typed)
    ├── VerificationError            1     evidence does not hold
    ├── Unavailable                  3     something needed is missing or unreachable
    │   ├── MissingExtra             3     an optional part is not installed
    │   ├── EngineMissing            3     no EVM engine on this machine
    │   ├── EngineDied               3     the engine stopped during a call
    │   ├── LedgerUnreachable        3     the RPC endpoint does not answer
    │   ├── WrongNetwork             3     the ledger is not the one the network file names
    │   └── HomeBusy                 3     another process uses this home
    └── Damaged                      3     a stored file is not what was written
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class UsufructError(Exception):
    """Base of all errors raised by this package.

    Parameters
    ----------
    message
        What happened and why, one sentence.
    hint
        What the reader can do next, one sentence or a command.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data, for ``--json`` and HTTP."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint}


class UsageError(UsufructError):
    """The request is wrong as it stands; repeating it will not help."""

    exit_code = 2


class BadInput(UsageError):
    """A file, folder, document or value cannot be used."""


class NotFound(UsageError):
    """What was asked for does not exist here."""


class AlreadyExists(UsageError):
    """Going on would overwrite something."""


class WrongPassphrase(UsageError):
    """The keystore does not open with this passphrase."""


class NotAllowed(UsageError):
    """The caller has no right to do this."""


class TransactionReverted(UsageError):
    """A contract refused the transaction; ``name`` and ``args_`` are its decoded error."""

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        arguments: dict[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.arguments = arguments or {}

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data, with the contract's own error."""
        return super().as_dict() | {"revert": self.name, "arguments": self.arguments}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where the evidence and the thing differ.

    Parameters
    ----------
    what
        ``changed``, ``missing``, ``added``, ``unreadable``, or the broken proof's name.
    party
        Who published the thing, if known.
    file, chunk, row, line
        Where: path within the asset, chunk number from 0, row and line from 1.
    detail
        One sentence for a person.
    """

    what: str
    file: str | None = None
    chunk: int | None = None
    row: int | None = None
    line: int | None = None
    party: str | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the mismatch as plain data."""
        return asdict(self)


class VerificationError(UsufructError):
    """Evidence does not hold; ``mismatches`` says where."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        mismatches: tuple[Mismatch, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.mismatches = mismatches

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data, with every mismatch."""
        return super().as_dict() | {"mismatches": [m.as_dict() for m in self.mismatches]}


class Unavailable(UsufructError):
    """Something needed is missing or cannot be reached."""

    exit_code = 3


class MissingExtra(Unavailable):
    """An optional part of the package is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the optional part '{extra}', which is not installed",
            hint=f"pip install 'usufruct[{extra}]'",
        )
        self.extra = extra


class EngineMissing(Unavailable):
    """There is no EVM engine on this machine."""


class EngineDied(Unavailable):
    """The EVM engine stopped while it was needed."""


class LedgerUnreachable(Unavailable):
    """The ledger's RPC endpoint does not answer."""


class WrongNetwork(Unavailable):
    """The ledger that answers is not the one the network file describes."""


class HomeBusy(Unavailable):
    """Another process uses this home."""


class Damaged(UsufructError):
    """A stored file is not what was written (disk fault, edit by hand, cut short)."""

    exit_code = 3
