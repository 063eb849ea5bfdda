"""A vote on what columns are costs the share of the plan that it says, and is won by the records.

Noise cannot be seeded: statistical tests fail on correct code once in 10⁹ runs.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from domains.errors import InputError
from privacy.plan import calibrate
from privacy.preprocessing import _sigmas, noised_summary
from privacy.voting import KINDS, elected, noised_votes, vote_sigma
from tests.privacy.test_preprocessing import PLAN, RARELY


def held(rows: int) -> pd.DataFrame:
    """Columns of numbers with a word among them, words with numbers, dates, and mostly nothing."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "income": np.where(np.arange(rows) == 7, "category", "number"),
            "street": np.where(rng.random(rows) < 0.2, "number", "category"),
            "opened": "date",
            "empty": pd.Series(["number"] * rows).where(rng.random(rows) < 0.1, None),
        }
    )


@pytest.mark.parametrize(("undeclared", "numbers", "lists"), [(4, 2, 2), (1, 1, 3), (4, 0, 3)])
def test_the_vote_and_what_follows_have_the_plans_sensitivity(
    undeclared: int, numbers: int, lists: int
) -> None:
    """Squares of how far one record moves everything, each count over its σ."""
    sigma = _sigmas(numbers, lists, PLAN, voted=True)
    after = (
        numbers * (sigma["octave"] ** -2 + sigma["cell"] ** -2) + lists * sigma["category"] ** -2
    )
    vote = undeclared * vote_sigma(undeclared, PLAN) ** -2
    assert np.sqrt(vote + after) == pytest.approx(1 / 5.0)


def test_one_record_adds_one_to_one_count_of_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.noise.gaussian", lambda count, sigma: np.zeros(count))
    more, fewer = noised_votes(held(50), PLAN), noised_votes(held(50).iloc[1:], PLAN)
    moved = np.array([more[name] - fewer[name] for name in more])
    assert ((moved == 0) | (moved == 1)).all()
    assert (moved.sum(axis=1) <= 1).all()


def test_votes_carry_the_promised_noise() -> None:
    frame, sigma = held(60), vote_sigma(4, PLAN)
    exact = np.array([[(frame[name] == kind).sum() for kind in KINDS] for name in frame])
    draws = [np.array(list(noised_votes(frame, PLAN).values())) - exact for _ in range(300)]
    low, high = stats.chi2.ppf([RARELY / 12, 1 - RARELY / 12], 300)
    sums = (np.array(draws) ** 2).sum(axis=0) / sigma**2
    assert ((low < sums) & (sums < high)).all()


def test_a_few_hundred_records_win_the_vote() -> None:
    plan = calibrate(
        3,
        1e-5,
        rounds=5,
        local_steps=1,
        sampling_rate=1.0,
        setup_share=0.3,
        setup_columns=3,
        setup_categories=3,
    )
    frame = held(700)[["income", "street", "opened"]]
    owners = [frame.iloc[start::3] for start in range(3)]
    for _ in range(20):
        found = elected([noised_votes(each, plan) for each in owners])
        assert found == {"income": "number", "street": "category", "opened": "date"}


def test_a_plan_for_fewer_columns_pays_for_no_vote() -> None:
    five = held(20).assign(more="number")
    with pytest.raises(InputError, match="setup_columns=5"):
        noised_votes(five, PLAN)


def test_a_vote_leaves_less_for_what_follows() -> None:
    frame = pd.DataFrame({"x": np.arange(20.0)})
    alone, after = (noised_summary(frame, ["x"], [], PLAN, voted) for voted in (False, True))
    assert after.cell_sigma > alone.cell_sigma
