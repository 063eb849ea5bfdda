"""Patients in a large file: the same cohort, rules and codes as of a file that is read at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.features import Category, Encoder, fit_encoder
from domains.healthcare.cohort.leakage import suspects
from domains.healthcare.cohort.store import feature_pieces, read_bare, read_part, write_cohort
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.patients import Cohort, read_cohort
from domains.table_file import TableFile
from domains.tables import column_names, read_table
from tests.domains.sample_patients import OUTCOMES, sample_patients

PARTS = np.array(["train", "train", "test"] * 300, dtype=object)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frame = sample_patients().assign(code=lambda d: np.where(d.died == 1, "x", "y"))
    frame.loc[800:, "ward"] = "late"
    frame.to_parquet(tmp_path / "patients.parquet", row_group_size=170)
    return tmp_path / "patients.parquet"


def _both(path: Path) -> tuple[Cohort, Cohort]:
    whole = read_table(path)
    tables = (whole, TableFile(path, tuple(column_names(path))))
    at_once, on_disk = (read_cohort(t, OUTCOMES, path.name, patient="id") for t in tables)
    assert isinstance(on_disk.features, TableFile)
    return at_once, on_disk


def test_the_cohort_and_what_training_records_fix_are_the_same(path: Path) -> None:
    found = []
    for cohort in _both(path):
        training = cohort.take(PARTS == "train")
        encoder = fit_encoder(training.features)
        codecs = {o.name: fit_codec(o, training.targets.values[o.name]) for o in OUTCOMES}
        leaking = suspects(encoder, training.features, training.targets, codecs)
        ids = cohort.patients.tolist(), cohort.records.tolist()
        found.append((encoder.to_json(), leaking, ids, training.targets.mask.tolist()))
    assert found[0] == found[1]
    assert [suspect.feature for suspect in found[0][1]] == ["code"]


def test_what_is_written_down_is_the_same(path: Path, tmp_path: Path) -> None:
    at_once, on_disk = _both(path)
    for number, cohort in enumerate((at_once, on_disk)):
        write_cohort(cohort, PARTS, tmp_path / str(number))
    for part, every in (("train", 1), ("test", 1), ("train", 7), ("test", 1000)):
        one, other = (read_part(tmp_path / name, OUTCOMES, part, every) for name in "01")
        pd.testing.assert_frame_equal(one.features, other.features)
        assert one.records.tolist() == at_once.records[part == PARTS][::every].tolist()
        assert other.records.tolist() == one.records.tolist()
        assert np.array_equal(one.targets.mask, other.targets.mask)
        bare = read_bare(tmp_path / "1", OUTCOMES, part, every)
        assert (len(bare), list(bare.features)) == (len(one), [])
        assert bare.patients.tolist() == one.patients.tolist()
        assert np.array_equal(bare.targets.mask, one.targets.mask)
    pieces = list(feature_pieces(tmp_path / "1", "test"))
    pd.testing.assert_frame_equal(
        pd.concat(pieces, ignore_index=True),
        read_part(tmp_path / "0", OUTCOMES, "test").features,
    )


def test_inputs_made_of_codes_are_scores_gaps_and_one_hot_levels(path: Path) -> None:
    cohort, _ = _both(path)
    encoder = fit_encoder(cohort.features)
    codes, x = encoder.code(cohort.features), encoder.encode(cohort.features)
    assert codes.shape == (900, len(encoder.features))
    start = 0
    for place, feature in enumerate(encoder.features):
        own, column = x[:, start : start + feature.width], codes[:, place]
        start += feature.width
        missing = np.isnan(column)
        if isinstance(feature, Category):
            assert np.array_equal(own.argmax(axis=1), np.where(missing, own.shape[1] - 1, column))
            assert (own.sum(axis=1) == 1).all()
        else:
            assert np.array_equal(own[:, 0], np.where(missing, 0, column))
            assert feature.width == 1 or np.array_equal(own[:, 1], missing)
    rows = np.array([5, 3, 899])
    assert np.array_equal(Encoder.from_json(encoder.to_json()).spread(codes[rows]), x[rows])


DAYS = pd.date_range("2020-01-01", periods=900).strftime("%Y-%m-%d")
WRONG: dict[str, Any] = {
    "holds dates": DAYS,
    "holds one value in all 900 rows": np.ones(900),
    "899 cells hold numbers and 1 text, the first in row 700": np.where(
        np.arange(900) == 699, "none", np.arange(900).astype(str)
    ),
    r"holds free text \(900 different ones": [
        f"seen on ward {k} by two doctors" for k in range(900)
    ],
    "is empty in all 900 rows": [None] * 900,
}


@pytest.mark.parametrize("said", WRONG)
def test_columns_that_are_no_features_are_refused_in_the_same_line(said: str, path: Path) -> None:
    read_table(path).assign(odd=WRONG[said]).to_parquet(path, row_group_size=170)
    lines = []
    for table in (read_table(path), TableFile(path, tuple(column_names(path)))):
        with pytest.raises(InputError, match=f"patients.parquet: column odd:? {said}") as raised:
            read_cohort(table, OUTCOMES, path.name, patient="id")
        lines.append(str(raised.value))
    assert lines[0] == lines[1]
