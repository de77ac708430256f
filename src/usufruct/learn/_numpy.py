"""NumPy, or a clear word that it is missing; and the arrays that may enter this room."""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeAlias

from usufruct.errors import BadInput, MissingExtra
from usufruct.types import Digest

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError as error:
    raise MissingExtra("learn", "learning") from error

__all__ = ["Matrix", "Vector", "decimal", "from_decimal", "matrix", "np", "vector"]

Vector: TypeAlias = NDArray[np.float64]
"""One dimension of float64."""

Matrix: TypeAlias = NDArray[np.float64]
"""Two dimensions of float64: rows, columns."""


def _array(value: Any, dimensions: int, what: str) -> NDArray[np.float64]:
    try:
        raw = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        raise BadInput(f"{what} is not an array of numbers") from None
    if raw.dtype.kind not in "fiub":
        raise BadInput(f"{what} is not an array of numbers but of {raw.dtype}")
    if raw.ndim != dimensions:
        raise BadInput(f"{what} has shape {raw.shape}; {dimensions} dimension(s) are needed")
    # A copy, so that nobody changes it from outside; C order, so that sums have one order.
    with np.errstate(over="ignore"):
        array = np.array(raw, dtype=np.float64, order="C", copy=True)
    if not np.isfinite(array).all():
        raise BadInput(
            f"{what} holds NaN or infinity", hint="drop or fill missing values before learning"
        )
    array.setflags(write=False)
    return array


def vector(value: Any, what: str, *, size: int | None = None) -> Vector:
    """Return a checked, read-only copy of one-dimensional numbers.

    Raises
    ------
    BadInput
        Not numbers, not finite, not one dimension, or not of length `size`.
    """
    array = _array(value, 1, what)
    if size is not None and array.size != size:
        raise BadInput(f"{what} has {array.size} values; {size} are needed")
    return array


def matrix(value: Any, what: str, *, columns: int | None = None) -> Matrix:
    """Return a checked, read-only copy of two-dimensional numbers (rows, columns).

    Raises
    ------
    BadInput
        Not numbers, not finite, not two dimensions, no columns, or not `columns` of them.
    """
    array = _array(value, 2, what)
    if array.shape[1] == 0:
        raise BadInput(f"{what} has no columns")
    if columns is not None and array.shape[1] != columns:
        raise BadInput(f"{what} has {array.shape[1]} columns; {columns} are needed")
    return array


def vector_bytes(array: Vector) -> bytes:
    """Return the canonical bytes of a vector: float64, little endian, 8 B a value."""
    return np.ascontiguousarray(array, dtype="<f8").tobytes()


def vector_digest(array: Vector) -> Digest:
    """Return SHA-256 over the canonical bytes of a vector, in hexadecimal."""
    return Digest(hashlib.sha256(vector_bytes(array)).hexdigest())


def decimal(value: float) -> str:
    """Return the shortest decimal text that reads back as the same float64."""
    return repr(float(value))


def from_decimal(text: Any, what: str) -> float:
    """Return the float64 that `decimal` wrote.

    Raises
    ------
    BadInput
        Not text, not finite, or not exactly as `decimal` writes it.
    """
    if not isinstance(text, str) or len(text) > 32:
        raise BadInput(f"{what} is not a decimal number written as text")
    try:
        value = float(text)
    except ValueError:
        raise BadInput(f"{what} is not a decimal number: '{text}'") from None
    if not math.isfinite(value) or repr(value) != text:
        raise BadInput(f"{what} is not a canonical decimal number: '{text}'")
    return value
