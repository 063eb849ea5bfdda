"""A snapshot as one JSON value: every key is always there, null where a part could not be read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.status.needs import people
from pipelines.status.snapshot import Snapshot


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """`at`, `home`, `needs`, each part by name, and under `unread` why a part is null."""
    return {
        "at": snapshot.at,
        "home": snapshot.home,
        "needs": [asdict(need) for need in people(snapshot)],
        **{name: part.value for name, part in snapshot.parts.items()},
        "unread": {name: part.said for name, part in snapshot.parts.items() if part.said},
    }
