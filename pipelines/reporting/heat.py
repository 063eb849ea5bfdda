"""A square of numbers between −1 and 1, one row and column a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pipelines.reporting.drawing import INK, NARROW, WIDE, Array, paper, save


def heat(path: Path, values: Array, names: Sequence[str], label: str) -> Path:
    """Every number in its cell: purple above 0, orange below, white at 0.

    Args:
        path: Of the picture.
        values: (m, m).
        names: Of rows and columns.
        label: What the numbers are.
    """

    def draw(width: float) -> Figure:
        side = min(width, 1.6 + 0.62 * len(names)) if width == WIDE else NARROW
        figure = paper(width, side * 0.9)
        axes = figure.subplots()
        drawn = axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect="equal")
        axes.grid(visible=False)
        places = range(len(names))
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            colour = "white" if abs(value) > 0.6 else INK
            text = f"{value:.2f}".replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7.5)
        figure.colorbar(drawn, ax=axes, shrink=0.8, label=label)
        return figure

    return save(path, draw)


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
