"""Numbers in the cells of a square or a table, the colour as the number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.reporting.drawing import INK, NARROW, WIDE, Array, paper, save


def heat(path: Path, values: Array, names: Sequence[str], label: str) -> Path:
    """A square of numbers from −1 to 1: purple above 0, orange below, white at 0; NaN stays empty.

    Args:
        path: Of the picture.
        values: (m, m).
        names: Of rows and columns.
        label: What the numbers are.
    """

    def draw(width: float) -> Figure:
        side = min(width, 1.6 + 0.62 * len(names)) if width == WIDE else NARROW
        figure = paper(width, side * 0.9)
        axes = _cells(figure, values, label, "equal")
        places = range(len(names))
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        return figure

    return save(path, draw)


def heat_over(
    path: Path,
    values: Array,
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    what: str,
    label: str,
) -> Path:
    """The same of a table, whose rows are of two things each.

    Args:
        path: Of the picture.
        values: (n, m), −1 to 1.
        rows: Names of what the n rows are of.
        columns: Names of the m columns.
        what: The columns are.
        label: What the numbers are.
    """

    def draw(width: float) -> Figure:
        wide = width == WIDE
        figure = paper(width, 1.1 + (0.28 if wide else 0.36) * len(rows))
        axes = _cells(figure, values, label if wide else "", "auto")
        between, limit = (" · ", 24) if wide else ("\n", 16)
        named = [between.join(_shortened(name, limit) for name in row) for row in rows]
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), named)
        axes.set_xlabel(what)
        return figure

    return save(path, draw)


def _cells(figure: Figure, values: Array, label: str, aspect: Literal["equal", "auto"]) -> Axes:
    """Axes with every number in its cell, and the scale of colours where it has a label."""
    axes: Axes = figure.subplots()
    drawn = axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect=aspect)
    axes.grid(visible=False)
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        if np.isnan(value):
            continue
        colour = "white" if abs(value) > 0.6 else INK
        text = f"{value:.2f}".replace("-", "−")
        size = 7.5 if label else 6.0
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    if label:
        figure.colorbar(drawn, ax=axes, shrink=0.8, label=label)
    return axes


def parts_of_whole(path: Path, values: Array, rows: Sequence[str], names: Sequence[str]) -> Path:
    """Every part in its cell as percent of its column's whole, the darker the more.

    Args:
        path: Of the picture.
        values: (n, m), 0 to 1.
        rows: Names of the n rows.
        names: Of the m columns.
    """

    def draw(width: float) -> Figure:
        wide = width == WIDE
        label = 1.6 if wide else 0.95
        across = min(width, label + 0.75 * len(names))
        figure = paper(across, 0.23 * len(rows) + 1.0)
        axes = figure.subplots()
        axes.imshow(values, cmap="Blues", vmin=0, vmax=max(float(values.max()), 0.2), aspect="auto")
        axes.grid(visible=False)
        limit = 26 if wide else 14
        axes.set_xticks(range(len(names)), names, rotation=45, ha="left", rotation_mode="anchor")
        axes.xaxis.tick_top()
        axes.set_yticks(range(len(rows)), [_shortened(row, limit) for row in rows])
        for row, column in np.ndindex(values.shape):
            value = float(values[row, column])
            colour = "white" if value > 0.6 * max(float(values.max()), 0.2) else INK
            if value >= 0.005:
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center",
                          color=colour, fontsize=7.5 if wide else 6.5)  # fmt: skip
        return figure

    return save(path, draw)


def _shortened(label: str, limit: int) -> str:
    return label if len(label) <= limit else f"{label[: limit - 1]}…"
