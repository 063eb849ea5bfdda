"""The noised counts that bins and value lists are read from: their noise, and their threshold.

The run's own setup code counts made-up records under the run's multiplier, δ and number of columns.
Where nothing was counted, what it releases is noise: in every cell, of every column. How far one
record moves each kind of count is found with the noise switched off. Both together tell what the
counts cost, whatever the code says of itself: a record moves them by Δ_k in kind k, noised with
standard deviation σ_k, so their multiplier is 1/√(Σ_k Δ_k²/σ_k²), and it must be the plan's.

Columns of undeclared type are voted on first, out of the same multiplier. The counts are tested
alone and after a vote on all columns, which is then one more kind of count.

A value list must not tell of a single record. A value that one record holds is put before the run's
threshold many times; and values held by about as many records as pass it half of the time show
where it lies, since none that is released may lie below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from privacy.noise_found import FALSE_ALARM, NoiseFound, NoiseTally
from privacy.plan import PrivacyPlan
from privacy.preprocessing import Summary, noised_summary
from privacy.voting import KINDS, noised_votes

Floats = np.ndarray

_VALUES = 160_000  # draws of each kind of count,
_VOTES = 2_400  # but of votes, which take up a small share of the multiplier
_HELD_ONCE = 20_000  # values that a single record holds
_AT_THE_EDGE = 1_000  # values held by as many records as pass the threshold half of the time
_SHARE = FALSE_ALARM / 80  # of each test here; there are at most forty, training has the rest
_RECORDS = 5
_ODD = {"ordinary": 3.7, "zero": 0.0, "negative": -1e4, "beyond the grid": 1e300}


@dataclass(frozen=True)
class Kind:
    """One kind of count.

    Attributes:
        sigma: Standard deviation of its noise, in records; 0 where something was no number.
        moved: How far one record moves all counts of the kind, at most (L2), in records.
        noise: Whether it is alike in every column and cell, and fresh each time; over `sigma`.
    """

    sigma: float
    moved: float
    noise: NoiseFound


@dataclass(frozen=True)
class Threshold:
    """What of value lists was released.

    Attributes:
        tried: Values that a single record held.
        named: How many of them were released.
        allowed: How many may be, but for a false alarm.
        least: Smallest noised count that was released of other values; infinite if none was.
        floor: What must lie below it, for the noise that was found.
    """

    tried: int
    named: int
    allowed: int
    least: float
    floor: float

    @property
    def passed(self) -> bool:
        """Whether single records stay unnamed."""
        return self.named <= self.allowed and self.least >= self.floor


@dataclass(frozen=True)
class Counts:
    """What the setup's counts showed.

    Attributes:
        numbers, lists: Columns of each sort that were counted.
        voted: Whether there was a vote on all of them first.
        kinds: Kind of count → its noise and sensitivity.
        ratio: Noise multiplier that was found, over the planned one.
        low, high: Its interval at confidence 1 − false alarm.
        detectable: Share by which all noise may fall short unseen, at most.
        threshold: None without lists.
    """

    numbers: int
    lists: int
    voted: bool
    kinds: dict[str, Kind]
    ratio: float
    low: float
    high: float
    detectable: float
    threshold: Threshold | None

    @property
    def passed(self) -> bool:
        """Whether the counts cost no more than planned, and name nobody's own value."""
        alike = all(kind.noise.passed for kind in self.kinds.values())
        return alike and self.high >= 1.0 and (self.threshold is None or self.threshold.passed)


