"""The packed patients model: raw rows in, every outcome out, the same after saving."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.features import fit_encoder
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.patients import read_cohort
from models import scorer as packed
from models.isotonic import Curve
from models.multitask.calibrating import Calibrator
from models.multitask.named import SHARING, network
from models.multitask.scorer import PatientsScorer
from models.multitask.shape import Shape
from models.multitask.trunk import TRUNKS
from tests.domains.sample_patients import OUTCOMES, sample_patients

CALIBRATORS = {
    "death": Calibrator("isotonic", curves=(Curve((-1.0, 1.0), (-0.5, 0.2)),)),
    "place": Calibrator("temperature", 1.7),
    "stay": Calibrator("conformal", coverage=0.9, below=0.8, above=1.2),
}


@pytest.fixture(scope="module", params=product(SHARING, TRUNKS))
def scorer(request: pytest.FixtureRequest) -> PatientsScorer:
    cohort = read_cohort(sample_patients(), OUTCOMES, "f", patient="id")
    codecs = {o.name: fit_codec(o, cohort.targets.values[o.name]) for o in OUTCOMES}
    encoder = fit_encoder(cohort.features)
    sizes = {name: codec.size for name, codec in codecs.items()}
    sharing, trunk = request.param
    members = 3 if trunk == "tabm" else 1
    shape = Shape(encoder.width, sizes, 8, trunk, members, encoder.numbers)
    built = network(sharing, shape).eval()
    return PatientsScorer(encoder, codecs, built, sharing, shape, CALIBRATORS)


def test_saved_and_loaded_answers_the_same(scorer: PatientsScorer, tmp_path: Path) -> None:
    rows = sample_patients(50, seed=2)
    loaded = packed.load(scorer.save(tmp_path / "package"))
    pd.testing.assert_frame_equal(loaded.predict(rows), scorer.predict(rows))
    assert {p.suffix for p in (tmp_path / "package").iterdir()} == {".json", ".safetensors"}


def test_every_outcome_is_answered_in_its_own_unit(scorer: PatientsScorer) -> None:
    answers = scorer.predict(sample_patients(50, seed=2))
    assert list(answers) == [
        *("death", "place.home", "place.hospice", "place.ward", "stay", "stay.low", "stay.high"),
        *("survival.risk", "survival.at_5", "survival.at_20"),
    ]
    assert answers["death"].between(0, 1).all()
    assert np.allclose(answers.filter(like="place.").sum(axis=1), 1)
    assert (answers["stay"] > 0).all()
    assert (answers["stay.low"] < answers["stay"]).all()
    assert (answers["stay"] < answers["stay.high"]).all()
    assert (answers["survival.at_20"] <= answers["survival.at_5"]).all()


def test_rows_are_answered_one_by_one_and_in_order(scorer: PatientsScorer) -> None:
    rows = sample_patients(20, seed=3)
    together = scorer.predict(rows)
    alone = pd.concat([scorer.predict(rows.iloc[[k]]) for k in range(20)], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-5)
    assert len(scorer.predict(rows.iloc[:0])) == 0


def test_extra_columns_do_not_matter_and_missing_ones_are_named(scorer: PatientsScorer) -> None:
    rows = sample_patients(5, seed=2)
    needed = rows[["ward", "smoker", "lab", "age"]]
    pd.testing.assert_frame_equal(scorer.predict(needed), scorer.predict(rows))
    with pytest.raises(InputError, match="missing: lab"):
        scorer.predict(rows.drop(columns="lab"))
    with pytest.raises(InputError, match="column age: row 2 holds text, expected a number"):
        scorer.predict(rows.assign(age=["60", "sixty", "1", "2", "3"]))


def test_the_example_is_nobody_and_can_be_scored(scorer: PatientsScorer) -> None:
    example = scorer.example()
    assert example.iloc[1].isna().all()
    assert np.isfinite(scorer.predict(example).to_numpy()).all()
