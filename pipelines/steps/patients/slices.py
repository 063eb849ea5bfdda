"""Every outcome by sex, age, race and site: how good the answers are there, and for all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.few import counted
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.scores import Score, scores, slack_of
from domains.healthcare.outcomes.targets import known
from domains.healthcare.slicing import FEWEST_CASES, FEWEST_PATIENTS, in_order, merged
from domains.metrics import Interval, gap, interval, resamples
from pipelines.evidence import Cell, Figure, Table
from pipelines.reporting import figures
from pipelines.reporting.wording import measured
from pipelines.steps.patients.tested import Tested
from pipelines.steps.patients.words import METRIC_NAMES

_REPEATS = 200
_DRAWN = 14


@dataclass(frozen=True)
class Slice:
    """One outcome in one group of test records.

    Attributes:
        outcome: Its name.
        group: What the records have in common.
        records: How many have the outcome's label.
        patients: Whose they are.
        measure: Name of the outcome's metric.
        value: Of the metric; None where the group is too small.
        gap: The metric less that of all other records; None where either is too few, or so flawless
            that nobody can say how sure it is.
    """

    outcome: str
    group: str
    records: int
    patients: int
    measure: str
    value: Interval | None = None
    gap: Interval | None = None

    @property
    def name(self) -> str:
        """Outcome and group, in words."""
        return f"{self.outcome}, {self.group}"


def by_group(tested: Tested, groups: pd.DataFrame) -> list[Slice]:
    """Every outcome in every group; small ones of a column are counted together.

    Args:
        tested: Answers on the test records.
        groups: Names of groups, a column a way to tell records apart, a row a test record.
    """
    found = []
    for column in groups:
        names = merged(groups[column].to_numpy(dtype=str), tested.cohort.patients)
        for value in in_order(names):
            which = names == value
            label = f"{column}: {value}"
            found += [_slice(tested, codec, label, which) for codec in tested.codecs.values()]
    return found


def _slice(tested: Tested, codec: Codec, label: str, which: np.ndarray) -> Slice:
    outcome, values = codec.outcome, tested.cohort.targets.values[codec.outcome.name]
    rows = known(values)
    inside, outside = which & rows, ~which & rows
    patients = len(np.unique(tested.cohort.patients[inside]))
    found = Slice(outcome.name, label, int(inside.sum()), patients, METRIC_NAMES[outcome.metric])
    if not _enough(tested, codec, inside):
        return found
    here = _score(tested, codec, inside)
    there = _score(tested, codec, outside) if _enough(tested, codec, outside) else None
    drawn = list(_drawn(tested, here, inside))
    slack = slack_of(here, tested.cohort.patients[inside])
    value = interval(here(None), drawn, slack)
    if there is None:
        return Slice(*_counted(found), value)
    gaps = np.array(drawn) - np.array(list(_drawn(tested, there, outside)))
    slack += slack_of(there, tested.cohort.patients[outside])
    less = gap(here(None) - there(None), gaps, slack)
    return Slice(*_counted(found), value, less if np.isfinite(less.low) else None)


def _counted(found: Slice) -> tuple[str, str, int, int, str]:
    return found.outcome, found.group, found.records, found.patients, found.measure


def _enough(tested: Tested, codec: Codec, rows: np.ndarray) -> bool:
    """Whether some records can be measured: enough patients, and of two classes enough each."""
    if len(np.unique(tested.cohort.patients[rows])) < FEWEST_PATIENTS:
        return False
    labels = tested.cohort.targets.values[codec.outcome.name][rows]
    if codec.outcome.kind == "survival":
        return int((labels[:, 1] == 1).sum()) >= FEWEST_CASES
    if codec.outcome.kind in ("binary", "multiclass", "ordinal"):
        counts = np.unique(labels.astype(str), return_counts=True)[1]
        return len(counts) > 1 and int(counts.min()) >= FEWEST_CASES
    return len(np.unique(labels)) > 1


def _score(tested: Tested, codec: Codec, rows: np.ndarray) -> Score:
    """The outcome's own metric of the packed model on some records."""
    name = codec.outcome.name
    frame = tested.frames[tested.model].loc[rows].reset_index(drop=True)
    return scores({name: codec}, tested.cohort.targets.take(rows), frame)[
        f"{name}.{codec.outcome.metric}"
    ]


def _drawn(tested: Tested, score: Score, rows: np.ndarray) -> Iterator[float]:
    """The metric on resamples of all test patients, the same for every group."""
    patients, repeats = tested.cohort.patients, min(tested.repeats, _REPEATS)
    for weight in resamples(len(patients), patients, repeats, tested.seed):
        inside = weight[rows]
        yield score(inside) if inside.any() else float("nan")


def finding(found: Sequence[Slice]) -> list[str]:
    """The slice that is most surely worse than all others, and what chance alone would give."""
    told = sorted(((s.gap.high, s) for s in found if s.gap), key=lambda pair: pair[0])
    if not told:
        return []
    _, worst = told[0]
    behind = sum(high < 0 for high, _ in told)
    count = f"{behind} of {len(told)} slices" if behind else f"None of {len(told)} slices"
    return [
        f"By group: {worst.name} is the slice most surely behind, {worst.measure} "
        f"{_said(worst.value)} and {_said(worst.gap, signed=True)} against all others. {count} "
        f"lie{'s' if behind == 1 else ''} behind beyond the 95 % interval, where chance alone "
        f"would put about {0.025 * len(told):.0f}."
    ]


def _said(found: Interval | None, signed: bool = False) -> str:
    if found is None:
        return "not measured"
    one = "+.3f" if signed else ".3f"
    return f"{found.value:{one}} ({found.low:{one}} to {found.high:{one}})"


def tables(found: Sequence[Slice], public: bool = True) -> list[Table]:
    """One table: a line an outcome and group; of private records few are not counted."""
    if not found:
        return []
    rows: list[list[Cell]] = [
        [
            s.outcome,
            s.group,
            counted(s.records, s.patients, public),
            counted(s.patients, s.patients, public),
            s.measure,
            measured(s.value) if s.value else None,
            measured(s.gap) if s.gap else None,
        ]
        for s in sorted(found, key=lambda s: s.outcome)
    ]
    caption = (
        "Test records with the outcome's label, 95 % intervals by patient, and the difference from "
        f"all records of other groups. A group of fewer than {FEWEST_PATIENTS} patients, or with "
        f"fewer than {FEWEST_CASES} records of a class, is counted and not measured; numbers are "
        "cut into thirds of the training records. Groups that differ may differ by chance, or in "
        "how hard their records are."
    )
    heads = ["outcome", "group", "records", "patients", "measure", "here", "less all others"]
    return [Table("By group", caption, heads, rows)]


def draw(folder: Path, found: Sequence[Slice]) -> list[Figure]:
    """The gaps of the slices that are furthest behind, the worst first."""
    told = sorted((s for s in found if s.gap), key=lambda s: s.gap.value if s.gap else 0.0)
    if not told:
        return []
    rows = [(s.name, s.gap.value, s.gap.low, s.gap.high, s.measure) for s in told[:_DRAWN] if s.gap]
    path = figures.bars(folder / "slices.png", rows, "less all other records", 0.0, "no difference")
    which = f"The {len(rows)} furthest behind of {len(told)}" if len(told) > len(rows) else "All"
    caption = (
        f"{which}, the worst first: the metric in the group less that of all other test records, "
        "with 95 % intervals by patient."
    )
    return [Figure("slices", "Where answers are worse than elsewhere", caption, path)]
