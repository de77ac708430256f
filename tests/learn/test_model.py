from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from usufruct.crypto import canonical
from usufruct.errors import BadInput, NotFound
from usufruct.examples import heart_disease
from usufruct.learn import Federation, LogisticModel, Scaling
from usufruct.learn.heart import HEART_PLAN, HEART_SCHEMA, HOSPITALS, hospital_party

PATIENT = "63,1,4,145,233,1,2,150,0,2.3,3,0,6"


@pytest.fixture(scope="module")
def model() -> LogisticModel:
    parties = [hospital_party(h.key) for h in HOSPITALS]
    return Federation(parties, HEART_PLAN).run().model(HEART_SCHEMA)


def test_by_hand():
    model = LogisticModel(("a", "b"), Scaling((1.0, 2.0), (2.0, 4.0)), [3.0, -1.0], 0.5)
    odds = 3 * (5 - 1) / 2 - (10 - 2) / 4 + 0.5
    assert model.predict_proba([[5, 10]])[0] == pytest.approx(1 / (1 + np.exp(-odds)))
    expected = hashlib.sha256(struct.pack("<3d", 3.0, -1.0, 0.5)).hexdigest()
    assert model.weights_digest == expected
    with pytest.raises(BadInput, match="no schema"):
        model.predict("1,2")


def test_predicts_a_patient_however_written(model, tmp_path):
    (first,) = model.predict(PATIENT)
    assert 0.5 < first.probability < 1
    assert first.positive
    (tmp_path / "patient.csv").write_text(
        "sex,age,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak\n1,63,4,145,233,1,2,150,0,2.3\n"
    )
    for source in (PATIENT + ",0", PATIENT + ",?", PATIENT.encode(), tmp_path / "patient.csv"):
        assert model.predict(source) == (first,)
    assert len(model.predict(heart_disease()["cleveland"])) == 303


def test_bad_patients(model, tmp_path):
    with pytest.raises(BadInput, match="'chol' is missing"):
        model.predict(PATIENT.replace("233", "?"))
    with pytest.raises(BadInput, match="cp is '9'"):
        model.predict(PATIENT.replace(",4,", ",9,"))
    with pytest.raises(BadInput, match="columns"):
        model.predict("63,1")
    with pytest.raises(NotFound):
        model.predict(tmp_path / "none")
    with pytest.raises(BadInput, match="13 are needed"):
        model.predict_proba(np.zeros((1, 12)))
    with pytest.raises(BadInput, match="NaN"):
        model.predict_proba(np.full((1, 13), np.nan))


def test_parts_round_trip(model):
    spec, tensors = model.to_parts()
    assert canonical.loads(canonical.dumps(spec)) == spec
    assert all(t.dtype == np.float64 for t in tensors.values())
    back = LogisticModel.from_parts(spec, tensors)
    assert back.weights_digest == model.weights_digest
    assert back.predict(PATIENT) == model.predict(PATIENT)
    assert back.schema == HEART_SCHEMA
    assert "13 features" in repr(back)


@pytest.mark.parametrize(
    ("spec", "tensors"),
    [
        ({"format": "usufruct/logistic/v2"}, {}),
        ({"more": 1}, {}),
        ({"features": "age"}, {}),
        ({"features": []}, {}),
        ({"features": [f"x{i}" for i in range(13)]}, {}),
        ({"schema": {}}, {}),
        ({}, {"bias": np.zeros(2)}),
        ({}, {"bias": np.zeros(1, dtype=np.float32)}),
        ({}, {"bias": [0.0]}),
        ({}, {"mean": np.zeros(12)}),
        ({}, {"sd": np.zeros(13)}),
        ({}, {"weights": np.full(13, np.nan)}),
        ({}, {"weights": np.zeros((13, 1))}),
        ({}, {"more": np.zeros(1)}),
    ],
)
def test_odd_parts_are_refused(model, spec, tensors):
    good_spec, good_tensors = model.to_parts()
    with pytest.raises(BadInput):
        LogisticModel.from_parts(good_spec | spec, good_tensors | tensors)


def test_schema_must_fit(model):
    parties = [hospital_party("va")]
    result = Federation(parties, HEART_PLAN).run()
    other = type(HEART_SCHEMA)(HEART_SCHEMA.columns[1:])
    with pytest.raises(BadInput, match="not the federation's columns"):
        result.model(other)
