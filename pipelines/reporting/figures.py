"""Figures of a run as PNG files: quiet, colour-blind safe, legible on a phone.

Every function writes two files, `PATH` for a desktop and `narrow(PATH)` drawn anew at phone width,
and returns `PATH`; the report embeds both and lets the browser choose. Colours are Okabe and
Ito's, told apart by marker as well. Drawn by matplotlib's Agg through `Figure` objects, so that
no figure outlives its call and threads do not share one.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure

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
    COLOURS,
    DASHED,
    DOTTED,
    MUTED,
    WIDE,
    Array,
    Row,
    columns,
    fold,
    handle,
    label_rows,
    looks,
    over,
    paper,
    save,
    stack,
    unit_square,
    whisker,
)  # fmt: skip


def discrimination(path: Path, y: Array, scores: Mapping[str, Array]) -> Path:
    """ROC and precision–recall, one line an entry of `scores`.

    `y` (n,) class numbers; each score (n,) probability of class 1, or (n, k) probabilities, drawn
    as the average of one class against the rest. Raises ValueError if `y` holds one class only.
    """
    y = np.asarray(y)
    if len(np.unique(y)) < 2:
        raise ValueError("y holds one class only: an ROC curve needs records of at least two")
    lines = [(name, one_against_rest(y, np.asarray(p))) for name, p in scores.items()]

    def draw(width: float) -> Figure:
        height = width / 2 + 0.2 if width == WIDE else 2 * width
        figure = paper(width, height + 0.2 * len(lines))
        left, right = figure.subplots(1, 2) if width == WIDE else figure.subplots(2, 1)
        strokes = product(("-", (0, (4, 1.5))), COLOURS)  # dashes where colours come again
        for (name, views), (dash, colour) in zip(lines, cycle(strokes), strict=False):
            area, precision, share = areas(views)
            label = f"{name}: AUROC {area:.3f}, average precision {precision:.3f}"
            left.plot(
                *mean_curve(views, roc),
                color=colour,
                ls=dash,
                lw=1.7,
                label=label if width == WIDE else fold(label, 42),
            )
            right.plot(*mean_curve(views, pr), color=colour, ls=dash, lw=1.7)
        left.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=DOTTED)
        right.axhline(share, color=MUTED, lw=0.9, ls=DOTTED)
        unit_square(left, "ROC", "false positive rate", "true positive rate")
        unit_square(right, "Precision and recall", "recall", "precision")
        figure.legend(loc="outside upper left")
        return figure

    return save(path, draw)


def reliability(path: Path, y: Array, scores: Mapping[str, Array], count: int = 10) -> Path:
    """Predicted against observed in `count` bins of equal size, over a histogram of the scores.

    `y` (n,), scores (n,) or (n, k); for k classes, the probability of the most probable class
    against how often it was right. Whiskers are 95 % intervals.
    """
    views = {name: confidence(np.asarray(y), np.asarray(p)) for name, p in scores.items()}

    def draw(width: float) -> Figure:
        width = min(width, 5.0)
        figure = paper(width, width * 1.15)
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        top.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls=DOTTED)
        for (name, view), (colour, marker) in zip(
            views.items(), looks(list(views)).values(), strict=True
        ):
            x, rate, low, high = bins(view, count)
            top.errorbar(x, rate, (rate - low, high - rate), color=colour, marker=marker, ms=4.5,
                         lw=1.2, elinewidth=1, label=name)  # fmt: skip
            below.hist(view[1], np.linspace(0, 1, 41).tolist(), color=colour, alpha=0.5)
        top.set(ylabel="observed", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        below.set(xlabel="predicted probability", ylabel="records", yticks=[])
        below.grid(False)
        figure.legend(loc="outside upper left", ncols=columns(width, list(views)))
        return figure

    return save(path, draw)


def bars(
    path: Path,
    rows: Sequence[Row],
    xlabel: str,
    reference: float | None = None,
    reference_label: str = "",
) -> Path:
    """Dots with 95 % whiskers, one line a row of (label, value, low, high, series).

    Rows that share a label stand together under it, in the order given; a series has one colour
    and marker, and one that begins with "control" is grey. A value of None or NaN prints a dash;
    low and high may be None. `reference` is a vertical line. Values are printed beside the dots
    until there are more rows than anyone would read.
    """
    series = sorted(dict.fromkeys(row[4] for row in rows), key=lambda name: name != "registered")
    style = looks(series)
    dense = len(rows) > 30

    def draw(width: float) -> Figure:
        limit = 34 if width == WIDE else 17
        text = "" if dense else "full" if width == WIDE else "value"
        labels = [row[0] for row in rows]
        centres, places, height = stack(labels, 0.12 if dense else 0.19, limit)
        legend = -(-len(series) // columns(width, series)) if len(series) > 1 else 0
        figure = paper(width, height + 0.6 + 0.2 * legend)
        axes = figure.subplots()
        for spot, row in zip(places, rows, strict=True):
            whisker(axes, spot, row, style[row[4]], text)
        if reference is not None:
            axes.axvline(reference, color=MUTED, lw=0.9, ls=DASHED, zorder=1)
        label_rows(axes, centres, height, limit)
        note = f"\ndashed: {reference_label}" if reference_label else ""
        axes.set(xlabel=xlabel + note)
        axes.locator_params(axis="x", nbins=7 if width == WIDE else 4)
        if legend:
            figure.legend(handles=[handle(name, style[name]) for name in series],
                          loc="outside upper left", ncols=columns(width, series))  # fmt: skip
        return figure

    return save(path, draw)


def budget(path: Path, owners: Sequence[tuple[str, float, float | None]]) -> Path:
    """ε spent (dark) of ε granted (pale), a bar an owner (name, spent, granted or None).

    The `DATA/` that all owners share is written once, under the axis.
    """
    data = {name.partition("/")[0] for name, _, _ in owners if "/" in name}
    shared = f"{data.pop()}/" if len(data) == 1 and all("/" in o[0] for o in owners) else ""
    owners = [(name.removeprefix(shared), spent, granted) for name, spent, granted in owners]
    note = f"\nowners: {shared}…" if shared else ""

    def draw(width: float) -> Figure:
        limit = 34 if width == WIDE else 17
        centres, places, height = stack([name for name, _, _ in owners], 0.2, limit)
        figure = paper(width, height + 0.7)
        axes = figure.subplots()
        for spot, (_, spent, granted) in zip(places, owners, strict=True):
            axes.barh(spot, granted or 0, 0.15, color="#cfd9e6")
            axes.barh(spot, spent, 0.15, color=COLOURS[0])
            of = "" if granted is None else f" of {granted:g}"
            axes.text(1.02, spot, f"{spent:.2f}{of}", transform=axes.get_yaxis_transform(),
                      va="center", fontsize=8.5)  # fmt: skip
        label_rows(axes, centres, height, limit)
        axes.set(xlabel="ε spent (dark) of ε granted (pale)" + note)
        axes.set_xlim(0, None)
        return figure

    return save(path, draw)


def privacy_curve(
    path: Path, rounds: Sequence[int], epsilon: Sequence[float], target: float | None = None
) -> Path:
    """ε composed up to each round, against the ε that the plan may reach."""

    def draw(width: float) -> Figure:
        figure = paper(width, width * (0.42 if width == WIDE else 0.75))
        axes = figure.subplots()
        axes.plot(rounds, epsilon, color=COLOURS[0], marker="o", ms=3.5, lw=1.6)
        axes.set_title(f"ε = {epsilon[-1]:.2f} after round {rounds[-1]}")
        if target is not None:
            axes.axhline(target, color=MUTED, lw=0.9, ls=DASHED)
            axes.annotate(f"target {target:g}", (rounds[0], target), (0, 4),
                          textcoords="offset points", color=MUTED)  # fmt: skip
        axes.set(xlabel="round", ylabel="ε so far")
        axes.set_ylim(0, 1.15 * max(*epsilon, target or 0, 1e-9))
        axes.locator_params(axis="x", integer=True)
        return figure

    return save(path, draw)


def learning_curve(path: Path, curves: Mapping[str, Sequence[float]], ylabel: str) -> Path:
    """A validation number (higher is better) after each epoch; a dot marks each line's best."""

    def draw(width: float) -> Figure:
        figure = paper(width, width * (0.5 if width == WIDE else 0.95))
        axes = figure.subplots()
        for (name, values), colour in zip(curves.items(), cycle(COLOURS), strict=False):
            axes.plot(range(1, len(values) + 1), values, color=colour, lw=1.6, label=name)
            best = int(np.argmax(values))
            axes.plot(best + 1, values[best], "o", color=colour, ms=5)
        axes.set(xlabel="epoch (dot: the best)", ylabel=ylabel)
        axes.locator_params(axis="x", integer=True)
        figure.legend(loc="outside upper left", ncols=columns(width, list(curves)))
        return figure

    return save(path, draw)


