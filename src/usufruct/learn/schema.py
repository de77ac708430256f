"""What the columns of a raw table mean: plain data that a model carries along."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast, get_args

from usufruct.errors import BadInput

__all__ = ["Column", "Kind", "Schema"]

Kind = Literal["number", "category", "binary", "target", "ignore"]

FORMAT = "usufruct/schema/v1"
MAX_COLUMNS = 10_000
MAX_CATEGORIES = 1_000
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\Z", re.ASCII)


def number(text: str) -> float | None:
    """Return plain decimal text as a number, or None (``nan``, ``1_000`` and the like too)."""
    if len(text) > 64 or not _NUMBER.match(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _key(text: str) -> str:
    """Return one spelling for equal values: ``1``, ``1.0`` and ``01`` are the same category."""
    value = number(text)
    if value is None:
        return text
    return repr(int(value)) if value == int(value) else repr(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a raw table.

    Parameters
    ----------
    name
        Unique in its schema; a header line uses it.
    kind
        ``number``: as it stands. ``category``: one 0/1 feature for each category but the first.
        ``binary``: 0 or 1. ``target``: what is learned, 1 when above `threshold`. ``ignore``:
        never read.
    categories
        For ``category``: every value it can have, the first is the base.
    threshold
        For ``target``: the label is 1 when the value is greater (decimal text).
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    threshold: str = "0"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 0 < len(self.name) <= 200:
            raise BadInput("a column's name has 1 to 200 characters")
        if self.name != self.name.strip() or not self.name.isprintable():
            raise BadInput(f"the column name {self.name!r} has blanks around or odd characters")
        if self.kind not in get_args(Kind):
            raise BadInput(f"column '{self.name}' has the unknown kind '{self.kind}'")
        keys = [_key(category) for category in self.categories]
        if self.kind == "category":
            if not 2 <= len(keys) <= MAX_CATEGORIES or len(set(keys)) != len(keys):
                raise BadInput(f"column '{self.name}' needs 2 or more different categories")
        elif keys:
            raise BadInput(f"column '{self.name}' is no category column but lists categories")
        if number(self.threshold) is None:
            raise BadInput(f"column '{self.name}': the threshold is not a number")

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the numbers this column becomes."""
        if self.kind == "category":
            return tuple(f"{self.name}={category}" for category in self.categories[1:])
        return (self.name,) if self.kind in ("number", "binary") else ()

    def to_dict(self) -> dict[str, Any]:
        """Return the column as plain data."""
        data: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind == "category":
            data["categories"] = list(self.categories)
        if self.kind == "target":
            data["threshold"] = self.threshold
        return data


@dataclass(frozen=True)
class Schema:
    """The columns of a raw table, in the order of the file.

    Parameters
    ----------
    columns
        At least one feature; at most one target.
    missing
        Texts that mean "not known".
    """

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = field(default=("?", ""))

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not 0 < len(names) <= MAX_COLUMNS:
            raise BadInput(f"a schema has 1 to {MAX_COLUMNS} columns")
        if len(set(names)) != len(names):
            raise BadInput("a schema names a column twice")
        if sum(column.kind == "target" for column in self.columns) > 1:
            raise BadInput("a schema has at most one target column")
        if not self.features:
            raise BadInput("a schema needs at least one column to learn from")

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order."""
        return tuple(name for column in self.columns for name in column.features)

    @cached_property
    def target(self) -> Column | None:
        """The column that is learned."""
        return next((c for c in self.columns if c.kind == "target"), None)

    @cached_property
    def _inputs(self) -> tuple[tuple[Column, dict[str, tuple[float, ...]]], ...]:
        # for each category its features, worked out once and not for each row
        return tuple(
            (
                column,
                {
                    _key(mine): tuple(float(mine == other) for other in column.categories[1:])
                    for mine in column.categories
                },
            )
            for column in self.columns
            if column.kind not in ("ignore", "target")
        )

    def missing_in(self, row: Mapping[str, str], *, target: bool = True) -> tuple[str, ...]:
        """Return the names of used columns that `row` does not know."""
        skip = {"ignore"} if target else {"ignore", "target"}
        return tuple(
            c.name
            for c in self.columns
            if c.kind not in skip and row.get(c.name, "") in self.missing
        )

    def encode(self, row: Mapping[str, str], where: str = "the row") -> list[float]:
        """Return one row as numbers, in the order of `features`.

        Raises
        ------
        BadInput
            A value its column cannot have, named by `where` and column.
        """
        numbers: list[float] = []
        for column, hot in self._inputs:
            text = row[column.name]
            if column.kind == "category":
                found = hot.get(text) or hot.get(_key(text))
                if found is None:
                    raise BadInput(
                        f"{where}: {column.name} is '{text[:40]}'",
                        hint=f"it is one of {', '.join(column.categories)}",
                    )
                numbers.extend(found)
                continue
            value = number(text)
            if value is None:
                raise BadInput(f"{where}: {column.name} is '{text[:40]}', which is not a number")
            if column.kind == "binary" and value not in (0.0, 1.0):
                raise BadInput(f"{where}: {column.name} is '{text[:40]}'", hint="it is 0 or 1")
            numbers.append(value)
        return numbers

    def label(self, row: Mapping[str, str], where: str = "the row") -> float:
        """Return 1.0 when the target is above its threshold, else 0.0.

        Raises
        ------
        BadInput
            There is no target column, or its value is not a number.
        """
        if self.target is None:
            raise BadInput("the schema names no target column")
        value = number(row[self.target.name])
        if value is None:
            raise BadInput(f"{where}: {self.target.name} is not a number")
        return 1.0 if value > float(self.target.threshold) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain data without floats."""
        return {
            "format": FORMAT,
            "columns": [column.to_dict() for column in self.columns],
            "missing": list(self.missing),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Schema:
        """Return the schema that `to_dict` wrote; anything else is refused.

        Raises
        ------
        BadInput
            Another format, unknown or absent fields, wrong types.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise BadInput(f"not a {FORMAT} document")
        columns, missing = data.get("columns"), data.get("missing")
        if not isinstance(columns, list) or len(columns) > MAX_COLUMNS:
            raise BadInput("a schema's columns are a list")
        if not _texts(missing) or len(data) != 3:
            raise BadInput("a schema has format, columns and missing, a list of texts")
        return cls(tuple(_column(item) for item in columns), tuple(cast("list[str]", missing)))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) and len(v) <= 200 for v in value)


def _column(data: Any) -> Column:
    extra = {"category": {"categories"}, "target": {"threshold"}}
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise BadInput("a schema's column is an object with name and kind")
    if set(data) != {"name", "kind"} | extra.get(data["kind"], set()):
        raise BadInput("a schema's column has unknown or absent fields")
    categories, threshold = data.get("categories", []), data.get("threshold", "0")
    if not _texts(categories) or not isinstance(threshold, str):
        raise BadInput("a schema's column has categories or a threshold that are not texts")
    return Column(data["name"], data["kind"], tuple(categories), threshold)
