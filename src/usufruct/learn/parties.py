"""A party and what may leave it: descriptions, sums, updates, counts of right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol

from usufruct.errors import BadInput, NotAllowed
from usufruct.learn import logreg
from usufruct.learn._numpy import Matrix, Vector, matrix, np, vector, vector_digest
from usufruct.learn.plan import Own, RoundPlan
from usufruct.learn.records import UpdateRef, check_name, update_leaf
from usufruct.learn.statistics import Scaling, Statistics, combine, summarise
from usufruct.learn.tables import Table
from usufruct.ports import Signer

__all__ = ["Description", "Evaluation", "LocalParty", "Part", "Party", "Update"]

Part = Literal["train", "test"]

MIN_ROWS = 5
"""Fewer rows could be read out of their sums, so they take no part unless allowed."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a party says about its rows.

    Parameters
    ----------
    columns
        Names of the features, in order.
    rows, test_rows
        Rows to learn from and rows held out.
    classes
        Rows to learn from with target 0 and with target 1.
    missing
        Rows left out because a value is missing.
    """

    columns: tuple[str, ...]
    rows: int
    test_rows: int
    classes: tuple[int, int]
    missing: int


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What one party releases in one round.

    Parameters
    ----------
    party
        Its name.
    weights
        The model after its local steps, shape (features + 1,).
    rows
        How many rows it learned from.
    signature
        Ed25519 over ``update_leaf`` when the party has a signer, else empty.
    """

    party: str
    weights: Vector
    rows: int
    signature: bytes = b""

    @property
    def ref(self) -> UpdateRef:
        """How records name this update."""
        return UpdateRef(self.party, vector_digest(self.weights), self.rows)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model does on some rows: right answers, rows, mean logarithmic loss."""

    correct: int
    rows: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return self.correct / self.rows


class Party(Protocol):
    """One member of a federation, here or at the other end of a line."""

    @property
    def name(self) -> str:
        """Unique in the federation; it fixes the party's place in every sum."""
        ...

    def describe(self) -> Description:
        """Say what the rows are like."""
        ...

    def statistics(self) -> Statistics:
        """Release the sums that a federated mean and sd need."""
        ...

    def update(self, weights: Vector, task: RoundPlan) -> Update:
        """Learn on own rows from the global `weights` and release the outcome."""
        ...

    def evaluate(self, weights: Vector, scaling: Scaling | Own | None, part: Part) -> Evaluation:
        """Count right answers on own rows."""
        ...


