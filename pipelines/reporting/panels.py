"""Small multiples: a picture an outcome, three side by side on a desk and two on a phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from domains.benefit import benefit_curve, thresholds_for
from pipelines.reporting.curves import (
    areas,
    bins,
    confidence,
    mean_curve,
    one_against_rest,
    pr,
    roc,
)
from pipelines.reporting.drawing import (
    DOTTED,
    MUTED,
    WIDE,
    Array,
    Look,
    columns,
    fold,
    handle,
    looks,
    paper,
    save,
)

Panel = tuple[Array, Mapping[str, Array]]
"""Class numbers (n,), and each series' probabilities, (n,) or (n, k)."""
Paint = Callable[[Axes, Panel, Mapping[str, Look]], str]
"""Draws one panel and returns what is added to its title."""


def _grid(path: Path, panels: Mapping[str, Panel], paint: Paint, xlabel: str, ylabel: str) -> Path:
    series = list(dict.fromkeys(name for _, scores in panels.values() for name in scores))
    style = looks(series)

    def draw(width: float) -> Figure:
        across = min(len(panels), 3 if width == WIDE else 2)
        down = -(-len(panels) // across)
        side = width / (3 if width == WIDE else 2)
        legend = -(-len(series) // columns(side * across, series))
        figure = paper(side * across, down * (side + 0.28) + 0.3 + 0.2 * legend)
        grid = np.atleast_1d(figure.subplots(down, across)).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, (name, panel) in zip(grid, panels.items(), strict=False):
            note = paint(axes, panel, style)
            axes.set_title(f"{fold(name, int(side * 11))}{note}", fontsize=8.5)
            axes.tick_params(labelsize=7.5)
            axes.locator_params(nbins=4)
        figure.supxlabel(xlabel, fontsize=8.5, color=MUTED)
        figure.supylabel(ylabel, fontsize=8.5, color=MUTED)
        handles = [handle(name, style[name]) for name in series]
        figure.legend(
            handles=handles, loc="outside upper left", ncols=columns(side * across, series)
        )
        return figure

    return save(path, draw)


def reliabilities(path: Path, panels: Mapping[str, Panel], count: int = 10) -> Path:
    """Predicted against observed in bins of equal size; whiskers are 95 % intervals."""

    def paint(axes: Axes, panel: Panel, style: Mapping[str, Look]) -> str:
        y, scores = panel
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=DOTTED)
        top = 0.0
        for name, p in scores.items():
            x, rate, low, high = bins(confidence(y, p), count)
            colour, marker = style[name]
            axes.errorbar(x, rate, (rate - low, high - rate), color=colour, marker=marker, ms=3,
                          lw=1.0, elinewidth=0.8)  # fmt: skip
            top = max(top, float(x.max()), float(high.max()))
        axes.set(xlim=(-0.01 * top, 1.03 * min(top, 1)), ylim=(-0.01 * top, 1.03 * min(top, 1)))
        return ""

    return _grid(path, panels, paint, "predicted probability", "observed")


def rocs(path: Path, panels: Mapping[str, Panel]) -> Path:
    """ROC curves; the first series' area stands in the title."""

    def paint(axes: Axes, panel: Panel, style: Mapping[str, Look]) -> str:
        return _curves(axes, panel, style, precise=False)

    return _grid(path, panels, paint, "false positive rate", "true positive rate")


def precisions(path: Path, panels: Mapping[str, Panel]) -> Path:
    """Precision and recall, the prevalence dotted; the first series' area stands in the title."""

    def paint(axes: Axes, panel: Panel, style: Mapping[str, Look]) -> str:
        return _curves(axes, panel, style, precise=True)

    return _grid(path, panels, paint, "recall", "precision")


def _curves(axes: Axes, panel: Panel, style: Mapping[str, Look], precise: bool) -> str:
    y, scores = panel
    of: list[float] = []
    for name, p in reversed(list(scores.items())):
        views = one_against_rest(y, np.asarray(p))
        area, precision, share = areas(views)
        of = [precision if precise else area, share]
        axes.plot(*mean_curve(views, pr if precise else roc), color=style[name][0], lw=1.3)
    if precise:
        axes.axhline(of[1], color=MUTED, lw=0.9, ls=DOTTED)
    else:
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=DOTTED)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    return f" {of[0]:.3f}"


def benefits(path: Path, panels: Mapping[str, Panel]) -> Path:
    """Decision curves: net benefit of 100 records, by the probability from which one acts.

    Acting on all is dashed and grey; acting on no one is the line at 0.
    """

    def paint(axes: Axes, panel: Panel, style: Mapping[str, Look]) -> str:
        y, scores = panel
        at = thresholds_for(float(np.mean(y)))
        everyone = 100 * benefit_curve(y, np.ones(len(y)), at)
        axes.axhline(0, color=MUTED, lw=0.9)
        axes.plot(100 * at, everyone, color=MUTED, lw=1.1, ls="--")
        for name, p in reversed(list(scores.items())):
            axes.plot(100 * at, 100 * benefit_curve(y, p, at), color=style[name][0], lw=1.3)
        most = 100 * float(np.mean(y))
        axes.set(ylim=(-0.25 * most, 1.05 * most))
        return ""

    label = "acting from this probability on, %"
    return _grid(path, panels, paint, label, "net benefit, of 100")
