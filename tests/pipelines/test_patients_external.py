"""The external file in a report: what is worse there is named, what is unknown is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.outcomes.scores import compare, scores
from domains.healthcare.outcomes.targets import Targets
from pipelines.steps.patients import external
from pipelines.steps.patients.tested import UNCALIBRATED, Tested
from tests.pipelines.test_patients_slices import made_up


def _judged_again(tested: Tested, targets: Targets) -> Tested:
    """The same answers to records of which something else is known."""
    found = scores(tested.codecs, targets, tested.frames["shared"])
    patients = tested.cohort.patients
    return replace(
        tested,
        cohort=replace(tested.cohort, targets=targets),
        comparison=compare({"shared": found}, patients, 20, 1),
    )


def _without(tested: Tested, name: str, left: int = 0) -> Tested:
    """The same where all but so many records have no label of an outcome."""
    values = tested.cohort.targets.values
    fewer = values[name].copy()
    fewer[np.flatnonzero(~pd.isna(fewer))[left:]] = np.nan
    return _judged_again(tested, Targets(tested.cohort.targets.outcomes, values | {name: fewer}))


def test_answers_that_are_worse_there_are_named_and_others_are_not() -> None:
    own, like = made_up(900), made_up(900, seed=1)
    (line,) = external.finding(own, like, "north.csv")
    assert line.startswith("On north.csv, of which nothing was learned or chosen: mean 0.")
    assert line.endswith("; surely worse there: none.")
    spoilt = made_up(900, spoilt=np.ones(900, bool), seed=1)
    (line,) = external.finding(own, spoilt, "north.csv")
    assert line.endswith("; surely worse there: death, place, stay, survival.")
    assert " against the own test records" in line


def test_what_cannot_be_judged_there_is_said_and_means_are_not_compared() -> None:
    own, there = made_up(900), _without(made_up(600, seed=1), "death")
    (line,) = external.finding(own, there, "north.csv")
    assert line.endswith("; not to be judged there: death.")
    assert "against the own" not in line
    (table,) = external.tables(own, there, "north.csv")
    rows = {str(row[0]): row[1:] for row in table.rows}
    assert rows["death (AUROC)"][:2] == [0, None]
    assert rows["death (AUROC)"][3] is None
    assert rows["place (AUROC)"][0] == 600
    assert "place (calibration error)" in rows


def test_few_labels_of_private_records_there_are_not_counted() -> None:
    there = replace(_without(made_up(600, seed=1), "death", left=3), public=False)
    (table,) = external.tables(made_up(900), there, "north.csv")
    assert {row[1] for row in table.rows if str(row[0]).startswith("death")} == {"<5"}
    assert all(row[1] % 5 == 0 for row in table.rows if row[1] != "<5")  # type: ignore[operator]


def test_curves_are_drawn_where_there_are_labels(tmp_path: Path) -> None:
    there = made_up(300)
    there = replace(there, frames=there.frames | {UNCALIBRATED: there.frames["shared"]})
    (figure,) = external.draw(tmp_path, there, "north.csv")
    assert figure.path.stat().st_size
    assert "north.csv" in figure.caption
    assert external.draw(tmp_path, _without(there, "death"), "north.csv") == []
