"""Patients are told apart and found again however two files spell their ids."""

from pathlib import Path

import pandas as pd
import pytest

from domains.errors import InputError
from pipelines.steps.patients.rows import rows_of
from tests.domains.sample_patients import sample_patients
from tests.pipelines.test_patients_data import VISITS, _config, _prepare, _visits

COLUMNS = ["id", "age", "lab", "ward", "smoker", "died"]


def test_a_patient_of_the_data_is_found_in_an_external_file_of_another_kind(
    home: Path, tmp_path: Path
) -> None:
    frame = sample_patients()[COLUMNS]
    frame["id"] = [f"{place:06d}" for place in range(len(frame))]
    frame.iloc[:300].to_parquet(tmp_path / "there.parquet")  # text; a CSV file has numbers
    config = _config(tmp_path, frame, exclude=[], test={"path": "there.parquet"})
    with pytest.raises(InputError, match=r"there\.parquet: 300 patient\(s\) stand on more than"):
        _prepare(config)


def test_rows_to_be_scored_keep_the_ids_as_their_file_spells_them(tmp_path: Path) -> None:
    visits = _visits(90)
    visits["id"] = [f"{place // 3:05d}" for place in range(90)]
    excluded = ["discharge", "days", "time", "event", "site", "enrolled"]
    config = _config(tmp_path, visits, data=VISITS, exclude=excluded)
    visits.drop(columns=[*excluded, "died"]).to_csv(tmp_path / "new.csv", index=False)
    for rows in (rows_of(config, tmp_path / "new.csv"), rows_of(config)):
        assert rows["id"].tolist() == [f"{place:05d}" for place in range(30)]
        assert pd.api.types.is_numeric_dtype(rows["lab.last"].dtype)