def mixes(plan: PrivacyPlan) -> list[tuple[int, int]]:
    """Numbers and value lists to count: half of the plan's columns each, so that every kind of
    count occurs; one after the other where there is a single column; numbers where no δ is kept."""
    columns = plan.setup_columns
    if not plan.setup_delta:
        return [(columns, 0)]
    return [(1, 0), (0, 1)] if columns == 1 else [(columns - columns // 2, columns // 2)]


def count_nobody(plan: PrivacyPlan, votes: Sequence[bool] = (False, True)) -> list[Counts]:
    """Run the setup's counts on made-up records and test them.

    Args:
        plan: Whose multiplier, δ and number of columns.
        votes: Whether to vote on the columns' types first; for each of `mixes`.
    """
    return [_counts(plan, *mix, voted) for mix in mixes(plan) for voted in votes]


def _counts(plan: PrivacyPlan, numbers: int, lists: int, voted: bool) -> Counts:
    moved = _moved(plan, numbers, lists)
    drawn = _noise(plan, numbers, lists, voted)
    if voted:
        drawn["votes"], moved["votes"] = _votes(plan, numbers + lists)
    kinds = {name: _kind(drawn[name], moved[name]) for name in drawn}
    planned = plan.setup_noise_multiplier or math.inf
    ratio, low, high = (_multiplier(kinds, bound) / planned for bound in ("ratio", "low", "high"))
    threshold = None
    if lists:
        threshold = _threshold(plan, (numbers, lists, voted), kinds["categories"])
    detectable = 1.0 - low / high if high > 0.0 else 1.0
    return Counts(numbers, lists, voted, kinds, ratio, low, high, detectable, threshold)


def _multiplier(kinds: dict[str, Kind], bound: str) -> float:
    """Of all counts together; 0 where a kind has no noise."""
    noises = [(kind.moved, kind.sigma * getattr(kind.noise, bound)) for kind in kinds.values()]
    if not all(noise > 0.0 for _, noise in noises):
        return 0.0
    return 1.0 / math.hypot(*(moved / noise for moved, noise in noises))


def _kind(drawn: Floats, moved: float) -> Kind:
    """Of draws (times, columns, cells)."""
    sigma = float(np.sqrt(np.mean(drawn**2))) if np.isfinite(drawn).all() else 0.0
    tally = NoiseTally()
    for once in drawn / sigma if sigma > 0 else drawn:
        tally.add(once)
    return Kind(sigma, moved, tally.found(_SHARE))


def _votes(plan: PrivacyPlan, columns: int) -> tuple[Floats, float]:
    """Noise of votes (times, columns, kinds of field), and how far one record moves them."""
    times, quiet = -(-_VOTES // (columns * len(KINDS))), replace(plan, setup_noise_multiplier=0.0)
    drawn = np.array([_voted(plan, columns, []) for _ in range(times)])
    before = _voted(quiet, columns, [*KINDS])
    after = [_voted(quiet, columns, [*KINDS, one]) for one in (*KINDS, None)]
    return drawn, max(float(np.linalg.norm(each - before)) for each in after)


def _voted(plan: PrivacyPlan, columns: int, fields: list[str | None]) -> Floats:
    """What leaves an owner of such fields in every column."""
    frame = pd.DataFrame({f"column {i}": pd.Series(fields, dtype=object) for i in range(columns)})
    return np.array(list(noised_votes(frame, plan).values()))


def _released(frame: pd.DataFrame, plan: PrivacyPlan, voted: bool = False) -> Summary:
    """What leaves an owner, by the code that runs use."""
    names = [str(name) for name in frame]
    numbers = [name for name in names if name.startswith("number")]
    lists = [name for name in names if name.startswith("list")]
    return noised_summary(frame, numbers, lists, plan, voted)


def _frame(numbers: int, lists: int, number: Floats, value: Floats) -> pd.DataFrame:
    """The same in every column of a sort."""
    columns = {f"number {i}": number for i in range(numbers)}
    return pd.DataFrame({**columns, **{f"list {i}": value for i in range(lists)}})


def _noise(plan: PrivacyPlan, numbers: int, lists: int, voted: bool) -> dict[str, Floats]:
    """Kind of count → what was released beyond the exact counts, (times, columns, cells).

    Numbers are all missing; each value of a list is held by one record, and the threshold's δ is so
    large that all are released: what it hides is tested by itself.
    """
    passing = replace(plan, setup_delta=float(lists))
    first = _released(_frame(numbers, lists, np.array([np.nan]), np.array([0])), passing)
    cells = min((len(each) for each in first.octaves.values()), default=_VALUES)
    times = max(2, -(-_VALUES // (cells * max(numbers, 1)))) if numbers else 20
    values = np.arange(max(20, -(-_VALUES // (times * max(lists, 1)))))
    frame = _frame(numbers, lists, np.full(len(values), np.nan), values)
    drawn: dict[str, list[Floats]] = {}
    for _ in range(times):
        for kind, found in _by_kind(_released(frame, passing, voted), values):
            drawn.setdefault(kind, []).append(found)
    return {kind: np.array(each) for kind, each in drawn.items()}


def _by_kind(summary: Summary, values: Floats) -> Iterator[tuple[str, Floats]]:
    """Kind and noise (columns, cells); values that were not released are no number."""
    if summary.cells:
        yield "cells", np.array(list(summary.cells.values()))
        yield "octaves", np.array(list(summary.octaves.values()))
    if summary.categories:
        names = [str(value) for value in values]
        found = [[each.get(n, np.nan) for n in names] for each in summary.categories.values()]
        yield "categories", np.array(found) - 1.0


def _moved(plan: PrivacyPlan, numbers: int, lists: int) -> dict[str, float]:
    """Kind of count → how far one more record moves it, the worst of several."""
    quiet = replace(plan, setup_noise_multiplier=0.0)
    before = np.full(_RECORDS, 3.7), np.zeros(_RECORDS, dtype=int)
    least = _flat(_released(_frame(numbers, lists, *before), quiet))
    moved: dict[str, float] = {}
    for value in _ODD.values():
        after = np.append(before[0], value), np.append(before[1], 0)
        for kind, counts in _flat(_released(_frame(numbers, lists, *after), quiet)).items():
            change = float(np.linalg.norm(counts - least[kind]))
            moved[kind] = max(moved.get(kind, 0.0), change)
    return moved


def _flat(summary: Summary) -> dict[str, Floats]:
    """Every count of a kind, of one value a list."""
    return {kind: found.ravel() for kind, found in _by_kind(summary, np.array([0]))}


def _threshold(plan: PrivacyPlan, mix: tuple[int, int, bool], kind: Kind) -> Threshold:
    (numbers, lists, voted), times, low = mix, 10, kind.sigma * kind.noise.low
    many = -(-_HELD_ONCE // (times * lists))
    once = _frame(numbers, lists, np.full(many, np.nan), np.arange(many))
    named = sum(_listed(once, plan, voted).size for _ in range(times))
    each, tried = plan.setup_delta / lists, many * times * lists
    floor = 1.0 + low * float(stats.norm.isf(each))
    held, few = round(1.0 + kind.sigma * float(stats.norm.isf(each))), -(-_AT_THE_EDGE // lists)
    edge = np.repeat(np.arange(min(few, 50)), max(held, 1))
    frame = _frame(numbers, lists, np.full(len(edge), np.nan), edge)
    released = [_listed(frame, plan, voted) for _ in range(-(-few // 50))]
    least = float(np.concatenate(released).min(initial=math.inf))
    return Threshold(tried, named, int(stats.binom.isf(_SHARE, tried, each)), least, floor)


def _listed(frame: pd.DataFrame, plan: PrivacyPlan, voted: bool) -> Floats:
    """Noised counts of all values that were released."""
    lists = _released(frame, plan, voted).categories.values()
    return np.array([count for each in lists for count in each.values()], dtype=float)
