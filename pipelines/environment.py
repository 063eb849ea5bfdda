"""What the libraries beneath are told before any of them is imported.

Prefect, MLflow and Matplotlib read the process environment when they are first imported, so
importing `pipelines` calls `prepare` before anything else. Nothing heavy is imported here.
"""

from __future__ import annotations

import os
from pathlib import Path

from domains.errors import InputError

TELEMETRY_OFF = {
    # "true" and not "1": Prefect's client takes either, MLflow takes this spelling alone.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The heartbeat that a Prefect server posts every ten minutes, and the adverts on its pages.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Spans and machine load that flow runs would report when Prefect Cloud is the server.
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}

SAFETY = {
    # Models are pt2, safetensors or skops; anything that would have to be unpickled is refused.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # The names of environment variables in use are nobody's business but the host's.
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}

DEFAULTS = {
    "MPLBACKEND": "Agg",  # figures are files; a display may be missing
    # A waiting thread sleeps. Spinning ones make torch ten times slower where cores are shared.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Flows called from Python start Prefect's own server; 20 s is too short on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is the answer's
    "GIT_PYTHON_REFRESH": "quiet",  # git is optional: no revision is logged without it
    # A server that dies is back within a minute or so. Pauses double each time, so that six of
    # Prefect's client last two minutes, from 2 s on, and eight of MLflow's four, from 1 s on.
    "PREFECT_CLIENT_MAX_RETRIES": "6",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "8",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}

TIME_LIMIT = "CARELEDGER_TIME_LIMIT"
"""Seconds that a flow may take; a deployment sets it for its runs."""


def time_limit() -> float | None:
    """The time limit of flows in this process; None where none is set.

    Raises:
        InputError: The variable holds no number of seconds.
    """
    text = os.environ.get(TIME_LIMIT)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"{TIME_LIMIT}={text}: expected seconds above 0")
    return seconds


def home_folder() -> Path:
    """Where runs leave everything: `CARELEDGER_HOME`, by default `.careledger` here.

    Only named, not created.
    """
    return Path(os.environ.get("CARELEDGER_HOME") or ".careledger").expanduser().resolve()


def prepare() -> None:
    """Set the environment of the libraries beneath; calling it again changes nothing.

    Telemetry is switched off and pickles are refused whatever the environment said before. The
    rest are defaults, which a variable that is already set overrides.
    """
    os.environ.update(TELEMETRY_OFF)
    os.environ.update(SAFETY)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Prefect's history stays with the rest of what runs leave behind.
    os.environ.setdefault("PREFECT_HOME", str(home_folder() / "prefect"))
    _keep_loopback_off_the_proxy()


def _keep_loopback_off_the_proxy() -> None:
    """A company's proxy cannot reach the Prefect and MLflow servers of this machine."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    if "*" in hosts:
        return
    missing = [host for host in ("127.0.0.1", "localhost") if host not in hosts]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts + missing)
