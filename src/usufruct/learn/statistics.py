"""Mean and standard deviation over all parties' rows, from sums that each party releases."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from usufruct.errors import BadInput
from usufruct.learn._numpy import Matrix, Vector, np, vector, vector_bytes
from usufruct.types import Digest

__all__ = ["Scaling", "Statistics", "combine", "summarise"]

# Below this share of the mean square, what is left of a variance is rounding.
_NOISE = Fraction(1, 10**12)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a party releases about its columns: never a row, but sums over all of them.

    Parameters
    ----------
    count
        Number of rows.
    sums, squares
        For each column the sum and the sum of squares, correctly rounded.
    """

    count: int
    sums: tuple[float, ...]
    squares: tuple[float, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 over a label, the count and the sums as float64 little endian."""
        body = hashlib.sha256(b"usufruct/statistics/v1\0")
        body.update(self.count.to_bytes(8) + len(self.sums).to_bytes(8))
        body.update(vector_bytes(np.array(self.sums + self.squares, dtype=np.float64)))
        return Digest(body.hexdigest())


@dataclass(frozen=True, slots=True)
class Scaling:
    """How columns are normalised: ``(x - mean) / sd``; `sd` is 1 for a constant column."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]

    def __post_init__(self) -> None:
        size = vector(self.mean, "the mean").size
        if not (vector(self.sd, "the standard deviation", size=size) > 0).all():
            raise BadInput("a standard deviation is above zero")
        if size == 0:
            raise BadInput("a scaling is over one column or more")

    def apply(self, features: Matrix) -> Matrix:
        """Return the normalised features, same shape.

        Raises
        ------
        BadInput
            Another number of columns, or numbers too large to be normalised.
        """
        if features.shape[1] != len(self.mean):
            raise BadInput(f"{features.shape[1]} columns; {len(self.mean)} are needed")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled: Matrix = np.divide(np.subtract(features, self.mean), self.sd)
        if not np.isfinite(scaled).all():
            raise BadInput("numbers too large to be normalised")
        return scaled

    @property
    def digest(self) -> Digest:
        """SHA-256 over a label, the means, then the sds as float64 little endian."""
        both: Vector = np.array(self.mean + self.sd, dtype=np.float64)
        return Digest(hashlib.sha256(b"usufruct/scaling/v1\0" + vector_bytes(both)).hexdigest())


def summarise(features: Matrix) -> Statistics:
    """Return a party's statistics; ``math.fsum`` makes them independent of the rows' order.

    Raises
    ------
    BadInput
        Numbers so large that a sum of squares overflows.
    """
    with np.errstate(over="ignore", under="ignore"):
        squares = np.multiply(features, features)
    try:
        sums = tuple(math.fsum(column) for column in features.T.tolist())
        totals = tuple(math.fsum(column) for column in squares.T.tolist())
    except OverflowError:
        sums = totals = (math.inf,)
    if not all(map(math.isfinite, sums + totals)):
        raise BadInput("numbers too large for a sum of squares", hint="use smaller units")
    return Statistics(int(features.shape[0]), sums, totals)


def combine(parts: Sequence[Statistics]) -> Scaling:
    """Return mean and population sd over all rows of all parties.

    Everything between the released sums and the final rounding is exact rational arithmetic, so
    every member gets the same bits in any order of parties.

    Raises
    ------
    BadInput
        No rows, unequal numbers of columns, or sums that no rows can have.
    """
    width = check(parts)
    total = sum(part.count for part in parts)
    mean: list[float] = []
    sd: list[float] = []
    for j in range(width):
        average = sum((Fraction(part.sums[j]) for part in parts), Fraction(0)) / total
        square = sum((Fraction(part.squares[j]) for part in parts), Fraction(0)) / total
        variance = square - average * average
        mean.append(float(average))
        spread = math.sqrt(float(variance)) if variance > square * _NOISE else 0.0
        sd.append(spread if spread > 0 else 1.0)
    return Scaling(tuple(mean), tuple(sd))


def check(parts: Sequence[Statistics]) -> int:
    """Return the number of columns of statistics that can be true together.

    Raises
    ------
    BadInput
        None, no rows, unequal columns, not finite, or against Cauchy-Schwarz.
    """
    if not parts:
        raise BadInput("there are no statistics to combine")
    width = len(parts[0].sums)
    for part in parts:
        if type(part.count) is not int or not 0 < part.count < 2**53:
            raise BadInput("statistics over no rows")
        if not len(part.sums) == len(part.squares) == width or width == 0:
            raise BadInput("statistics over unequal numbers of columns")
        for total, square in zip(part.sums, part.squares, strict=True):
            if not (math.isfinite(total) and math.isfinite(square)) or square < 0:
                raise BadInput("statistics that are not finite")
            if Fraction(square) * part.count * (1 + _NOISE) < Fraction(total) ** 2 and (
                # squares of tiny numbers may vanish; that is rounding, not a lie
                abs(total) > 1e-140 * part.count
            ):
                raise BadInput("a sum of squares is smaller than any rows with that sum have")
    return width
