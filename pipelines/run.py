"""Run one job in this process, and say in a few lines what came of it."""

from __future__ import annotations

import importlib
import logging
import os
import time
from typing import Any

from pipelines.progress import say
from pipelines.settings import Job, writable_home

Result = dict[str, Any]


def run(pipeline: str, config: Job) -> Result:
    """Run a pipeline's flow from its first stage, and say which other runs lie dead.

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        config: Its configuration.

    Returns:
        The JSON of a training run; `seconds` covers everything from this call on.
    """
    started = prepare()
    from pipelines.life import lives

    lives.tidy()
    for dead in lives.crashed():
        lives.mark_crashed(dead.run_id)
        say(lives.describe(dead))
    return perform(pipeline, config, started)


def prepare() -> float:
    """Make this process one that runs flows; returns when it began to."""
    started = time.time()
    writable_home()
    if not os.environ.get("CARELEDGER_DEBUG"):
        # An error is told once, by whoever called; Prefect would log it three times over.
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
        # Prefect's queue of events tells of its own backlog under a bare name.
        logging.getLogger("EventsWorker").setLevel(logging.ERROR)
    from pipelines import server

    server.start()  # it comes up while the imports that follow take their time
    return started


def perform(pipeline: str, config: Job, started: float, before: float = 0.0) -> Result:
    """Run a flow whose clock has been running since `started`.

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        config: Its configuration.
        started: Unix time.
        before: Seconds that earlier processes have spent on the same job.
    """
    from pipelines import server, tracking

    tracking.asked_at(started)
    flow = getattr(importlib.import_module(f"pipelines.{pipeline}"), pipeline)
    with server.ready():
        result: Result = flow(config)
    total = time.time() - started + before
    late = max(total - result["seconds"]["total"], 0.0)  # Prefect's ending, after the last stage
    result["seconds"]["total"] = round(total, 3)
    result["seconds"]["orchestration"] = round(result["seconds"]["orchestration"] + late, 3)
    return result


def describe(result: Result) -> str:
    """A few lines for a person: version, verdict, test metrics, controls, ε, report."""
    model, gate = result["model"], result["gate"]
    verdict = "promoted to champion" if gate["promoted"] else "not promoted"
    lines = [f"{model['name']} version {model['version']}: {verdict}"]
    lines += [f"  gate      {reason}" for reason in gate["reasons"]]
    lines += [f"  test      {line}" for line in _metrics(result["metrics"])]
    if not result["metrics"]:
        lines.append("  test      not released: the owner has not allowed it (release: metrics)")
    for name, metrics in result["controls"].items():
        first = _metrics(metrics)[:1]
        lines += [f"  control   {name}: {line}" for line in first]
    lines += [f"  model     {told}" for told in _proposals(result["controls"])]
    if result["privacy"]:
        p = result["privacy"]
        lines.append(f"  privacy   ε {p['epsilon']:.3g} at δ {p['delta']:g} a {p['unit']}")
    seconds = result["seconds"]
    lines.append(
        f"  seconds   {seconds['total']:.0f} in all, {seconds['training']:.0f} training, "
        f"{seconds['orchestration']:.0f} Prefect, MLflow and reports"
    )
    return "\n".join([*lines, f"  report    {result['report']}"])


def _proposals(controls: dict[str, dict[str, float]]) -> list[str]:
    """The models that were trained as controls beside this one; last, the best, if another is."""
    name = "validation.auroc_difference"
    gaps = {other: found for other, found in controls.items() if name in found}
    told = [
        f"{other} minus this model on validation: AUROC {found[name]:+.3f} "
        f"({found[f'{name}_low']:+.3f} to {found[f'{name}_high']:+.3f})"
        for other, found in gaps.items()
    ]
    ahead = [other for other, found in gaps.items() if found[f"{name}_low"] > 0]
    best = max(ahead, key=lambda other: gaps[other][name], default=None)
    return [*told, f"set model: {best}"] if best else told


def _metrics(metrics: dict[str, float]) -> list[str]:
    lines = []
    for name, value in metrics.items():
        if name.endswith(("_low", "_high")):
            continue
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        interval = f"  ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
        lines.append(f"{name} {value:.3f}{interval}")
    return lines
