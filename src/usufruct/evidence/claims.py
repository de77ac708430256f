"""What a bundle claims: a version's publication, one of its files or rows, or a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.evidence.predicates import metadata_of
from usufruct.evidence.proofs import FileProof, RowProof
from usufruct.evidence.work import commit_value
from usufruct.types import Digest


@dataclass(frozen=True, slots=True)
class VersionClaim:
    """A version was published; with `lineage`, and was made from what the bundle shows.

    `statement` is the digest of the version's statement, here and in the other claims.
    """

    statement: Digest
    lineage: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"type": "version", "statement": self.statement, "lineage": self.lineage}


@dataclass(frozen=True, slots=True)
class FileClaim:
    """A file is part of a version."""

    statement: Digest
    proof: FileProof

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"type": "file", "statement": self.statement, "proof": self.proof.to_dict()}


@dataclass(frozen=True, slots=True)
class RowClaim:
    """A row of a table is part of a version."""

    statement: Digest
    proof: RowProof

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"type": "row", "statement": self.statement, "proof": self.proof.to_dict()}


@dataclass(frozen=True, slots=True)
class Opening:
    """What stands behind a commitment made with :func:`~usufruct.evidence.work.commit_value`."""

    value: Mapping[str, str]
    salt: bytes

    @property
    def digest(self) -> Digest:
        """The commitment that this opens."""
        return commit_value(self.value, self.salt)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"value": dict(self.value), "salt": self.salt.hex()}

    @classmethod
    def from_dict(cls, value: Any) -> Opening:
        """Read untrusted plain data strictly (BadInput)."""
        data = fields.record(value, {"value", "salt"}, "an opened value")
        return cls(metadata_of(data["value"]), fields.unhex(data["salt"], "value's salt"))


@dataclass(frozen=True, slots=True)
class PredictionClaim:
    """A model version gave a prediction, with all its lineage; values may stay closed."""

    statement: Digest
    input: Opening | None = None
    output: Opening | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "type": "prediction",
            "statement": self.statement,
            "input": None if self.input is None else self.input.to_dict(),
            "output": None if self.output is None else self.output.to_dict(),
        }


Claim = VersionClaim | FileClaim | RowClaim | PredictionClaim


def read_claim(value: Any) -> Claim:
    """Read untrusted plain data strictly (BadInput)."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "version":
        data = fields.record(value, {"type", "statement", "lineage"}, "a version's claim")
        if not isinstance(data["lineage"], bool):
            raise BadInput("a claim's lineage is true or false")
        return VersionClaim(_statement(data), data["lineage"])
    if kind == "file":
        data = fields.record(value, {"type", "statement", "proof"}, "a file's claim")
        return FileClaim(_statement(data), FileProof.from_dict(data["proof"]))
    if kind == "row":
        data = fields.record(value, {"type", "statement", "proof"}, "a row's claim")
        return RowClaim(_statement(data), RowProof.from_dict(data["proof"]))
    if kind == "prediction":
        names = {"type", "statement", "input", "output"}
        data = fields.record(value, names, "a prediction's claim")
        return PredictionClaim(_statement(data), _opening(data["input"]), _opening(data["output"]))
    raise BadInput("a bundle claims a version, a file, a row or a prediction")


def _statement(data: dict[str, Any]) -> Digest:
    return Digest(fields.digest(data["statement"], "claimed statement's digest"))


def _opening(value: Any) -> Opening | None:
    return None if value is None else Opening.from_dict(value)
