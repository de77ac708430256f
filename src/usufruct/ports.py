"""What lower floors need from higher ones, as protocols handed in by the workspace."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Signer(Protocol):
    """Holds a private Ed25519 key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature (RFC 8032) of `message`, 64 bytes."""
        ...


class Task(Protocol):
    """One piece of long work whose progress is shown."""

    def advance(self, amount: int) -> None:
        """Say that `amount` more units are done."""
        ...


class Progress(Protocol):
    """Shows the progress of long work; the default shows nothing."""

    def task(
        self, label: str, total: int | None = None, unit: str = "B"
    ) -> AbstractContextManager[Task]:
        """Open a bar for `label` over `total` units (``B`` for bytes, else a word)."""
        ...


class _SilentTask:
    def advance(self, amount: int) -> None:
        pass


class Silent:
    """Progress that is not shown."""

    def task(
        self, label: str, total: int | None = None, unit: str = "B"
    ) -> AbstractContextManager[Task]:
        """Return a task that shows nothing."""
        return nullcontext(_SilentTask())


SILENT = Silent()
