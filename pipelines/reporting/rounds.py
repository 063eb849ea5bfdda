"""The picture of who took part: clients that counted, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pipelines.reporting.drawing import COLOURS, DASHED, MUTED, WIDE, paper, save


def counted(path: Path, by_round: Sequence[float], clients: int) -> Path:
    """How many clients' updates counted in each round, of so many."""

    def draw(width: float) -> Figure:
        figure = paper(width, 2.4 if width == WIDE else 2.2)
        axes = figure.subplots()
        axes.bar(range(1, len(by_round) + 1), by_round, 0.8, color=COLOURS[0])
        axes.axhline(clients, color=MUTED, lw=0.9, ls=DASHED)
        axes.set_ylim(0, clients * 1.05)
        axes.set(xlabel=f"round (dashed: all {clients} clients)", ylabel="clients that counted")
        axes.locator_params(axis="both", integer=True, nbins=6)
        axes.grid(False, axis="x")
        return figure

    return save(path, draw)
