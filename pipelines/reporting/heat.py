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
