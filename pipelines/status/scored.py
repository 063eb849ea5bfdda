"""Who scored what, and how many requests were answered, without a record: the activity log."""

from __future__ import annotations

from collections import deque
from typing import Any

from pipelines.governance.activity import acts

_LAST = 8
Act = dict[str, Any]


def read() -> dict[str, Any]:
    """The last scorings and the last one of each model, newest first; and what HTTP servers have
    answered, a line a version."""
    scorings: deque[Act] = deque(maxlen=_LAST)
    last: dict[str, Act] = {}
    served: dict[tuple[str, str], Act] = {}
    for act in acts():
        if act.get("kind") == "score":
            scorings.append(_scoring(act))
            last[str(act.get("model"))] = scorings[-1]
        elif act.get("kind") == "serve":
            _add(served, act)
    latest = sorted(served.values(), key=lambda one: str(one["until"]), reverse=True)
    older = sorted((one for one in last.values() if one not in scorings), key=_when)
    return {"scorings": [*older, *scorings][::-1], "requests": latest}


def _when(act: Act) -> str:
    return str(act["when"])


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
