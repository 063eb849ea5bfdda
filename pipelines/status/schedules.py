"""What runs next, from the Prefect server: plain HTTP, because importing Prefect takes a second."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any

from domains.errors import InputError
from pipelines import services

_SECONDS = 1.5
_MOST = 200
# A client's own password, else the one that `make up` gives the server it starts.
_PASSWORDS = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")


def read() -> list[dict[str, Any]]:
    """Every deployment with its schedule and its next run, soonest first.

    Raises:
        InputError: No server is known, or the one that is does not answer.
    """
    url = server()
    if url is None:
        raise InputError("no Prefect server is running here; `make up deploy` starts one")
    deployments = _post(url, "deployments/filter", {"limit": _MOST})
    waiting = _post(
        url,
        "flow_runs/filter",
        {
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": _MOST,
        },
    )
    rows = [_row(deployment, waiting) for deployment in deployments]
    return sorted(rows, key=lambda row: (row["next"] is None, row["next"] or "", row["name"]))


def _row(deployment: dict[str, Any], waiting: list[dict[str, Any]]) -> dict[str, Any]:
    own = [run for run in waiting if run["deployment_id"] == deployment["id"]]
    active = [one["schedule"] for one in deployment.get("schedules", []) if one.get("active")]
    return {
        "name": deployment["name"],
        "next": own[0]["expected_start_time"] if own else None,
        "late": sum(run["state_name"] == "Late" for run in own),
        "every": [_words(schedule) for schedule in active],
        "paused": bool(deployment.get("paused")),
        "status": deployment.get("status"),
    }


def _words(schedule: dict[str, Any]) -> str:
    zone = schedule.get("timezone") or "UTC"
    if "cron" in schedule:
        return f"cron {schedule['cron']} {zone}"
    if "interval" in schedule:
        return f"every {schedule['interval']:g} s"
    return f"{schedule.get('rrule', 'rule')} {zone}"


def server() -> str | None:
    """Address of the Prefect API: of `PREFECT_API_URL`, else of this home's own server."""
    url = os.environ.get("PREFECT_API_URL") or services.addresses()["prefect"]
    if not url:
        return None
    url = url.rstrip("/")
    return url if url.endswith("/api") else f"{url}/api"


def _post(url: str, path: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(  # noqa: S310 - the operator's own server
        f"{url}/{path}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    if secret := next(filter(None, map(os.environ.get, _PASSWORDS)), None):
        request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise InputError(f"the Prefect server at {url} answers {error.code}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise InputError(f"no Prefect server answers at {url} ({why})") from None
