"""Columns that leak by what they are, though no number gives them away, are found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from domains.healthcare.cohort.named_leaks import by_name
from domains.healthcare.studies import NAMES, find
from domains.sources import fetch
from domains.tables import read_table
from pipelines.settings import PatientsConfig
from pipelines.steps.patients.prepare import fetch_data, prepare
from pipelines.tracking import open_job

SUPPORT2 = find("support2")


def test_an_export_of_a_study_is_told_all_that_the_study_never_takes() -> None:
    columns = ["age", "sex", "meanbp", *SUPPORT2.never]
    lines = by_name(columns, columns)
    for name in ("surv2m", "surv6m", "prg2m", "prg6m", "aps", "sps", "charges", "dnrday"):
        (line,) = (line for line in lines if line.startswith(f"Column {name} "))
        assert "named as in support2, where it is " in line
    assert len(lines) == len(SUPPORT2.never)


def test_what_is_left_of_an_export_is_still_known_by_the_rest_of_the_file() -> None:
    (line,) = by_name(["age", "surv2m"], ["age", *SUPPORT2.never])
    assert line.startswith("Column surv2m ")


@pytest.mark.parametrize(
    "name", ["surv2m", "prg6m", "aps", "APACHE_II", "riskScore", "predicted.mortality", "SOFA"]
)
def test_estimates_of_any_file_are_named(name: str) -> None:
    (line,) = by_name(["age", name], ["age", name])
    assert name in line
    assert "an estimate or a score" in line


@pytest.mark.parametrize(
    "name", ["DischargeDay", "los", "total_charges", "died", "followup.last", "readmitted_30d"]
)
def test_what_is_known_afterwards_of_any_file_is_named(name: str) -> None:
    (line,) = by_name(["age", name], ["age", name])
    assert name in line
    assert "recorded after the prediction" in line


def test_plain_measures_are_left_alone() -> None:
    plain = [
        *("age", "sex", "race", "newsletter", "glucose", "closest", "capsule", "costal_angle"),
        *("temp", "wblc", "hday", "diabetes", "pafi", "scoma", "newton", "deadlift", "BMI"),
    ]
    assert by_name(plain, plain) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_study_s_own_features_are_no_export_s_leaks(name: str) -> None:
    """What a study takes is not what it never takes."""
    study = find(name)
    assert not set(study.groups.values()) & set(study.never)


def test_a_csv_of_support2_is_warned_of_before_training(home: Path, tmp_path: Path) -> None:
    """Its own file in a user's hands: with every estimate, and what came after day 3."""
    read_table(fetch("support2")).head(1500).to_csv(tmp_path / "mine.csv", index=False)
    config = PatientsConfig.model_validate(
        {
            "data": {"path": str(tmp_path / "mine.csv"), "patient": "sno", "public": True},
            "outcomes": [{"name": "hospdead", "kind": "binary", "column": "hospdead"}],
            "scale": "tiny",
        }
    )
    with open_job("patients", config) as job:
        warnings = " ".join(prepare.fn(job, fetch_data.fn(job)).warnings)
    for name in ("surv2m", "surv6m", "prg2m", "prg6m", "aps", "sps", "slos", "death", "charges"):
        assert f"Column {name} is named as in support2" in warnings
