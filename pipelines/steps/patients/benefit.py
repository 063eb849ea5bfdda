"""What yes-or-no answers are worth: precision where yes is rare, and net benefit of acting."""

from __future__ import annotations

from functools import partial

import numpy as np

from domains.benefit import net_benefit
from domains.metrics import Interval, interval, resamples
from pipelines.evidence import Cell, Table
from pipelines.reporting.wording import measured
from pipelines.steps.patients.tested import Tested

_SECTION = "decisions"
BOOSTING = "boosting"


def threshold_of(y: np.ndarray) -> float:
    """The prevalence in two digits: there, acting on all is worth what acting on no one is.

    >>> threshold_of(np.array([0, 0, 1]))
    0.33
    """
    return min(max(float(f"{y.mean():.2g}"), 0.001), 0.99)


def tables(tested: Tested) -> list[Table]:
    """Average precision beside the prevalence, and net benefit at it."""
    rivals = [BOOSTING] if BOOSTING in tested.frames else []
    rows: list[list[Cell]] = []
    for name in tested.binary():
        y, _ = tested.labelled(name)
        key, threshold = f"{name}.average_precision", threshold_of(y)
        precise = [measured(tested.comparison.interval(m, key)) for m in (tested.model, *rivals)]
        worth = [_told(_worth(tested, name, m, threshold)) for m in (tested.model, *rivals)]
        everyone = f"{100 * net_benefit(y, np.ones(len(y)), threshold):z.1f}"
        share = f"{100 * threshold:.3g} %"
        rows.append([name, float(y.mean()), *precise, share, *worth, everyone])
    if not rows:
        return []
    caption = (
        "Average precision is the area under precision and recall: a model that knows nothing has "
        "the prevalence. Net benefit is told for who acts from the prevalence on: true positives "
        "of 100 patients, less false ones at the price of that threshold. Acting on no one is "
        "worth 0. Test records, 95 % intervals by patient."
    )
    also = ["boosting"] * len(rivals)
    heads = [
        "outcome",
        "prevalence",
        "average precision",
        *(f"average precision, {n}" for n in also),
    ]
    heads += ["acting from", "net benefit", *(f"net benefit, {n}" for n in also), "acting on all"]
    return [Table("Rare outcomes, and what acting is worth", caption, heads, rows, _SECTION)]


def _told(found: Interval) -> str:
    return f"{found.value:z.1f} ({found.low:z.1f} to {found.high:z.1f})"


def _worth(tested: Tested, name: str, model: str, threshold: float) -> Interval:
    """Net benefit of 100 records, with its interval."""
    y, p = tested.labelled(name, model)
    of = partial(net_benefit, y, p, threshold)
    drawn = resamples(len(y), tested.patients(name), tested.repeats, tested.seed)
    draws = [100 * of(weight) for weight in drawn]
    return interval(100 * of(), draws)


def remarks(tested: Tested) -> list[str]:
    """Outcomes for which acting on the answers is not surely worth more than acting on no one."""
    doubtful = []
    for name in tested.binary():
        y, _ = tested.labelled(name)
        if not _worth(tested, name, tested.model, threshold_of(y)).low > 0:
            doubtful.append(name)
    if not doubtful:
        return []
    return [
        "At the prevalence, acting on the answers is not surely worth more than acting on no one "
        f"for {', '.join(doubtful)}."
    ]
