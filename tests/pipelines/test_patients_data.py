"""Files of patients' visits, splits, and external test files, from the configuration alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.patients import Cohort
from domains.tables import read_table
from pipelines.commands.data import data_rows
from pipelines.governance import registry
from pipelines.settings import PatientsConfig, load_config
from pipelines.steps.patients.prepare import Prepared, fetch_data, prepare
from pipelines.steps.patients.rows import rows_of
from pipelines.tracking import open_job
from tests.domains.sample_patients import sample_patients

DEATH = [{"name": "death", "kind": "binary", "column": "died"}]


def _config(folder: Path, frame: pd.DataFrame, **keys: Any) -> PatientsConfig:
    frame.to_csv(folder / "visits.csv", index=False)
    data = {"path": "visits.csv", "patient": "id", "public": True, **keys.pop("data", {})}
    values = {"data": data, "outcomes": DEATH, "exclude": ["discharge", "days", "time", "event"]}
    (folder / "job.yaml").write_text(json.dumps({**values, "scale": "small", **keys}))
    config = load_config("patients", folder / "job.yaml")
    assert isinstance(config, PatientsConfig)
    return config


Parts = dict[str, Cohort]


def _prepare(config: PatientsConfig) -> tuple[Prepared, Parts]:
    """What the first stages made, read back while the job's folder is there."""
    with open_job("patients", config) as job:
        prepared: Prepared = prepare.fn(job, fetch_data.fn(job))
        return prepared, {part: prepared.read(part) for part in prepared.split}


