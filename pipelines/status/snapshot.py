"""One look at everything, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.acting import now
from pipelines.settings import home
from pipelines.status.parts import Part, ask

SECONDS = 6.0
"""Each source must answer within this, and together they take no longer. Idle, all of them take one
second; a machine that trains on every core is slower, and that alone must not alarm anybody."""

SOURCES = {
    "services": "pipelines.status.running",
    "models": "pipelines.status.served",
    "runs": "pipelines.status.runs",
    "crashed": "pipelines.status.stopped",
    "activity": "pipelines.status.scored",
    "budgets": "pipelines.status.budgets",
    "schedules": "pipelines.status.schedules",
    "notifications": "pipelines.status.untold",
    "space": "pipelines.status.space",
}


@dataclass(frozen=True)
class Snapshot:
    """What was seen: UTC moment, home folder, and every part by the names of `SOURCES`."""

    at: str
    home: str
    parts: dict[str, Part]

    def of(self, name: str) -> Any:
        """A part's value; None where it could not be read."""
        return self.parts[name].value

    def listed(self, name: str) -> list[dict[str, Any]]:
        """A part that is a list; an empty one where it could not be read."""
        return list(self.parts[name].value or [])


def take(seconds: float = SECONDS) -> Snapshot:
    """Look now.

    Raises:
        InputError: The home folder cannot be made.
    """
    return Snapshot(now(), str(home()), ask(SOURCES, seconds))
