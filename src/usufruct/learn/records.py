"""What a federation leaves behind for others to check: plain data, digests, no rows."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usufruct.crypto import canonical, merkle
from usufruct.errors import BadInput
from usufruct.learn._numpy import decimal, from_decimal
from usufruct.learn.plan import Plan
from usufruct.learn.statistics import Scaling
from usufruct.types import Digest, parse_digest

__all__ = ["Member", "Round", "Start", "UpdateRef", "check_name", "update_leaf", "update_root"]

START_FORMAT = "usufruct/federation/v1"
ROUND_FORMAT = "usufruct/round/v1"
MAX_PARTIES = 10_000


def check_name(name: Any) -> str:
    """Return a party's name.

    Raises
    ------
    BadInput
        Not 1 to 200 printable characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise BadInput("a party's name has 1 to 200 printable characters")
    return name


@dataclass(frozen=True, slots=True)
class UpdateRef:
    """An update as records name it: who, digest of the weights, number of rows (its weight)."""

    party: str
    digest: Digest
    weight: int


@dataclass(frozen=True, slots=True)
class Member:
    """A party at the start: its rows, and the digest of its statistics (empty if none)."""

    party: str
    rows: int
    statistics: str


@dataclass(frozen=True, slots=True)
class Start:
    """What all agreed on before the first round; every update is bound to its digest.

    Parameters
    ----------
    plan
        The arithmetic.
    columns
        Names of the features.
    members
        In the order of names.
    scaling
        Federated mean and sd, or None.
    initial
        Digest of the first model, which is all zeros.
    """

    plan: Plan
    columns: tuple[str, ...]
    members: tuple[Member, ...]
    scaling: Scaling | None
    initial: Digest

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of `to_dict`."""
        return Digest(hashlib.sha256(canonical.dumps(self.to_dict())).hexdigest())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data without floats."""
        scaling = self.scaling and {
            "mean": [decimal(v) for v in self.scaling.mean],
            "sd": [decimal(v) for v in self.scaling.sd],
        }
        return {
            "format": START_FORMAT,
            "plan": self.plan.to_dict(),
            "columns": list(self.columns),
            "members": [
                {"party": m.party, "rows": m.rows, "statistics": m.statistics} for m in self.members
            ],
            "scaling": scaling,
            "initial": self.initial,
        }

    @classmethod
    def from_dict(cls, data: Any) -> Start:
        """Return the record that `to_dict` wrote; anything else is refused with `BadInput`."""
        data = _fields(
            data, START_FORMAT, {"plan", "columns", "members", "scaling", "initial"}, "a start"
        )
        columns = tuple(_text(c, "a column") for c in _list(data["columns"], "columns", 2**20))
        members = tuple(
            Member(
                check_name(m["party"]),
                _whole(m["rows"], "rows"),
                "" if m["statistics"] == "" else _digest(m["statistics"]),
            )
            for m in _objects(data["members"], {"party", "rows", "statistics"}, "members")
        )
        _ascending([m.party for m in members])
        scaling = None
        if data["scaling"] is not None:
            both = data["scaling"]
            if not isinstance(both, dict) or set(both) != {"mean", "sd"}:
                raise BadInput("a scaling has mean and sd")
            mean, sd = (
                tuple(from_decimal(v, name) for v in _list(both[name], name, 2**20))
                for name in ("mean", "sd")
            )
            scaling = Scaling(mean, sd)
        return cls(
            Plan.from_dict(data["plan"]), columns, members, scaling, _digest(data["initial"])
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One round, as it is made into a statement.

    Parameters
    ----------
    number
        From 1.
    start
        Digest of the federation's `Start`.
    model_in, model_out
        Digests of the global model before and after: SHA-256 over float64 little endian.
    updates
        In the order of party names.
    update_root
        RFC 6962 root over the leaf hashes of `update_leaf`.
    rule, parameters, seed
        The rule's name, the plan as plain data, and its seed.
    metrics
        ``{"train": {...}, "test": {...}}``, each as ``evaluate.metrics`` gives it.
        Attested by the members who counted, not recomputable by others.
    """

    number: int
    start: Digest
    model_in: Digest
    model_out: Digest
    updates: tuple[UpdateRef, ...]
    update_root: Digest
    rule: str
    parameters: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Any]

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of `to_dict`."""
        return Digest(hashlib.sha256(canonical.dumps(self.to_dict())).hexdigest())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data without floats."""
        return {
            "format": ROUND_FORMAT,
            "number": self.number,
            "start": self.start,
            "model_in": self.model_in,
            "model_out": self.model_out,
            "updates": [
                {"party": u.party, "digest": u.digest, "weight": u.weight} for u in self.updates
            ],
            "update_root": self.update_root,
            "rule": self.rule,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Round:
        """Return the record that `to_dict` wrote; anything else is refused with `BadInput`."""
        names = set(cls.__slots__)  # type: ignore[attr-defined,unused-ignore]
        data = _fields(data, ROUND_FORMAT, names, "a round")
        updates = tuple(
            UpdateRef(check_name(u["party"]), _digest(u["digest"]), _whole(u["weight"], "weight"))
            for u in _objects(data["updates"], {"party", "digest", "weight"}, "updates")
        )
        _ascending([u.party for u in updates])
        parameters = Plan.from_dict(data["parameters"])
        return cls(
            _whole(data["number"], "number"),
            _digest(data["start"]),
            _digest(data["model_in"]),
            _digest(data["model_out"]),
            updates,
            _digest(data["update_root"]),
            _text(data["rule"], "rule"),
            parameters.to_dict(),
            _whole(data["seed"], "seed", low=0),
            _metrics(data["metrics"]),
        )


def update_leaf(start: Digest, number: int, model_in: Digest, update: UpdateRef) -> bytes:
    """Return the bytes that stand for an update in the round's tree and under its signature.

    ``usufruct/update/v1`` and a zero byte, then start (32 B), round (u64), model before (32 B),
    length of the party's name (u32), the name (UTF-8), digest (32 B), rows (u64); big endian.
    """
    party = update.party.encode()
    return b"".join(
        (
            b"usufruct/update/v1\0",
            bytes.fromhex(start),
            number.to_bytes(8),
            bytes.fromhex(model_in),
            len(party).to_bytes(4),
            party,
            bytes.fromhex(update.digest),
            update.weight.to_bytes(8),
        )
    )


def update_root(
    start: Digest, number: int, model_in: Digest, updates: Sequence[UpdateRef]
) -> Digest:
    """Return the RFC 6962 root over the updates' leaves, in the order given."""
    leaves = [merkle.leaf_hash(update_leaf(start, number, model_in, u)) for u in updates]
    return Digest(merkle.root(leaves).hex())


def _fields(data: Any, format_: str, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(data, dict) or data.get("format") != format_:
        raise BadInput(f"not a {format_} document")
    if set(data) != names | {"format"}:
        raise BadInput(f"{what} has unknown or absent fields")
    return data


def _list(value: Any, what: str, limit: int) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= limit:
        raise BadInput(f"{what} is a list of 1 to {limit}")
    return value


def _objects(value: Any, names: set[str], what: str) -> list[dict[str, Any]]:
    items = _list(value, what, MAX_PARTIES)
    if not all(isinstance(item, dict) and set(item) == names for item in items):
        raise BadInput(f"{what} have unknown or absent fields")
    return items


def _whole(value: Any, what: str, *, low: int = 1) -> int:
    if type(value) is not int or not low <= value < 2**53:
        raise BadInput(f"{what} is a whole number of {low} or more")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 500:
        raise BadInput(f"{what} is a text of 1 to 500 characters")
    return value


def _metrics(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"train", "test"}:
        raise BadInput("a round's metrics are over training and test rows")
    for part in value.values():
        if part == {}:
            continue
        if not isinstance(part, dict) or set(part) != {"pooled", "parties"}:
            raise BadInput("metrics are pooled and of the parties")
        counted = {"correct", "rows", "accuracy", "loss"}
        members = _objects(part["parties"], counted | {"party"}, "metrics of parties")
        _ascending([check_name(m["party"]) for m in members])
        for one in (*members, *_objects([part["pooled"]], counted, "pooled metrics")):
            rows = _whole(one["rows"], "rows")
            if _whole(one["correct"], "correct", low=0) > rows:
                raise BadInput("more right answers than rows")
            if one["accuracy"] != decimal(one["correct"] / rows):
                raise BadInput("an accuracy is not right answers by rows")
            if from_decimal(one["loss"], "a loss") < 0:
                raise BadInput("a loss is below zero")
    return value


def _digest(value: Any) -> Digest:
    digest = parse_digest(value)
    if digest != value:
        raise BadInput("a digest is written in 64 lower-case hexadecimal digits")
    return digest


def _ascending(names: list[str]) -> None:
    if any(a >= b for a, b in itertools.pairwise(names)):
        raise BadInput("parties are not in order, or one stands twice")
