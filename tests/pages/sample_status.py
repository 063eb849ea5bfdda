"""Made-up snapshots: a busy day with troubles, a home where nothing ran, and one gone wrong."""

from __future__ import annotations

from typing import Any

from pipelines.status.parts import Part
from pipelines.status.snapshot import SOURCES, Snapshot

AT = "2030-05-07T06:30:12Z"
OWNERS = [f"sba/SAMPLE BANK {i}, NATIONAL ASSOCIATION & TRUST <{i}>" for i in range(1, 21)]


def snapshot(**parts: Any) -> Snapshot:
    """These parts, all others empty as in a home where nothing ran."""
    empty: dict[str, Any] = {name: [] for name in SOURCES}
    empty["activity"] = {"scorings": [], "failures": [], "requests": []}
    empty["notifications"] = {"webhooks": 0, "waiting": 0, "dropped": 0}
    empty["space"] = {"free": 9e10, "total": 2e11, "home": 41e6, "home_counted_whole": True}
    return Snapshot(AT, "/srv/careledger", {n: Part(v) for n, v in {**empty, **parts}.items()})


def broken() -> Snapshot:
    """Nothing could be read, and every part says why."""
    said = "the store at http://127.0.0.1:5000 does not answer (Connection refused)"
    return Snapshot(AT, "/srv/careledger", {name: Part(None, said) for name in SOURCES})


def busy() -> Snapshot:
    """Three models, one in trouble; runs of every end; budgets that run out; a server down."""
    return snapshot(
        models=[_model("credit-sba", "3", "4"), _model("imaging-lidc", "1", None, gone=True),
                _model("patients-support2", "2", None)],
        runs=_runs(),
        crashed=[{"run_id": "5e0c" * 8, "pipeline": "imaging", "name": "imaging-lidc",
                  "stage": "train", "attempts": 1, "flow_run_id": None,
                  "since": "2030-05-07T02:14:00Z", "command": f"careledger resume {'5e0c' * 8}"}],
        activity={"scorings": _scorings(), "failures": _scorings()[1:], "requests": _requests()},
        inboxes=[{"model": "credit-sba", "folder": "/srv/careledger/inbox/credit-sba", "waiting": 2,
                  "passed_over": ["applications of the week.xlsx", "notes.docx"]}],
        budgets=[_budget(owner, 0.03 + 0.05 * i) for i, owner in enumerate(OWNERS)],
        schedules=_schedules(),
        services=_services(),
        notifications={"webhooks": 1, "waiting": 3, "dropped": 0},
    )  # fmt: skip


def _model(name: str, champion: str, challenger: str | None, gone: bool = False) -> dict[str, Any]:
    move = {"when": "2030-05-06T04:12:40Z", "who": "scheduler", "action": "promote", "from": "2",
            "to": champion, "why": "all 4 rules met"}  # fmt: skip
    why = ("no worse than the best champion: not met (difference -0.0312, 95 % interval -0.0441 to "
           "-0.0190 on 2,310 records; its lower end must lie above -0.02)")  # fmt: skip
    verdict = {**move, "when": "2030-05-07T04:31:00Z", "action": "refuse", "to": challenger,
               "why": why}  # fmt: skip
    return {"name": name, "versions": 4, "champion": champion, "champion_exists": not gone,
            "about": "" if gone else "20 clients, ε = 2.99 for each record: test AUROC 0.664",
            "since": move, "recorded": champion, "challenger": challenger, "awaiting": None,
            "verdict": verdict if challenger else move, "moves": [move]}  # fmt: skip


def _run(day: int, model: str, end: str, why: str = "", **more: Any) -> dict[str, Any]:
    run = {"run_id": f"{day:032x}", "pipeline": model.partition("-")[0], "model": model,
           "started": f"2030-05-{day:02d}T04:00:00Z", "seconds": 37.0 + day * 90, "end": end,
           "why": why, "stage": None, "progress": None, "resumed": 0, "version": None,
           "verdict": None,
           "report": None, "scored": None}  # fmt: skip
    return run | more


