"""Raw tables and the schema that turns their rows into numbers, for learning and predicting."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from usufruct.errors import BadInput, NotFound
from usufruct.learn._numpy import Matrix, Vector, np
from usufruct.learn.schema import Schema

__all__ = ["Table", "load_table", "read_rows"]

MAX_ROWS = 10_000_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """The rows of one file as numbers.

    Parameters
    ----------
    schema
        How they were read.
    features
        Shape (rows, features), in the order of ``schema.features``.
    target
        Shape (rows,), 0.0 or 1.0.
    rows
        For each kept row its number in the file, from 1, a header line not counted.
    dropped
        How many rows were left out because a used column is missing.
    """

    schema: Schema
    features: Matrix
    target: Vector
    rows: tuple[int, ...]
    dropped: int

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Table(rows={len(self.rows)}, dropped={self.dropped})"

    def take(self, positions: list[int]) -> Table:
        """Return the table of the rows at `positions` (from 0), in that order."""
        return Table(
            self.schema,
            self.features[positions],
            self.target[positions],
            tuple(self.rows[i] for i in positions),
            self.dropped,
        )


def load_table(source: Path | bytes | str, schema: Schema) -> Table:
    """Read a comma separated file, with or without a header line, into numbers.

    Parameters
    ----------
    source
        A path, or the content itself as bytes (UTF-8) or text.
    schema
        Columns in the order of the file; a header line may change the order.

    Raises
    ------
    BadInput
        Not UTF-8, ragged, a value its column cannot have, no usable row, no target column; the
        message names line and column.
    NotFound
        There is no such file.
    """
    if schema.target is None:
        raise BadInput("the schema names no target column, so there is nothing to learn")
    features: list[list[float]] = []
    target: list[float] = []
    kept: list[int] = []
    count = 0
    for count, (line, fields) in enumerate(_records(source, schema, need_target=True), 1):
        if count > MAX_ROWS:
            raise BadInput(f"the table has more than {MAX_ROWS} rows")
        if schema.missing_in(fields):
            continue
        where = f"line {line}"
        features.append(schema.encode(fields, where))
        target.append(schema.label(fields, where))
        kept.append(count)
    if not kept:
        raise BadInput(
            "the table has no usable row" if count else "the table is empty",
            hint="every row misses a value that the schema needs" if count else None,
        )
    x = np.array(features, dtype=np.float64)
    y = np.array(target, dtype=np.float64)
    x.setflags(write=False)
    y.setflags(write=False)
    return Table(schema, x, y, tuple(kept), count - len(kept))


def read_rows(source: Path | bytes | str, schema: Schema) -> Matrix:
    """Read rows to predict: the target column may be absent, other values may not be missing.

    Returns
    -------
    Matrix
        Shape (rows, features).

    Raises
    ------
    BadInput
        As `load_table`; also when a needed value is missing, named by line and column.
    """
    features: list[list[float]] = []
    for line, fields in _records(source, schema, need_target=False):
        missing = schema.missing_in(fields, target=False)
        if missing:
            raise BadInput(
                f"line {line}: '{missing[0]}' is missing",
                hint="the model needs every column it was trained on",
            )
        features.append(schema.encode(fields, f"line {line}"))
        if len(features) > MAX_ROWS:
            raise BadInput(f"the table has more than {MAX_ROWS} rows")
    if not features:
        raise BadInput("there is no row to predict")
    return np.array(features, dtype=np.float64)


def _text(source: Path | bytes | str) -> str:
    if isinstance(source, str):
        return source
    data = source if isinstance(source, bytes) else _read(source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"line {line} is not UTF-8", hint="save the table as UTF-8") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _records(
    source: Path | bytes | str, schema: Schema, *, need_target: bool
) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(_text(source), newline=""), strict=True)
    order: tuple[str, ...] | None = None
    try:
        for raw in reader:
            fields = [field.strip() for field in raw]
            if not any(fields) and len(fields) <= 1:
                continue  # a blank line is no row
            if order is None:
                order, is_header = _order(fields, schema, need_target)
                if is_header:
                    continue
            if len(fields) != len(order):
                raise BadInput(
                    f"line {reader.line_num} has {len(fields)} values; {len(order)} are needed"
                )
            yield reader.line_num, dict(zip(order, fields, strict=True))
    except csv.Error as error:
        raise BadInput(f"line {reader.line_num} is not valid CSV: {error}") from None


def _order(first: list[str], schema: Schema, need_target: bool) -> tuple[tuple[str, ...], bool]:
    names = [column.name for column in schema.columns]
    needed = [c.name for c in schema.columns if c.kind not in ("ignore", "target")]
    if need_target and schema.target is not None:
        needed.append(schema.target.name)
    if set(first) & set(names) and not set(needed) - set(first):
        if len(set(first)) != len(first):
            raise BadInput("the header names a column twice")
        return tuple(first), True
    if len(first) == len(names):
        return tuple(names), False
    without = [c.name for c in schema.columns if c.kind != "target"]
    if not need_target and len(first) == len(without):
        return tuple(without), False
    absent = [name for name in needed if name not in first]
    if set(first) & set(names):
        raise BadInput(f"the header lacks the column '{absent[0]}'")
    raise BadInput(
        f"the first line has {len(first)} values; the schema has {len(names)} columns",
        hint="give all columns in the schema's order, or a header line with their names",
    )
