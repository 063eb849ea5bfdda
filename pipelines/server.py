"""This process's own Prefect server, for runs that nobody gave one.

Prefect has no server-less mode. Its own answer, an ephemeral server, starts when the first flow
does and makes the flow wait for it. This one starts while torch and the data are loading, listens
on loopback with a password made for the occasion, and ends with this process, however that ends.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.store import copy_template

_STARTUP_SECONDS = 180  # a few when idle; a busy machine must not fail for want of patience


@dataclass(frozen=True)
class LocalServer:
    """A server that was started: where it answers, and the process that is it.

    Dropping `process` would close its standard input, and with that end it.
    """

    port: int
    password: str
    log: Path
    process: subprocess.Popen[bytes]


@cache
def start() -> LocalServer | None:
    """Start the server in the background, once a process; `PREFECT_API_URL` names another.

    Call it before anything slow is imported. What it prints goes to `server.log` beside its
    database, in `PREFECT_HOME`.
    """
    if os.environ.get("PREFECT_API_URL"):
        return None
    folder = Path(os.environ["PREFECT_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    log, password = folder / "server.log", f"careledger:{secrets.token_urlsafe()}"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.server", str(listener.fileno())],
            cwd=Path(__file__).parents[1],  # where `pipelines` is found, installed or not
            env={**os.environ, **_settings(password)},
            stdin=subprocess.PIPE,  # closes with this process: that is how the server learns of it
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for the run, which still has to report its end
        )
        port = listener.getsockname()[1]
    return LocalServer(port, password, log, process)


@contextmanager
def ready() -> Iterator[None]:
    """Run flows within: the local server answers, and no flow waits for its heartbeat to end.

    Raises:
        RuntimeError: The server did not start; names its log.
    """
    server = start()
    if server is None:
        yield
        return
    _wait(server)
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    with temporary_settings(
        {
            PREFECT_API_URL: f"http://127.0.0.1:{server.port}/api",
            PREFECT_API_AUTH_STRING: server.password,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
    ):
        yield


def _settings(password: str) -> dict[str, str]:
    """What Prefect gives an ephemeral server of its own, and a password; blocks are not used."""
    return {
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    }


def _wait(server: LocalServer) -> None:
    """Wait for the first answer: the socket listens already, so the question just queues."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_STARTUP_SECONDS)
    try:
        connection.request("GET", "/api/health")
        connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(
            f"the local Prefect server did not start ({type(error).__name__}); see {server.log}, "
            "or name another server with PREFECT_API_URL"
        ) from None
    finally:
        connection.close()


def _serve(descriptor: int) -> None:
    """Be the server, on a socket that already listens, until standard input ends."""
    prepare_database()
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app(), log_level="error", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])


def prepare_database() -> None:
    """Make `prefect.db` in `PREFECT_HOME` from a template, unless another database is named."""
    if "PREFECT_API_DATABASE_CONNECTION_URL" in os.environ:
        return
    database = Path(os.environ["PREFECT_HOME"]).expanduser() / "prefect.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        copy_template(f"prefect-{version('prefect')}.db", database, _create_tables)


def _create_tables(path: Path) -> None:
    """Prefect's schema in an empty file; its journal is folded in, so that one file is all."""
    from prefect.server.database import provide_database_interface
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, temporary_settings

    async def create() -> None:
        database = provide_database_interface()
        await database.create_db()
        await (await database.engine()).dispose()

    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{path}"}):
        asyncio.run(create())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _stop_with_parent(server: Any) -> None:
    """Block until the process that started this one is gone, then end in good order."""
    sys.stdin.buffer.read()
    server.should_exit = True


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
