"""Who did what with which version: one JSON line an act, appended, never a record in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from pipelines.acting import now, who
from pipelines.settings import home

_FILE = "activity.jsonl"


def note(kind: str, **facts: Any) -> None:
    """Append an act.

    Args:
        kind: `score` (a file or folder was scored, or was not), `serve` (requests answered),
            `round` (a scheduled run of scoring).
        facts: JSON values: model, version, rows, digest, …; no record, and no path but that of an
            input which could not be scored.
    """
    line = json.dumps({"when": now(), "who": who(), "kind": kind, **facts}) + "\n"
    path = home() / _FILE
    # One write to a file opened for appending: lines of several processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def acts(kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Acts of a kind, oldest first; a last line cut short by a full disk is passed over."""
    path = home() / _FILE
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            try:
                act = json.loads(line)
            except json.JSONDecodeError:
                continue
            if kind is None or act["kind"] == kind:
                yield act
