"""What a home looks like after its processes were killed: read in a child, told as JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from benchmarks._work import ACKED, MODEL, NOISED, _home

FOUND = "found.json"
_WHAT = {"poisson-gaussian": "steps", "gaussian": "setup"}


def look() -> None:
    """Write `found.json` into the home: registry, runs, jobs, charges."""
    (_home() / FOUND).write_text(json.dumps({**_registry(), **_runs(), **_charges()}))


def _registry() -> dict[str, Any]:
    from pipelines.governance import chain, registry
    from pipelines.governance.moves import champion_of

    versions = [version for name, version, _ in registry.list_versions() if name == MODEL]
    if not versions:
        return {"versions": [], "moves": [], "half": False}
    history = chain.history(MODEL)
    numbers = list(history)
    pointed = registry.alias_of(MODEL, registry.CHAMPION)
    return {
        "versions": versions,
        "moves": [[move.action, move.after, move.run_id] for move in history.values()],
        "half": pointed != champion_of(history.values())
        or numbers != list(range(1, len(numbers) + 1)),
    }


def _runs() -> dict[str, Any]:
    from pipelines.life import jobs
    from pipelines.tracking import PARENT_TAG, client

    tracker = client()
    experiments = [e.experiment_id for e in tracker.search_experiments()]
    found = tracker.search_runs(experiments, max_results=1000) if experiments else []
    children = Counter(
        (run.data.tags[PARENT_TAG], run.info.run_name)
        for run in found
        if PARENT_TAG in run.data.tags
    )
    return {
        "running": sum(run.info.status == "RUNNING" for run in found),
        "doubled_arms": sum(count - 1 for count in children.values()),
        "folders": len(list(jobs.folders())),
        "acked": _lines(ACKED),
    }


def _charges() -> dict[str, Any]:
    """Training steps and setups, charged and noised, an owner."""
    from pipelines.settings import ledger_path
    from privacy.ledger import Ledger

    if not ledger_path().exists():
        return {"charged": {}, "noised": {}, "jobs": []}
    ledger = Ledger(ledger_path())
    charged: dict[str, dict[str, int]] = {}
    entries = {b.owner: ledger.history(b.owner) for b in ledger.budgets()}
    for owner, history in entries.items():
        client = owner.rpartition("/")[2]
        steps = charged.setdefault(client, {"steps": 0, "setup": 0})
        for entry in history:
            for event in entry.detail.get("events", ()) if entry.kind == "reserve" else ():
                if what := _WHAT.get(event["kind"]):
                    steps[what] += event["count"]
    noised: dict[str, dict[str, int]] = {}
    for line in _lines(NOISED):
        client, what, count = line.rsplit(" ", 2)
        noised.setdefault(client, {"steps": 0, "setup": 0})[what] += int(count)
    jobs = {e.job for history in entries.values() for e in history if e.kind == "reserve"}
    return {"charged": charged, "noised": noised, "jobs": sorted(str(job) for job in jobs)}


def _lines(name: str) -> list[str]:
    path = _home() / name
    return path.read_text().splitlines() if path.exists() else []
