"""What should run on one machine: the command, environment and health check of each service."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from domains.errors import InputError
from pipelines.environment import home_folder
from pipelines.services.ports import HOST, port_of

ROOT = Path(__file__).resolve().parents[2]
"""The project: flows run here, whatever folder `make` was called from."""
POOL = "careledger"
"""The work pool that prefect.yaml deploys to."""


@dataclass(frozen=True)
class Service:
    """One long-lived process.

    Attributes:
        name: Names its record and its log.
        command: Python module and its arguments.
        environment: Its whole environment.
        port: Port on 127.0.0.1, if it listens.
        url: Where its clients find it.
        health: Answers 200 when it is well.
        page: What a person opens; None for a service without pages.
        needs: A service that must be well before this one starts.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    port: int | None = None
    url: str | None = None
    health: str = ""
    page: str | None = None
    needs: str | None = None


def planned() -> list[Service]:
    """Prefect, MLflow and a worker, in the order in which they start."""
    return [_prefect(), _mlflow(), _worker()]


def surroundings() -> dict[str, str]:
    """Environment of the worker, of its flows, and of whoever deploys to it."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_REGISTRY_URI", "PYTHONPATH")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **kept,
        **_password(),
        "PATH": path,  # `python` in a deployment's command is the one that runs this
        "CARELEDGER_HOME": str(home_folder()),
        "PREFECT_HOME": str(Path(os.environ["PREFECT_HOME"]).expanduser().resolve()),
        "PREFECT_API_URL": f"http://{HOST}:{port_of('prefect')}/api",
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{port_of('mlflow')}",
    }


def _password() -> dict[str, str]:
    """Whoever gives the server a password gives it to its clients too."""
    password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    return {"PREFECT_API_AUTH_STRING": password} if password else {}


def _prefect() -> Service:
    port = port_of("prefect")
    page = f"http://{HOST}:{port}"
    origins = f"{page},http://localhost:{port}"
    return Service(
        name="prefect",
        command=(
            *("prefect", "server", "start", "--host", HOST, "--port", str(port)),
            *("--log-level", "WARNING"),
        ),
        environment={
            **surroundings(),
            # Leases of running flows outlive a server that was killed: kept in memory, they would
            # be lost, and with them the runs, or block their deployments for ever.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            # Pages of other sites that this machine's browser shows may not ask the server.
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
            # A run that waits for a free slot asks again this often, not after half a minute.
            "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        },
        port=port,
        url=f"{page}/api",
        health=f"{page}/api/health",
        page=page,
    )


def _mlflow() -> Service:
    port, home = port_of("mlflow"), home_folder()
    page = f"http://{HOST}:{port}"
    unset = ("MLFLOW_TRACKING_URI",)
    return Service(
        name="mlflow",
        command=(
            *("mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *("--uvicorn-opts", "--log-level warning"),
            *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
            # Plain files, which runs beside the server and runs without it read alike.
            *("--default-artifact-root", (home / "artifacts").as_uri(), "--no-serve-artifacts"),
        ),
        environment={k: v for k, v in surroundings().items() if k not in unset}
        | read_settings(ROOT / "mlflow" / "server.env"),
        port=port,
        url=page,
        health=f"{page}/health",
        page=page,
    )


def _worker() -> Service:
    port = port_of("worker")
    return Service(
        name="worker",
        command=(
            *("prefect", "worker", "start", "--pool", POOL, "--type", "process"),
            *("--name", f"{POOL}-{socket.gethostname()}"),
            *("--with-healthcheck", "--install-policy", "never"),
        ),
        environment={
            "PREFECT_WORKER_QUERY_SECONDS": "5",  # a run that is asked for starts within so long
            # The process of a planned run starts so much ahead, and has imported torch by then.
            "PREFECT_WORKER_PREFETCH_SECONDS": "20",
            **surroundings(),
            "PREFECT_WORKER_WEBSERVER_HOST": HOST,
            "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        },
        port=port,
        url=f"http://{HOST}:{port}",
        health=f"http://{HOST}:{port}/health",
        needs="prefect",
    )


def read_settings(path: Path) -> dict[str, str]:
    """`NAME=value` lines of a file.

    Raises:
        InputError: A line is something else; names file and line.
    """
    settings = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings[name.strip()] = value.strip()
        elif line.strip() and not line.startswith("#"):
            raise InputError(f"{path}, line {number}: expected NAME=value, or # and a comment")
    return settings
