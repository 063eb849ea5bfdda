"""A promise made once and checked: how much noise, how often, on what share of the records.

Unit: one record of one owner. Neighbours: one record added or removed; each owner's number of
records and the schema are public. Guarantee: everything one job releases about an owner's training
records is (ε, δ)-differentially private. Sampling: each record joins a step independently with
`sampling_rate` (Poisson), or every record joins every step (rate 1). No amplification is claimed
for leaving clients out of a round, because a client knows whether it took part.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domains.errors import InputError
from privacy.accounting import check_delta, epsilon_of, rough_epsilon

_LARGEST_EPSILON = 100.0  # beyond it the promise means nothing and its arithmetic costs minutes
_LARGEST_NOISE = 1e5
_CLOSE = 0.005  # calibration stops when ε lies within this share below its target
_SETUP_DELTA_SHARE = 0.001
"""Share of δ for the thresholds of private category lists. It is spent anew with every job and δ
adds up, so that a tenth would end an owner's budget with the tenth job; a thousandth raises the
threshold of a list by a sixth (5.8 σ instead of 5.0 at δ = 1e-5 and three columns)."""


@dataclass(frozen=True)
class Schedule:
    """What a client does each round, private or not.

    Attributes:
        rounds: exchanges of updates.
        local_steps: gradient steps of a client in one round.
        sampling_rate: chance of a record to join a step, in (0, 1]; 1 is full batch.
    """

    rounds: int
    local_steps: int
    sampling_rate: float

    def __post_init__(self) -> None:
        for name in ("rounds", "local_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: found {getattr(self, name)}, expected at least 1")
        if not 0.0 < self.sampling_rate <= 1.0:
            raise InputError(f"sampling_rate: found {self.sampling_rate}, expected in (0, 1]")

    @property
    def steps(self) -> int:
        """Gradient steps of one client in the whole job."""
        return self.rounds * self.local_steps


@dataclass(frozen=True)
class PrivacyPlan(Schedule):
    """A schedule with the noise that makes it (ε, δ)-private for each record of each owner.

    Attributes:
        epsilon, delta: the target; `spent()` is at most `epsilon`.
        noise_multiplier: σ, the noise's standard deviation over `clip_norm`, in every step.
        clip_norm: C, the largest L2 norm of one record's gradient.
        setup_noise_multiplier: noise of the histograms that bins and category lists are read from,
            over their L2 sensitivity √setup_columns; None if nothing is read from the records.
        setup_columns: columns whose bins or categories are read from the records.
        setup_delta: δ kept for the thresholds of category lists, part of `delta`.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    clip_norm: float
    setup_noise_multiplier: float | None = None
    setup_columns: int = 0
    setup_delta: float = 0.0

    def events(self) -> list[dict[str, Any]]:
        """What one job under this plan does to an owner's records, for `accounting` and a ledger.

        An owner whose records are cut into disjoint parts is charged once, since a record is in
        one part only.
        """
        return [_training(self, self.noise_multiplier, self.steps), *self.setup_events()]

    def round_events(self, rounds: int = 1) -> list[dict[str, Any]]:
        """What so many rounds of training do: the charge for rounds that must be taken again."""
        return [_training(self, self.noise_multiplier, rounds * self.local_steps)]

    def setup_events(self) -> list[dict[str, Any]]:
        """What reading bins and category lists does, apart from training; empty if none are."""
        if self.setup_noise_multiplier is None:
            return []
        return _setup(self.setup_noise_multiplier, self.setup_delta)

    def spent(self) -> float:
        """ε of all `events()` together at `delta`, by PLD; at most `epsilon`."""
        return epsilon_of(self.events(), self.delta)

    @property
    def setup_sigma(self) -> float:
        """Standard deviation of the noise on each cell of the setup histograms, in records.

        Raises:
            InputError: the plan has nothing set aside for reading columns.
        """
        if self.setup_noise_multiplier is None:
            raise InputError(
                "the plan reads no bins or categories from the records: "
                "give public bounds and categories, or calibrate it with setup_share"
            )
        return self.setup_noise_multiplier * math.sqrt(self.setup_columns)


