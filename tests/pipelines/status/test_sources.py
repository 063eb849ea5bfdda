"""A source of the status that is broken, silent or slow costs one line, and hides no other."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import home_key, ledger_path
from pipelines.status import needs, running, schedules
from pipelines.status.parts import ask
from pipelines.status.snapshot import take
from pipelines.status.text import tell
from privacy.ledger import Ledger


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of other tests, and what is late there, is not this home's."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@contextmanager
def server(answer: bytes, status: int = 200, wait: float = 0.0) -> Iterator[str]:
    """An HTTP server that gives one answer to everything, after a while."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(wait)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def noted(home: Path, name: str, **facts: Any) -> None:
    folder = home / "services"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts))


def test_a_service_is_up_when_its_process_lives_and_it_answers(home: Path) -> None:
    with server(b"ok") as url, server(b"no", 503) as sick:
        serve = {"model": "credit-a", "version": "2", "since": "2030-01-01T00:00:00Z"}
        noted(home, "serve-credit-a", pid=os.getpid(), url=url, **serve)
        noted(home, "gone", pid=2**22 + 1, url=url)
        noted(home, "other", pid=os.getpid(), started=1.0, url=url)
        noted(home, "sick", pid=os.getpid(), url=sick)
        noted(home, "silent", pid=os.getpid(), url="http://127.0.0.1:9")
        (home / "services" / "torn.json").write_text('{"pid":')
        rows = {row["name"]: row for row in running.read()}
    assert {name for name, row in rows.items() if row["up"]} == {"serve-credit-a"}
    assert rows["serve-credit-a"]["version"] == "2"
    assert rows["gone"]["why"] == rows["other"]["why"] == "its process is gone"
    assert rows["sick"]["why"] == "it answers 503"
    assert "does not answer" in rows["silent"]["why"]
    assert "cannot be read" in rows["torn"]["why"]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [(b"[]", 500, "answers 500"), (b"<html>", 200, "no Prefect server answers")],
)
def test_a_broken_prefect_server_is_a_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, status: int, said: str
) -> None:
    with server(answer, status) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        part = ask({"schedules": "pipelines.status.schedules"}, 5)["schedules"]
    assert part.value is None
    assert said in str(part.said)


def test_a_source_that_hangs_holds_nothing_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"[]", wait=5) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        monkeypatch.setattr(schedules, "_SECONDS", 60)
        parts = ask({"slow": "pipelines.status.schedules", "space": "pipelines.status.space"}, 0.5)
    assert parts["slow"].said == "no answer within 0.5 s"
    assert parts["space"].value["free"] > 0


def test_what_is_broken_is_named_and_the_rest_is_told(home: Path) -> None:
    home_key()
    (home / "mlflow.db").write_bytes(b"not a database" * 999)
    ledger = Ledger(ledger_path())
    ledger.grant("bank", 3.0, 1e-5)
    (home / "ledger.db.key").write_bytes(bytes(32))
    seen = take()
    assert seen.parts["models"].said
    assert seen.parts["runs"].said
    assert seen.parts["budgets"].said
    assert seen.of("space")
    assert seen.of("activity") == {"scorings": [], "failures": [], "requests": []}
    told = tell(seen)
    for name in ("models", "runs", "budgets"):
        assert str(seen.parts[name].said) in told


def test_an_unforeseen_error_keeps_its_text_to_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> None:
        raise ValueError("patient 4711")

    monkeypatch.setattr("pipelines.status.space.read", read)
    assert ask({"space": "pipelines.status.space"}, 5)["space"].said == (
        "could not be read (ValueError)"
    )
    assert "could not be read" in str(ask({"gone": "pipelines.status.nothing"}, 5)["gone"].said)


def test_a_file_of_another_kind_in_an_inbox_is_named_with_what_is_accepted(home: Path) -> None:
    inbox = home / "inbox" / "credit-a"
    inbox.mkdir(parents=True)
    (inbox / "loans.xlsx").write_text("x")
    (inbox / "loans.csv").write_text("x")
    seen = take()
    (row,) = seen.listed("inboxes")
    assert (row["waiting"], row["passed_over"]) == (1, ["loans.xlsx"])
    (need,) = needs.people(seen)
    for part in (str(inbox), "loans.xlsx", ".csv, .csv.gz, .parquet, or a folder of images"):
        assert part in need.what
        assert part in tell(seen)
    (inbox / "loans.xlsx").unlink()
    assert needs.people(take()) == []
