"""A calibrated plan keeps its promise, closely, and an impossible one is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant

from domains.errors import InputError
from privacy.accounting import epsilon_of
from privacy.plan import PrivacyPlan, Schedule, calibrate

JOB: dict[str, Any] = {"rounds": 20, "local_steps": 3, "sampling_rate": 0.1}


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0, 8.0, 50.0])
@pytest.mark.parametrize("sampling_rate", [0.05, 1.0])
def test_calibrated_epsilon_is_at_most_the_target_and_within_one_per_cent(
    epsilon: float, sampling_rate: float
) -> None:
    plan = calibrate(epsilon, 1e-5, rounds=10, local_steps=2, sampling_rate=sampling_rate)
    assert 0.99 * epsilon <= plan.spent() <= epsilon


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:Optimal order")
@pytest.mark.parametrize(
    ("sampling_rate", "noise", "steps"),
    [(256 / 3000, 1.0, 120), (1.0, 20.0, 50), (1.0, 8.0, 50), (0.02, 0.8, 600), (0.5, 4.0, 10)],
)
def test_opacus_rdp_lies_above_a_plan_and_prv_agrees(
    sampling_rate: float, noise: float, steps: int
) -> None:
    plan = PrivacyPlan(steps, 1, sampling_rate, 100.0, 1e-5, noise, 1.0)
    rdp, prv = RDPAccountant(), PRVAccountant()
    rdp.history = prv.history = [(noise, sampling_rate, plan.steps)]
    assert rdp.get_epsilon(1e-5) >= plan.spent()
    assert prv.get_epsilon(1e-5) == pytest.approx(plan.spent(), rel=0.01)


def test_no_code_asks_opacus_for_its_gdp_figure() -> None:
    """It lies below the truth."""
    root = Path(__file__).parents[2]
    floors = ("domains", "privacy", "models", "pipelines", "benchmarks")
    sources = [path for floor in floors for path in (root / floor).rglob("*.py")]
    assert len(sources) > 50
    said = re.compile(r"GaussianAccountant|\bgdp\b", re.IGNORECASE)
    assert [path for path in sources if said.search(path.read_text())] == []


def test_bins_and_categories_are_paid_from_the_same_target() -> None:
    plan = calibrate(3, 1e-5, **JOB, setup_share=0.1, setup_columns=9, setup_categories=2)
    setup = [event for event in plan.events() if event["count"] == 1]
    assert 0.99 * 3 <= plan.spent() <= 3
    assert 0.97 * 0.3 <= epsilon_of(setup, 1e-5) <= 0.3
    assert 0 < plan.setup_delta < plan.delta
    assert plan.setup_noise_multiplier is not None
    assert plan.setup_sigma == pytest.approx(plan.setup_noise_multiplier * 3)


def test_a_setup_share_without_columns_costs_nothing() -> None:
    assert calibrate(3, 1e-5, **JOB, setup_share=0.1) == calibrate(3, 1e-5, **JOB)


def test_full_batch_is_a_gaussian_event_and_sampling_a_poisson_one() -> None:
    full = calibrate(3, 1e-5, rounds=5, local_steps=2, sampling_rate=1.0)
    assert full.events() == [{"kind": "gaussian", "sigma": full.noise_multiplier, "count": 10}]
    sampled = calibrate(3, 1e-5, rounds=5, local_steps=2, sampling_rate=0.5)
    assert sampled.events()[0]["kind"] == "poisson-gaussian"
    assert sampled.noise_multiplier < full.noise_multiplier


@pytest.mark.parametrize("rounds", [1, 50, 10_000])
def test_full_batches_need_noise_with_the_root_of_their_number(rounds: int) -> None:
    one = calibrate(3, 1e-5, rounds=1, local_steps=1, sampling_rate=1.0)
    many = calibrate(3, 1e-5, rounds=rounds, local_steps=1, sampling_rate=1.0)
    assert many.noise_multiplier == pytest.approx(one.noise_multiplier * rounds**0.5, rel=0.01)
    assert 0.99 * 3 <= many.spent() <= 3


def test_an_epsilon_that_no_noise_can_meet_is_refused() -> None:
    with pytest.raises(InputError, match="epsilon: 1e-07 cannot be met"):
        calibrate(1e-7, 1e-12, rounds=10_000, local_steps=1, sampling_rate=1.0)


def test_rounds_and_setup_add_up_to_the_whole() -> None:
    plan = calibrate(3, 1e-5, **JOB, setup_share=0.1, setup_columns=9, setup_categories=2)
    together = [*plan.round_events(plan.rounds - 2), *plan.round_events(2), *plan.setup_events()]
    assert epsilon_of(together, 1e-5) == plan.spent()
    assert len(plan.setup_events()) == 2
    assert epsilon_of(plan.round_events(), 1e-5) < epsilon_of(plan.round_events(2), 1e-5)


def test_a_plan_that_reads_no_columns_has_no_setup_to_charge() -> None:
    assert calibrate(3, 1e-5, **JOB).setup_events() == []


def test_events_survive_json_to_the_last_bit() -> None:
    plan = calibrate(1, 1e-6, **JOB)
    assert epsilon_of(json.loads(json.dumps(plan.events())), 1e-6) == plan.spent()


def test_the_clip_norm_does_not_change_the_noise_multiplier() -> None:
    assert (
        calibrate(3, 1e-5, **JOB, clip_norm=5.0).noise_multiplier
        == calibrate(3, 1e-5, **JOB).noise_multiplier
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": 1e6}, "epsilon"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"delta": 0.001, "records": 1000}, "1/1000"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"sampling_rate": 0.0}, "sampling_rate"),
        ({"sampling_rate": 1.1}, "sampling_rate"),
        ({"rounds": 0}, "rounds"),
        ({"local_steps": 0}, "local_steps"),
        ({"setup_columns": 3}, "setup_share"),
        ({"setup_columns": 3, "setup_share": 1.0}, "setup_share"),
        ({"setup_columns": 1, "setup_categories": 2, "setup_share": 0.1}, "setup_categories"),
    ],
)
def test_an_impossible_plan_names_the_value(change: dict[str, Any], named: str) -> None:
    values: dict[str, Any] = {"epsilon": 3.0, "delta": 1e-5, **JOB, **change}
    with pytest.raises(InputError, match=named):
        calibrate(**values)


def test_delta_below_one_record_is_accepted() -> None:
    assert calibrate(3, 1e-5, **JOB, records=1000).delta == 1e-5


def test_a_plan_without_setup_has_no_noise_for_columns() -> None:
    with pytest.raises(InputError, match="public bounds"):
        _ = calibrate(3, 1e-5, **JOB).setup_sigma


def test_a_plan_is_also_the_schedule_of_its_control() -> None:
    plan = calibrate(3, 1e-5, **JOB)
    assert isinstance(plan, PrivacyPlan)
    assert plan.steps == Schedule(**JOB).steps == 60
