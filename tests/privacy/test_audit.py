"""A bound on ε from guesses: below the truth as often as it says, and not far below.

The mechanisms here are simulated directly, so their ε is known. Simulations take fixed seeds; what
they may get wrong by chance is stated beside each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from domains.errors import InputError
from privacy.accounting import epsilon_of
from privacy.audit import (
    Guesses,
    chance,
    chance_by_counting,
    epsilon_at_least,
    epsilon_by_counting,
)
from privacy.tradeoff import least_wrong

DELTA = 1e-5
CANARIES, MADE = 400, 100


def gaussian(scale: float = 1.0) -> list[dict[str, Any]]:
    """ε 3.87 at δ 1e-5: one canary is a shift of 0.9 against a standard normal."""
    return [{"kind": "gaussian", "sigma": scale / 0.9, "count": 1}]


def guessed(rng: np.random.Generator, shift: float) -> Guesses:
    """Canaries whose scores a Gaussian mechanism releases, and the most extreme ones guessed."""
    there = rng.random(CANARIES) < 0.5
    order = np.argsort(rng.normal(size=CANARIES) + shift * there)
    half = MADE // 2
    right = there[order[-half:]].sum() + (~there[order[:half]]).sum()
    return Guesses(CANARIES, MADE, int(right))


def randomised_response(rng: np.random.Generator, epsilon: float) -> Guesses:
    """Every coin released, right with e^ε/(1+e^ε): where counting is exact."""
    right = rng.random(CANARIES) < 1 / (1 + math.exp(-epsilon))
    return Guesses(CANARIES, CANARIES, int(right.sum()))


def test_the_bound_lies_above_the_truth_no_more_often_than_its_significance_says() -> None:
    """500 audits at significance .2: more than 142 bounds above the truth have a chance of 1e-6."""
    rng, truth = np.random.default_rng(1), epsilon_of(gaussian(), DELTA)
    known: dict[int, float] = {}
    wrong = 0
    for _ in range(500):
        found = guessed(rng, 0.9)
        if found.right not in known:
            known[found.right] = epsilon_at_least(found, gaussian, DELTA, 0.2)
        wrong += known[found.right] > truth
    assert wrong <= stats.binom.isf(1e-6, 500, 0.2)


def test_a_claim_is_refuted_no_more_often_than_its_chance_says() -> None:
    rng, curve = np.random.default_rng(2), least_wrong(gaussian())
    chances = {right: chance(Guesses(CANARIES, MADE, right), curve) for right in range(MADE + 1)}
    found = np.array([chances[guessed(rng, 0.9).right] for _ in range(4000)])
    for level in (0.5, 0.2, 0.05, 0.01):
        assert (found <= level).sum() <= stats.binom.isf(1e-6, 4000, level), level


def test_counting_is_right_as_often_as_it_says_where_it_is_exact() -> None:
    """Randomised response at ε 1: Clopper and Pearson's interval, 2,000 times."""
    rng = np.random.default_rng(3)
    right = [randomised_response(rng, 1.0).right for _ in range(2000)]
    bounds = {n: epsilon_by_counting(Guesses(CANARIES, CANARIES, n), 0.0, 0.2) for n in set(right)}
    above = sum(bounds[n] > 1.0 for n in right)
    assert above <= stats.binom.isf(1e-6, 2000, 0.2)
    assert above >= 2000 * 0.1, "a bound that is never wrong is needlessly low"


@pytest.mark.parametrize(("made", "right"), [(100, 80), (400, 230), (10, 10)])
def test_counting_without_delta_is_clopper_and_pearson(made: int, right: int) -> None:
    share = stats.beta.ppf(0.05, right, made - right + 1)
    expected = math.log(share / (1 - share))
    assert epsilon_by_counting(Guesses(made, made, right), 0.0) == pytest.approx(expected, rel=1e-6)


