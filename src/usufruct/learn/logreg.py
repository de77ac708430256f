"""Logistic regression, trained by one party on its own rows; the same run gives the same bits.

A model is one vector: a weight for each feature, then the bias. Sums run in NumPy's fixed order
without BLAS, so the number of threads does not change them; ``exp`` may differ in the last bit
between kinds of processor, which is why a party's update is attested and its average recomputed.
"""

from __future__ import annotations

from usufruct.errors import BadInput
from usufruct.learn._numpy import Matrix, Vector, np, vector
from usufruct.learn.split import shuffled

__all__ = ["loss", "probabilities", "scores", "train"]


def scores(features: Matrix, model: Vector) -> Vector:
    """Return the log odds, shape (rows,), of features of shape (rows, columns)."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        odds: Vector = np.multiply(features, model[:-1]).sum(axis=1) + model[-1]
    if not np.isfinite(odds).all():
        raise BadInput("the model's weights are too large for these rows")
    return odds


def probabilities(odds: Vector) -> Vector:
    """Return ``1 / (1 + exp(-odds))`` without overflow, shape as given."""
    with np.errstate(under="ignore"):
        small = np.exp(-np.abs(odds))
        result: Vector = np.where(odds >= 0, 1.0, small) / (1.0 + small)
    return result


def loss(features: Matrix, target: Vector, model: Vector) -> float:
    """Return the mean logarithmic loss (natural logarithm), without the penalty."""
    odds = scores(features, model)
    with np.errstate(under="ignore"):
        return float((np.logaddexp(0.0, odds) - target * odds).mean())


def train(
    features: Matrix,
    target: Vector,
    model: Vector,
    *,
    steps: int,
    learning_rate: float,
    l2: float,
    batch_size: int = 0,
    labels: tuple[str | int, ...] = (),
) -> Vector:
    """Return the model after `steps` of gradient descent from `model`.

    Parameters
    ----------
    features, target
        Shapes (rows, columns) and (rows,); targets 0.0 or 1.0.
    model
        Shape (columns + 1,), the bias last; it is not changed.
    steps, learning_rate, l2, batch_size
        As in ``Plan``; batches walk through a fresh order of the rows in each pass.
    labels
        Decide those orders (seed, round, party).

    Raises
    ------
    BadInput
        The steps run away to infinity.
    """
    rows = features.shape[0]
    size = min(batch_size, rows) if batch_size else rows
    per_pass = -(-rows // size)
    current = np.array(model, dtype=np.float64)
    order: list[int] = []
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for step in range(steps):
            x, y = features, target
            if size < rows:
                position = step % per_pass
                if position == 0:
                    order = shuffled(rows, "batches", *labels, step // per_pass)
                chosen = order[position * size : (position + 1) * size]
                x, y = features[chosen], target[chosen]
            error = probabilities(scores(x, current)) - y
            gradient = np.empty_like(current)
            gradient[:-1] = np.multiply(x, error[:, None]).sum(axis=0) / x.shape[0]
            gradient[:-1] += l2 * current[:-1]
            gradient[-1] = error.sum() / x.shape[0]
            current -= learning_rate * gradient
            if not np.isfinite(current).all():
                raise BadInput(
                    "training ran away to infinity", hint="lower the learning rate or l2"
                )
    return vector(current, "the trained model")
