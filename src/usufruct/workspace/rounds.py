"""What the statements of a federation say, built alike by the coordinator and by each member.

A member does not check a statement field by field: it builds the one it would make from what it
knows itself, and signs only if the coordinator's is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usufruct.crypto import canonical
from usufruct.errors import VerificationError
from usufruct.evidence.predicates import Reference
from usufruct.evidence.work import Member as Part
from usufruct.evidence.work import Round
from usufruct.types import Address, Digest

if TYPE_CHECKING:
    from usufruct.learn.records import Round as Record
    from usufruct.learn.records import Start

STATISTICS, AVERAGE = "statistics", "average"
_STATE = b"usufruct/state/v1\0"


@dataclass(frozen=True, slots=True)
class Place:
    """A member as all others know it: name, account, signing key (32 B), dataset version."""

    name: str
    address: Address
    signing_key: bytes
    dataset: Reference


def state(start: str, model: str) -> Digest:
    """Return the digest of a federation's shared state: what all agreed on, and the model."""
    digest = hashlib.sha256(_STATE + bytes.fromhex(start) + bytes.fromhex(model))
    return Digest(digest.hexdigest())


def plan_digest(plan: Mapping[str, object]) -> Digest:
    """Return SHA-256 over a plan's canonical JSON: the state before the statistics."""
    return Digest(hashlib.sha256(canonical.dumps(dict(plan))).hexdigest())


def start_statement(draft: Digest, places: Sequence[Place], start: Start, created: str) -> Round:
    """Return the first statement of a federation: its statistics, and all that was agreed.

    Raises
    ------
    VerificationError
        The start has other members than `places`.
    """
    _check_names(places, [member.party for member in start.members])
    parts = tuple(
        Part(place.address, place.dataset, Digest(member.statistics), member.rows)
        for place, member in zip(places, start.members, strict=True)
    )
    record = canonical.dumps(start.to_dict()).decode()
    return Round(
        draft,
        1,
        None,
        STATISTICS,
        plan_digest(start.plan.to_dict()),
        state(start.digest, start.initial),
        parts,
        created,
        {"start": start.digest, "record": record},
    )


def round_statement(
    draft: Digest, places: Sequence[Place], previous: Digest, record: Record, created: str
) -> Round:
    """Return the statement of one round of averaging.

    Raises
    ------
    VerificationError
        The round has other members than `places`.
    """
    _check_names(places, [update.party for update in record.updates])
    parts = tuple(
        Part(place.address, place.dataset, update.digest, update.weight)
        for place, update in zip(places, record.updates, strict=True)
    )
    return Round(
        draft,
        record.number + 1,
        previous,
        AVERAGE,
        state(record.start, record.model_in),
        state(record.start, record.model_out),
        parts,
        created,
        {
            "start": record.start,
            "model_in": record.model_in,
            "model_out": record.model_out,
            "update_root": record.update_root,
            "rule": record.rule,
            "seed": str(record.seed),
            "metrics": json.dumps(dict(record.metrics), sort_keys=True),
        },
    )


def _check_names(places: Sequence[Place], names: list[str]) -> None:
    if [place.name for place in places] != names:
        raise VerificationError("the federation has other members than were agreed")