def image_panel(
    path: Path,
    images: Sequence[Array],
    overlays: Sequence[Array | None] | None,
    captions: Sequence[str],
) -> Path:
    """A grid of images (H, W) or (H, W, 3) uint8, a caption under each.

    Where an overlay (h, w) is given, the image stands again beside itself with the heat-map laid
    over, so that the heat hides nothing. Each overlay is scaled to [0, 1] by itself.
    """
    heats = overlays if overlays is not None else [None] * len(images)
    cells = [over(image, heat) for image, heat in zip(images, heats, strict=True)]
    shape = max(cell.shape[1] / cell.shape[0] for cell in cells)

    def draw(width: float) -> Figure:
        most = (3 if shape > 1.5 else 5) if width == WIDE else 2
        down = -(-len(cells) // most)
        across = -(-len(cells) // down)
        side = width / most
        lines = [wrap(caption, int(side * 14)) for caption in captions]
        room = 0.16 * max(map(len, lines)) + 0.2
        figure = paper(side * across, down * (side / shape + room))
        grid = np.atleast_1d(figure.subplots(down, across)).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, image, text in zip(grid, cells, lines, strict=False):
            axes.imshow(image, interpolation="nearest", aspect="equal")
            axes.text(0, -0.04, "\n".join(text), transform=axes.transAxes, va="top", fontsize=8.5)
        return figure

    return save(path, draw)
