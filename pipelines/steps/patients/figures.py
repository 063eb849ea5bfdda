"""Figures of the patients flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from domains.healthcare.outcome_scores import judged
from domains.healthcare.outcome_targets import known
from pipelines.evidence import Figure
from pipelines.reporting import figures
from pipelines.steps.patients import interference, words
from pipelines.steps.patients.tested import UNCALIBRATED, Tested
from pipelines.steps.patients.training import Trained


def draw(folder: Path, tested: Tested, trained: Sequence[Trained]) -> list[Figure]:
    """Against the controls outcome by outcome, gradients, and curves of yes-or-no outcomes."""
    folder.mkdir(parents=True, exist_ok=True)
    series = {t.name: t.name if t.role == "arm" else f"control: {t.name}" for t in trained}
    drawn = [
        _bars(folder, tested, series, ("auroc", "cindex", "ordering"), "AUROC or C-index"),
        _bars(folder, tested, series, ("r2", "d2"), "R² or D²"),
        _forest(folder, tested, series),
        *interference.figures(folder, trained[0], list(tested.codecs)),
        *_binary(folder, tested, series),
    ]
    return [figure for figure in drawn if figure is not None]


def _bars(
    folder: Path, tested: Tested, series: Mapping[str, str], metrics: tuple[str, ...], label: str
) -> Figure | None:
    rows = []
    for name, codec in tested.codecs.items():
        key = f"{name}.{codec.outcome.metric}"
        for model, called in series.items():
            if codec.outcome.metric in metrics and key in tested.comparison.values[model]:
                found = tested.comparison.interval(model, key)
                rows.append((name, found.value, found.low, found.high, called))
    if not rows:
        return None
    path = figures.bars(folder / f"outcomes_{metrics[0]}.png", rows, label)
    title = f"{label} of every outcome, against controls"
    caption = "Test records; whiskers are 95 % intervals by patient."
    return Figure(f"outcomes-{metrics[0]}", title, caption, path)


def _forest(folder: Path, tested: Tested, series: Mapping[str, str]) -> Figure | None:
    model, *rivals = series
    keys = words.main_keys(tested.codecs, tested.comparison, model)
    rows = []
    for name, key in keys.items():
        for rival in rivals:
            gap = tested.comparison.difference(model, rival, key)
            metric = words.METRIC_NAMES[tested.codecs[name].outcome.metric]
            rows.append((f"{name} ({metric})", gap.value, gap.low, gap.high, f"against {rival}"))
    if not rows:
        return None
    path = figures.bars(
        folder / "outcomes_difference.png", rows, "difference", 0.0, "no difference"
    )
    title = f"What {model} gains or loses, outcome by outcome"
    caption = (
        "Paired differences on the same test records, 95 % intervals by patient. "
        "Right of the line the registered model is better."
    )
    return Figure("outcomes-difference", title, caption, path)


def _binary(folder: Path, tested: Tested, series: Mapping[str, str]) -> list[Figure]:
    """ROC, PR and reliability of the first yes-or-no outcome, the one a file names first."""
    model = next(iter(series))
    for name, codec in tested.codecs.items():
        values = tested.cohort.targets.values[name]
        y, _ = judged(codec, values, tested.frames[model])
        rows = known(y)
        if codec.outcome.kind != "binary" or len(np.unique(y[rows])) < 2:
            continue
        p = {key: judged(codec, values, frame)[1][rows] for key, frame in tested.frames.items()}
        curves = {called: p[key] for key, called in series.items()}
        both = {"before": p[UNCALIBRATED], "after calibration": p[model]}
        return [
            Figure(
                "discrimination",
                f"ROC and precision–recall for {name}",
                "Test records with a label.",
                figures.discrimination(folder / "discrimination.png", y[rows], curves),
            ),
            Figure(
                "reliability",
                f"Predicted against observed for {name}",
                "Test records in ten bins of equal size, before and after temperature scaling.",
                figures.reliability(folder / "reliability.png", y[rows], both),
            ),
        ]
    return []
