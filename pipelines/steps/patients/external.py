"""The external test file: how good every answer is there, and what that is to the own records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from domains.healthcare.few import counted, patients_in
from domains.healthcare.outcomes.scores import MEAN, ranked
from domains.healthcare.outcomes.targets import known
from domains.metrics import Interval, gap
from pipelines.evidence import Cell, Figure, Table
from pipelines.reporting import figures, panels
from pipelines.reporting.wording import measured
from pipelines.steps.patients.tested import UNCALIBRATED, Tested
from pipelines.steps.patients.words import METRIC_NAMES

_FURTHER = {
    "ece": "calibration error",
    "coverage": "within bounds",
    "ibs": "integrated Brier score",
}


def finding(own: Tested, there: Tested, where: str) -> list[str]:
    """The mean over outcomes there, what cannot be judged there, and what is surely worse.

    Args:
        own: Answers on the own test records.
        there: Answers on the external file.
        where: Its name.
    """
    keys = [f"{name}.{codec.outcome.metric}" for name, codec in own.codecs.items()]
    found = there.comparison.values[there.model]
    text = f"On {where}, of which nothing was learned or chosen:"
    if MEAN in found:
        mean = there.comparison.interval(there.model, MEAN)
        text += f" mean {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"
        same = ranked(found) == ranked(own.comparison.values[own.model])
        away = _less(own, there, MEAN) if same else None
        text += f", {_signed(away)} against the own test records" if away else ""
    worse = [key.rpartition(".")[0] for key in keys if (_less(own, there, key) or _LEVEL).high < 0]
    unknown = [key.rpartition(".")[0] for key in keys if key not in found]
    text += f"; surely worse there: {', '.join(worse)}" if worse else "; surely worse there: none"
    text += f"; not to be judged there: {', '.join(unknown)}" if unknown else ""
    return [f"{text}."]


_LEVEL = Interval(0.0, 0.0, 0.0)


def _signed(away: Interval) -> str:
    return f"{away.value:+.3f} ({away.low:+.3f} to {away.high:+.3f})"


def _less(own: Tested, there: Tested, key: str) -> Interval | None:
    """A metric there less the own one; both sets are resampled, each for itself."""
    pairs = [(each.comparison, each.model) for each in (there, own)]
    if any(key not in found.values[model] for found, model in pairs):
        return None
    (away, of), (home, model) = pairs
    value = away.values[of][key] - home.values[model][key]
    return gap(value, away.draws[of][key] - home.draws[model][key])


def tables(own: Tested, there: Tested, where: str) -> list[Table]:
    """A line an outcome and measure: there, on the own test records, and the difference."""
    rows: list[list[Cell]] = []
    for name, metric, called in _measures(own):
        key = f"{name}.{metric}"
        cells = [_told(each, key) for each in (there, own)]
        away = _less(own, there, key)
        rows.append(
            [f"{name} ({called})", _labels(there, name), *cells, _signed(away) if away else None]
        )
    caption = (
        f"{where}, of which nothing was learned or chosen: calibration and bounds are those of the "
        "own records, and nothing is promised there. The difference is there less own, with a 95 % "
        "interval that resamples the patients of both. A dash: too few labels to tell."
    )
    columns = ["outcome", "labels there", "there", "own test records", "difference"]
    return [Table("External test", caption, columns, rows, section="worth")]


def _measures(tested: Tested) -> Iterator[tuple[str, str, str]]:
    """Outcome, key of a metric, and what it is called."""
    held = tested.comparison.values[tested.model]
    for name, codec in tested.codecs.items():
        yield name, codec.outcome.metric, METRIC_NAMES[codec.outcome.metric]
        for metric, called in _FURTHER.items():
            if f"{name}.{metric}" in held:
                yield name, metric, called


def _told(tested: Tested, key: str) -> Cell:
    held = key in tested.comparison.values[tested.model]
    return measured(tested.comparison.interval(tested.model, key)) if held else None


def _labels(tested: Tested, name: str) -> Cell:
    rows = known(tested.cohort.targets.values[name])
    count = int(np.sum(rows))
    return counted(count, patients_in(tested.cohort.patients[rows]), tested.public)


def draw(folder: Path, there: Tested, where: str) -> list[Figure]:
    """Predicted against observed there, of yes-or-no outcomes that can be drawn."""
    names = there.binary()
    if not names:
        return []
    shown = {}
    for name in names:
        y, said = there.labelled(name)
        shown[name] = (y, {"before": there.labelled(name, UNCALIBRATED)[1], "after": said})
    path = folder / "reliability_external.png"
    if len(names) > 1:
        panels.reliabilities(path, shown)
    else:
        figures.reliability(path, *shown[names[0]])
    caption = (
        f"Records of {where} in ten bins of equal size, before and after the calibration that the "
        "own records ask for."
    )
    return [Figure("reliability-external", "Predicted against observed, elsewhere", caption, path)]
