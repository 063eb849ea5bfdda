"""Worth joining, and at what price: lenders, strategies, privacy and models of credit.

    make bench-credit ARGS="--quick --json out.json"

Public loans alone, nothing is charged; every number is made by the pipeline's own stages, engine
and tables. With --quick lenders are cut to 3,000 records and there are two seeds; then no picture
is drawn.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import _credit_joining, _credit_strategies, _credit_utility
from benchmarks._rows import Row, main


def measure(quick: bool) -> list[Row]:
    """All rows: AUROC by arm, model and ε, the table of joining, and each strategy's cost."""
    scale, seeds = _extent(quick)
    found = _credit_utility.rows(scale, seeds)
    print(_credit_utility.table(scale, seeds))
    found += _credit_joining.rows(scale)
    return [*found, *_credit_strategies.rows("small", 1 if quick else 3)]


def draw(json: Path) -> None:
    """AUROC against ε, beside the rows."""
    _credit_utility.figure(json.with_name(f"{json.stem}-privacy.svg"), *_extent(False))


def _extent(quick: bool) -> tuple[str, int]:
    """Scale and seeds."""
    return ("small", 2) if quick else ("full", 5)


if __name__ == "__main__":
    main(measure, "Joining, strategies, privacy and models of credit, on public loans.", draw)