def _visits(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """Three visits of each patient, the last after day 500; every outcome one a patient."""
    frame = sample_patients(count, seed, visits=3).assign(
        day=np.tile([0.0, 400.0, 800.0], count // 3)
    )
    rng = np.random.default_rng(seed)
    frame["died"] = frame.groupby("id")["died"].transform("max")
    frame["site"] = np.repeat(rng.choice(["north", "south", "east"], count // 3), 3)
    frame["enrolled"] = np.repeat(
        (
            pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 2000, count // 3), "D")
        ).strftime("%Y-%m-%d"),
        3,
    )
    return frame


def _features(parts: Parts) -> pd.DataFrame:
    return pd.concat([cohort.features for cohort in parts.values()])


VISITS = {"visits": {"time": "day", "until": 500}}
MARKS = ["site", "enrolled"]
OTHER = ["discharge", "days", "time", "event"]


def test_a_users_visits_become_one_row_a_patient_without_a_look_ahead(
    home: Path, tmp_path: Path
) -> None:
    visits = _visits()
    config = _config(tmp_path, visits, data=VISITS, exclude=[*OTHER, *MARKS])
    prepared, parts = _prepare(config)
    assert sum(part["records"] for part in prepared.split.values()) == 300
    assert {"age.last", "lab.trend", "ward.last", "visits.count"} - set(_features(parts)) == {
        "visits.count"  # two each
    }
    assert any("300 later visits are no part" in note for note in prepared.dataset.notes)
    later = visits["day"] > 500
    changed = visits.assign(
        age=visits["age"].mask(later, 1.0), ward=visits["ward"].mask(later, "elsewhere")
    )
    _, again = _prepare(_config(tmp_path, changed, data=VISITS, exclude=[*OTHER, *MARKS]))
    pd.testing.assert_frame_equal(_features(parts), _features(again))


def test_an_external_file_of_visits_is_summarised_as_the_data_were(
    home: Path, tmp_path: Path
) -> None:
    # One visit each: every trend is unknown and every count the same.
    there = _visits(150, seed=8).query("day == 0")
    there.to_parquet(tmp_path / "there.parquet")
    keys: dict[str, Any] = {"data": VISITS, "exclude": [*OTHER, *MARKS]}
    prepared, parts = _prepare(_config(tmp_path, _visits(), test={"path": "there.parquet"}, **keys))
    assert prepared.split["external"]["records"] == 50
    assert list(parts["external"].features) == list(parts["train"].features)


@pytest.mark.parametrize(
    ("by", "summarised"),
    [
        ({"split_by": "site", "site": "site", "test_sites": ["east"]}, True),
        ({"split_by": "site", "site": "site"}, False),
        ({"split_by": "time", "time": "enrolled", "test_from": "2019-06-01"}, False),
        ({"split_by": "time", "time": "enrolled"}, True),
    ],
)
def test_sites_and_later_records_are_held_out_and_are_no_features(
    by: dict[str, Any], summarised: bool, home: Path, tmp_path: Path
) -> None:
    mark = by.get("site") or by["time"]
    rest = [name for name in (*MARKS, *([] if summarised else ["day"])) if name != mark]
    data = {**by, **(VISITS if summarised else {})}
    visits = _visits()
    prepared, parts = _prepare(_config(tmp_path, visits, data=data, exclude=[*OTHER, *rest]))
    of = visits.drop_duplicates("id").set_index("id")[mark]
    tested = set(of[parts["test"].patients])
    for part in ("train", "validation", "calibration"):
        others = parts[part]
        assert mark not in others.features
        if by["split_by"] == "site":
            assert not tested & set(of[others.patients])
        else:
            assert max(of[others.patients]) < min(tested)
    assert f"held out by {by['split_by']}" in prepared.unit
    other, _ = _prepare(_config(tmp_path, visits, exclude=[*OTHER, *MARKS, "day"]))
    assert other.unit != prepared.unit


def test_visits_to_be_scored_become_rows_as_those_of_training(home: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, _visits(), data=VISITS, exclude=[*OTHER, *MARKS])
    _, parts = _prepare(config)
    new = _visits(30, seed=9).drop(columns=["died", *OTHER, *MARKS])
    new.to_csv(tmp_path / "new.csv", index=False)
    rows = rows_of(config, tmp_path / "new.csv")
    assert len(rows) == 10
    assert list(rows.columns.drop("id")) == list(parts["train"].features)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_written_as_a_job_reads_them(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"rows.{suffix}"
    data_rows(output=output, set_=["data.name=framingham"])
    assert read_table(output)["RANDID"].is_unique
    with pytest.raises(InputError, match=r"expected a name that ends in \.csv or \.parquet"):
        data_rows(output=tmp_path / "rows.xlsx", set_=["data.name=framingham"])


def test_an_outcome_that_visits_do_not_have_is_named(home: Path, tmp_path: Path) -> None:
    visits = _visits().rename(columns={"died": "dead"})
    with pytest.raises(InputError, match="outcome death: no column 'died'; did you mean"):
        _prepare(_config(tmp_path, visits, data=VISITS, exclude=[*OTHER, *MARKS]))


ONE_ROW = sample_patients()[["id", "age", "lab", "ward", "smoker", "died"]]
THERE = sample_patients(200, seed=7)[ONE_ROW.columns]


@pytest.mark.parametrize(
    ("keys", "there", "said"),
    [
        ({}, THERE.assign(lab=THERE["lab"] * 88.4), r"there\.csv: column lab holds numbers on an"),
        ({}, THERE.assign(extra=1), r"there\.csv: 1 column\(s\) are not in the data: extra"),
        ({}, THERE.drop(columns="ward"), r"there\.csv: 1 of 4 needed columns are missing: ward"),
        ({}, THERE.assign(age="old"), r"there\.csv: column age: row 1 holds text, expected a num"),
        ({"data": {"ranges": {"age": [0, 80]}}}, THERE, r"visits\.csv: row \d+, column age: a num"),
        ({"data": {"least_events": 500}}, THERE, r"expected at least 500 \(data.least_events\)"),
        ({"frame": ONE_ROW.assign(id=0), "data": {"one_row": True}}, THERE, "1 patient.s. of col"),
        ({"frame": ONE_ROW.assign(age=7)}, THERE, "column age holds one value in all 900 rows"),
        (
            {"frame": ONE_ROW.assign(age=[f"{k % 28}/2/2020" for k in range(900)])},
            THERE,
            "column age holds dates",
        ),
        ({"data": {"site": "sit", "split_by": "site"}}, THERE, "data.site: no column 'sit'"),
    ],
)
def test_bad_tables_are_one_line_and_register_nothing(
    keys: dict[str, Any], there: pd.DataFrame, said: str, home: Path, tmp_path: Path
) -> None:
    there.to_csv(tmp_path / "there.csv", index=False)
    frame = keys.get("frame", ONE_ROW)
    config = _config(
        tmp_path, frame, exclude=[], test={"path": "there.csv"}, data=keys.get("data", {})
    )
    with pytest.raises(InputError, match=said) as raised:
        _prepare(config)
    assert "\n" not in str(raised.value)
    assert registry.list_versions() == []


def test_other_units_and_columns_are_taken_when_the_configuration_says_so(
    home: Path, tmp_path: Path
) -> None:
    there = THERE.assign(lab=THERE["lab"] * 88.4, extra=1)
    there.to_csv(tmp_path / "there.csv", index=False)
    test = {"path": "there.csv", "exclude": ["extra"], "differing": ["lab"]}
    prepared, _ = _prepare(_config(tmp_path, ONE_ROW, exclude=[], test=test))
    assert prepared.split["external"]["records"] == 200


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"split_by": "site"}, "split_by: site needs site"),
        ({"split_by": "time"}, "split_by: time needs time"),
        ({"test_sites": ["a"]}, "test_sites: needs split_by: site"),
        ({"test_from": 3}, "test_from: needs split_by: time"),
        ({"one_row": True, "patient": None}, "one_row: needs patient"),
        ({**VISITS, "patient": None}, "visits: needs patient"),
        ({**VISITS, "time": "day"}, "expected a column with one time a patient"),
        ({"ranges": {"age": [9, 1]}}, "expected the lower first"),
        ({"path": None, "name": "nafdl"}, "built-in studies: support2, framingham, nafld, nhanes"),
        ({"path": None, "name": "nafld", **VISITS}, "a built-in study has its own prediction time"),
    ],
)
def test_keys_that_do_not_fit_are_refused(data: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        _config(tmp_path, ONE_ROW, data=data)


@pytest.mark.parametrize("name", ["framingham", "nafld", "nhanes"])
def test_a_study_is_prepared_from_its_name_alone(name: str, home: Path) -> None:
    config = load_config("patients", None, [f"data.name={name}"])
    assert isinstance(config, PatientsConfig)
    prepared, _ = _prepare(config)
    assert prepared.dataset.public
    assert all(part["records"] == part["groups"] > 0 for part in prepared.split.values())
    assert not prepared.warnings
