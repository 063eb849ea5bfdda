"""Decisions, times, spans and sizes as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

DECIDED = {
    "promote": "promoted",
    "refuse": "held back by the gate",
    "await": "passed the gate, awaits approval",
    "decline": "declined",
}
"""What was decided about a version, in words; a rollback decides about none."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def minute(text: str | None) -> str:
    """A moment in UTC to the minute: `2000-01-01 09:30`; a dash for none."""
    return text[:16].replace("T", " ") if text else "–"


def span(seconds: float | None) -> str:
    """How long something took: `0.4 s`, `39 s`, `12 min`, `3 h`, `4 days`; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((120, "s"), (7200, "min"), (48 * 3600, "h")):
        if seconds < size:
            return f"{seconds / {'s': 1, 'min': 60, 'h': 3600}[unit]:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def between(first: str, then: str) -> float:
    """Seconds from one ISO moment to another."""
    return (_read(then) - _read(first)).total_seconds()


def size(count: float) -> str:
    """Bytes: `35 MiB`, `31.2 GiB`."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {_UNITS[unit]}" if unit > 2 else f"{count:.0f} {_UNITS[unit]}"


def epsilon(value: float) -> str:
    """An ε to two places, a whole one without."""
    return f"{value:,.2f}".removesuffix(".00")


def _read(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
