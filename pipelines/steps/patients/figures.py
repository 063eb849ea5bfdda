"""Figures of the patients flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.evidence import Figure
from pipelines.reporting import figures, panels
from pipelines.steps.patients import interference, words
from pipelines.steps.patients.benefit import BOOSTING
from pipelines.steps.patients.tested import UNCALIBRATED, Tested
from pipelines.steps.patients.training import Trained


def draw(folder: Path, tested: Tested, trained: Sequence[Trained]) -> list[Figure]:
    """Against the controls outcome by outcome, gradients, and curves of yes-or-no outcomes."""
    folder.mkdir(parents=True, exist_ok=True)
    series = {t.name: t.name if t.role == "arm" else f"control: {t.name}" for t in trained}
    drawn = [
        _forest(folder, tested, series),
        _bars(folder, tested, series, ("auroc", "cindex", "ordering"), "AUROC or C-index"),
        _bars(folder, tested, series, ("r2", "d2"), "R² or D²"),
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
    title = f"{label} of every outcome" + (", against controls" if len(series) > 1 else "")
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
    """Curves of every yes-or-no outcome: a panel each, or for a single one a larger picture."""
    names = tested.binary()
    if not names:
        return []
    model = tested.model
    shown = {m: called for m, called in series.items() if m in (model, BOOSTING)}
    curves = {name: _panel(tested, name, shown) for name in names}
    around = {
        name: _panel(tested, name, {UNCALIBRATED: "before", model: "after"}) for name in names
    }
    drawn = _ranks(folder, names, curves)
    path = folder / "reliability.png"
    if len(names) > 1:
        panels.reliabilities(path, around)
    else:
        figures.reliability(path, *around[names[0]])
    reliable = Figure(
        "reliability",
        "Predicted against observed",
        "Test records in ten bins of equal size, before calibration and after it.",
        path,
    )
    worth = Figure(
        "decisions-benefit",
        "What acting on the answers is worth",
        "Net benefit of 100 test records, by the probability from which one acts. Dashed: acting "
        "on all; the line at 0: on no one. A curve above both is worth acting on.",
        panels.benefits(folder / "benefit.png", curves),
    )
    return [*drawn, reliable, worth]


def _panel(tested: Tested, name: str, shown: Mapping[str, str]) -> panels.Panel:
    y, _ = tested.labelled(name)
    return y, {called: tested.labelled(name, m)[1] for m, called in shown.items()}


def _ranks(folder: Path, names: Sequence[str], curves: Mapping[str, panels.Panel]) -> list[Figure]:
    """ROC, and precision and recall."""
    caption = "Test records with a label."
    if len(names) == 1:
        path = figures.discrimination(folder / "discrimination.png", *curves[names[0]])
        title = f"ROC and precision–recall for {names[0]}"
        return [Figure("discrimination", title, caption, path)]
    first = "In the titles: area under the curve of the registered model."
    return [
        Figure(
            "discrimination-roc",
            "ROC, outcome by outcome",
            f"{caption} {first}",
            panels.rocs(folder / "roc.png", curves),
        ),
        Figure(
            "discrimination-pr",
            "Precision and recall, outcome by outcome",
            f"{caption} Dotted: the prevalence, which is what a guess reaches. {first}",
            panels.precisions(folder / "precision.png", curves),
        ),
    ]
