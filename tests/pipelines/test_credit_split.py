"""Private records keep their side of the split, and no date tells how many there are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.errors import Refused
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import config_of, prepared, spent

DATA = {"path": "loans.csv", "name": "loans"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"id": "borrower"}, r"leave data\.id out"),
        ({"id": "borrower"}, {}, r"set data\.id: borrower"),
    ],
)
def test_an_id_is_neither_set_nor_unset_later(
    tmp_path: Path, home: Path, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    frame = sample_loans().assign(borrower=np.arange(1200) // 3)
    exclude = ["approved", "borrower"]
    prepared(config_of(tmp_path, frame, data=DATA | first, exclude=exclude))
    before = spent()
    with pytest.raises(Refused, match=said):
        prepared(config_of(tmp_path, frame, data=DATA | second, exclude=exclude))
    assert spent() == before


def test_without_the_homes_key_nothing_is_split_anew(tmp_path: Path, home: Path) -> None:
    """A key that is missing is made, and would put every record on another side."""
    prepared(config_of(tmp_path))
    before, key = spent(), home / "key"
    (home / "key").rename(tmp_path / "backup")
    for name in ("loans", "fresh"):
        with pytest.raises(Refused, match="the file key in CARELEDGER_HOME is not the one"):
            prepared(config_of(tmp_path, data=DATA | {"name": name}))
    assert spent() == before
    (tmp_path / "backup").replace(key)
    with pytest.raises(Refused, match="granted ε 6"):  # the next job is asked for its budget again
        prepared(config_of(tmp_path))


def test_without_an_id_one_more_column_is_refused(tmp_path: Path, home: Path) -> None:
    prepared(config_of(tmp_path))
    with pytest.raises(Refused, match="take branch out of the file"):
        prepared(config_of(tmp_path, sample_loans().assign(branch=3)))


@pytest.mark.parametrize(
    "dates", [{"out_of_time": "2007-01-01"}, {"approved": ["2004-01-01", "2006-12-31"]}]
)
def test_where_dates_cut_only_public_numbers_and_held_out_ones_are_told(
    tmp_path: Path, home: Path, dates: dict[str, Any]
) -> None:
    made = prepared(config_of(tmp_path, data=DATA | {"date": "approved"} | dates, exclude=["sex"]))
    assert made.dataset.rows == sum(made.sizes.values()) == 1200
    assert made.split["train"] == {}
    assert made.split.keys() <= {"train", "calibration", "test", "out-of-time"}
    assert any("is not told" in note for note in made.dataset.notes)