def calibrate(
    epsilon: float,
    delta: float,
    *,
    rounds: int,
    local_steps: int,
    sampling_rate: float,
    clip_norm: float = 1.0,
    setup_share: float = 0.0,
    setup_columns: int = 0,
    setup_categories: int = 0,
    records: int | None = None,
) -> PrivacyPlan:
    """The least noise, by bisection over PLD compositions, that keeps a job within (ε, δ).

    Args:
        epsilon: target, in (0, 100].
        delta: target, in (0, 1), and below 1/records where `records` is given.
        rounds, local_steps, sampling_rate: the `Schedule`.
        clip_norm: largest L2 norm of one record's gradient.
        setup_share: share of ε for bins and category lists; used only with setup_columns.
        setup_columns: columns without public bounds or categories, all in one Gaussian mechanism.
        setup_categories: how many of those are category lists, which also need a share of δ.
        records: the largest owner's public number of records, if it should be checked.

    Returns:
        A plan whose `spent()` is at most ε and within 1 % of it.

    Raises:
        InputError: the values make no plan; the message names the value and what was expected.
    """
    Schedule(rounds, local_steps, sampling_rate)  # refuses a bad schedule before a long search
    _check_target(epsilon, delta, clip_norm, records)
    _check_setup(setup_share, setup_columns, setup_categories)
    setup_delta = _SETUP_DELTA_SHARE * delta if setup_categories else 0.0
    setup_noise = None
    if setup_columns:
        setup_noise = _least_noise(
            lambda noise: _setup(noise, setup_delta), setup_share * epsilon, delta
        )

    def plan(noise: float) -> PrivacyPlan:
        setup = (setup_noise, setup_columns, setup_delta)
        schedule = (rounds, local_steps, sampling_rate)
        return PrivacyPlan(*schedule, epsilon, delta, noise, clip_norm, *setup)

    steps = rounds * local_steps
    start = math.sqrt(steps) if sampling_rate == 1.0 else 1.0
    return plan(_least_noise(lambda noise: plan(noise).events(), epsilon, delta, start))


def _training(schedule: Schedule, noise: float, steps: int) -> dict[str, Any]:
    if schedule.sampling_rate == 1.0:
        return {"kind": "gaussian", "sigma": noise, "count": steps}
    return {
        "kind": "poisson-gaussian",
        "q": schedule.sampling_rate,
        "sigma": noise,
        "count": steps,
    }


def _setup(noise: float, delta: float) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"kind": "gaussian", "sigma": noise, "count": 1}]
    if delta > 0:
        events += [{"kind": "epsilon-delta", "epsilon": 0.0, "delta": delta, "count": 1}]
    return events


def _least_noise(
    events: Callable[[float], list[dict[str, Any]]],
    epsilon: float,
    delta: float,
    start: float = 1.0,
) -> float:
    """Smallest noise with ε(noise) in [(1 − _CLOSE)·ε, ε]; ε falls as noise grows.

    The search begins at `start`: any positive number serves, one near the answer is quicker.
    """

    def fine(noise: float) -> float:
        return epsilon_of(events(noise), delta)

    def rough(noise: float) -> float:
        return rough_epsilon(events(noise), delta)

    low, high = _bracket(rough, epsilon, start)
    for _ in range(8):  # the coarse grid errs upwards: it finds a neighbourhood, not the value
        middle = math.sqrt(low * high)
        low, high = (middle, high) if rough(middle) > epsilon else (low, middle)
    while fine(low) <= epsilon and low > 1e-3:
        low, high = low / 1.05, low
    while not (1 - _CLOSE) * epsilon <= fine(high) <= epsilon:
        middle = _between(low, high, fine(low), fine(high), (1 - _CLOSE / 2) * epsilon)
        low, high = (middle, high) if fine(middle) > epsilon else (low, middle)
    return high


def _between(low: float, high: float, at_low: float, at_high: float, goal: float) -> float:
    """The noise at which ε would reach its goal, were it a power of the noise; never an end."""
    share = math.log(at_low / goal) / math.log(at_low / at_high) if at_high > 0 else 0.5
    share = share if math.isfinite(share) else 0.5
    return float(low * (high / low) ** min(max(share, 0.05), 0.95))


def _bracket(rough: Callable[[float], float], epsilon: float, start: float) -> tuple[float, float]:
    """Two noises a factor 2 apart, ε above the target at the first, at most it at the second."""
    low = high = start
    while rough(high) > epsilon:
        low, high = high, 2 * high
        if high > _LARGEST_NOISE * start:
            raise InputError(
                f"epsilon: {epsilon:g} cannot be met however large the noise; "
                "raise epsilon or delta, or take fewer steps"
            )
    while low == high or rough(low) <= epsilon:
        low, high = low / 2, low
    return low, high


def _check_target(epsilon: float, delta: float, clip_norm: float, records: int | None) -> None:
    if not 0.0 < epsilon <= _LARGEST_EPSILON:
        raise InputError(f"epsilon: found {epsilon}, expected above 0, at most {_LARGEST_EPSILON}")
    check_delta(delta)
    if records is not None and delta * records >= 1.0:
        raise InputError(
            f"delta: found {delta:g} with {records} records at the largest owner, expected below "
            f"1/{records}: a larger one allows publishing a whole record"
        )
    if not 0.0 < clip_norm < math.inf:
        raise InputError(f"clip_norm: found {clip_norm}, expected a positive number")


def _check_setup(share: float, columns: int, categories: int) -> None:
    if not 0 <= categories <= columns:
        raise InputError(f"setup_categories: found {categories}, expected at most {columns}")
    if columns and not 0.0 < share < 1.0:
        raise InputError(
            f"setup_share: found {share}, expected in (0, 1), because {columns} columns have "
            "neither public bounds nor public categories"
        )
