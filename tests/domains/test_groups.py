"""Protected groups: classes of a column, and which are large enough to be told of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from domains.banking.groups import EMPTY, classes, large_enough

ALL = np.ones(1000, dtype=bool)
AGE = pd.Series(np.random.default_rng(0).integers(18, 80, size=1000).astype(float))


def test_a_category_is_its_value_however_a_file_spells_it() -> None:
    plain, spelled = pd.Series([1, 2, 1.0, None]), pd.Series(["1", "2", "1.0", None])
    for column in (plain, spelled):
        assert classes(column, ALL[:4]).tolist() == ["1", "2", "1", EMPTY]
        assert classes(column, ALL[:4], kind="category").tolist() == ["1", "2", "1", EMPTY]


def test_a_declared_category_is_not_cut_however_many_numbers_it_holds() -> None:
    codes = pd.Series(np.arange(1000) % 40)
    assert len(set(classes(codes, ALL))) == 4
    for column in (codes, codes.astype(str), codes.astype(float)):
        assert set(classes(column, ALL, kind="category")) == {str(code) for code in range(40)}


@pytest.mark.parametrize("edges", [(), (0, 25, 62, 120)])
def test_one_word_does_not_make_a_declared_number_a_category(edges: tuple[float, ...]) -> None:
    spelled = AGE.astype(str)
    spelled.iloc[3], spelled.iloc[5] = "unknown", "inf"
    found = classes(spelled, ALL, edges, kind="number")
    expected = classes(AGE.where(~AGE.index.isin([3, 5])), ALL, edges)
    assert (found == expected).all()
    assert found[[3, 5]].tolist() == [EMPTY, EMPTY]
    assert len(set(classes(spelled, ALL, edges))) > 40  # nobody declared it: each value a class


def test_a_number_is_cut_at_the_quartiles_of_calibration_records_alone() -> None:
    calibrating = AGE.index.to_numpy() < 500
    found = classes(AGE, calibrating)
    changed = AGE.where(calibrating, 79.0)
    assert set(classes(changed, calibrating)) == set(found)
    counts = pd.Series(found[calibrating]).value_counts()
    assert len(counts) == 4
    assert counts.min() > 90


def test_public_edges_cut_before_anything_is_looked_at() -> None:
    found = classes(AGE, ALL, edges=(0, 25, 62, 120))
    assert set(found) == {"below 25", "25 to below 62", "62 and more"}
    assert ((found == "below 25") == (AGE < 25)).all()


def test_rounded_quartiles_are_no_records_own_value() -> None:
    income = pd.Series(np.random.default_rng(0).lognormal(10, 1, size=1000).round(2))
    cuts = {float(word) for name in classes(income, ALL, rounded=True) for word in _numbers(name)}
    assert len(cuts) == 3
    assert not cuts & set(income)
    assert cuts == {float(f"{cut:.2g}") for cut in income.quantile([0.25, 0.5, 0.75])}


def _numbers(name: str) -> list[str]:
    return [word for word in name.split() if word[0].isdigit()]


def test_numbers_spelled_as_text_are_numbers() -> None:
    assert (classes(AGE.astype(str), ALL) == classes(AGE, ALL)).all()


def _named(*sizes: int) -> np.ndarray:
    return np.repeat(np.array([f"g{i}" for i in range(len(sizes))], dtype=object), sizes)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_small_group_has_no_number(hidden: bool) -> None:
    found = _named(600, 300, 60, 30, 10)
    groups = large_enough("x", found, np.ones(1000, dtype=bool), 50, hidden)
    assert groups.names[:2] == ("g0", "g1")
    assert "g4" not in groups.names
    assert (groups.code[found == "g4"] == (2 if hidden else -1)).all()


def test_in_private_data_no_difference_of_sums_tells_of_the_few() -> None:
    found = _named(600, 300, 90, 10)
    tested = np.ones(1000, dtype=bool)
    assert large_enough("x", found, tested, 50, hidden=False).names == ("g0", "g1", "g2")
    groups = large_enough("x", found, tested, 50, hidden=True)
    assert groups.names == ("g0", "g1", "g2 or other")
    assert np.bincount(groups.code).tolist() == [600, 300, 100]
    assert groups.small is None


def test_only_test_records_are_counted() -> None:
    found = _named(500, 500)
    tested = np.r_[np.ones(500, dtype=bool), np.zeros(500, dtype=bool)]
    assert large_enough("x", found, tested, 50, hidden=False).names == ("g0",)
