"""Worth joining, and at what price: lenders, strategies, privacy and models of credit.

    make bench-credit ARGS="--only utility --quick --json out.json"

Parts: `utility` (AUROC by arm, model and ε), `joining`, `cost` (seconds and memory of a strategy);
all three unless some are named. The last wants a quiet machine.

Public loans alone, nothing is charged; every number is made by the pipeline's own stages, engine
and tables. With --quick lenders are cut to 3,000 records and there are two seeds; then no picture
is drawn.
"""

from __future__ import annotations

from benchmarks import _credit_joining, _credit_strategies, _credit_utility
from benchmarks._rows import Part, Row, main_of


def utility(quick: bool) -> list[Row]:
    """AUROC by arm, model and ε; every point is printed."""
    extent = _extent(quick)
    found = _credit_utility.rows(*extent)
    print(_credit_utility.table(*extent))
    return found


def joining(quick: bool) -> list[Row]:
    """The table of joining, for large and for small lenders."""
    return _credit_joining.rows(_extent(quick)[0])


def cost(quick: bool) -> list[Row]:
    """Each strategy's seconds and memory."""
    return _credit_strategies.rows("small", 1 if quick else 3)


def _extent(quick: bool) -> tuple[str, int]:
    """Scale and seeds."""
    return ("small", 2) if quick else ("full", 5)


PARTS = {
    "utility": Part(utility, lambda path: _credit_utility.figure(path, *_extent(False))),
    "joining": Part(joining),
    "cost": Part(cost),
}

if __name__ == "__main__":
    main_of(PARTS, "Joining, strategies, privacy and models of credit, on public loans.")
