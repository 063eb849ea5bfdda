"""From registry to use: a scheduled run, files scored, requests answered, each beside its measure.

Run as `make bench-operate`; `ARGS="--quick"` leaves out images, the ten million rows and two of the
three served models.
"""

from __future__ import annotations

from benchmarks._online import online_rows
from benchmarks._rows import Row, main
from benchmarks._scheduled import scheduled_rows
from benchmarks._scoring import scoring_rows


def measure(quick: bool) -> list[Row]:
    """All rows, one part after the other: each has the machine to itself."""
    return [*scheduled_rows(quick), *scoring_rows(quick), *online_rows(quick)]


if __name__ == "__main__":
    main(measure, "A scheduled run, batch scoring and serving, side by side with plain work.")
