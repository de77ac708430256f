"""What our statements say about work: rounds of a federation and predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from usufruct.crypto import canonical
from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.evidence.predicates import (
    MAX_INPUTS,
    Reference,
    metadata_of,
    optional_digest,
    time_of,
)
from usufruct.evidence.statements import (
    SHA256,
    Statement,
    Subject,
    make_statement,
    predicate_type,
)
from usufruct.types import Address, Digest

_VALUE_TAG = b"usufruct/value/v1\0"


@dataclass(frozen=True, slots=True)
class Member:
    """One party's part in a round: its dataset version, its update's digest, rows it used."""

    party: Address
    dataset: Reference
    update: Digest
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return the part as plain data."""
        return {
            "party": self.party,
            "dataset": self.dataset.to_dict(),
            "update": self.update,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, value: Any) -> Member:
        """Read a part strictly (BadInput)."""
        data = fields.record(value, {"party", "dataset", "update", "rows"}, "a member's part")
        return cls(
            fields.address(data["party"], "member"),
            Reference.from_dict(data["dataset"]),
            Digest(fields.digest(data["update"], "update's digest")),
            fields.whole(data["rows"], "the number of rows"),
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One step of a federation, by its coordinator; members may sign too.

    Parameters
    ----------
    draft
        Digest of the draft's statement.
    number, previous
        From 1; the statement of the round before, None for the first.
    before, after
        Digests of the shared state the round began and ended with; `before` is the `after` of
        the round before.
    step
        What was done, such as ``statistics`` or ``average``.
    """

    draft: Digest
    number: int
    previous: Digest | None
    step: str
    before: Digest
    after: Digest
    members: tuple[Member, ...]
    created: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        predicate = {
            "draft": self.draft,
            "number": self.number,
            "previous": self.previous,
            "step": self.step,
            "before": self.before,
            "after": self.after,
            "members": [member.to_dict() for member in self.members],
            "created": self.created,
            "metadata": dict(self.metadata),
        }
        subject = Subject(f"round {self.number}", SHA256, self.after)
        return make_statement(predicate_type("round"), (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Round:
        """Read the predicate strictly (BadInput)."""
        names = {"draft", "number", "previous", "step", "before", "after", "members", "created"}
        data = fields.record(statement.predicate, names | {"metadata"}, "a round")
        members = fields.items(data["members"], "a round's members", MAX_INPUTS)
        return cls(
            Digest(fields.digest(data["draft"], "draft's digest")),
            fields.whole(data["number"], "a round's number", 1),
            optional_digest(data["previous"], "previous round's digest"),
            fields.text(data["step"], "a step", 255),
            Digest(fields.digest(data["before"], "state before")),
            Digest(fields.digest(data["after"], "state after")),
            tuple(Member.from_dict(member) for member in members),
            time_of(data["created"]),
            metadata_of(data["metadata"]),
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model version answered one input.

    Parameters
    ----------
    model
        The version that answered.
    input, output
        From :func:`commit_value`: shown only to whom the salt is given.
    """

    model: Reference
    input: Digest
    output: Digest
    created: str

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        predicate = {
            "model": self.model.to_dict(),
            "input": self.input,
            "output": self.output,
            "created": self.created,
        }
        subject = Subject("prediction", SHA256, self.output)
        return make_statement(predicate_type("prediction"), (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Prediction:
        """Read the predicate strictly (BadInput)."""
        names = {"model", "input", "output", "created"}
        data = fields.record(statement.predicate, names, "a prediction")
        return cls(
            Reference.from_dict(data["model"]),
            Digest(fields.digest(data["input"], "input's digest")),
            Digest(fields.digest(data["output"], "output's digest")),
            time_of(data["created"]),
        )


def commit_value(value: Mapping[str, str], salt: bytes) -> Digest:
    """Return a commitment to named texts: SHA-256(tag ‖ salt ‖ canonical JSON).

    Parameters
    ----------
    value
        Numbers are written as text.
    salt
        32 secret random bytes, so that few-valued inputs cannot be guessed.

    Raises
    ------
    BadInput
        A salt that is not 32 bytes, or a value that is not text by text.
    """
    if len(salt) != 32:
        raise BadInput("a value's salt has 32 bytes")
    return Digest(
        hashlib.sha256(_VALUE_TAG + salt + canonical.dumps(metadata_of(dict(value)))).hexdigest()
    )
