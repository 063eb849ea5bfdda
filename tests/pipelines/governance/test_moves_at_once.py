"""Many processes, each with a home of its own, move one champion on one real MLflow server."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from pipelines.governance import chain, promotion, registry
from pipelines.governance.moves import champion_of, moves
from pipelines.store import prepare_store
from pipelines.tracking import client
from tests.pipelines.governance.sample_registry import NAME, register

pytestmark = pytest.mark.slow
PROCESSES = 8


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that have imported what they need: eight imports of torch would take a minute."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipelines.governance.promotion", "models.credit"])
    return context


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server; its address."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "2"]
    command += ["--port", str(port), "--backend-store-uri", prepare_store(folder)]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONPATH": ""}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **quiet}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def server(running: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server's address, with this test as one of its clients, and no model on it yet."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running)
    yield running
    client().delete_registered_model(NAME)


def test_all_promotions_at_once_form_one_chain(
    server: str, processes: ForkServerContext, tmp_path: Path
) -> None:
    versions = [register(0.10 + 0.01 * i) for i in range(PROCESSES)]
    _run([_started(processes, server, tmp_path, "promote", version) for version in versions])
    history = moves(NAME)
    assert sorted(str(move.after) for move in history) == sorted(versions)
    _one_chain()
    assert _numbers() == list(range(1, PROCESSES + 1))


def test_rollbacks_among_promotions_go_back_one_step_each(
    server: str, processes: ForkServerContext, tmp_path: Path
) -> None:
    first = [register(0.10 + 0.01 * i) for i in range(4)]
    for version in first:
        promotion.promote(NAME, version)
    more = [register(0.10), register(0.11)]
    started = [_started(processes, server, tmp_path, "promote", version) for version in more]
    started += [_started(processes, server, tmp_path, "rollback", "") for _ in range(3)]
    _run(started)
    assert [move.action for move in moves(NAME)].count("rollback") == 3
    assert len(moves(NAME)) == len(first) + len(started)
    _one_chain()


def test_processes_killed_at_any_moment_leave_one_chain(
    server: str, processes: ForkServerContext, tmp_path: Path
) -> None:
    draw = random.Random(0)
    versions = [register(0.10 + 0.01 * i) for i in range(PROCESSES)]
    started = [_started(processes, server, tmp_path, "promote", v) for v in versions]
    time.sleep(1.0)
    for process in draw.sample(started, PROCESSES // 2):
        process.kill()
        time.sleep(draw.random())
    _run(started, killed=True)
    chain.carry_out(NAME)
    assert len(moves(NAME)) >= PROCESSES // 2
    _one_chain()


def _one_chain() -> None:
    """Each move begins where the one before it ended, and the alias is where the last one did."""
    standing = None
    for move in moves(NAME):
        assert move.before == standing
        standing = move.after if move.moved else standing
    assert registry.champion(NAME) == champion_of(moves(NAME)) == standing
    names = [e.name for e in client().search_experiments() if e.name.startswith("careledger-move")]
    assert names == []


def _numbers() -> list[int]:
    tags = client().get_registered_model(NAME).tags
    return sorted(int(key.rpartition(".")[2]) for key in tags if key.startswith("careledger.move."))


def _started(
    context: ForkServerContext, server: str, tmp_path: Path, act: str, version: str
) -> BaseProcess:
    home = tmp_path / f"home-{act}-{version}-{random.random()}"
    home.mkdir()
    process = context.Process(target=_act, args=(server, str(home), act, version))
    process.start()
    return process


def _act(server: str, home: str, act: str, version: str) -> None:
    os.environ.update(MLFLOW_TRACKING_URI=server, CARELEDGER_HOME=home)
    if act == "rollback":
        promotion.rollback(NAME)
        return
    with suppress(Refused, InputError):
        promotion.promote(NAME, version)


def _run(started: list[BaseProcess], killed: bool = False) -> None:
    for process in started:
        process.join()
        assert process.exitcode == 0 or (killed and process.exitcode == -signal.SIGKILL)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None
        with suppress(OSError):
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        time.sleep(0.1)
    raise TimeoutError(url)
