"""What runs is known by number and start time, ended exactly, and restarted when it dies."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from domains.errors import InputError
from pipelines.services import addresses, plan, ports, processes, records, supervisor
from pipelines.services.down import down
from pipelines.services.plan import Service
from pipelines.services.supervisor import Watched, look_after
from pipelines.services.up import up
from tests.pipelines.services.sample_machine import eventually, free_port

ROOT = Path(__file__).parents[3]
SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def pages(home: Path) -> Iterator[Service]:
    """A small service: files over HTTP. Whatever of it still runs is ended."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    yield Service(
        name="pages",
        command=("http.server", str(port), "--bind", "127.0.0.1"),
        environment=dict(os.environ),
        port=port,
        url=url,
        health=f"{url}/",
    )
    record = records.read("pages")
    if record is not None:
        processes.end([record])


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS], start_new_session=True) as process:
        yield process
        process.kill()


def _stale(name: str, pid: int, started: float) -> records.Record:
    """A record that was left by a process of the same number before the machine restarted."""
    record = records.Record(name, pid, started, ["x"], 1, "http://x", "x", "then", "mark")
    path = records.path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record.__dict__))
    return record


def test_a_number_that_belongs_to_another_process_now_is_not_taken_for_ours(
    home: Path, other: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    before = psutil.Process(other.pid).create_time() - 3600
    for name in ("prefect", "mlflow", "worker", "supervisor", "flow-1"):
        _stale(name, other.pid, before)
    assert addresses() == {"prefect": None, "mlflow": None}
    assert down() == 0
    assert "nothing was running" in capsys.readouterr().out
    assert other.poll() is None
    assert list(records.folder().rglob("*.json")) == []


def test_a_record_that_cannot_be_read_is_no_record(home: Path) -> None:
    records.folder().mkdir()
    for text in ("", "{", "[]", '{"name": "mlflow"}'):
        records.path_of("mlflow").write_text(text)
        assert records.read("mlflow") is None
    assert addresses()["mlflow"] is None


def test_ending_when_nothing_runs_is_fine(home: Path) -> None:
    assert down() == 0
    assert down() == 0


def test_a_service_records_itself_and_is_ended_with_its_record(pages: Service) -> None:
    started = processes.start(pages)
    assert eventually(lambda: processes.answers(pages.health))
    record = records.read("pages")
    assert record is not None
    assert record.pid == started.pid
    assert records.alive(record)
    assert oct(records.folder().stat().st_mode & 0o777) == "0o700"
    assert [ended.name for ended in processes.end([record])] == ["pages"]
    assert not processes.answers(pages.health)
    assert records.read("pages") is None


def test_what_a_killed_process_had_started_is_ended_too(home: Path) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPS!r}])"
    (home / "family.py").write_text(parent)
    environment = {**os.environ, "PYTHONPATH": str(home)}
    leader = processes.start(Service("family", ("family",), environment))
    group = lambda: [p for p in psutil.process_iter() if _group(p) == leader.pid]  # noqa: E731
    assert eventually(lambda: len(group()) == 2)
    record = records.read("family")
    assert record is not None
    leader.kill()
    leader.wait()
    assert len(group()) == 1
    processes.end([record])
    assert group() == []


