"""What a verification found, step by step, with how far each step can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from usufruct.errors import Mismatch, VerificationError
from usufruct.types import Address, AssetId, Digest


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparing the bytes at hand with a content root gave.

    Parameters
    ----------
    mismatches
        Every place that differs.
    whole
        False if only a sample was read: then nothing is proved by its agreeing.
    detail
        How much of it was looked at, for a person.
    """

    mismatches: tuple[Mismatch, ...]
    whole: bool = True
    detail: str = "the files at hand have its content root"


ContentCheck = Compared | Sequence[Mismatch] | Callable[[], Compared | Sequence[Mismatch]]
"""What comparing gave (mismatches alone: all was read), or a call that compares."""


class Grade(StrEnum):
    """How far a step can be relied on."""

    PROVED = "proved"
    """Recomputed here; nobody needs to be believed."""

    ATTESTED = "attested"
    """Signed by those named; believe them or do not."""

    LOGGED = "logged"
    """In the log under a signed checkpoint; its owner could still show others another log."""

    ANCHORED = "anchored"
    """The head is in a block whose header was not checked."""

    CONFIRMED = "confirmed"
    """A ledger, or a pinned block hash, agrees."""

    FAILED = "failed"
    """It does not hold; see `Report.failed`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing checked.

    Parameters
    ----------
    subject
        What it is about, such as ``dataset 'Cleveland' version 1``.
    claim
        What is said of it.
    grade
        How far it can be relied on.
    by
        Whose word it is: ``name (address)``, the log's owner first.
    detail
        More for a person.
    statement
        Digest of the statement it is about, if any.
    """

    subject: str
    claim: str
    grade: Grade
    by: tuple[str, ...] = ()
    detail: str = ""
    statement: Digest | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the step as plain data."""
        return {
            "subject": self.subject,
            "claim": self.claim,
            "grade": str(self.grade),
            "by": list(self.by),
            "detail": self.detail,
            "statement": self.statement,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of verifying a bundle.

    Parameters
    ----------
    claim
        ``version``, ``file``, ``row`` or ``prediction``.
    statement
        Digest of the statement claimed.
    asset, version, content_root
        What the claim is about (of a prediction: the model).
    owner
        Who published it.
    steps
        In walking order.
    failed
        Where the bytes at hand or the ledger contradict the bundle; empty when all holds.
    """

    claim: str
    statement: Digest
    asset: AssetId
    version: int
    content_root: Digest
    owner: Address
    steps: tuple[Step, ...]
    failed: tuple[Mismatch, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing failed. Which steps are proved and which attested, `steps` say."""
        return not self.failed

    def require(self) -> None:
        """Raise VerificationError with all mismatches unless nothing failed."""
        if self.failed:
            count = len(self.failed)
            what = "one difference" if count == 1 else f"{count} differences"
            raise VerificationError(
                f"{what} between the evidence and what is here",
                mismatches=self.failed,
                hint="restore what changed, or publish it as a new version (publish --update)",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for ``--json``."""
        return {
            "ok": self.ok,
            "claim": self.claim,
            "statement": self.statement,
            "asset": self.asset,
            "version": self.version,
            "content_root": self.content_root,
            "owner": self.owner,
            "steps": [step.as_dict() for step in self.steps],
            "failed": [mismatch.as_dict() for mismatch in self.failed],
        }


def plain(text: str, limit: int = 80) -> str:
    """Return hostile text safe for a terminal: printable characters only, cut at `limit`."""
    safe = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
