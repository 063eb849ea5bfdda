"""Why a patient's record is answered as it is: over HTTP and in files, the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.governance.versions import load_version
from pipelines.scoring.batch import score_file
from pipelines.serving.questions import MOST_EXPLAINED
from pipelines.settings import ScoreConfig
from tests.domains.sample_patients import sample_patients
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    Served,
    patients_scorer,
    records,
    register,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow

ROWS = sample_patients(4, seed=3)[PATIENTS]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of a network for patients; the home stays set for the module."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(tmp_path_factory.mktemp("serving")))
        example = table_example(PATIENTS, records(sample_patients(3, seed=9), PATIENTS))
        register("patients", patients_scorer(), example, "champion")
        with serving("patients") as found:
            yield found


def _reasons() -> list[Any]:
    scorer: Any = load_version("patients", "1").scorer
    found: list[Any] = scorer.reasons(ROWS)
    return found


def test_reasons_of_a_patient_are_told_outcome_by_outcome(served: Served) -> None:
    asked: list[dict[str, Any]] = [*records(ROWS, PATIENTS), {}]
    answer = served.predict(records=asked, reasons=True)
    assert answer["reasons"][4] is None
    for given, own in zip(answer["reasons"], _reasons(), strict=False):
        assert [code["column"] for code in given] == [reason.column for reason in own]
        assert given[0].keys() == asdict(own[0]).keys()
        assert len({code["outcome"] for code in given}) == 4
    most = {"records": asked[:1] * (MOST_EXPLAINED["patients"] + 1)}
    status, answer, _ = served.ask("POST", "/predict", {**most, "reasons": True})
    assert status == 413
    assert "careledger score --reasons" in answer["detail"]


def test_scored_files_have_the_same_reasons_in_words(served: Served, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / "scores.csv"
    order = ScoreConfig(model="patients", input=tmp_path / "new.csv", output=output, reasons=True)
    score_file(order)
    found = pd.read_csv(output, keep_default_na=False)
    for row, own in enumerate(_reasons()):
        death = [f"{'+' if r.change > 0 else '-'}{r.column}" for r in own if r.outcome == "death"]
        told = [found.at[row, f"death.reason_{place + 1}"] for place in range(4)]
        assert told == death + [""] * (4 - len(death))
