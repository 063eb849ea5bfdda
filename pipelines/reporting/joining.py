"""Pictures of who gains by joining: every member's gain, and what gains go along with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
_FEW = 5  # members below which nothing can be seen to go along
_UNLIKE = 1.5  # largest over smallest size from which sizes are worth an axis


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


def sorts(gains: Sequence[Gain]) -> list[str]:
    """What members differ in, so that gains can be seen to go along with it; see `along`."""
    return [said for said, _, _ in _axes(gains)]


def along(path: Path, gains: Sequence[Gain], ylabel: str) -> Path:
    """Gains against what members differ in: their sizes, and how different their models are.

    Raises:
        ValueError: They differ in neither.
    """
    arms, against = _by_arm(gains), _axes(gains)
    if not against:
        raise ValueError("members of one size that rank alike: there is nothing to draw against")
    style = looks(list(arms))

    def draw(width: float) -> Figure:
        wide, count = width == WIDE, len(against)
        figure = paper(width, 3.2 if wide else 2.8 * count)
        grid = figure.subplots(1 if wide else count, count if wide else 1, squeeze=False).ravel()
        for axes, (_, xlabel, of) in zip(grid, against, strict=True):
            for arm, own in arms.items():
                colour, marker = style[arm]
                x, y = [of(gain) for gain in own], [gain.value for gain in own]
                axes.plot(x, y, marker, color=colour, ms=4, alpha=0.75)
            axes.set(xlabel=xlabel, ylabel=ylabel)
            axes.axhline(0.0, color=MUTED, lw=0.9, ls=DASHED, zorder=1)
            if of is _size:
                _by_decades(axes)
        figure.legend(handles=[handle(arm, style[arm]) for arm in arms],
                      loc="outside upper left", ncols=columns(width, list(arms)))  # fmt: skip
        return figure

    return save(path, draw)


def _by_decades(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())


def _size(gain: Gain) -> float:
    return float(gain.size)


def _apart(gain: Gain) -> float:
    return gain.apart


def _axes(gains: Sequence[Gain]) -> list[tuple[str, str, Callable[[Gain], float]]]:
    """(in a caption, at the axis, of a member) where members differ enough to be told apart."""
    if len({gain.member for gain in gains}) < _FEW:
        return []
    sizes, apart = [gain.size for gain in gains], [gain.apart for gain in gains]
    found: list[tuple[str, str, Callable[[Gain], float]]] = []
    if max(sizes) >= _UNLIKE * min(sizes):
        found.append(("a client's number of records", "records", _size))
    if max(apart) > min(apart):
        said = "how differently its own model ranks its loans"
        found.append((said, "how differently its own model ranks", _apart))
    return found


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
