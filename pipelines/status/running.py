"""Which services are up: those that `make up` started, and HTTP servers of models."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from pipelines.services import records

_SECONDS = 1.0
_SAME_START = 2.0  # seconds by which two clocks may tell one start apart
_SERVE = "serve-"
Row = dict[str, Any]


def read() -> list[Row]:
    """Every service that wrote down that it runs, whether it does, and where it answers.

    One that is not written down was never started, or stopped in good order: it is no news.
    """
    found = sorted(records.folder().glob("*.json"))
    if not found:
        return []
    with ThreadPoolExecutor(len(found)) as pool:
        return list(pool.map(_row, found))


def _row(path: Path) -> Row:
    row: Row = {
        "name": path.stem,
        "up": False,
        "why": "",
        "url": None,
        "since": None,
        "model": None,
    }
    row |= {"version": None, "command": "make up"}
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        row |= {key: noted.get(key) for key in ("url", "since", "model", "version")}
        why = _down(int(noted["pid"]), noted.get("started"), row["url"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        why = f"{path} cannot be read"
    if path.stem.startswith(_SERVE):
        row["command"] = f"make serve MODEL={row['model'] or path.stem.removeprefix(_SERVE)}"
    if row["url"]:  # what people open; Prefect's clients add /api
        row["url"] = str(row["url"]).rstrip("/").removesuffix("/api")
    return row | {"up": not why, "why": why}


def _down(pid: int, started: float | None, url: str | None) -> str:
    """Why a service is not well; empty when it is."""
    if not _lives(pid, started):
        return "its process is gone"
    if url is None:
        return ""
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        return "" if error.code < 500 else f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return f"it does not answer ({getattr(error, 'reason', error)})"
    return ""


def _lives(pid: int, started: float | None) -> bool:
    """Whether that very process runs: another one may bear its number."""
    try:
        process = psutil.Process(pid)
        same = started is None or abs(process.create_time() - started) < _SAME_START
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
