"""The same records are the same fingerprints, however they were stored."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    assert known(hidden, KEY) == known(plain, KEY)
    assert len(known(plain, KEY)) == 500


def test_numbers_are_known_by_value_and_not_by_spelling() -> None:
    plain = _loans()
    spelled = plain.assign(amount=plain["amount"].astype(float), income=plain["income"].map(str))
    assert known(spelled, KEY) == known(plain, KEY)


def test_rows_of_frequent_values_alone_are_not_known_again() -> None:
    draws = np.random.default_rng(0)
    coarse = pd.DataFrame({"decade": draws.integers(2, 9, 2000), "sex": draws.integers(0, 2, 2000)})
    assert known(coarse, KEY) == set()


def test_a_fingerprint_is_what_it_was_when_ledgers_were_written_before() -> None:
    """The keyed digest of a row's distinct rarer texts, in their order."""
    row = "\x1f".join(sorted({"1.0", "a", "0.1"})).encode()
    digest = hashlib.blake2b(row, key=KEY, digest_size=8).digest()
    assert row_fingerprints(FRAME, KEY)[0] == int.from_bytes(digest, "little")


def test_other_names_for_the_owners_leave_one_way_in_which_the_rows_are_the_same() -> None:
    frame = _loans().assign(bank=[f"bank {place % 50}" for place in range(500)])
    other = frame.assign(bank="new " + frame["bank"])
    before, after = (owner_fingerprints(f, KEY, "bank", f["bank"]) for f in (frame, other))
    assert len(before) == len(after) == 50
    for name, (named, unnamed) in before.items():
        assert len(named) == len(unnamed) == 10
        assert not set(named) & set(after[f"new {name}"][0])
        assert set(unnamed) == set(after[f"new {name}"][1])


def test_a_way_that_tells_nothing_more_is_left() -> None:
    first, second = np.array([3, 0, 1, 3], dtype=np.uint64), np.array([1, 3], dtype=np.uint64)
    (only,) = records(first, second)
    assert only.tolist() == [1, 3]
