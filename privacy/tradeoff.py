"""How well anybody can tell a record's presence from what was released: trade-off functions.

Whoever claims "it was there" is right with some chance and wrong with another. What a list of
privacy events allows is a curve between the two (Dong, Roth, Su, "Gaussian differential privacy",
JRSS-B 2022). Sums of all records noised with N(0, σ²), T of them, give exactly
Φ(Φ⁻¹(right) − √T/σ); everything else is composed as its privacy loss distribution, whose
discretisation errs towards what is easier to tell apart.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from privacy.accounting import Event, deltas_of, rough_epsilon

LeastWrong = Callable[[float], float]
"""From the chance to say "it was there" of a record that was, the least chance to say it of one
that was not."""

_POINTS = 600  # (ε, δ) pairs under which the curve is drawn; fewer only make it more careful
_SMALLEST_DELTA, _LARGEST_EPSILON = 1e-12, 300.0


def least_wrong(events: Sequence[Event]) -> LeastWrong:
    """The trade-off that all `events` together allow, in either direction of the neighbours.

    Raises:
        InputError: an event that cannot be composed.

    >>> curve = least_wrong([{"kind": "gaussian", "sigma": 2.0, "count": 4}])
    >>> round(curve(0.5), 4)  # Φ(0 − 1)
    0.1587
    """
    if all(event.get("kind") == "gaussian" for event in events):
        separation = math.sqrt(math.fsum(e["count"] / e["sigma"] ** 2 for e in events))
        return lambda right: float(ndtr(ndtri(right) - separation))
    return _supported(events)


def _supported(events: Sequence[Event]) -> LeastWrong:
    """The largest curve below which every (ε, δ) of the events lies (Wasserman and Zhou, 2010)."""
    largest = min(rough_epsilon(events, _SMALLEST_DELTA), _LARGEST_EPSILON)
    epsilons = np.linspace(0.0, largest, _POINTS)
    deltas, grown = deltas_of(events, epsilons), np.exp(epsilons)

    def curve(right: float) -> float:
        first = (right - deltas) / grown
        second = 1.0 - deltas - grown * (1.0 - right)
        return max(0.0, float(first.max()), float(second.max()))

    return curve