def _group(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getpgid(process.pid)
    except (OSError, psutil.Error):
        return None


def test_a_process_that_ignores_the_request_is_killed(home: Path) -> None:
    (home / "deaf.py").write_text(
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
        f"{SLEEPS}"
    )
    environment = {**os.environ, "PYTHONPATH": str(home)}
    process = processes.start(Service("deaf", ("deaf",), environment))
    assert eventually(lambda: "deaf" in processes.log_of("deaf").read_text())
    record = records.read("deaf")
    assert record is not None
    processes.end([record], patience=0.3)
    assert process.wait(10) == -signal.SIGKILL


def test_a_service_that_dies_is_started_again_and_given_up_after_five_deaths(
    pages: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(supervisor, "notify", lambda event, text, **facts: told.append(text))
    each = Watched(pages)
    numbers = set()
    for _ in range(supervisor.ATTEMPTS):
        each.not_before = 0.0
        look_after(each)
        assert each.process is not None
        numbers.add(each.process.pid)
        assert eventually(lambda: records.alive(records.read("pages")))
        each.process.kill()
        each.process.wait()
        pause = time.monotonic()
        look_after(each)
        assert each.process is None
        assert each.not_before > pause, "it is not started again at once"
    assert len(numbers) == supervisor.ATTEMPTS
    assert each.given_up
    look_after(each)
    assert each.process is None
    assert [str(processes.log_of("pages")) in text for text in told] == [True]
    assert supervisor.given_up_path("pages").read_text().startswith("pages died 5 times")


def test_a_new_supervisor_adopts_what_runs(pages: Service) -> None:
    first = processes.start(pages)
    assert eventually(lambda: processes.answers(pages.health))
    adopting = Watched(pages)
    look_after(adopting)
    assert adopting.process is None
    assert adopting.begun
    assert first.poll() is None


def test_a_long_log_is_kept_once_and_started_afresh(home: Path) -> None:
    log = processes.log_of("mlflow")
    with log.open("ab") as writer:
        writer.write(b"x" * (5 * 1024**2 + 1))
        writer.flush()
        processes.trim(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert log.with_suffix(".log.1").stat().st_size == 5 * 1024**2 + 1


WATCHES = """
from pipelines.services import supervisor
supervisor.planned = lambda: []
supervisor.supervise = lambda *_: supervisor.say("one")
supervisor.main()
"""
RECOVERS = """
from pipelines.services import recover
recover._stuck = lambda: []
recover.lives.tidy = lambda: recover.say("two")
recover.recover()
"""


@pytest.mark.parametrize(("code", "said"), [(WATCHES, "one"), (RECOVERS, "two")])
def test_the_supervisors_log_has_one_form_of_line_whoever_writes_it(
    home: Path, code: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ  {said}\n", done.stderr)


def test_a_port_that_is_taken_is_named_with_its_holder_and_its_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("CARELEDGER_MLFLOW_PORT", str(port))
        monkeypatch.setenv("CARELEDGER_PREFECT_PORT", str(free_port()))
        with pytest.raises(InputError) as found:
            up()
    for part in (str(port), f"process {os.getpid()}", "CARELEDGER_MLFLOW_PORT", "mlflow"):
        assert part in str(found.value)
    assert "\n" not in str(found.value)
    assert list(records.folder().glob("*.json")) == [], "nothing was started"


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "4200.0"])
def test_a_port_that_is_none_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELEDGER_PREFECT_PORT", text)
    with pytest.raises(InputError, match="CARELEDGER_PREFECT_PORT"):
        ports.port_of("prefect")


def test_the_services_listen_on_this_machine_alone_and_report_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.environment import TELEMETRY_OFF

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere.example")
    for service in plan.planned():
        assert service.url is not None
        assert service.url.startswith("http://127.0.0.1:")
        given = service.environment
        assert {name: given[name] for name in TELEMETRY_OFF} == TELEMETRY_OFF
        assert given["CARELEDGER_HOME"] == str(home)
        assert "elsewhere" not in str(given)


def test_deploying_without_a_server_says_what_to_do(home: Path) -> None:
    from pipelines.services.deploy import deploy

    with pytest.raises(InputError, match="make up"):
        deploy()


def test_a_run_that_hangs_past_its_time_limit_is_killed(home: Path) -> None:
    code = (
        "import os; os.setpgid(0, 0)\n"
        "from pipelines.services import flow\n"
        f"flow._GRACE = 0.1; flow._watch_the_clock()\n{SLEEPS}"
    )
    variables = {**os.environ, "CARELEDGER_TIME_LIMIT": "0.2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert b"time limit" in done.stderr
