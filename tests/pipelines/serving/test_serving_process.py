"""A server as people start it: it follows the alias under load, and ends in good order."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import app, guarded
from pipelines.governance import activity
from pipelines.tracking import client
from tests.pipelines.serving.sample_service import (
    Served,
    loans,
    metrics,
    register_loans,
    serving_process,
    wait_until,
)

pytestmark = pytest.mark.slow


class _Clients:
    """Clients that ask all the time, and what they were answered."""

    def __init__(self, served: Served, count: int) -> None:
        self.answers: list[tuple[int, str]] = []
        self._served, self._stop = served, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=60)
        body = json.dumps({"records": loans(2)})
        while not self._stop.is_set():
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            self.answers.append((answer.status, str(said.get("version"))))
        connection.close()

    def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        while len(self.answers) < wanted:
            time.sleep(0.01)

    def __enter__(self) -> _Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Any, Path]]:
    """A server of three versions, of which the first is champion; its process; its home."""
    folder = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder))
        register_loans()
        for seed in (2, 3):
            register_loans(alias=None, seed=seed)
        with serving_process("loans") as (served, process):
            yield served, process, folder


def _move(version: str) -> None:
    client().set_registered_model_alias("loans", "champion", version)


def _wait_for(served: Served, version: str) -> dict[str, Any]:
    return wait_until(served, lambda state: state["version"] == version)


def test_the_alias_moves_under_load_and_no_request_fails(
    server: tuple[Served, Any, Path],
) -> None:
    served, _, home = server
    with _Clients(served, 4) as clients:
        for target in ("2", "3", "1", "3"):
            _move(target)
            _wait_for(served, target)
            clients.more(20)
        answered = list(clients.answers)
    assert {status for status, _ in clients.answers} == {200}
    assert {version for _, version in answered} == {"1", "2", "3"}
    assert metrics(served)["careledger_swaps_total"] == 4
    named = json.loads((home / "services" / "serve-loans.json").read_text())
    assert named["version"] == "3"
    assert named["url"].endswith(f":{served.port}")


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(
    server: tuple[Served, Any, Path],
) -> None:
    served, _, _ = server
    before = wait_until(served, lambda state: state["wrong"] is None)["version"]
    damaged = register_loans(alias=None, seed=4)
    source = client().get_model_version("loans", damaged).source
    weights = Path(source.removeprefix("file://")) / "artifacts/package/weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    _move(damaged)
    state = wait_until(served, lambda state: state["wrong"] is not None)
    assert state["version"] == before
    assert f"version {damaged} cannot be loaded" in state["wrong"]
    assert f"version {before} still answers" in state["wrong"]
    assert metrics(served)["careledger_load_failures_total"] >= 1
    assert served.predict(records=loans(1))["version"] == before
    weights.write_bytes(whole)
    assert wait_until(served, lambda state: state["version"] == damaged)["wrong"] is None


def test_an_alias_that_is_gone_leaves_the_version_serving(
    server: tuple[Served, Any, Path],
) -> None:
    served, _, _ = server
    before = str(client().get_registered_model("loans").aliases["champion"])
    client().delete_registered_model_alias("loans", "champion")
    state = wait_until(served, lambda state: state["wrong"] is not None)
    assert "no version is 'champion' any more" in state["wrong"]
    assert served.predict(records=loans(1))["version"] == before
    _move(before)
    wait_until(served, lambda state: state["wrong"] is None)


def test_a_registry_that_is_gone_for_a_while_stops_no_answer(
    server: tuple[Served, Any, Path],
) -> None:
    served, _, home = server
    store = home / "mlflow.db"
    away = store.rename(home / "mlflow.away")
    try:
        state = wait_until(served, lambda state: state["wrong"] is not None)
        assert "the registry does not answer" in state["wrong"]
        assert served.predict(records=loans(1))["version"] == state["version"]
        assert not store.exists()
    finally:
        away.rename(store)
    wait_until(served, lambda state: state["wrong"] is None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["loans", "--port", "TAKEN"], "Address already in use"),
        (["loans", "--host", "0.0.0.0", "--port", "0"], "CARELEDGER_API_KEY"),  # noqa: S104
        (["loans@nobody", "--port", "0"], "no version is 'nobody'"),
        (["nothing", "--port", "0"], "no registered model 'nothing'"),
    ],
)
def test_what_cannot_be_served_ends_with_status_2_and_one_line(
    server: tuple[Served, Any, Path],
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(server[0].port) if word == "TAKEN" else word for word in words]
    assert guarded(lambda: app(["serve", *given], standalone_mode=False)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert "TAKEN" not in words or f"--port {server[0].port}" in error


def test_sigterm_finishes_requests_under_way_and_writes_down_who_asked(
    server: tuple[Served, Any, Path],
) -> None:
    served, process, home = server
    body = json.dumps({"records": loans(2)}).encode()
    head = (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head.encode() + body[:10])
        while metrics(served)["careledger_requests_under_way"] < 1:
            time.sleep(0.05)
        process.terminate()
        while _listens(served.port):
            time.sleep(0.05)
        connection.sendall(body[10:])
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")
    assert process.wait(60) == 0
    assert not (home / "services" / "serve-loans.json").exists()
    noted = list(activity.acts("serve"))
    assert {(act["model"], act["key"]) for act in noted} == {("loans", "none")}
    assert {"1", "2", "3", "4"} <= {act["version"] for act in noted}
    assert all(act["rows"] >= act["requests"] > 0 for act in noted)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
