"""Who scored what, what could not be scored, and how many requests were answered, without a record:
the activity log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.governance.activity import acts

_LAST = 8
Act = dict[str, Any]


def read() -> dict[str, Any]:
    """The last scorings and the last one of each model, newest first; `failures`, inputs that still
    wait for a person; and what HTTP servers have answered, a line a version."""
    scorings: deque[Act] = deque(maxlen=_LAST)
    failures: dict[tuple[str, str], Act] = {}
    last: dict[str, Act] = {}
    served: dict[tuple[str, str], Act] = {}
    for act in acts():
        if act.get("kind") == "score":
            scorings.append(_scoring(act))
            last[str(act.get("model"))] = scorings[-1]
            _weigh(failures, act)
        elif act.get("kind") == "serve":
            _add(served, act)
    latest = sorted(served.values(), key=lambda one: str(one["until"]), reverse=True)
    older = sorted((one for one in last.values() if one not in scorings), key=_when)
    return {
        "scorings": [*older, *scorings][::-1],
        "failures": _open(failures.values()),
        "requests": latest,
    }


def _weigh(failures: dict[tuple[str, str], Act], act: Act) -> None:
    """A failure stands until that very input is scored: by its model, or into its output by another
    one, where the model was asked for by a wrong name."""
    if act.get("ended") == "failed" and act.get("input"):
        failures[str(act["model"]), str(act["source"])] = act
    elif act.get("ended") == "done" and act.get("source"):
        for key, one in list(failures.items()):
            same = act["model"] == one["model"] or act["target"] == one["target"]
            if one["source"] == act["source"] and same:
                del failures[key]


def _open(failures: Iterable[Act]) -> list[Act]:
    """Those whose input still lies there, newest first."""
    left = [_scoring(act) for act in failures if Path(act["input"]).exists()]
    return sorted(left, key=_when, reverse=True)


def _when(act: Act) -> str:
    return str(act["when"])


def _scoring(act: Act) -> Act:
    wanted = ("when", "who", "model", "version", "how", "rows", "rejected", "ended")
    failed = ("input", "why", "command")
    return {name: act.get(name) for name in (*wanted, *failed)}


def _add(served: dict[tuple[str, str], Act], act: Act) -> None:
    key = str(act.get("model")), str(act.get("version"))
    one = served.setdefault(
        key, {"model": key[0], "version": key[1], "requests": 0, "rows": 0, "since": act["when"]}
    )
    one["requests"] += int(act.get("requests") or 0)
    one["rows"] += int(act.get("rows") or 0)
    one["until"] = act.get("until") or act["when"]
