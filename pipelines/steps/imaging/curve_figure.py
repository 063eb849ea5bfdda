"""The learning curve as a picture: AUROC against training images, and overfitting beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from domains.metrics import Interval
from pipelines.evidence import Figure
from pipelines.reporting import drawing
from pipelines.steps.imaging.curve_read import Spot

_APART = 0.03  # of the axis's tenfold: whiskers beside each other, not on top


def draw_curve(folder: Path, spots: Sequence[Spot]) -> list[Figure]:
    """The figure, or none where there is no curve."""
    if not spots:
        return []
    names = list(dict.fromkeys(spot.series for spot in spots))
    looks = drawing.looks(names)

    def draw(width: float) -> matplotlib.figure.Figure:
        wide = width == drawing.WIDE
        figure = drawing.paper(width, 3.5 if wide else 6.0)
        left, right = figure.subplots(*((1, 2) if wide else (2, 1)))
        for place, name in enumerate(names):
            own = [spot for spot in spots if spot.series == name]
            aside = 10 ** (_APART * (place - (len(names) - 1) / 2))
            _line(left, [(s.count * aside, s.test) for s in own], looks[name])
            _line(right, [(s.count * aside, s.gap) for s in own], looks[name])
        right.axhline(0, color=drawing.MUTED, lw=0.9, ls=drawing.DASHED)
        _label(left, spots, "Test", "AUROC on test images")
        _label(right, spots, "Overfitting", "AUROC, training less test")
        figure.legend(
            handles=[drawing.handle(name, looks[name]) for name in names],
            loc="outside upper left",
            ncols=drawing.columns(width, names),
        )
        return figure

    path = drawing.save(folder / "curve.png", draw)
    caption = (
        "AUROC on test images against the number of training images, and by how much it is higher "
        "on the training images themselves. Means over draws, 95 % intervals by test patient and "
        "draw."
    )
    return [Figure("curve", "How little data is enough?", caption, path)]


def _line(axes: Axes, values: Sequence[tuple[float, Interval]], look: drawing.Look) -> None:
    x = [count for count, _ in values]
    y, low, high = np.array([(v.value, v.low, v.high) for _, v in values]).T
    spread = np.clip(np.nan_to_num([y - low, high - y]), 0, None)
    axes.errorbar(x, y, spread, color=look[0], marker=look[1], ms=4.5, lw=1.4, elinewidth=1)


def _label(axes: Axes, spots: Sequence[Spot], title: str, ylabel: str) -> None:
    counts = sorted({spot.count for spot in spots})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{count:,}" for count in counts], rotation=45)
    axes.set(title=title, xlabel="training images", ylabel=ylabel)
