"""Composed ε is an upper bound, agrees with other accountants and does not depend on order."""

import math
from typing import Any

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy import optimize, stats

from domains.errors import InputError
from privacy.accounting import epsilon_of

POISSON = {"kind": "poisson-gaussian", "q": 1 / 12, "sigma": 1.0, "count": 120}
GAUSSIAN = {"kind": "gaussian", "sigma": 4.0, "count": 1}
TAIL = {"kind": "epsilon-delta", "epsilon": 0.0, "delta": 1e-6, "count": 1}


def exact_gaussian_epsilon(sigma: float, delta: float) -> float:
    """Balle and Wang, "Improving the Gaussian mechanism" (ICML 2018), equation 6."""

    def excess(epsilon: float) -> float:
        up, down = 0.5 / sigma - epsilon * sigma, -0.5 / sigma - epsilon * sigma
        return float(stats.norm.cdf(up) - math.exp(epsilon) * stats.norm.cdf(down) - delta)

    return float(optimize.brentq(excess, 0, 200))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 20.0])
def test_one_gaussian_costs_what_the_closed_form_says(sigma: float) -> None:
    ours = epsilon_of([{"kind": "gaussian", "sigma": sigma, "count": 1}], 1e-5)
    exact = exact_gaussian_epsilon(sigma, 1e-5)
    assert exact <= ours + 1e-9
    assert ours == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(("q", "sigma", "steps"), [(1 / 12, 1.0, 120), (0.02, 1.2, 500)])
def test_opacus_rdp_lies_above_and_prv_agrees(q: float, sigma: float, steps: int) -> None:
    ours = epsilon_of([{"kind": "poisson-gaussian", "q": q, "sigma": sigma, "count": steps}], 1e-5)
    rdp, prv = RDPAccountant(), PRVAccountant()
    rdp.history = [(sigma, q, steps)]
    prv.history = [(sigma, q, steps)]
    assert rdp.get_epsilon(1e-5) >= ours
    assert ours == pytest.approx(prv.get_epsilon(1e-5), rel=0.01)


def test_order_and_grouping_of_events_change_nothing() -> None:
    events = [POISSON, GAUSSIAN, TAIL]
    pieces: list[dict[str, Any]] = [{**POISSON, "count": 40}] * 3 + [GAUSSIAN, TAIL]
    pieces.reverse()
    assert epsilon_of(pieces, 1e-5) == epsilon_of(events, 1e-5)


def test_more_events_cost_more_and_less_than_their_sum() -> None:
    one, two = epsilon_of([POISSON], 1e-5), epsilon_of([POISSON, POISSON], 1e-5)
    assert one < two < 2 * one


def test_no_event_costs_nothing_and_an_unreachable_delta_costs_everything() -> None:
    assert epsilon_of([], 1e-5) == 0.0
    assert epsilon_of([GAUSSIAN, TAIL], 1e-7) == math.inf


def test_years_of_jobs_and_tiny_rates_stay_close_to_prv() -> None:
    years = [{**POISSON, "sigma": 5.0, "count": 100_000}]
    assert epsilon_of(years, 1e-5) == pytest.approx(36.12, rel=0.002)
    tiny = [{"kind": "poisson-gaussian", "q": 0.001, "sigma": 2.0, "count": 1_000}]
    prv = PRVAccountant()
    prv.history = [(2.0, 0.001, 1_000)]
    assert epsilon_of(tiny, 1e-5) == pytest.approx(prv.get_epsilon(1e-5, eps_error=1e-3), rel=0.05)


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "laplace", "count": 1},
        {"kind": "gaussian", "count": 1},
        {"kind": "gaussian", "sigma": 0.0, "count": 1},
        {"kind": "gaussian", "sigma": 1.0, "count": 0},
        {"kind": "gaussian", "sigma": math.nan, "count": 1},
        {"kind": "poisson-gaussian", "q": 1.2, "sigma": 1.0, "count": 1},
        {"kind": "epsilon-delta", "epsilon": 0.1, "delta": 1.0, "count": 1},
    ],
)
def test_an_event_that_cannot_be_composed_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="privacy event"):
        epsilon_of([event], 1e-5)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan])
def test_delta_outside_its_range_is_refused(delta: float) -> None:
    with pytest.raises(InputError, match="delta"):
        epsilon_of([GAUSSIAN], delta)
