"""Bins and lists depend on the records through noised counts alone.

Noise cannot be seeded: statistical tests fail on correct code once in 10⁹ runs, unless they say
otherwise.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from domains.errors import InputError
from privacy import noise
from privacy.plan import PrivacyPlan, calibrate
from privacy.preprocessing import Summary, _sigmas, category_text, merge, noised_summary

RARELY = 1e-9
PLAN = PrivacyPlan(
    rounds=1,
    local_steps=1,
    sampling_rate=1.0,
    epsilon=3.0,
    delta=1e-5,
    noise_multiplier=1.0,
    clip_norm=1.0,
    setup_noise_multiplier=5.0,
    setup_columns=4,
    setup_delta=1e-6,
)
NUMERIC, CATEGORICAL = ["amount", "age"], ["sector", "state"]


def loans(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(11, 1.2, count),
            "age": rng.integers(21, 70, count).astype(float),
            "sector": rng.choice([11, 21, 44], count, p=[0.6, 0.3, 0.1]),
            "state": rng.choice(["CA", "NY"], count),
        }
    )
    frame.loc[frame.index[::10], ["amount", "state"]] = None
    return frame


def test_exact_edges_are_the_quantiles_to_within_a_cell() -> None:
    owners = [loans(2_000, seed) for seed in range(5)]
    found = merge([noised_summary(f, NUMERIC, CATEGORICAL, None) for f in owners], bins=8)
    amounts = pd.concat(owners)["amount"].dropna()
    expected = np.quantile(amounts, np.linspace(0.001, 0.999, 9))
    np.testing.assert_allclose(found.edges["amount"], expected, rtol=0.1)
    assert found.categories == {"sector": ("11", "21", "44"), "state": found.categories["state"]}
    assert set(found.categories["state"]) == {"CA", "NY"}


def test_noised_edges_come_close_to_the_exact_ones() -> None:
    owners = [loans(5_000, seed) for seed in range(10)]
    plan = calibrate(
        3,
        1e-5,
        rounds=5,
        local_steps=1,
        sampling_rate=0.1,
        setup_share=0.1,
        setup_columns=4,
        setup_categories=2,
    )
    noised = merge([noised_summary(f, NUMERIC, CATEGORICAL, plan) for f in owners], bins=8)
    amounts = pd.concat(owners)["amount"].dropna()
    shares = np.searchsorted(np.sort(amounts), noised.edges["amount"]) / len(amounts)
    np.testing.assert_allclose(shares, np.linspace(0, 1, 9), atol=0.05)
    assert noised.categories["sector"] == ("11", "21", "44")


def test_with_a_plan_the_owners_counts_carry_the_promised_sigma() -> None:
    frame = loans(300)
    exact = noised_summary(frame, NUMERIC, [], None)
    noised = [noised_summary(frame, NUMERIC, [], PLAN) for _ in range(100)]
    for kind in ("cell", "octave"):
        sigma = getattr(noised[0], f"{kind}_sigma")
        known, drawn = getattr(exact, f"{kind}s"), [getattr(each, f"{kind}s") for each in noised]
        draws = np.array([[h[name] - known[name] for name in NUMERIC] for h in drawn]) / sigma
        repeats, *shape = draws.shape
        cells = int(np.prod(shape))
        low, high = stats.chi2.ppf([RARELY / cells, 1 - RARELY / cells], repeats)
        sums = (draws**2).sum(axis=0)
        assert ((low < sums) & (sums < high)).all()
        assert stats.kstest(draws.ravel(), "norm").pvalue > RARELY


@pytest.mark.parametrize(("numbers", "lists"), [(4, 0), (0, 4), (2, 2), (1, 3)])
def test_all_counts_together_have_the_plans_sensitivity(numbers: int, lists: int) -> None:
    sigma = _sigmas(numbers, lists, PLAN)
    moved = (
        numbers * (sigma["octave"] ** -2 + sigma["cell"] ** -2) + lists * sigma["category"] ** -2
    )
    assert np.sqrt(moved) == pytest.approx(1 / 5.0)


def test_edges_and_lists_depend_on_the_records_through_the_noised_summaries_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = loans(400)
    summary = noised_summary(frame, NUMERIC, CATEGORICAL, PLAN)
    again = replace(summary)
    first, second = merge([summary]), merge([again])
    for name in NUMERIC:
        np.testing.assert_array_equal(first.edges[name], second.edges[name])
    # With the noise held fixed, what one more record changes in the counts is all that changes.
    fixed = np.random.default_rng(0).normal(size=2_000)
    monkeypatch.setattr(noise, "gaussian", lambda count, sigma: sigma * fixed[:count])
    fewer = noised_summary(frame.iloc[1:], NUMERIC, CATEGORICAL, PLAN)
    more = noised_summary(frame, NUMERIC, CATEGORICAL, PLAN)
    assert one_record_apart(more, fewer)


def one_record_apart(more: Summary, fewer: Summary) -> bool:
    moved = [np.abs(more.cells[n] - fewer.cells[n]).sum() for n in more.cells]
    moved += [np.abs(more.octaves[n] - fewer.octaves[n]).sum() for n in more.octaves]
    moved += [
        sum(abs(more.categories[n][c] - fewer.categories[n][c]) for c in more.categories[n])
        for n in more.categories
    ]
    assert all(more.categories[n].keys() == fewer.categories[n].keys() for n in more.categories)
    return max(moved) <= 1 + 1e-9 and np.linalg.norm(moved) <= np.sqrt(len(moved)) + 1e-9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1e-300, -1e300, 5.0])
def test_any_record_is_in_one_cell_of_a_column_at_most(value: float) -> None:
    frame = loans(50)
    added = pd.concat([frame, frame.iloc[:1].assign(amount=value)])
    before, after = (noised_summary(f, ["amount"], [], None).cells for f in (frame, added))
    assert (after["amount"] - before["amount"]).sum() == (0 if np.isnan(value) else 1)
    assert np.abs(after["amount"] - before["amount"]).max() <= 1


def test_a_category_with_one_record_is_named_no_more_often_than_delta_allows() -> None:
    plan = replace(PLAN, setup_delta=0.02)  # large enough to be seen in 4,000 tries
    frame = pd.DataFrame({"sector": [f"only-{number}" for number in range(2_000)], "state": "CA"})
    frame["other"] = frame["sector"]
    named = 0
    for _ in range(2):
        lists = noised_summary(frame, [], ["sector", "other"], plan).categories
        named += len(lists["sector"]) + len(lists["other"])
    assert stats.binomtest(named, 8_000, 0.02 / 2).pvalue > RARELY


def test_a_category_with_many_records_is_named() -> None:
    frame = pd.DataFrame({"state": ["CA"] * 500})
    assert "CA" in noised_summary(frame, [], ["state"], PLAN).categories["state"]


def test_a_released_list_is_in_alphabetical_order_whatever_the_counts() -> None:
    frame = pd.DataFrame({"state": ["TX"] * 900 + ["CA"] * 300 + ["NY"] * 600})
    assert list(noised_summary(frame, [], ["state"], PLAN).categories["state"]) == [
        "CA",
        "NY",
        "TX",
    ]


def test_lists_are_summed_over_owners_and_cut_at_their_length() -> None:
    one = Summary({}, {}, {"state": {"CA": 10.0, "NY": 30.0, "TX": 1.0}})
    two = Summary({}, {}, {"state": {"CA": 25.0}})
    assert merge([one, two], most_categories=2).categories == {"state": ("CA", "NY")}


def test_a_column_of_one_value_has_edges_around_it() -> None:
    for value in (0.0, 7.0, -3.0):
        frame = pd.DataFrame({"x": [value] * 20})
        edges = merge([noised_summary(frame, ["x"], [], None)]).edges["x"]
        assert edges[0] <= value <= edges[-1]
        assert (np.diff(edges) > 0).all()


def test_zero_where_it_is_frequent_is_a_bin_of_its_own() -> None:
    frame = pd.DataFrame({"x": [0.0] * 50 + list(range(1, 151))})
    edges = merge([noised_summary(frame, ["x"], [], None)], bins=4).edges["x"]
    assert {-1e-6, 1e-6} <= set(edges.tolist())
    assert edges[-1] > 100


def test_an_exact_column_without_values_is_named() -> None:
    summary = noised_summary(pd.DataFrame({"x": [np.nan, np.nan]}), ["x"], [], None)
    with pytest.raises(InputError, match="column x: every value is missing"):
        merge([summary])


@pytest.mark.parametrize("count", [0, 1, 30])
def test_an_owner_too_small_to_be_seen_still_gets_edges(count: int) -> None:
    frame = pd.DataFrame({"x": np.full(count, 7.0)})
    for _ in range(20):
        edges = merge([noised_summary(frame, ["x"], [], PLAN)]).edges["x"]
        assert len(edges) >= 2
        assert np.isfinite(edges).all()
        assert (np.diff(edges) > 0).all()


def test_codes_are_the_same_category_however_they_were_read() -> None:
    expected = ["11", "44", None]
    assert category_text(pd.Series([11, 44, None])).tolist() == expected
    assert category_text(pd.Series(["11", "44", None])).tolist() == expected
    assert category_text(pd.Series([11, 44, pd.NA], dtype="Int64")).tolist() == expected
    assert category_text(pd.Series(["11", "44", None], dtype="category")).tolist() == expected


def test_mistakes_name_the_column_or_the_option() -> None:
    frame = loans(20)
    for numeric, categorical, plan, named in (
        (["height"], [], PLAN, "column height"),
        (["state"], [], PLAN, "column state"),
        (NUMERIC, CATEGORICAL, replace(PLAN, setup_columns=3), "setup_columns=4"),
        (NUMERIC, CATEGORICAL, replace(PLAN, setup_delta=0.0), "setup_categories"),
        (NUMERIC, [], replace(PLAN, setup_noise_multiplier=None), "setup_share"),
    ):
        with pytest.raises(InputError, match=named):
            noised_summary(frame, numeric, categorical, plan)
