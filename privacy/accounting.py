"""What a list of privacy events costs together: composition by privacy loss distributions.

An event is a JSON object that says what was done, not what it cost, so that everything that ever
touched an owner's records can be composed again, exactly, however many jobs it came from:

    {"kind": "poisson-gaussian", "q": 0.1, "sigma": 1.0, "count": 120}   noised sums of samples
    {"kind": "gaussian", "sigma": 4.0, "count": 1}                      noised sums of all records
    {"kind": "epsilon-delta", "epsilon": 0.0, "delta": 1e-6, "count": 1}

`sigma` is the noise's standard deviation over the L2 sensitivity, `q` the rate of Poisson sampling
that was really done. Neighbours: one record added or removed. Numerics: dp-accounting's
connect-the-dots discretisation (Doroshenko et al., PoPETs 2022), which errs upwards only.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from dp_accounting.pld import privacy_loss_distribution as pld
from numpy.typing import NDArray

from domains.errors import InputError

Event = Mapping[str, Any]
_Key = tuple[str, float, float]  # kind and its two numbers; the count stands beside it
_Parts = tuple[tuple[_Key, int], ...]

_FIELDS = {
    "poisson-gaussian": ("q", "sigma"),
    "gaussian": ("sigma",),
    "epsilon-delta": ("epsilon", "delta"),
}
_COARSE = 1e-2  # grid of privacy losses for the first look
_FINEST, _FINE = 1e-5, 1e-3  # the final grid lies between, unless ε is in the thousands
_LINES = 5000  # of a grid between two curves' ends
_LARGEST = 700.0  # ε of one event that floating-point numbers hold: more counts as infinite
_RELATIVE = 1e-4  # final grid, as a share of ε's power of ten


def epsilon_of(events: Sequence[Event], delta: float) -> float:
    """ε at `delta` of all `events` together; 0 for none, infinity where no ε reaches `delta`.

    An upper bound within about 0.1 % of the exact value, and the same for the same events in any
    order or grouping: what a plan was calibrated to is what a ledger will charge.

    Raises:
        InputError: an event of an unknown kind or with values out of range, or δ outside (0, 1).

    >>> round(epsilon_of([{"kind": "gaussian", "sigma": 4.0, "count": 1}], 1e-5), 2)
    0.93
    """
    check_delta(delta)
    return _epsilon(_canonical(events), delta)


def delta_used(events: Sequence[Event]) -> float:
    """δ that no ε covers: what mechanisms with a δ of their own use up, composed together.

    >>> round(delta_used([{"kind": "epsilon-delta", "epsilon": 0.0, "delta": 1e-6, "count": 3}]), 9)
    3e-06
    """
    kept = 0.0
    for (kind, _, delta), count in _canonical(events):
        kept += count * math.log1p(-delta) if kind == "epsilon-delta" else 0.0
    return max(0.0, -math.expm1(kept))


def check_delta(delta: float) -> None:
    """Raises InputError unless 0 < δ < 1."""
    if not 0.0 < delta < 1.0:
        raise InputError(f"delta: found {delta}, expected a number between 0 and 1, such as 1e-5")


def rough_epsilon(events: Sequence[Event], delta: float) -> float:
    """An upper bound some ten times faster than `epsilon_of`, and a few per cent above it."""
    parts = _canonical(events)
    rough = _rough(parts, delta, _COARSE)
    return rough if rough >= 1 else _rough(parts, delta, _COARSE / 100)


def deltas_of(events: Sequence[Event], epsilons: NDArray[np.float64]) -> NDArray[np.float64]:
    """δ of all `events` together at each of several rising ε, an upper bound; the inverse of
    `epsilon_of`, on a grid that suits the largest ε and is fine enough to draw a curve."""
    grid = min(max(float(epsilons[-1]) / _LINES, 10 * _FINEST), _COARSE)
    return np.array(_compose(_canonical(events), grid).get_delta_for_epsilon(epsilons.tolist()))


@lru_cache(maxsize=4096)
def _epsilon(parts: _Parts, delta: float) -> float:
    if not parts:
        return 0.0
    rough = _rough(parts, delta, _COARSE)
    if math.isinf(rough) or rough > 1000:
        return rough
    return float(_compose(parts, _grid(rough)).get_epsilon_for_delta(delta))


def _rough(parts: _Parts, delta: float, grid: float) -> float:
    if any(kind == "epsilon-delta" and first > _LARGEST for (kind, first, _), _ in parts):
        return math.inf
    grid = max(grid, 1e-6 * sum(_scale(key) * count for key, count in parts))
    return float(_compose(parts, grid).get_epsilon_for_delta(delta))


def _scale(key: _Key) -> float:
    """Order of magnitude of one event's expected loss; bounds the number of grid points."""
    kind, first, second = key
    if kind == "epsilon-delta":
        return first
    return min(second**2 * math.expm1(min(first**-2, 50.0)), first**-2)


def _grid(epsilon: float) -> float:
    """Spacing that keeps both the relative error and the number of points in hand."""
    if epsilon <= 0:
        return _FINEST
    return min(max(_RELATIVE * 10.0 ** math.floor(math.log10(epsilon)), _FINEST), _FINE)


def _compose(parts: _Parts, grid: float) -> pld.PrivacyLossDistribution:
    total: pld.PrivacyLossDistribution = pld.identity(value_discretization_interval=grid)
    for key, count in parts:
        total = total.compose(_distribution(key, grid).self_compose(count))
    return total


def _distribution(key: _Key, grid: float) -> pld.PrivacyLossDistribution:
    kind, first, second = key
    if kind == "epsilon-delta":
        cost = pld.common.DifferentialPrivacyParameters(first, second)
        return pld.from_privacy_parameters(cost, value_discretization_interval=grid)
    return pld.from_gaussian_mechanism(
        first, sampling_prob=second, value_discretization_interval=grid
    )


def _canonical(events: Sequence[Event]) -> _Parts:
    """Equal mechanisms counted together; Gaussians without sampling merged into one, exactly."""
    counts: Counter[_Key] = Counter()
    precision: list[float] = []
    for event in events:
        kind, values, count = _checked(event)
        if kind == "gaussian":
            precision += [count / values[0] ** 2]
        elif kind == "poisson-gaussian":
            counts[(kind, values[1], values[0])] += count
        else:
            counts[(kind, values[0], values[1])] += count
    if precision:
        counts[("gaussian", math.fsum(precision) ** -0.5, 1.0)] = 1
    return tuple(sorted(counts.items()))


def _checked(event: Event) -> tuple[str, list[float], int]:
    kind = str(event.get("kind"))
    if kind not in _FIELDS:
        raise InputError(f"privacy event of kind {kind!r}, expected one of {', '.join(_FIELDS)}")
    names = _FIELDS[kind]
    if set(event) != {"kind", "count", *names}:
        raise InputError(f"privacy event {dict(event)}: expected kind, count, {', '.join(names)}")
    count, values = event["count"], {name: float(event[name]) for name in names}
    within = {
        "q": 0 < values.get("q", 1) <= 1,
        "sigma": 0 < values.get("sigma", 1) < math.inf,
        "epsilon": 0 <= values.get("epsilon", 0) < math.inf,
        "delta": 0 <= values.get("delta", 0) < 1,
    }
    if not (isinstance(count, int) and count >= 1 and all(within.values())):
        raise InputError(f"privacy event {dict(event)}: a value is out of range")
    return kind, list(values.values()), count
