"""What each member can check alone: records, updates and models belong together, to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from usufruct.crypto import ed25519
from usufruct.errors import BadInput, VerificationError
from usufruct.learn._numpy import np, vector, vector_digest
from usufruct.learn.aggregate import aggregate
from usufruct.learn.parties import Update
from usufruct.learn.records import Round, Start, UpdateRef, update_leaf, update_root
from usufruct.learn.statistics import Statistics, combine
from usufruct.types import Digest

__all__ = ["verify_chain", "verify_round", "verify_start", "zero_digest"]


def zero_digest(columns: int) -> Digest:
    """Return the digest of the first model: a zero for each feature and the bias."""
    return vector_digest(np.zeros(columns + 1, dtype=np.float64))


def verify_start(start: Start, statistics: Mapping[str, Statistics] | None = None) -> None:
    """Check that a start agrees with itself and, if given, with the members' statistics.

    Raises
    ------
    VerificationError
        The first model is not zeros, or mean and sd are not those of the statistics.
    """
    if start.initial != zero_digest(len(start.columns)):
        raise VerificationError("the federation does not start from the model of zeros")
    if (start.scaling is not None) != (start.plan.normalise == "federated"):
        raise VerificationError("mean and sd do not fit the plan's way to normalise")
    if start.scaling is not None and len(start.scaling.mean) != len(start.columns):
        raise VerificationError("mean and sd are not over the columns")
    if statistics is None or start.scaling is None:
        return
    if sorted(statistics) != [m.party for m in start.members]:
        raise VerificationError("the statistics are not those of the members")
    for member in start.members:
        own = statistics[member.party]
        if (own.count, own.digest) != (member.rows, member.statistics):
            raise VerificationError(f"the statistics of {member.party} are not those it released")
    try:
        scaling = combine([statistics[m.party] for m in start.members])
    except BadInput as error:
        raise VerificationError(f"the statistics cannot be combined: {error}") from None
    if scaling.digest != start.scaling.digest:
        raise VerificationError("mean and sd are not those of the members' statistics")


def verify_round(
    record: Round, updates: Sequence[Update], *, keys: Mapping[str, bytes] | None = None
) -> None:
    """Recompute a round from the updates that members released, bit for bit.

    Parameters
    ----------
    record
        The round as announced.
    updates
        One of each party, in any order.
    keys
        Party name to Ed25519 public key (32 B): then each update must be signed by its party.

    Raises
    ------
    VerificationError
        An update is missing, added, doubled or altered; a row count, the root, the rule or the
        new model is not what the record says; a signature does not hold.
    """
    by_party: dict[str, Update] = {}
    for update in updates:
        if update.party in by_party:
            raise VerificationError(f"round {record.number}: two updates of {update.party}")
        by_party[update.party] = update
    names = [ref.party for ref in record.updates]
    if names != sorted(set(names)):
        raise VerificationError(f"round {record.number}: parties out of order, or one twice")
    odd = sorted(set(names) ^ set(by_party))
    if odd:
        word = "lacks" if odd[0] in names else "has an unannounced"
        raise VerificationError(f"round {record.number} {word} update of {odd[0]}")
    try:
        for ref in record.updates:
            _check_update(record, ref, by_party[ref.party], keys)
        root = update_root(record.start, record.number, record.model_in, record.updates)
        if record.rule != record.parameters.get("rule"):
            raise VerificationError(f"round {record.number}: another rule than the plan's")
        if record.seed != record.parameters.get("seed"):
            raise VerificationError(f"round {record.number}: another seed than the plan's")
        model = aggregate(record.rule, {n: (by_party[n].weights, by_party[n].rows) for n in names})
    except (BadInput, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise VerificationError(f"round {record.number} cannot be recomputed: {error}") from None
    if root != record.update_root:
        raise VerificationError(f"round {record.number}: the root is not that of the updates")
    if vector_digest(model) != record.model_out:
        raise VerificationError(
            f"round {record.number}: the model is not what '{record.rule}' makes of the updates"
        )


def _check_update(
    record: Round, ref: UpdateRef, update: Update, keys: Mapping[str, bytes] | None
) -> None:
    weights = vector(update.weights, f"the update of {ref.party}")
    found = dataclasses.replace(update, weights=weights).ref
    if found != ref:
        raise VerificationError(
            f"round {record.number}: the update of {ref.party} is not the one announced"
        )
    if keys is None:
        return
    if ref.party not in keys:
        raise VerificationError(f"round {record.number}: there is no key of {ref.party}")
    leaf = update_leaf(record.start, record.number, record.model_in, ref)
    try:
        ed25519.verify(keys[ref.party], update.signature, leaf)
    except VerificationError as error:
        raise VerificationError(
            f"round {record.number}: the update of {ref.party} is not signed by it: {error}"
        ) from None


def verify_chain(start: Start, records: Iterable[Round]) -> Digest:
    """Check that rounds follow one another from the start and return the last model's digest.

    Raises
    ------
    VerificationError
        A round is missing, belongs to another federation, starts from another model, or has
        other members or row counts.
    """
    verify_start(start)
    model = start.initial
    members = [(m.party, m.rows) for m in start.members]
    opened, parameters = start.digest, start.plan.to_dict()
    for number, record in enumerate(records, 1):
        if record.number != number:
            raise VerificationError(
                f"round {number} is missing; round {record.number} stands there"
            )
        if record.start != opened or record.parameters != parameters:
            raise VerificationError(f"round {number} belongs to another federation or plan")
        if record.model_in != model:
            raise VerificationError(f"round {number} does not start from the model before it")
        if [(u.party, u.weight) for u in record.updates] != members:
            raise VerificationError(f"round {number} has other members or row counts")
        model = record.model_out
    return model
