"""Is the noise that was promised in what was released? A direct test, value by value.

Values that hold nothing but noise, divided by the σ they should have, are independent standard
normals: their squares add up to chi-square variables, whichever way they are grouped. Grouped by
step, by client, by coordinate and by both of these, no group may be too quiet or too loud; and what
is added over steps and clients before it is squared shows noise that was used twice, or taken back.
A test is two-sided; all together raise a false alarm with a chance of at most `false_alarm`.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

FALSE_ALARM = 1e-6


@dataclass(frozen=True)
class NoiseFound:
    """What a tally says.

    Attributes:
        values: how many it saw.
        ratio: σ that was found, over the planned one.
        low, high: interval of `ratio` at confidence 1 − false alarm.
        detectable: by how large a share all noise may fall short and still be called as planned, at
            most; a larger shortfall goes unseen no more often than there is a false alarm.
        least_chance: for each grouping, the chance of its most extreme group or one like it
            anywhere in the grouping, if the noise is as planned.
        passed: whether no grouping is less likely than its share of the false alarm.
    """

    values: int
    ratio: float
    low: float
    high: float
    detectable: float
    least_chance: dict[str, float]
    passed: bool


@dataclass
class NoiseTally:
    """Sums of squares of values that should be standard normal, over any number of steps.

    Memory: a number a weight of each client and one a step, however many steps there are.
    """

    steps: list[float] = field(default_factory=list)
    squares: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    sums: Floats = field(default_factory=lambda: np.zeros(0))

    def add(self, values: Floats) -> None:
        """One step's values, (clients, coordinates); the same shape every time."""
        if not self.steps:
            self.squares, self.sums = np.zeros(values.shape), np.zeros(values.shape[1])
        squares = values**2
        self.steps.append(float(squares.sum()))
        self.squares += squares
        self.sums += values.sum(axis=0)

    def found(self, false_alarm: float = FALSE_ALARM) -> NoiseFound:
        """The verdict on everything that was added; without any value it is a failure.

        Args:
            false_alarm: Chance at which noise as planned is called wrong.
        """
        count, total = len(self.steps) * self.squares.size, float(self.squares.sum())
        if not count:
            return NoiseFound(0, 0.0, 0.0, 0.0, 1.0, {}, False)
        chances = self._chances()
        few, many = stats.chi2.ppf([false_alarm / 2, 1 - false_alarm / 2], count)
        ratio, low, high = (math.sqrt(total / degrees) for degrees in (count, many, few))
        each = false_alarm / len(chances)
        passed, detectable = min(chances.values()) > each, detectable_shortfall(count, each)
        return NoiseFound(count, ratio, low, high, detectable, chances, passed)

    def _chances(self) -> dict[str, float]:
        steps, (clients, coordinates) = len(self.steps), self.squares.shape
        added = (self.sums**2).sum() / (steps * clients)
        return {
            "together": _least(np.array([self.squares.sum()]), steps * self.squares.size),
            "by step": _least(np.array(self.steps), clients * coordinates),
            "by client": _least(self.squares.sum(axis=1), steps * coordinates),
            "by coordinate": _least(self.squares.sum(axis=0), steps * clients),
            "by both": _least(self.squares.ravel(), steps),
            "added up": _least(np.array([added]), coordinates),
        }


def detectable_shortfall(values: int, false_alarm: float) -> float:
    """Share by which σ may fall short and pass a two-sided test of so many values, at most.

    A larger shortfall passes with a chance of at most `false_alarm` / 2.

    >>> round(detectable_shortfall(200_000, 1e-6), 4)
    0.0153
    """
    few, many = stats.chi2.ppf([false_alarm / 2, 1 - false_alarm / 2], values)
    return 1.0 - math.sqrt(few / many)


def _least(squares: Floats, degrees: int) -> float:
    """Chance of the most extreme of several independent chi-squares, two-sided, Bonferroni.

    A value that is not finite has chance 0.
    """
    if not np.isfinite(squares).all():
        return 0.0
    tails = np.minimum(stats.chi2.cdf(squares, degrees), stats.chi2.sf(squares, degrees))
    return float(min(1.0, 2.0 * len(squares) * tails.min()))
