"""The picture of what privacy costs and what federation buys: AUROC against ε, a line an arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from domains.metrics import Interval
from pipelines.reporting.drawing import WIDE, columns, handle, looks, paper, save

_APART = 0.09  # between arms that share an ε, in ticks


def against_epsilon(
    path: Path, arms: Mapping[str, Mapping[float | None, Interval]], ylabel: str
) -> Path:
    """AUROC with its 95 % interval at every ε, rising to none, which stands apart at the right.

    Args:
        path: Where to.
        arms: Arm → ε (None without privacy) → AUROC; all at the same ε.
        ylabel: Of what records.

    Raises:
        ValueError: There is no arm, or an arm lacks an ε that another has.
    """
    asked = {tuple(sorted(each, key=_rising)) for each in arms.values()}
    if len(asked) != 1:
        raise ValueError(f"arms at different ε cannot be drawn against each other: {asked}")
    epsilons, style = asked.pop(), looks(list(arms))

    def draw(width: float) -> Figure:
        figure = paper(width, 3.6 if width == WIDE else 3.4)
        axes = figure.subplots()
        for number, (arm, found) in enumerate(arms.items()):
            places = np.arange(len(epsilons)) + _APART * (number - (len(arms) - 1) / 2)
            value, low, high = np.array(
                [(found[e].value, found[e].low, found[e].high) for e in epsilons]
            ).T
            colour, marker = style[arm]
            private = sum(epsilon is not None for epsilon in epsilons)
            axes.plot(places[:private], value[:private], color=colour, lw=1.4)
            axes.errorbar(places, value, (value - low, high - value), color=colour, ls="none",
                          marker=marker, ms=5, elinewidth=1.2)  # fmt: skip
        axes.set_xticks(range(len(epsilons)), _ticks(epsilons))
        axes.set_xlim(-0.4, len(epsilons) - 0.6)
        axes.grid(False, axis="x")
        axes.set(xlabel="ε of every owner: more privacy to the left", ylabel=ylabel)
        figure.legend(handles=[handle(arm, style[arm]) for arm in arms],
                      loc="outside upper left", ncols=columns(width, list(arms)))  # fmt: skip
        return figure

    return save(path, draw)


def _ticks(epsilons: Sequence[float | None]) -> list[str]:
    return ["no privacy" if epsilon is None else f"{epsilon:g}" for epsilon in epsilons]


def _rising(epsilon: float | None) -> float:
    return np.inf if epsilon is None else epsilon
