"""One federated job, private and not, beside what a user would run instead.

    make bench-federated ARGS="--only speed --quick --json out.json"

Parts: `speed`, `curves` (of cost against clients and records) and `utility` (AUROC against ε), all
three unless some are named; the first two want a quiet machine, the last does not mind.

Ten clients of 3,000 records of 24 numbers, a net of 24-64-32-1, batches of 256, twelve local steps
a round, ten rounds, one thread. Each side runs in a process of its own, in turn with the others;
where both sides are one process, rounds are compared by the processor's time, which others on the
machine disturb less, and by the clock where Flower's many processes are one side. Every side has
one core, and Flower once more all of them. Without --quick the job comes again with 100 and 1,000
clients, with peak memory; with it there are no curves, and no AUROC.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

from benchmarks import _fed_curves, _utility, _utility_figure
from benchmarks._fed_peers import Missing, Told, do
from benchmarks._rows import Part, Row, main_of, smaller_is_better

REPEATS, FEWER = 5, 3
_MAPPED_MB = 1_000_000 * 64 * 4 / 2**20

Side = Callable[[], Told]


def speed(quick: bool) -> list[Row]:
    """A round's time and memory, and without --quick with more clients too."""
    rows = [*speed_rows(10, 10, REPEATS), *scale_rows(FEWER)]
    if not quick:
        rows += [*speed_rows(100, 3, FEWER), *speed_rows(1000, 2, FEWER)]
    return rows


def curves(quick: bool) -> list[Row]:
    """No row: the table of cost against clients and records is printed."""
    if not quick:
        print(_fed_curves.table())
    return []


def utility(quick: bool) -> list[Row]:
    """AUROC against ε; every point is printed, with what it lacks of boosting."""
    rows = _utility.rows(quick)
    if rows:
        print(_utility_figure.table(_utility.measured()))
    return rows


PARTS = {
    "speed": Part(speed),
    "curves": Part(curves, _fed_curves.figure),
    "utility": Part(utility, _utility_figure.figure if _utility.DATA.exists() else None),
}


def speed_rows(clients: int, rounds: int, repeats: int) -> list[Row]:
    """A round of ours beside Opacus, itself without privacy, pfl and Flower; and peak memory."""

    def side(name: str, kind: str = "", peer: str | None = None) -> Side:
        return lambda: do(name, kind, peer, clients=clients, rounds=rounds)

    sides: dict[str, Side] = {
        "dp": side("ours", "dp"),
        "plain": side("ours", "plain"),
        "ghost": side("opacus", "ghost"),
        "pfl": side("pfl", peer="pfl"),
    }
    if clients == 10:  # slower than ghost clipping, and more so with every client
        sides["hooks"] = side("opacus", "hooks")
    if clients < 1000:
        sides["flower"] = side("flower", "one-core", "flower")
        sides["flower, all cores"] = side("flower", "", "flower")
    told = _in_turn(sides, repeats)
    if clients == 10:
        _tell_parts()
    opacus = min(("hooks", "ghost"), key=lambda kind: _median(told.get(kind, [])))
    many = f"{clients:,} clients"
    rows = [
        _row(f"DP round beside Opacus {opacus} in a loop, {many}", told, "dp", opacus, 6.0),
        _row(f"DP round beside the same without privacy, {many}", told, "dp", "plain", 0.5),
        _row(f"round without privacy beside pfl 0.6, {many}", told, "plain", "pfl", 1.5),
        _row(f"round without privacy beside Flower 1.41, {many}", told, "plain", "flower", 8.0),
        _row(f"the same, Flower with every core, {many}", told, "plain", "flower, all cores", 1.0),
        _row(f"peak memory, DP beside Opacus {opacus}, {many}", told, "dp", opacus, 1.0, "MB"),
        _row(f"peak memory without privacy beside pfl, {many}", told, "plain", "pfl", 1.0, "MB"),
    ]
    return [row for row in rows if row is not None]


def scale_rows(repeats: int) -> list[Row]:
    """Memory beyond a mapped file of a million records, which is its limit."""
    rows = []
    for clients in (10, 1000):
        told = [do("scale", clients=clients, rows=1_000_000, rounds=3) for _ in range(repeats)]
        what = f"memory beyond 10⁶ mapped records of 64, {clients:,} clients"
        limit = [_MAPPED_MB] * repeats
        rows.append(smaller_is_better(what, "MB", [each.peak_mb for each in told], limit))
    return rows


def _in_turn(sides: dict[str, Side], repeats: int) -> dict[str, list[Told]]:
    """Every side's repeats, one of each after the other, so that a busy minute hits all alike."""
    told: dict[str, list[Told]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name in list(told):
            try:
                told[name].append(sides[name]())
            except Missing as reason:
                print(f"left out: {name} ({reason})", file=sys.stderr)
                del told[name]
    return told


def _median(told: list[Told]) -> float:
    return statistics.median(each.cpu for each in told) if told else float("inf")


def _row(
    what: str, told: dict[str, list[Told]], ours: str, peer: str, goal: float, unit: str = "ms"
) -> Row | None:
    if ours not in told or peer not in told:
        return None
    mine, theirs = ([_number(each, unit, peer) for each in told[side]] for side in (ours, peer))
    return smaller_is_better(what, unit, mine, theirs, goal)


def _number(told: Told, unit: str, peer: str) -> float:
    if unit == "MB":
        return told.peak_mb
    return 1e3 * (told.wall if peer.startswith("flower") else told.cpu)


def _tell_parts() -> None:
    """What a DP round does that another does not."""
    told = [do("ours", "parts") for _ in range(REPEATS)]
    whole = statistics.median(each.cpu for each in told)
    for name in told[0].parts:
        part = statistics.median(each.parts[name] for each in told)
        print(f"of a DP round of {1e3 * whole:.1f} ms: {name} {1e3 * part:.1f} ms")


if __name__ == "__main__":
    main_of(PARTS, "A federated job beside Opacus, Flower and pfl, with and without privacy.")
