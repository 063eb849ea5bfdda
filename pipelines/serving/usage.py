"""Who asked which version how often, a line a minute and key in the log of acts."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pipelines.acting import now
from pipelines.governance import activity


@dataclass
class _Tally:
    since: str
    requests: int = 0
    rows: int = 0


class Usage:
    """Counts since the last line, by version and key."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def add(self, version: str, key: str, rows: int) -> None:
        """Count an answered request."""
        with self._lock:
            tally = self._tallies.setdefault((version, key), _Tally(now()))
            tally.requests += 1
            tally.rows += rows

    def flush(self) -> None:
        """Write what was counted; what cannot be written is counted on."""
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        for (version, key), tally in tallies.items():
            try:
                self._write(version, key, tally)
            except OSError:  # a full disk stops no answer
                self._keep(version, key, tally)

    def _write(self, version: str, key: str, tally: _Tally) -> None:
        activity.note(
            "serve",
            model=self._model,
            version=version,
            key=key,
            requests=tally.requests,
            rows=tally.rows,
            since=tally.since,
            until=now(),
        )

    def _keep(self, version: str, key: str, tally: _Tally) -> None:
        with self._lock:
            newer = self._tallies.get((version, key), _Tally(tally.since))
            self._tallies[version, key] = _Tally(
                tally.since, tally.requests + newer.requests, tally.rows + newer.rows
            )
