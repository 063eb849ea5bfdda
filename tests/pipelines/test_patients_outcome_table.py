"""The table of outcomes says by what each is answered, and wins only beyond the interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.healthcare.outcomes.scores import Score, compare
from pipelines.reporting.wording import with_interval
from pipelines.steps.patients import tested as answers
from pipelines.steps.patients.outcome_by_outcome import table
from tests.models.sample_outcomes import codecs

OUTCOMES = ("death", "stay", "survival")
PATIENTS = np.array([f"p{place}" for place in range(200)], dtype=object)


def _mean(of: np.ndarray) -> Score:
    return lambda weight: float(np.average(of, weights=weight))


@pytest.fixture(scope="module")
def tested() -> answers.Tested:
    """Shared is far better than boosting at death, far worse at stay, and equal at survival."""
    noise = np.random.default_rng(0).normal(0, 0.05, 200)
    less = {"death": -0.2, "stay": 0.2, "survival": 0.0}
    own = {name: codec for name, codec in codecs().items() if name in OUTCOMES}
    keys = {name: f"{name}.{codec.outcome.metric}" for name, codec in own.items()}
    models: Mapping[str, Mapping[str, Score]] = {
        "shared": {keys[name]: _mean(0.7 + noise) for name in OUTCOMES},
        "single-task": {keys[name]: _mean(0.7 - noise) for name in OUTCOMES},
        "boosting": {keys[name]: _mean(0.7 + gap - noise) for name, gap in less.items()},
    }
    frames = dict.fromkeys(models, pd.DataFrame())
    nobody: Any = None
    found = compare(models, PATIENTS, 100, 0)
    return answers.Tested(nobody, own, frames, found, 100, 0, {"stay": "single-task"})


def test_every_outcome_has_a_line_that_says_what_answers_it(tested: answers.Tested) -> None:
    (made,) = table(tested, "shared", ["grouped", "single-task", "boosting"])
    assert made.columns[3:] == ["less single-task", "less boosting"]
    by = {str(row[0]).split(" ")[0]: row for row in made.rows}
    assert {name: by[name][1] for name in OUTCOMES} == {
        "death": "shared",
        "stay": "single-task",
        "survival": "shared",
    }
    assert by["stay"][3] is None, "a model is not compared with itself"
    assert "mean" in by


def test_a_difference_is_marked_only_where_its_interval_excludes_none(
    tested: answers.Tested,
) -> None:
    (made,) = table(tested, "shared", ["single-task", "boosting"])
    last = {str(row[0]).split(" ")[0]: str(row[4]) for row in made.rows}
    assert last["death"].startswith("▲+0.")
    assert last["stay"].startswith("▼-0.")
    assert last["survival"][0] in "+-"
    assert all(with_interval(cell)[1] for cell in last.values())


def test_without_controls_there_is_no_table(tested: answers.Tested) -> None:
    assert table(tested, "shared", []) == []
