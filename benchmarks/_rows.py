"""Rows of a benchmark: both sides measured in one run, a table for people, JSON for machines."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: What was measured.
        ours: Median of ours.
        peer: Median of the peer's, or a limit that ours must stay under.
        unit: Unit of both.
        ratio: Above 1 means ours is better.
        goal: Least ratio that is aimed at.
        met: Whether `ratio` reaches `goal`.
        low: Lowest ratio over the repeats.
        high: Highest ratio over the repeats.
    """

    what: str
    ours: float
    peer: float
    unit: str
    ratio: float
    goal: float
    met: bool
    low: float
    high: float


def smaller_is_better(
    what: str, unit: str, ours: list[float], peer: list[float], goal: float = 1.0
) -> Row:
    """A row from repeats of both sides, of which the smaller number is the better one."""
    return _row(what, unit, ours, peer, goal, lambda mine, theirs: theirs / mine)


def larger_is_better(
    what: str, unit: str, ours: list[float], peer: list[float], goal: float = 1.0
) -> Row:
    """A row from repeats of both sides, of which the larger number is the better one."""
    return _row(what, unit, ours, peer, goal, lambda mine, theirs: mine / theirs)


def _row(
    what: str,
    unit: str,
    ours: list[float],
    peer: list[float],
    goal: float,
    better: Callable[[float, float], float],
) -> Row:
    ratios = [better(mine, theirs) for mine, theirs in zip(ours, peer, strict=True)]
    median, other = statistics.median(ours), statistics.median(peer)
    ratio = better(median, other)
    # rows come minutes apart: whoever waits sees each one
    print(f"{what}: {median:.4g} {unit}, peer {other:.4g}, ratio {ratio:.2f}", file=sys.stderr)
    return Row(
        what, median, other, unit, ratio, goal, ratio >= goal, low=min(ratios), high=max(ratios)
    )


def main(
    measure: Callable[[bool], list[Row]], about: str, draw: Callable[[Path], None] | None = None
) -> None:
    """Run a benchmark as a command with `--quick` and `--json FILE`.

    Args:
        measure: Told whether to be quick, gives the rows.
        about: What is compared.
        draw: Puts pictures beside the JSON file, when it was not quick.
    """
    options = _parser(about).parse_args()
    rows = measure(options.quick)
    print(_table(rows))
    if options.json:
        _write(options.json, rows)
        if draw is not None and not options.quick:
            draw(options.json)


@dataclass(frozen=True)
class Part:
    """Of a benchmark that can be run piece by piece.

    Attributes:
        measure: Told whether to be quick, gives the rows.
        draw: Writes the part's picture to a path, when it was not quick; None: it has none.
        named: It is so long that it runs only where it is named.
    """

    measure: Callable[[bool], list[Row]]
    draw: Callable[[Path], object] | None = None
    named: bool = False


def main_of(parts: Mapping[str, Part], about: str) -> None:
    """Run a benchmark of several parts as a command with `--only PART`, `--quick`, `--json FILE`.

    Args:
        parts: By name, in the order in which they run; a picture lies beside the JSON file, under
            its name and the part's.
        about: What is compared.
    """
    options = _parser(about, parts).parse_args()
    asked = options.only or [name for name, part in parts.items() if not part.named]
    chosen = {name: part for name, part in parts.items() if name in asked}
    rows = [row for part in chosen.values() for row in part.measure(options.quick)]
    print(_table(rows))
    if options.json:
        _write(options.json, rows)
        for name, part in chosen.items():
            if part.draw is not None and not options.quick:
                part.draw(options.json.with_name(f"{options.json.stem}-{name}.svg"))


def _parser(about: str, parts: Iterable[str] = ()) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, under ten minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    if parts:
        said = "these parts alone; default: all"
        parser.add_argument("--only", nargs="+", choices=list(parts), metavar="PART", help=said)
    return parser


def _write(path: Path, rows: list[Row]) -> None:
    found = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(found, indent=2) + "\n")


def _table(rows: list[Row]) -> str:
    head = f"{'what':<52} {'ours':>9} {'peer':>9} {'unit':<4} {'ratio':>7}  spread           goal"
    lines = [
        f"{r.what:<52} {r.ours:>9.2f} {r.peer:>9.2f} {r.unit:<4} {r.ratio:>7.2f}  "
        f"{r.low:>6.2f} to {r.high:<6.2f} {r.goal:g} {'met' if r.met else 'MISSED'}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def machine() -> str:
    """What the numbers were taken on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
