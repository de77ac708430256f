"""A trained model as plain data and arrays: it carries its schema, and never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usufruct.errors import BadInput
from usufruct.learn import logreg
from usufruct.learn._numpy import Vector, matrix, np, vector, vector_digest
from usufruct.learn.schema import Schema
from usufruct.learn.statistics import Scaling
from usufruct.learn.tables import read_rows
from usufruct.types import Digest

__all__ = ["LogisticModel", "Prediction"]

FORMAT = "usufruct/logistic/v1"
MAX_FEATURES = 2**20


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer: the probability of target 1, and whether it is one half or more."""

    probability: float
    positive: bool


class LogisticModel:
    """Logistic regression on normalised features.

    Parameters
    ----------
    features
        Names of the inputs, in order.
    scaling
        Mean and sd of each.
    weights, bias
        Shape (features,) and one number, for normalised inputs.
    schema
        How raw rows become inputs; None for a model that takes arrays only.

    Raises
    ------
    BadInput
        Sizes that do not fit, or numbers that are not finite.
    """

    __slots__ = ("_vector", "features", "scaling", "schema")

    def __init__(
        self,
        features: tuple[str, ...],
        scaling: Scaling,
        weights: Any,
        bias: float,
        schema: Schema | None = None,
    ) -> None:
        size = len(features)
        if not 0 < size <= MAX_FEATURES or len(set(features)) != size:
            raise BadInput("a model's features are one or more different names")
        if len(scaling.mean) != size:
            raise BadInput("the model's mean and sd are not over its features")
        if schema is not None and schema.features != features:
            raise BadInput("the model's features are not its schema's")
        inner = vector(weights, "the model's weights", size=size)
        self._vector = vector(np.append(inner, bias), "the model")
        self.features = features
        self.scaling = scaling
        self.schema = schema

    @property
    def weights(self) -> Vector:
        """Shape (features,), read-only."""
        return self._vector[:-1]

    @property
    def bias(self) -> float:
        """The bias."""
        return float(self._vector[-1])

    @property
    def vector(self) -> Vector:
        """Weights, then bias: the global model of a federation, shape (features + 1,)."""
        return self._vector

    @property
    def weights_digest(self) -> Digest:
        """SHA-256 over weights and bias: the ``model_out`` of the round that made it."""
        return vector_digest(self._vector)

    def __repr__(self) -> str:
        return f"LogisticModel({len(self.features)} features, {self.weights_digest[:12]})"

    def predict_proba(self, features: Any) -> Vector:
        """Return the probability of target 1, shape (rows,), for raw inputs (rows, features).

        Raises
        ------
        BadInput
            Another number of columns, or numbers that are not finite.
        """
        x = matrix(features, "the rows to predict", columns=len(self.features))
        return logreg.probabilities(logreg.scores(self.scaling.apply(x), self._vector))

    def predict(self, source: Path | bytes | str) -> tuple[Prediction, ...]:
        """Return a prediction for each raw row of a CSV file, bytes or text.

        Parameters
        ----------
        source
            A path or the content; with a header line, or all columns in the schema's order. The
            target column may be absent and is never read.

        Raises
        ------
        BadInput
            The model has no schema, or a row cannot be read; line and column are named.
        NotFound
            There is no such file.
        """
        if self.schema is None:
            raise BadInput("the model has no schema, so it cannot read raw rows")
        chances = self.predict_proba(read_rows(source, self.schema))
        return tuple(Prediction(float(p), bool(p >= 0.5)) for p in chances)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Vector]]:
        """Return the model as canonical plain data and float64 arrays, for safetensors."""
        spec = {
            "format": FORMAT,
            "features": list(self.features),
            "schema": self.schema.to_dict() if self.schema else None,
        }
        tensors = {
            "bias": np.array([self.bias], dtype=np.float64),
            "mean": np.array(self.scaling.mean, dtype=np.float64),
            "sd": np.array(self.scaling.sd, dtype=np.float64),
            "weights": np.array(self.weights, dtype=np.float64),
        }
        return spec, tensors

    @classmethod
    def from_parts(cls, spec: Any, tensors: Mapping[str, Any]) -> LogisticModel:
        """Return the model that `to_parts` gave; anything else is refused.

        Raises
        ------
        BadInput
            Another format, unknown or absent fields or tensors, other types or sizes.
        """
        if not isinstance(spec, dict) or spec.get("format") != FORMAT:
            raise BadInput(f"not a {FORMAT} model")
        if set(spec) != {"format", "features", "schema"}:
            raise BadInput("a model has unknown or absent fields")
        if set(tensors) != {"bias", "mean", "sd", "weights"}:
            raise BadInput("a model has the tensors bias, mean, sd and weights")
        names = spec["features"]
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise BadInput("a model's features are a list of names")
        for name, tensor in tensors.items():
            if getattr(tensor, "dtype", None) != np.float64:
                raise BadInput(f"the tensor '{name}' is not float64")
        size = len(names)
        parts = {
            name: vector(tensors[name], f"the tensor '{name}'", size=1 if name == "bias" else size)
            for name in tensors
        }
        schema = None if spec["schema"] is None else Schema.from_dict(spec["schema"])
        scaling = Scaling(tuple(parts["mean"].tolist()), tuple(parts["sd"].tolist()))
        return cls(tuple(names), scaling, parts["weights"], float(parts["bias"][0]), schema)
