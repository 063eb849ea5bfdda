"""Who scored what, and how many requests were answered, without a record: the activity log."""

from __future__ import annotations

from collections import deque
from typing import Any

from pipelines.activity import acts

_LAST = 8
Act = dict[str, Any]


def read() -> dict[str, Any]:
    """The last scorings, newest first, and what HTTP servers have answered, a line a version."""
    scorings: deque[Act] = deque(maxlen=_LAST)
    served: dict[tuple[str, str], Act] = {}
    for act in acts():
        if act.get("kind") == "score":
            scorings.append(_scoring(act))
        elif act.get("kind") == "serve":
            _add(served, act)
    latest = sorted(served.values(), key=lambda one: str(one["until"]), reverse=True)
    return {"scorings": list(reversed(scorings)), "requests": latest}


def _scoring(act: Act) -> Act:
    wanted = ("when", "who", "model", "version", "how", "rows", "rejected", "ended")
    return {name: act.get(name) for name in wanted}


def _add(served: dict[tuple[str, str], Act], act: Act) -> None:
    key = str(act.get("model")), str(act.get("version"))
    one = served.setdefault(
        key, {"model": key[0], "version": key[1], "requests": 0, "rows": 0, "since": act["when"]}
    )
    one["requests"] += int(act.get("requests") or 0)
    one["rows"] += int(act.get("rows") or 0)
    one["until"] = act.get("until") or act["when"]
