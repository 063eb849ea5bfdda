"""What a claim of differential privacy has to stand: a lower bound on ε from guesses in one run.

Canaries are records whose presence was decided by independent fair coins. From what was released,
somebody guesses the coins of those about which the release says most, and abstains on the rest.
If more guesses are right than the claim allows, the claim is false, at the stated confidence. One
run with many canaries is enough (Steinke, Nasr, Jagielski, "Privacy auditing with one (1) training
run", NeurIPS 2023); their bound is `chance_by_counting`, which without δ is Clopper and Pearson's
(1934) on the share of right guesses. `chance` takes the whole trade-off function instead of one
(ε, δ) and is tighter (Mahloujifar, Melis, Chaudhuri, "Auditing f-differential privacy in one run",
2024, arXiv:2410.22235).

A bound far below the claim says little; one above it says that the claim is false.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy import stats

from domains.errors import InputError
from privacy.accounting import Event, epsilon_of
from privacy.tradeoff import LeastWrong, least_wrong

Family = Callable[[float], Sequence[Event]]
"""What is released under noise so many times the claimed one."""

_HALVINGS = 40  # of an interval of chances or noises
_RAREST = 1e-30
_CLOSE = 5e-3  # relative, of noises
_WIDEST = 7.0  # logarithm of the largest noise that is looked at, over the claimed one
_LARGEST_EPSILON = 100.0


@dataclass(frozen=True)
class Guesses:
    """How an attack on canaries went.

    Attributes:
        canaries: all of them, each included by a fair coin of its own.
        made: on how many a guess was made; a number that was fixed before the coins fell.
        right: how many of these were right.
    """

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries:
            raise InputError(
                f"guesses: found {self.right} right of {self.made} made on {self.canaries} "
                "canaries, expected no more right than made, and no more made than canaries"
            )


def chance(guesses: Guesses, curve: LeastWrong) -> float:
    """The largest chance of so many right guesses, or more, where the trade-off holds.

    Theorem 3.2 of arXiv:2410.22235: let h_i be the chance that a canary drawn at random is guessed
    rightly and at least i guesses are right in all, and r_i that it is guessed wrongly then. The
    other coins known, one canary is a test that the trade-off bounds: r_{i-1} ≥ curve(h_i). With
    h_{i-1} − h_i = (i−1)/(made−i+1)·(r_{i-1} − r_i), and h_0 + r_0 = made/canaries, a chance for
    which the least h_0 + r_0 is larger than that cannot be.

    >>> at_random = chance(Guesses(100, 100, 50), lambda right: right)
    >>> all_right = chance(Guesses(100, 100, 100), lambda right: right)
    >>> at_random > 0.5, all_right < 1e-20
    (True, True)
    """
    if guesses.right == 0 or _possible(1.0, guesses, curve):
        return 1.0
    low, high = math.log(_RAREST), 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _possible(math.exp(middle), guesses, curve) else (low, middle)
    return math.exp(high)


def _possible(tail: float, guesses: Guesses, curve: LeastWrong) -> bool:
    made, right = guesses.made, guesses.right
    hits, misses = tail * right / guesses.canaries, tail * (made - right) / guesses.canaries
    for i in range(right, 0, -1):
        more = max(misses, curve(min(hits, 1.0)))
        hits += (i - 1) / (made - i + 1) * (more - misses)
        if more == misses:
            return True  # nothing grows any further
        misses = more
        if hits + misses > made / guesses.canaries:
            return False
    return True


def epsilon_at_least(
    guesses: Guesses, family: Family, delta: float, significance: float = 0.05
) -> float:
    """A lower bound on ε at `delta`, false with a chance of at most `significance`.

    Among the releases of the family, those with so much noise that they would allow this many
    right guesses with a chance of `significance` at most are refuted; what was released costs at
    least as much as the noisiest that is not.

    Returns:
        0 where nothing is refuted.
    """

    def refuted(log_scale: float) -> bool:
        return not _possible(significance, guesses, least_wrong(family(math.exp(log_scale))))

    if not refuted(_WIDEST):
        return 0.0
    low, high = 0.0, _WIDEST
    while refuted(low) and epsilon_of(family(math.exp(low)), delta) < _LARGEST_EPSILON:
        low, high = low - 0.5, low
    while high - low > _CLOSE:
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return epsilon_of(family(math.exp(high)), delta)


def chance_by_counting(guesses: Guesses, epsilon: float, delta: float) -> float:
    """The largest chance of so many right guesses, or more, under (ε, δ)-differential privacy.

    Theorem 5.2 of Steinke et al. (2023): β + 2mδ·max_i (P[v−i ≤ W < v] / i), where W is binomial
    of `made` with e^ε/(1+e^ε), v is `right`, β = P[W ≥ v] and m is `canaries`.
    """
    share = 1.0 / (1.0 + math.exp(-epsilon))
    tail = float(stats.binom.sf(guesses.right - 1, guesses.made, share))
    if delta == 0.0:
        return tail
    below = stats.binom.pmf(range(guesses.right - 1, -1, -1), guesses.made, share).cumsum()
    steepest = max((float(mass) / (i + 1) for i, mass in enumerate(below)), default=0.0)
    return min(1.0, tail + 2.0 * guesses.canaries * delta * steepest)


def epsilon_by_counting(guesses: Guesses, delta: float, significance: float = 0.05) -> float:
    """A lower bound on ε at `delta` from the number of right guesses alone; see `epsilon_at_least`.

    For δ = 0 it is the logit of Clopper and Pearson's lower limit of the share of right guesses.
    """
    low, high = 0.0, _LARGEST_EPSILON
    if chance_by_counting(guesses, low, delta) > significance:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        refuted = chance_by_counting(guesses, middle, delta) <= significance
        low, high = (middle, high) if refuted else (low, middle)
    return low
