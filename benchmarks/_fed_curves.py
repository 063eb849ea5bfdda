"""Cost of a round against clients and against records: a table, and a picture of it."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._fed_peers import Missing, Told, do

CLIENTS = (10, 30, 100, 300, 1000)
RECORDS = (1_000, 10_000, 100_000, 1_000_000)
AGAINST = {"clients": CLIENTS, "records": RECORDS}


@dataclass
class Curve:
    """Seconds of the processor a round, and peak MB, by clients or records."""

    name: str
    against: str
    seconds: dict[int, float] = field(default_factory=dict)
    peak_mb: dict[int, float] = field(default_factory=dict)

    def add(self, at: int, told: list[Told]) -> None:
        """The median of some repeats."""
        self.seconds[at] = statistics.median(each.cpu for each in told)
        self.peak_mb[at] = statistics.median(each.peak_mb for each in told)


@functools.cache
def measured(repeats: int = 3) -> tuple[Curve, ...]:
    """Every curve, measured once; the slow sides stop earlier."""
    sides: list[tuple[str, int, Callable[[int], Told]]] = [
        ("ours, DP", 1000, lambda n: do("ours", "dp", clients=n, rounds=_rounds(n))),
        ("ours, no privacy", 1000, lambda n: do("ours", "plain", clients=n, rounds=_rounds(n))),
        ("Opacus ghost, loop", 100, lambda n: do("opacus", "ghost", clients=n, rounds=2)),
        ("pfl, no privacy", 1000, lambda n: do("pfl", peer="pfl", clients=n, rounds=_rounds(n))),
    ]
    curves = [_curve(name, CLIENTS, most, once, repeats) for name, most, once in sides]
    for clients in (10, 1000):
        curve = Curve(f"scorecard of 64 codes, {clients} clients, DP, full batch", "records")
        for rows in RECORDS:
            told = [do("scale", clients=clients, rows=rows, rounds=5) for _ in range(repeats)]
            curve.add(rows, told)
        curves.append(curve)
    return tuple(curve for curve in curves if curve.seconds)


def _rounds(clients: int) -> int:
    return max(2, min(10, 500 // clients))


def _curve(
    name: str, points: tuple[int, ...], most: int, once: Callable[[int], Told], repeats: int
) -> Curve:
    curve = Curve(name, "clients")
    for clients in points:
        if clients > most:
            break
        try:
            curve.add(clients, [once(clients) for _ in range(repeats)])
        except Missing:
            break
    return curve


def table() -> str:
    """Milliseconds of the processor a round, and peak MB."""
    curves, lines = measured(), list[str]()
    for against, points in AGAINST.items():
        lines.append(f"{'ms a round (peak MB), by ' + against:<50}" + _cells(map(str, points)))
        for curve in curves:
            if curve.against == against:
                lines.append(f"{curve.name:<50}" + _cells(_cell(curve, at) for at in points))
    return "\n".join(lines)


def _cell(curve: Curve, at: int) -> str:
    if at not in curve.seconds:
        return "–"
    return f"{1e3 * curve.seconds[at]:.3g} ({curve.peak_mb[at]:.0f})"


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>16}" for text in texts)


def figure(path: Path) -> Path:
    """Both pictures beside each other, on logarithmic axes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pipelines.reporting import drawing

    with rc_context(drawing.STYLE):
        drawn = Figure(figsize=(1.4 * drawing.WIDE, 3.6), layout="constrained")
        places = drawn.subplots(1, 2)
        for axes, (against, points) in zip(places, AGAINST.items(), strict=True):
            mine = [curve for curve in measured() if curve.against == against]
            for curve, ink, mark in zip(mine, drawing.COLOURS, drawing.MARKERS, strict=False):
                at, seconds = zip(*curve.seconds.items(), strict=True)
                axes.loglog(
                    at, [1e3 * s for s in seconds], marker=mark, color=ink, label=curve.name
                )
            axes.set_xticks(points, [f"{point:,}" for point in points])
            axes.set_xticks([], minor=True)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            axes.set(xlabel=against, ylabel="ms of one core a round")
            axes.legend(fontsize=8)
        FigureCanvasAgg(drawn)
        drawn.savefig(path, dpi=drawing.DPI)
    return path
