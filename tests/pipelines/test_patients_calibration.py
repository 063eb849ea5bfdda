"""What a report says of calibration: every kind of outcome, before and after, as it is served."""

from __future__ import annotations

import numpy as np
import pytest

from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.outcomes.scores import compare, scores
from domains.healthcare.patients import read_cohort
from domains.metrics import ece
from models.multitask.calibrating import LEAST, fit_calibrators
from models.multitask.scorer import predictions
from pipelines.steps.patients import calibration
from pipelines.steps.patients.tested import UNCALIBRATED, Tested
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind


@pytest.fixture(scope="module")
def tested() -> Tested:
    """Answers of nobody, to all kinds of outcomes, calibrated on the same records."""
    cohort = read_cohort(patients_of_every_kind(400), EVERY_KIND, "f", patient="id")
    codecs = {o.name: fit_codec(o, cohort.targets.values[o.name]) for o in EVERY_KIND}
    rng = np.random.default_rng(0)
    said = {name: rng.normal(0.0, 2.0, (400, codec.size)) for name, codec in codecs.items()}
    encoded = {name: codec.encode(cohort.targets.values[name]) for name, codec in codecs.items()}
    fitted = fit_calibrators(codecs, said, encoded, cohort.patients, 0.9)
    frames = {"shared": predictions(codecs, said, fitted)}
    frames |= {UNCALIBRATED: predictions(codecs, said, {})}
    found = compare(
        {"shared": scores(codecs, cohort.targets, frames["shared"])}, cohort.patients, 5, 0
    )
    return Tested(cohort, codecs, frames, found, repeats=5, seed=0, calibrators=fitted)


def test_every_outcome_of_probabilities_says_how_it_was_calibrated(tested: Tested) -> None:
    told = calibration.told(tested)
    assert set(told) == {"death", "place", "survival", "grade", "relapse"}
    assert all(line["method"] == "temperature" for line in told.values())
    assert [name for name, line in told.items() if line["shift"] is None] == ["place"]
    assert [name for name, line in told.items() if line["ece_after"] is None] == [
        "survival",
        "relapse",
    ]
    assert all(str(line["records"]).isdigit() for line in told.values())


def test_levels_are_judged_as_the_classes_that_are_answered(tested: Tested) -> None:
    told, codec = calibration.told(tested)["grade"], tested.codecs["grade"]
    places = codec.places(tested.cohort.targets.values["grade"])
    there = ~np.isnan(places)
    for key, model in (("ece_before", UNCALIBRATED), ("ece_after", "shared")):
        shares = tested.frames[model].loc[there, list(codec.columns[1:])].to_numpy()
        assert told[key] == pytest.approx(ece(places[there], shares))
    assert float(told["ece_after"] or 1) < 0.5 * float(told["ece_before"] or 0)


def test_survival_is_told_before_calibration_and_after(tested: Tested) -> None:
    (table,) = (t for t in calibration.tables(tested, 0.9) if t.title.startswith("Event-free"))
    for name, horizon, before, after, observed, *_ in table.rows:
        column = f"{name}.at_{horizon}"
        assert before == pytest.approx(tested.frames[UNCALIBRATED][column].mean())
        assert after == pytest.approx(tested.frames["shared"][column].mean())
        assert abs(float(after or 0) - float(observed or 0)) < abs(
            float(before or 0) - float(observed or 0)
        )


def test_outcomes_with_too_few_labels_are_named_whatever_their_kind(tested: Tested) -> None:
    rows = np.arange(400) < LEAST - 1
    few = fit_calibrators(
        tested.codecs,
        {name: np.zeros((29, codec.size)) for name, codec in tested.codecs.items()},
        {
            name: codec.encode(tested.cohort.targets.take(rows).values[name])
            for name, codec in tested.codecs.items()
        },
        tested.cohort.patients[rows],
        0.9,
    )
    assert few == {}
    bare = Tested(tested.cohort, tested.codecs, tested.frames, tested.comparison, 5, 0)
    (line,) = calibration.remarks(bare, 0.9)
    assert line.startswith(
        f"Too few calibration patients have a label for {', '.join(bare.codecs)}:"
    )
