"""What a version scored, from the log of acts of this home: counts and names, never a record."""

from __future__ import annotations

from typing import Any

from pipelines.governance.activity import acts

Act = dict[str, Any]


def scored(name: str, version: str | None = None) -> list[Act]:
    """Every scoring and every minute of serving of a model, or of one version; newest first."""
    found = [
        act
        for act in acts()
        if act["kind"] in ("score", "serve")
        and act.get("model") == name
        and version in (None, str(act.get("version")))
    ]
    return found[::-1]


def summed(found: list[Act]) -> dict[str, Any]:
    """Acts in a few numbers: `batch` files, and `served` requests, each with who and when last."""
    batch = [act for act in found if act["kind"] == "score"]
    served = [act for act in found if act["kind"] == "serve"]
    done = [act for act in batch if act.get("ended") not in ("failed", "stopped")]
    return {
        "batch": {
            "scorings": len(done),
            "failed": len(batch) - len(done),
            "rows": _total(done, "rows"),
            "rejected": _total(done, "rejected"),
            "who": sorted({act["who"] for act in batch}),
            "last": batch[0]["when"] if batch else None,
        },
        "served": {
            "requests": _total(served, "requests"),
            "rows": _total(served, "rows"),
            "keys": sorted({str(act.get("key", "none")) for act in served}),
            "last": served[0].get("until", served[0]["when"]) if served else None,
        },
    }


def line(act: Act) -> str:
    """One act as a line of text."""
    version = f"version {act.get('version') or '?'}"
    if act["kind"] == "serve":
        rows = f"{act.get('requests', 0)} requests, {act.get('rows', 0)} rows"
        return f"{act['when']}  {version}  served    {rows}, key {act.get('key', 'none')}"
    said = f"{act.get('rows', 0)} rows, {act.get('rejected', 0)} rejected"
    ended = "" if act.get("ended") == "done" else f", {act.get('ended', 'not ended')}"
    digest = f", input {act['digest']}" if act.get("digest") else ""
    how = f"{act.get('how', 'batch'):9}"
    return f"{act['when']}  {version}  {how} {said}, by {act['who']}{ended}{digest}"


def _total(found: list[Act], name: str) -> int:
    return sum(int(act.get(name) or 0) for act in found)
