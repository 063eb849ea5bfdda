"""Scheduled runs of scoring, from the log of acts: those that did something or went wrong."""

from __future__ import annotations

from typing import Any

import psutil

from pipelines.acting import now
from pipelines.governance.activity import acts
from pipelines.status.telling import SCORE
from pipelines.status.words import between

KIND, LAST = "round", 8
_LOST = "its process ended without a word; the next run takes up what is left"
_STOPPED = "its process was told to end, by make down say; the next run takes up what is left"
_SAME_START = 2.0  # seconds by which two clocks may tell one start apart
Act = dict[str, Any]


def read() -> list[Act]:
    """The last runs in the form of `pipelines.status.runs`, newest first, and the newest of every
    model. Other runs that found nothing to score are left out."""
    begun: dict[str, Act] = {}
    ended: dict[str, Act] = {}
    for act in acts(KIND):
        (begun if act["ended"] is None else ended)[str(act["run"])] = act
        if act["ended"] is None:
            ended.pop(str(act["run"]), None)  # begun again
    newest_first = reversed(begun.items())  # within a second too, which is as fine as times are
    rows = [_row(act, ended.get(run)) for run, act in newest_first]
    rows.sort(key=lambda row: str(row["started"]), reverse=True)
    told: list[Act] = []
    newest: set[str] = set()
    for row in rows:
        last = row["model"] not in newest
        newest.add(row["model"])
        idle = row["end"] == "finished" and not row["scored"]["files"]
        if last or (not idle and len(told) < LAST):
            told.append(row)
    return told


def _row(begun: Act, ended: Act | None) -> Act:
    end, why = _ending(begun, ended)
    running = between(begun["when"], now()) if end == "running" else None
    return {
        "run_id": begun["run"],
        "pipeline": SCORE,
        "model": begun["model"],
        "started": begun["when"],
        "seconds": ended["seconds"] if ended else running,
        "end": end,
        "why": why,
        "resumed": 0,
        "stage": None,
        "progress": None,
        "version": None,
        "verdict": None,
        "report": None,
        "scored": {k: ended[k] for k in ("files", "failed", "rows", "rejected")} if ended else None,
    }


def _ending(begun: Act, ended: Act | None) -> tuple[str, str]:
    if ended is None:
        return ("running", "") if _lives(begun) else ("crashed", _LOST)
    return ended["ended"], _STOPPED if ended["ended"] == "stopped" else ended.get("why", "")


def _lives(begun: Act) -> bool:
    try:
        return abs(psutil.Process(begun["pid"]).create_time() - begun["began"]) < _SAME_START
    except psutil.Error:
        return False