def _runs() -> list[dict[str, Any]]:
    refused = (f"owner {OWNERS[0]} granted ε 6 at δ 1e-05, spent 5.82, "
               "and the job asks 2.993 (7.214 together); to allow it: careledger budget grant "
               f"'{OWNERS[0]}' --epsilon 7.22 --delta 1e-05 (and so for 19 more)")  # fmt: skip
    return [
        _run(7, "patients-support2", "running", stage="train", progress=0.5),
        _run(6, "credit-sba", "refused", refused),
        _run(
            6,
            "credit-sba",
            "finished",
            pipeline="score",
            scored={"files": 3, "failed": 0, "rows": 1_204_332, "rejected": 17},
        ),
        _run(
            5,
            "patients-support2",
            "finished",
            version="2",
            verdict="promoted",
            resumed=1,
            report="/r/5.html",
        ),
        _run(
            4,
            "credit-sba",
            "finished",
            version="4",
            verdict="held back by the gate",
            report="/r/4.html",
        ),
        _run(
            3,
            "imaging-lidc",
            "crashed",
            "its process ended without a word during train",
            seconds=None,
        ),
        _run(2, "imaging-lidc", "failed", "fit failed with OutOfMemoryError at backbones.py:118"),
        _run(1, "credit-sba", "killed", "stopped by a person"),
    ]


def _scorings() -> list[dict[str, Any]]:
    made = {"who": "scheduler", "model": "credit-sba", "version": "3", "how": "batch",
            "input": None, "why": None, "command": None}  # fmt: skip
    failed = "/srv/careledger/inbox/patients-support2/ward 7, night.csv"
    command = f"careledger score patients-support2@champion --input '{failed}' --output out.csv"
    return [
        {**made, "when": "2030-05-07T05:00:00Z", "rows": 1_204_332, "rejected": 17,
         "ended": "done"},
        {**made, "when": "2030-05-06T05:00:00Z", "model": "patients-support2", "version": "2",
         "rows": 0, "rejected": 0, "ended": "failed", "input": failed, "command": command,
         "why": "column 'scoma' is missing; the model needs 42; give every one of them"},
    ]  # fmt: skip


def _requests() -> list[dict[str, Any]]:
    return [{"model": "credit-sba", "version": "3", "requests": 48_211, "rows": 96_003,
             "since": "2030-05-01T00:00:00Z", "until": "2030-05-07T06:29:00Z"}]  # fmt: skip


def _budget(owner: str, left: float) -> dict[str, Any]:
    return {"owner": owner, "epsilon_granted": 6.0, "delta": 1e-5, "jobs": 4,
            "epsilon_spent": 6 * (1 - left), "epsilon_left": 6 * left,
            "more_runs": 0 if left < 0.05 else 1 if left < 0.1 else None}  # fmt: skip


def _schedules() -> list[dict[str, Any]]:
    row = {"every": ["cron 0 4 * * * UTC"], "paused": False, "late": 0, "status": "READY"}
    return [
        {**row, "name": "score-credit", "next": "2030-05-07T05:55:00Z", "late": 2},
        {**row, "name": "train-credit", "next": "2030-05-08T04:00:00Z"},
        {**row, "name": "train-imaging", "next": None, "paused": True},
    ]


def _services() -> list[dict[str, Any]]:
    row = {"up": True, "why": "", "since": "2030-05-01T08:00:00Z", "model": None, "version": None,
           "command": "make up", "url": None}  # fmt: skip
    return [
        {**row, "name": "mlflow", "url": "http://127.0.0.1:5000"},
        {**row, "name": "prefect", "url": "http://127.0.0.1:4200"},
        {**row, "name": "serve-credit-sba", "url": "http://127.0.0.1:8080", "up": False,
         "why": "its process is gone", "model": "credit-sba", "version": "3",
         "command": "make serve MODEL=credit-sba"},
        {**row, "name": "worker"},
    ]  # fmt: skip
