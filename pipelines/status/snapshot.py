"""One look at everything, at one moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pipelines.acting import now
from pipelines.settings import home
from pipelines.status.parts import Part, ask

REMOTE, LOCAL = 5.0, 15.0
"""Seconds within which all sources must answer, with the tracking server elsewhere or the store in
a file here. Idle, all of them take one second. A file has nobody to wait for: it is late only where
every core trains, and that alone must not alarm anybody."""

SOURCES = {
    "services": "pipelines.status.running",
    "models": "pipelines.status.served",
    "runs": "pipelines.status.runs",
    "crashed": "pipelines.status.stopped",
    "activity": "pipelines.status.scored",
    "inboxes": "pipelines.status.inboxes",
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


def take(seconds: float | None = None) -> Snapshot:
    """Look now, for so many seconds at most.

    Raises:
        InputError: The home folder cannot be made.
    """
    remote = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http")
    limit = seconds or (REMOTE if remote else LOCAL)
    return Snapshot(now(), str(home()), ask(SOURCES, limit))