class LocalParty:
    """A party whose rows are in this process and never leave this object.

    Parameters
    ----------
    name
        1 to 200 printable characters.
    features, target
        Rows to learn from: shapes (rows, columns) and (rows,); targets 0 or 1, one class is
        enough. They are copied.
    test
        Features and target of held-out rows, or None.
    columns
        Names of the features; ``x0``, ``x1``... without.
    missing
        Rows left out before, only to be told in `describe`.
    min_rows
        Fewer rows to learn from are refused, since sums would disclose them.
    signer
        Signs each update.

    Raises
    ------
    BadInput
        NaN, wrong shapes, no rows, targets other than 0 and 1, wrong names.
    NotAllowed
        Fewer than `min_rows` rows.
    """

    __slots__ = (
        "__test",
        "__test_target",
        "__x",
        "__y",
        "_columns",
        "_missing",
        "_name",
        "_signer",
    )

    def __init__(
        self,
        name: str,
        features: Any,
        target: Any,
        *,
        test: tuple[Any, Any] | None = None,
        columns: tuple[str, ...] | None = None,
        missing: int = 0,
        min_rows: int = MIN_ROWS,
        signer: Signer | None = None,
    ) -> None:
        self._name = check_name(name)
        self.__x, self.__y = _rows(features, target, f"the rows of {name}")
        count, width = self.__x.shape
        if count < min_rows:
            raise NotAllowed(
                f"{name} has {count} rows to learn from; sums over so few would disclose them",
                hint=f"have {min_rows} rows or more",
            )
        self.__test, self.__test_target = self.__x[:0], self.__y[:0]
        if test is not None:
            self.__test, self.__test_target = _rows(
                *test, f"the test rows of {name}", columns=width
            )
        self._columns = columns or tuple(f"x{i}" for i in range(width))
        if len(self._columns) != width or len(set(self._columns)) != width:
            raise BadInput(
                f"{name} has {width} columns but {len(self._columns)} names, or twice one"
            )
        self._missing = missing
        self._signer = signer

    @classmethod
    def from_table(
        cls, name: str, table: Table, *, test: Table | None = None, signer: Signer | None = None
    ) -> LocalParty:
        """Return a party that holds a table's rows; `test` has the same schema."""
        if test is not None and test.schema != table.schema:
            raise BadInput(f"the test rows of {name} have another schema")
        return cls(
            name,
            table.features,
            table.target,
            test=None if test is None else (test.features, test.target),
            columns=table.schema.features,
            missing=table.dropped,
            signer=signer,
        )

    @property
    def name(self) -> str:
        """The party's name."""
        return self._name

    def __repr__(self) -> str:
        return f"LocalParty({self._name!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: rows do not leave their party."""
        raise NotAllowed("the rows of a party do not leave it; it cannot be pickled or copied")

    def describe(self) -> Description:
        """Say what the rows are like: columns, counts, classes."""
        positive = int((self.__y == 1.0).sum())
        rows = int(self.__y.size)
        return Description(
            self._columns,
            rows,
            int(self.__test_target.size),
            (rows - positive, positive),
            self._missing,
        )

    def statistics(self) -> Statistics:
        """Return count, sums and sums of squares of the rows to learn from."""
        return summarise(self.__x)

    def update(self, weights: Vector, task: RoundPlan) -> Update:
        """Return the model after the plan's local steps on own rows.

        Raises
        ------
        BadInput
            Weights of another size, or training that runs away.
        """
        model = vector(weights, "the global model", size=len(self._columns) + 1)
        plan = task.plan
        trained = logreg.train(
            self._normalised(self.__x, task.scaling),
            self.__y,
            model,
            steps=plan.local_steps,
            learning_rate=plan.learning_rate,
            l2=plan.l2,
            batch_size=plan.batch_size,
            labels=(plan.seed, task.number, self._name),
        )
        update = Update(self._name, trained, int(self.__y.size))
        if self._signer is None:
            return update
        leaf = update_leaf(task.start, task.number, vector_digest(model), update.ref)
        return Update(update.party, update.weights, update.rows, self._signer.sign(leaf))

    def evaluate(self, weights: Vector, scaling: Scaling | Own | None, part: Part) -> Evaluation:
        """Count right answers on own rows.

        Parameters
        ----------
        weights
            Shape (features + 1,).
        scaling
            Federated mean and sd; ``own`` for those of own training rows; None for neither.
        part
            ``train`` or ``test`` rows.

        Raises
        ------
        BadInput
            There are no such rows, or weights of another size.
        """
        if part not in ("train", "test"):
            raise BadInput(f"rows are 'train' or 'test', not '{part}'")
        x, y = (self.__x, self.__y) if part == "train" else (self.__test, self.__test_target)
        if y.size == 0:
            raise BadInput(f"{self._name} holds out no test rows")
        model = vector(weights, "the model", size=len(self._columns) + 1)
        x = self._normalised(x, scaling)
        correct = int(((logreg.scores(x, model) >= 0) == (y == 1.0)).sum())
        return Evaluation(correct, int(y.size), logreg.loss(x, y, model))

    def _normalised(self, features: Matrix, scaling: Scaling | Own | None) -> Matrix:
        if scaling is None:
            return features
        return (combine([summarise(self.__x)]) if scaling == "own" else scaling).apply(features)


def _rows(
    features: Any, target: Any, what: str, *, columns: int | None = None
) -> tuple[Vector, Vector]:
    x = matrix(features, what, columns=columns)
    if x.shape[0] == 0:
        raise BadInput(f"{what}: there are none")
    y = vector(target, f"{what}: the target", size=x.shape[0])
    if not np.isin(y, (0.0, 1.0)).all():
        raise BadInput(f"{what}: a target is neither 0 nor 1")
    return x, y