def test_counting_with_delta_is_the_published_algorithm() -> None:
    """Steinke, Nasr, Jagielski (2023), appendix D, written out."""
    canaries, made, right, epsilon, delta = 500, 60, 55, 1.2, 1e-3
    share, steepest, mass = 1 / (1 + math.exp(-epsilon)), 0.0, 0.0
    for i in range(1, right + 1):
        mass += stats.binom.pmf(right - i, made, share)
        steepest = max(steepest, mass / i)
    expected = stats.binom.sf(right - 1, made, share) + 2 * canaries * delta * steepest
    found = chance_by_counting(Guesses(canaries, made, right), epsilon, delta)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("made", "right"), [(12, 8), (12, 11), (20, 15)])
def test_the_chance_covers_every_distribution_that_the_trade_off_allows(
    made: int, right: int
) -> None:
    """The theorem's inequalities as a linear programme: the largest tail is at most the chance."""
    canaries, curve = 40, least_wrong(gaussian())
    numbers = np.arange(made + 1)
    matrix, limits = [], []
    for start in range(1, made + 1):
        hits = np.where(numbers >= start, numbers, 0) / canaries
        misses = np.where(numbers >= start - 1, made - numbers, 0) / canaries
        for at in np.linspace(0.002, 0.998, 60):  # tangents of the convex curve
            slope = (curve(at + 1e-6) - curve(at - 1e-6)) / 2e-6
            matrix.append(slope * hits - misses)
            limits.append(slope * at - curve(at))
    tail = -(numbers >= right).astype(float)
    solved = optimize.linprog(
        tail, matrix, limits, np.ones((1, made + 1)), [1.0], bounds=(0, 1), method="highs"
    )
    largest = -solved.fun
    found = chance(Guesses(canaries, made, right), curve)
    assert largest <= found * 1.01
    assert found <= 3 * largest, "and it is not needlessly large"


def test_under_a_claim_that_hides_nothing_nothing_is_refuted() -> None:
    everything = least_wrong([{"kind": "gaussian", "sigma": 0.01, "count": 1}])
    assert chance(Guesses(100, 100, 100), everything) == 1.0


def test_all_right_under_perfect_privacy_is_a_run_of_fair_coins() -> None:
    found = chance(Guesses(30, 30, 30), lambda right: right)
    assert 2.0**-30 <= found <= 2.0**-29


def test_the_trade_off_beats_counting_where_delta_matters() -> None:
    found = Guesses(1000, 300, 240)
    assert epsilon_at_least(found, gaussian, DELTA) > epsilon_by_counting(found, DELTA)


def test_more_right_guesses_never_lower_a_bound() -> None:
    each = [epsilon_at_least(Guesses(400, 100, r), gaussian, DELTA) for r in range(40, 101, 10)]
    assert each == sorted(each)
    assert each[0] == 0.0
    assert each[-1] > 3.0


def test_sampled_steps_allow_no_more_than_their_composition() -> None:
    """The trade-off of Poisson sampled steps, checked at every (ε, δ) that accounting finds."""
    events = [{"kind": "poisson-gaussian", "q": 0.1, "sigma": 0.8, "count": 60}]
    curve = least_wrong(events)
    for delta in (1e-6, 1e-4, 1e-2):
        epsilon = epsilon_of(events, delta)
        for right in (0.01, 0.1, 0.5, 0.9, 0.99):
            expected = max((right - delta) * math.exp(-epsilon), 0.0)
            assert curve(right) >= expected * 0.99 - 1e-9


def test_a_composition_looks_alike_in_closed_form_and_as_a_distribution_of_losses() -> None:
    """Nearly full sampling is all but the Gaussian; the discretised curve lies at most below it."""
    exact = least_wrong([{"kind": "gaussian", "sigma": 5.0, "count": 20}])
    found = least_wrong([{"kind": "poisson-gaussian", "q": 0.999999, "sigma": 5.0, "count": 20}])
    for right in (0.001, 0.05, 0.3, 0.5, 0.8, 0.99):
        assert found(right) <= exact(right) + 1e-5
        assert found(right) == pytest.approx(exact(right), abs=2e-3)


@pytest.mark.parametrize("wrong", [(10, 11, 5), (10, 5, 6), (10, 5, -1)])
def test_guesses_that_cannot_be_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="guesses"):
        Guesses(*wrong)
