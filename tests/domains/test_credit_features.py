"""What columns mean: text that compares, numbers that are checked, derivations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from domains.banking import sba
from domains.banking.features import (
    Categorical,
    Derived,
    Numeric,
    derive,
    from_json,
    labels,
    numbers,
    to_json,
)
from domains.errors import InputError


def test_a_code_is_one_category_however_it_was_read() -> None:
    for column in ([3, 4], [3.0, 4.0], ["3", "4"], pd.Categorical(["3", "4"])):
        assert labels(pd.Series(column)).tolist() == ["3", "4"]


def test_an_empty_category_stays_empty() -> None:
    assert labels(pd.Series([1.0, np.nan])).isna().tolist() == [False, True]
    assert labels(pd.Series(["a", None])).isna().tolist() == [False, True]


def test_an_infinite_number_is_refused_by_row_and_column() -> None:
    with pytest.raises(InputError, match="row 2, column 'x': infinite"):
        numbers(pd.DataFrame({"x": [1.0, np.inf]}), "x")


def test_text_among_numbers_is_refused_without_repeating_it() -> None:
    with pytest.raises(InputError, match="row 1, column 'x': text") as error:
        numbers(pd.DataFrame({"x": ["secret", "1"]}), "x")
    assert "secret" not in str(error.value)


def test_derivations_of_the_built_in_set() -> None:
    frame = pd.DataFrame(
        {
            "NAICS": ["445110", "0", None],
            "SBA_Appv": [50.0, 75.0, np.nan],
            "GrAppv": [100.0, 0.0, 10.0],
            "FranchiseCode": ["1", "78760", None],
        }
    )
    made = derive(frame, sba.DERIVED)
    assert made["Sector"].tolist()[0] == "44"
    assert made["Sector"].isna().tolist() == [False, True, True]
    assert made["GuaranteedShare"].isna().tolist() == [False, True, True]
    assert made["Franchise"].tolist()[:2] == ["no", "yes"]


def test_features_survive_json() -> None:
    items = (Numeric("a", (0.0, 1.0)), Categorical("b", ("x",)), Derived("c", "prefix", ("d",)))
    assert from_json(to_json(items)) == items


def test_no_feature_of_the_built_in_set_tells_of_the_outcome() -> None:
    leaking = {"Term", "ChgOffDate", "ChgOffPrinGr", "BalanceGross", "DisbursementDate"}
    raw = {feature.column for feature in sba.FEATURES}
    raw |= {name for item in sba.DERIVED for name in item.of}
    assert not raw & {*leaking, "DisbursementGross", sba.TARGET, sba.APPROVED, "ApprovalFY"}


def test_a_share_too_large_for_a_number_is_the_largest_one() -> None:
    frame = pd.DataFrame({"a": [1e300, -1e300, 1.0], "b": [1e-300, 1e-300, 0.0]})
    (share,) = derive(frame, [Derived("s", "share", ("a", "b"))])["s"].to_numpy()[None]
    most = np.finfo(float).max
    assert share[:2].tolist() == [most, -most]
    assert np.isnan(share[2])


def test_a_few_cells_are_labelled_as_a_long_column_is() -> None:
    cells = [3, 3.0, "3", True, "True", None, float("nan"), "a", 2.5, 10**20, "3"]
    few, many = (pd.Series(cells * times, dtype=object) for times in (1, 20))
    assert labels(few).astype(str).tolist() == labels(many).astype(str).tolist()[: len(cells)]
