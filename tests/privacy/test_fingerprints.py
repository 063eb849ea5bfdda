"""The same records are the same fingerprints, however they were stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privacy.fingerprints import as_numbers, row_fingerprints, shared

KEY = b"k" * 32
FRAME = pd.DataFrame(
    {"amount": [1, 2, 3, 3], "sector": ["a", None, "b", "b"], "rate": [0.1, np.nan, 2.5, 2.5]}
)


def test_order_of_rows_and_columns_changes_nothing_and_twins_count_once() -> None:
    shuffled = FRAME.iloc[::-1][["rate", "sector", "amount"]]
    assert row_fingerprints(shuffled, KEY) == row_fingerprints(FRAME, KEY)
    assert len(row_fingerprints(FRAME, KEY)) == 3


def test_csv_and_parquet_agree(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "f.csv", index=False)
    FRAME.to_parquet(tmp_path / "f.parquet")
    from_csv = row_fingerprints(pd.read_csv(tmp_path / "f.csv"), KEY)
    assert from_csv == row_fingerprints(pd.read_parquet(tmp_path / "f.parquet"), KEY)
    assert from_csv == row_fingerprints(FRAME, KEY)


def test_another_key_or_one_changed_value_shares_nothing_else() -> None:
    changed = FRAME.assign(amount=[1, 2, 3, 4])
    assert len(row_fingerprints(changed, KEY) & row_fingerprints(FRAME, KEY)) == 3
    assert not row_fingerprints(FRAME, b"other") & row_fingerprints(FRAME, KEY)


def _loans(rows: int = 500) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": draws.integers(1_000, 900_000, rows),
            "income": draws.normal(5e4, 1e4, rows).round(2),
            "purpose": draws.choice(["car", "home", "other"], rows),
        }
    )


@pytest.mark.parametrize(
    "extra",
    [
        ["x"] * 500,
        ["x"] * 499 + [None],
        ["x", "y"] * 250,
        list("abcde") * 100,
        list(_loans()["income"]),
    ],
    ids=["constant", "nearly constant", "two values", "five values", "a copy"],
)
def test_another_column_of_frequent_or_known_values_hides_nothing(extra: list[object]) -> None:
    plain, hidden = (
        _loans(),
        _loans().assign(extra=pd.Series(extra)).rename(columns={"amount": "sum"}),
    )
    assert row_fingerprints(hidden, KEY) == row_fingerprints(plain, KEY)
    assert len(row_fingerprints(plain, KEY)) == 500


def test_numbers_are_known_by_value_and_not_by_spelling() -> None:
    plain = _loans()
    spelled = plain.assign(amount=plain["amount"].astype(float), income=plain["income"].map(str))
    assert row_fingerprints(spelled, KEY) == row_fingerprints(plain, KEY)


def test_rows_of_frequent_values_alone_are_not_known_again() -> None:
    draws = np.random.default_rng(0)
    coarse = pd.DataFrame({"decade": draws.integers(2, 9, 2000), "sex": draws.integers(0, 2, 2000)})
    assert row_fingerprints(coarse, KEY) == set()


def test_shared_finds_exactly_the_common_ones() -> None:
    first = as_numbers({bytes([i]) * 8 for i in range(10)})
    second = as_numbers({bytes([i]) * 8 for i in range(7, 20)})
    assert shared(first, second.tobytes()).sum() == 3


def test_short_fingerprints_are_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        as_numbers({b"abc"})
