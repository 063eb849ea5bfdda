"""Worth joining? Every lender's own answer: alone, together, and together with its own part.

All differences are paired, of AUROC inside one lender's own test records, on the same resamples of
borrowers. A lender with fewer than so many test records of either outcome has no numbers of its
own; it counts in the sums over groups of lenders, which take pairs of records inside lenders alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata, spearmanr

from domains.metrics import Interval, interval
from domains.naming import natural
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.personal import PERSONAL
from pipelines.steps.credit.scores import Tested, aurocs
from pipelines.steps.credit.training import FEDERATED

ARMS = (ALONE, FEDERATED, PERSONAL, POOLED)
JOINED = (FEDERATED, PERSONAL)
_GROUPS = ("smallest third", "middle third", "largest third")
_SIMILAR = 5  # lenders that a correlation needs


@dataclass(frozen=True)
class Member:
    """One lender's answer.

    Attributes:
        name: Of the lender.
        records: Public number of its records.
        tested: Its test records.
        rate: Their default rate; None without any.
        areas: Arm → AUROC inside the lender; empty where test records are too few.
        gains: Arm → its AUROC minus that of being alone, paired.
        apart: How differently its own model and the shared one rank its test records, 1 − Spearman.
    """

    name: str
    records: int
    tested: int
    rate: float | None
    areas: Mapping[str, Interval]
    gains: Mapping[str, Interval]
    apart: float | None

    @property
    def told(self) -> bool:
        """Whether there are numbers."""
        return bool(self.gains)

    def sentence(self) -> str:
        """Its answer in one sentence."""
        if not self.told:
            return "too few test records of either outcome to tell"
        return "; ".join(f"{arm}: {_verdict(gain)}" for arm, gain in self.gains.items())


@dataclass(frozen=True)
class Group:
    """Lenders of one size: how many, of how many records, and gains inside them, by arm."""

    name: str
    lenders: int
    records: tuple[int, int]
    gains: Mapping[str, Interval]

    @property
    def sizes(self) -> str:
        """From the fewest records to the most; one number where all have as many."""
        low, high = self.records
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def members(tested: Tested, sizes: Mapping[str, int]) -> list[Member]:
    """Every lender's answer, largest first; nothing where the arm alone is not there.

    Args:
        tested: Test records under every arm.
        sizes: Public number of records of every lender, those without test records among them.
    """
    if ALONE not in tested.scores:
        return []
    number = {name: k for k, name in enumerate(tested.names)}
    place = {k: row for row, k in enumerate(tested.enough)}
    made = []
    for name in sorted(sizes, key=lambda each: (-sizes[each], natural(each))):
        mine = np.flatnonzero(tested.client == number.get(name, -1))
        rate = float(tested.y[mine].mean()) if len(mine) else None
        row = place.get(number.get(name, -1))
        areas, gains = ({}, {}) if row is None else _compared(tested, row)
        apart = None if row is None else _apart(tested, mine)
        made.append(Member(name, sizes[name], len(mine), rate, areas, gains, apart))
    return made


def groups(tested: Tested, sizes: Mapping[str, int]) -> list[Group]:
    """Thirds of the lenders by size, also those too small for numbers of their own.

    The AUROC inside a group's lenders is the share of pairs of one lender's records that are in
    order: each lender counts by its number of pairs.
    """
    if ALONE not in tested.scores:
        return []
    rising = sorted(tested.names, key=lambda name: (sizes[name], name))
    few = len({sizes[name] for name in rising}) < len(_GROUPS)
    cuts = [0, len(rising)] if few else _thirds(len(rising))
    titles = ("whole",) if len(cuts) == 2 else _GROUPS
    number = {name: k for k, name in enumerate(tested.names)}
    made = []
    for title, (low, high) in zip(titles, pairwise(cuts), strict=True):
        part = rising[low:high]
        areas = _inside(tested, [number[name] for name in part])
        gains = {arm: _of(areas[arm] - areas[ALONE]) for arm in JOINED if arm in areas}
        held = [sizes[name] for name in part]
        if all(np.isfinite(gain.value) for gain in gains.values()):
            made.append(Group(title, len(part), (min(held), max(held)), gains))
    return made


def _thirds(count: int) -> list[int]:
    return [count * third // len(_GROUPS) for third in range(len(_GROUPS) + 1)]


def pays(by_size: Sequence[Group], arm: str) -> str:
    """For lenders of which size an arm is worth more than being alone, in one sentence.

    >>> gain = {"federated": Interval(-0.03, -0.05, -0.01)}
    >>> pays([Group("whole", 9, (20, 400), gain)], "federated")
    'Where joining pays, federated: nowhere; it costs clients of 20 to 400 records.'
    """
    found: dict[str, list[str]] = {"better": [], "untold": [], "worse": []}
    for group in by_size:
        if arm in group.gains:
            found[_side(group.gains[arm])].append(group.sizes)
    said = [f"for clients of {_and(found['better'])} records" if found["better"] else "nowhere"]
    if found["untold"]:
        said.append(f"for those of {_and(found['untold'])} it cannot be told from being alone")
    if found["worse"]:
        said.append(f"it costs clients of {_and(found['worse'])} records")
    return f"Where joining pays, {arm}: {'; '.join(said)}."


def _side(gain: Interval) -> str:
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "untold"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(parts)


def tally(told: Sequence[Member], arm: str) -> tuple[int, int, int]:
    """How many lenders an arm serves better than being alone, alike, and worse."""
    gains = [member.gains[arm] for member in told if arm in member.gains]
    better = sum(gain.low > 0 for gain in gains)
    worse = sum(gain.high < 0 for gain in gains)
    return better, len(gains) - better - worse, worse


def along(told: Sequence[Member], arm: str) -> dict[str, float]:
    """Rank correlation of the gain with size, and with how different the lender is.

    Where all are alike in one of them there is none.
    """
    with_gain = [m for m in told if arm in m.gains and m.apart is not None]
    if len(with_gain) < _SIMILAR:
        return {}
    gains = [member.gains[arm].value for member in with_gain]
    against: dict[str, Sequence[float | None]] = {
        "its size": [member.records for member in with_gain],
        "how differently its own model ranks": [member.apart for member in with_gain],
    }
    return {
        name: float(spearmanr(gains, held).statistic)
        for name, held in against.items()
        if len({*held}) > 1 and len({*gains}) > 1
    }


def _compared(tested: Tested, row: int) -> tuple[dict[str, Interval], dict[str, Interval]]:
    draws = {arm: tested.inside[arm][row] for arm in ARMS if arm in tested.scores}
    areas = {arm: _of(each) for arm, each in draws.items()}
    return areas, {arm: _of(draws[arm] - draws[ALONE]) for arm in JOINED if arm in draws}


def _apart(tested: Tested, rows: np.ndarray) -> float:
    ranks = [rankdata(tested.scores[arm][rows]) for arm in (ALONE, FEDERATED)]
    if min(np.ptp(each) for each in ranks) == 0:
        return 1.0
    return float(1.0 - np.corrcoef(*ranks)[0, 1])


def _inside(tested: Tested, clients: Sequence[int]) -> dict[str, np.ndarray]:
    """AUROC over pairs inside each of some clients, (1 + repeats,), by arm."""
    arms = [arm for arm in ARMS if arm in tested.scores]
    ordered = {arm: np.zeros(len(tested.weights)) for arm in arms}
    pairs = np.zeros(len(tested.weights))
    for client in clients:
        rows = np.flatnonzero(tested.client == client)
        weights, y = tested.weights[:, rows], tested.y[rows]
        own = (weights @ y) * (weights @ (1.0 - y))
        pairs += own
        for arm in arms:
            area = aurocs(weights, y, tested.scores[arm][rows])
            ordered[arm] += own * np.where(own > 0, area, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {arm: each / pairs for arm, each in ordered.items()}


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])


def _verdict(gain: Interval) -> str:
    said = f"{gain.value:+z.3f} ({gain.low:+z.3f} to {gain.high:+z.3f})"
    if gain.low > 0:
        return f"better off than alone by {said}"
    if gain.high < 0:
        return f"worse off than alone by {said}"
    return f"no different from alone, {said}"
