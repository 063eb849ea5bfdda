"""`make deploy`: register every deployment of prefect.yaml with the running server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import yaml

from domains.errors import InputError
from pipelines.services.plan import POOL, ROOT, surroundings
from pipelines.services.records import addresses

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

QUEUES = {"training": 1, "scoring": None}
"""Queues of the pool and how many runs each lets run at a time: two trainings would share what
one needs, while scoring must not wait for a training to end."""
_PATIENCE = 20.0


def deploy() -> int:
    """Make pool and queues unless they are there, register, and print what will run when.

    Returns:
        0; 1 when Prefect refused a deployment.

    Raises:
        InputError: No Prefect server of this home runs.
    """
    url = addresses()["prefect"]
    if url is None:
        raise InputError("no Prefect server of this home runs; start it first: make up")
    os.environ.update({**surroundings(), "PREFECT_API_URL": url})  # before prefect is imported
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        _make_room(client)
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        wanted = _wanted()
        rows = _rows(client, wanted)
    print(_table(rows))
    if done.returncode or len(rows) < len(wanted):
        print(done.stdout + done.stderr, file=sys.stderr)
        return 1
    return 0


def _make_room(client: SyncPrefectClient) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
        client.create_work_pool(pool)
    for name, limit in QUEUES.items():
        try:
            client.create_work_queue(name, concurrency_limit=limit, work_pool_name=POOL)
        except ObjectAlreadyExists:
            continue  # with the limit that someone may have given it since


def _wanted() -> list[str]:
    found = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return [str(each["name"]) for each in found]


def _rows(client: SyncPrefectClient, wanted: list[str]) -> list[tuple[str, str, str]]:
    """Name, schedule and next run of each deployment that is there; the next run is planned by
    the server a few seconds after the deployment is made."""
    found = {each.name: each for each in client.read_deployments() if each.name in wanted}
    following: dict[Any, Any] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(following) < len(found) and time.monotonic() < deadline:
        ids = [each.id for each in found.values()]
        runs = client.get_scheduled_flow_runs_for_deployments(ids)
        for run in sorted(runs, key=lambda run: run.expected_start_time):
            following.setdefault(run.deployment_id, run.expected_start_time)
        time.sleep(0.2 if len(following) < len(found) else 0)
    return [
        (name, _said(found[name]), _moment(following.get(found[name].id)))
        for name in wanted
        if name in found
    ]


def _moment(when: Any) -> str:
    return "-" if when is None else f"{when:%Y-%m-%d %H:%M %Z}"


def _said(deployment: Any) -> str:
    """The schedules of a deployment in a few words."""
    said = []
    for each in deployment.schedules:
        rule = getattr(each.schedule, "cron", None) or str(getattr(each.schedule, "interval", "?"))
        zone = getattr(each.schedule, "timezone", None) or "UTC"
        said.append(f"{rule} {zone}" + ("" if each.active else " (paused)"))
    return ", ".join(said) or "on request"


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = [("deployment", "schedule", "next run"), *rows]
    wide = [max(len(line[column]) for line in lines) for column in range(2)]
    return "\n".join(f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c}" for a, b, c in lines)
