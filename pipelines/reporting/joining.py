"""Pictures of who gains by joining: every member's gain, and what gains go along with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from pipelines.reporting.drawing import (
    DASHED,
    MUTED,
    WIDE,
    Look,
    Row,
    columns,
    handle,
    looks,
    paper,
    save,
)
from pipelines.reporting.figures import bars

_NAMED = 40


@dataclass(frozen=True)
class Gain:
    """One member under one arm.

    Attributes:
        member, arm: Names.
        value, low, high: Its gain over being alone, with its 95 % interval.
        size: Number of the member's records.
        apart: How different the member is, from 0.
    """

    member: str
    arm: str
    value: float
    low: float
    high: float
    size: int
    apart: float


def forest(path: Path, gains: Sequence[Gain], xlabel: str) -> Path:
    """Every member's gain with its interval: by name where that can be read, else in order of the
    gain, an arm a panel.

    Raises:
        ValueError: There is none.
    """
    if not gains:
        raise ValueError("no gain to draw")
    if len({gain.member for gain in gains}) <= _NAMED:
        rows: list[Row] = [(g.member, g.value, g.low, g.high, g.arm) for g in gains]
        return bars(path, rows, xlabel, 0.0, "alone")
    return save(path, lambda width: _many(width, _by_arm(gains), xlabel))


def along(path: Path, gains: Sequence[Gain], ylabel: str) -> Path:
    """Gains against the members' sizes, and against how different they are."""
    arms = _by_arm(gains)
    style = looks(list(arms))

    def draw(width: float) -> Figure:
        figure = paper(width, 3.2 if width == WIDE else 5.6)
        left, right = figure.subplots(1, 2) if width == WIDE else figure.subplots(2, 1)
        for arm, own in arms.items():
            colour, marker = style[arm]
            for axes, x in ((left, [g.size for g in own]), (right, [g.apart for g in own])):
                axes.plot(x, [g.value for g in own], marker, color=colour, ms=4, alpha=0.75)
        left.set(xscale="log", xlabel="records", ylabel=ylabel)
        left.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        left.xaxis.set_major_formatter("{x:,.0f}")
        left.xaxis.set_minor_locator(NullLocator())
        right.set(xlabel="how differently its own model ranks", ylabel=ylabel)
        for axes in (left, right):
            axes.axhline(0.0, color=MUTED, lw=0.9, ls=DASHED, zorder=1)
        figure.legend(handles=[handle(arm, style[arm]) for arm in arms],
                      loc="outside upper left", ncols=columns(width, list(arms)))  # fmt: skip
        return figure

    return save(path, draw)


def _by_arm(gains: Sequence[Gain]) -> Mapping[str, list[Gain]]:
    arms = dict.fromkeys(gain.arm for gain in gains)
    return {arm: [gain for gain in gains if gain.arm == arm] for arm in arms}


def _many(width: float, arms: Mapping[str, list[Gain]], xlabel: str) -> Figure:
    style = looks(list(arms))
    most = max(len(own) for own in arms.values())
    panel = min(6.5, 0.9 + 0.028 * most)
    wide = width == WIDE
    figure = paper(width, panel if wide else panel * len(arms))
    grid = figure.subplots(1 if wide else len(arms), len(arms) if wide else 1,
                           sharex=True, squeeze=False).ravel()  # fmt: skip
    for axes, (arm, own) in zip(grid, arms.items(), strict=True):
        _panel(axes, sorted(own, key=lambda gain: gain.value), style[arm], arm, xlabel)
    return figure


def _panel(axes: Axes, own: Sequence[Gain], look: Look, arm: str, xlabel: str) -> None:
    """One line a member, the largest gain on top; grey where the interval holds zero."""
    places = np.arange(len(own))
    sure = np.array([gain.low > 0 or gain.high < 0 for gain in own])
    for place, gain in zip(places, own, strict=True):
        colour = look[0] if sure[place] else "#a3aab5"
        axes.plot([gain.low, gain.high], [place, place], color=colour, lw=0.9, alpha=0.8)
        axes.plot(gain.value, place, look[1], color=colour, ms=2.5)
    axes.axvline(0.0, color=MUTED, lw=0.9, ls=DASHED, zorder=1)
    better = sum(gain.low > 0 for gain in own)
    worse = sum(gain.high < 0 for gain in own)
    axes.set_title(f"{arm}: {better} better, {worse} worse of {len(own)}")
    axes.set(xlabel=xlabel, yticks=[])
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
