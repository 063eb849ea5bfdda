"""What lies in the inboxes: how much is still to be scored, and files that never will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.scoring.inbox import look
from pipelines.scoring.seen import Scored
from pipelines.settings import home


def read() -> list[dict[str, Any]]:
    """Every inbox of this home: its folder and model, how many inputs `wait`, and the names of
    those `passed_over` for their kind."""
    folders = sorted(path for path in (home() / "inbox").glob("[!.]*") if path.is_dir())
    scored = Scored() if folders else None
    return [_row(folder, scored) for folder in folders if scored is not None]


def _row(folder: Path, scored: Scored) -> dict[str, Any]:
    found = look(folder, home() / "scores" / folder.name)
    return {
        "model": folder.name,
        "folder": str(folder),
        "waiting": sum(not scored.looks_unchanged(*pair) for pair in found.pairs),
        "passed_over": [path.name for path in found.passed_over],
    }
