"""What ran: the last jobs and scheduled scorings, how each ended, why, and what came of it."""

from __future__ import annotations

import re
import time
from typing import Any

from domains.errors import InputError
from pipelines.governance.moves import moves
from pipelines.life import jobs
from pipelines.settings import CONFIGS, home
from pipelines.status import rounds
from pipelines.status.tracked import moment, tracker
from pipelines.status.words import DECIDED

_LAST = 12
_ENDED = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STOPPED = "stopped by make down; the next make up or careledger resume goes on with it"
Run = dict[str, Any]


def read() -> list[Run]:
    """The last jobs and scheduled scorings, newest first; `end` is one of finished, refused,
    failed, killed, crashed, stopped, running.

    Arms and controls are runs of their own in MLflow, and part of their job here.
    """
    found = [*_jobs(), *rounds.read()]
    return sorted(found, key=lambda run: str(run["started"]), reverse=True)


def _jobs() -> list[Run]:
    client = tracker()
    if client is None:
        return []
    experiments = [client.get_experiment_by_name(f"careledger-{name}") for name in CONFIGS]
    known = [one.experiment_id for one in experiments if one is not None]
    if not known:
        return []
    found = client.search_runs(
        known,
        filter_string="tags.`careledger.model` != ''",  # arms have none
        order_by=["attributes.start_time DESC"],
        max_results=_LAST,
    )
    registered = _registered(client) if found else {}
    return [_run(run, registered.get(run.info.run_id)) for run in found]


def _run(run: Any, registered: tuple[str, str] | None) -> Run:
    version, verdict = registered or (None, None)
    tags, info = run.data.tags, run.info
    end, why = ending(info.status, tags.get("careledger.ended"))
    stage, progress = _place(info.run_id) if end == "running" else (None, None)
    if end in ("running", "killed") and _dead(info.run_id):
        end, why = ("stopped", _STOPPED) if _was_stopped(info.run_id) else ("crashed", why)
    until = time.time() * 1000 if end == "running" else info.end_time
    report = home() / "reports" / info.run_id / "report.html"
    return {
        "run_id": info.run_id,
        "pipeline": info.run_name,
        "model": tags["careledger.model"],
        "started": moment(info.start_time),
        "seconds": round((until - info.start_time) / 1000, 1) if until else None,
        "end": end,
        "why": why,
        "resumed": int(tags.get("careledger.resumed", "0")),
        "stage": stage,
        "progress": progress,
        "version": version,
        "verdict": verdict,
        "report": str(report) if report.exists() else None,
        "scored": None,
    }


def _place(run_id: str) -> tuple[str | None, float | None]:
    """The stage a job is in, and the share of its stages that are done; None when it runs on
    another machine."""
    folder = jobs.folder_of(run_id)
    try:
        stages = jobs.read(folder).stages
        done = len(list(jobs.stages_folder(folder).glob("*.json")))
        return jobs.stage_of(folder), min(done / stages, 1.0)
    except (OSError, InputError):
        return None, None


def _dead(run_id: str) -> bool:
    """Whether its folder is here and no process holds it."""
    folder = jobs.folder_of(run_id)
    return folder.exists() and not jobs.is_alive(folder)


def _was_stopped(run_id: str) -> bool:
    try:
        return jobs.read(jobs.folder_of(run_id)).stopped
    except (OSError, InputError):
        return False


def ending(status: str, said: str | None) -> tuple[str, str]:
    """How a run ended in a word, and why in a line; the reason is empty where none was kept."""
    if status not in _ENDED:
        return "running", ""
    kind, _, text = " ".join((said or "").split()).partition(": ")
    if kind == "Refused":
        return "refused", re.sub(r"^job \w+ refused: ", "", text)
    if status == "KILLED":
        return "killed", "stopped by a person" if kind == "KeyboardInterrupt" else text or kind
    return _ENDED[status], "" if status == "FINISHED" else text or kind


def _registered(client: Any) -> dict[str, tuple[str, str]]:
    """Run → the version it registered, and the last word on that version."""
    judged: dict[tuple[str, str], str] = {}
    for model in client.search_registered_models(max_results=1000):
        for move in moves(model.name):
            if move.action in DECIDED:
                judged[model.name, str(move.after)] = DECIDED[move.action]
    found = client.search_model_versions(max_results=1000)
    numbers = {str(one.run_id): (str(one.name), str(one.version)) for one in found}
    return {run: (key[1], judged.get(key, "not judged")) for run, key in numbers.items()}
