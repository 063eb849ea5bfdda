"""The same records are the same fingerprints, however they were stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.tables import read_table
from privacy.fingerprints import owner_fingerprints, records, row_fingerprints

KEY = b"k" * 32


def known(frame: pd.DataFrame, key: bytes = KEY) -> set[int]:
    """Distinct fingerprints of rows that have one."""
    return set(row_fingerprints(frame, key).tolist()) - {0}


FRAME = pd.DataFrame(
    {"amount": [1, 2, 3, 3], "sector": ["a", None, "b", "b"], "rate": [0.1, np.nan, 2.5, 2.5]}
)


def test_order_of_rows_and_columns_changes_nothing_and_twins_count_once() -> None:
    shuffled = FRAME.iloc[::-1][["rate", "sector", "amount"]]
    assert known(shuffled, KEY) == known(FRAME, KEY)
    assert len(known(FRAME, KEY)) == 3


def test_csv_and_parquet_agree(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "f.csv", index=False)
    FRAME.to_parquet(tmp_path / "f.parquet")
    from_csv = known(pd.read_csv(tmp_path / "f.csv"), KEY)
    assert from_csv == known(pd.read_parquet(tmp_path / "f.parquet"), KEY)
    assert from_csv == known(FRAME, KEY)


def test_another_key_or_one_changed_value_shares_nothing_else() -> None:
    changed = FRAME.assign(amount=[1, 2, 3, 4])
    assert len(known(changed, KEY) & known(FRAME, KEY)) == 3
    assert not known(FRAME, b"other") & known(FRAME, KEY)


def _loans(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": draws.integers(1_000, 900_000, rows),
            "income": draws.normal(5e4, 1e4, rows).round(2),
            "purpose": draws.choice(["car", "home", "other"], rows),
            "year": draws.integers(1990, 2014, rows),
            "bank": [f"B{bank}" for bank in draws.integers(0, 20, rows)],
        }
    )


@pytest.mark.parametrize("part", ["one bank", "one year", "a filter", "one row", "shuffled"])
def test_a_row_has_one_fingerprint_in_whatever_part_of_a_file_it_comes(part: str) -> None:
    whole = _loans(6000)
    chosen: pd.Series = {
        "one bank": whole["bank"] == "B3",
        "one year": whole["year"] == 2001,
        "a filter": (whole["amount"] > 400_000) & (whole["purpose"] == "car"),
        "one row": whole.index.to_series() == 17,
        "shuffled": whole["amount"] > 0,
    }[part]
    some = whole[chosen].sample(frac=1, random_state=1)
    prints = row_fingerprints(whole, KEY)[some.index]
    assert len(some) > 0
    assert (row_fingerprints(some.reset_index(drop=True), KEY) == prints).all()


@pytest.mark.parametrize("column", ["bank", "year", "purpose"])
def test_owners_rows_are_those_of_the_file_whatever_it_was_cut_by(column: str) -> None:
    """One bank's own file, under a data name of its own, against the file of all banks."""
    whole = _loans(6000)
    names = whole[column].astype(str)
    for name, (named, unnamed) in owner_fingerprints(whole, KEY, column, names).items():
        own = whole[names == name]
        assert known(own) == set(named.tolist())
        assert known(own.drop(columns=column)) == set(unnamed.tolist())


def test_lenders_with_other_rows_have_no_fingerprint_in_common() -> None:
    first, second = _loans(20_000), _loans(20_000, seed=1)
    assert not known(first) & known(second)
    assert not known(first.drop(columns="bank")) & known(second.drop(columns="bank"))
    assert len(known(first)) == 20_000


def test_a_column_more_makes_other_rows_and_an_empty_one_does_not() -> None:
    plain = _loans()
    assert known(plain.assign(extra=np.nan)) == known(plain)
    assert not known(plain.assign(extra="x")) & known(plain)
    assert known(plain.rename(columns={"amount": "sum"})) == known(plain)


@pytest.mark.parametrize("odd", ["word", "00012", "true", "2014-01-01 10:30", "n/a", "1e3"])
def test_what_stands_in_other_rows_changes_no_type(odd: str, tmp_path: Path) -> None:
    fields = ["12", "07", "true", "2014-01-01", "2014-01-01T09:30", "2014-01-01 09:30:00", " ", ""]
    for field in fields:
        alone, beside = tmp_path / "alone.csv", tmp_path / "beside.csv"
        alone.write_text(f"a,b\n{field},5.5\n")
        beside.write_text(f"a,b\n{field},5.5\n{odd},6.5\n")
        found = [row_fingerprints(read_table(path), KEY)[0] for path in (alone, beside)]
        assert found[0] == found[1] != 0


def test_numbers_are_known_by_value_and_not_by_spelling() -> None:
    plain = _loans()
    spelled = plain.assign(amount=plain["amount"].astype(float), income=plain["income"].map(str))
    assert known(spelled, KEY) == known(plain, KEY)


def test_other_names_for_the_owners_leave_one_way_in_which_the_rows_are_the_same() -> None:
    frame = _loans().assign(bank=[f"bank {place % 50}" for place in range(500)], year=2000)
    other = frame.assign(bank="new " + frame["bank"])
    before, after = (owner_fingerprints(f, KEY, "bank", f["bank"]) for f in (frame, other))
    assert len(before) == len(after) == 50
    for name, (named, unnamed) in before.items():
        assert len(named) == len(unnamed) == 10
        assert not set(named) & set(after[f"new {name}"][0])
        assert set(unnamed) == set(after[f"new {name}"][1])


def test_a_way_that_tells_nothing_more_is_left() -> None:
    first, second = np.array([3, 0, 1, 3], dtype=np.uint64), np.array([3, 1, 3], dtype=np.uint64)
    (only,) = records(first, second)
    assert only.tolist() == [1, 3, 3]
