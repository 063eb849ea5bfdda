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


def test_shared_finds_exactly_the_common_ones() -> None:
    first = as_numbers({bytes([i]) * 8 for i in range(10)})
    second = as_numbers({bytes([i]) * 8 for i in range(7, 20)})
    assert shared(first, second.tobytes()).sum() == 3


def test_short_fingerprints_are_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        as_numbers({b"abc"})
