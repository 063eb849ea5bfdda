"""Messages to webhooks: delivered once, signed, kept while nobody takes them, never in the way."""

from __future__ import annotations

import hashlib
import hmac
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from domains.errors import InputError
from pipelines.governance.announce import announce
from pipelines.governance.moves import made
from pipelines.notices import notify, outbox, webhook
from pipelines.notices.notify import deliver_waiting


class Receiver:
    """A webhook on this machine: keeps what it gets, answers what it is told to."""

    def __init__(self, port: int = 0) -> None:
        self.got: list[dict[str, Any]] = []
        self.raw: list[tuple[bytes, Any]] = []
        self.answer, self.delay = 200, 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.delay)
                if receiver.answer == 200:
                    receiver.raw.append((body, self.headers))
                    receiver.got.append(json.loads(body))
                self.send_response(receiver.answer)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/secret"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv(webhook.ADDRESSES, made.url)
    monkeypatch.setattr(outbox, "_PAUSES", (0.0, 0.01, 0.02))
    yield made
    made.close()


def test_a_message_arrives_once_with_text_and_fields(receiver: Receiver) -> None:
    notify.notify("failure", "credit-sba: training\n failed", model="credit-sba", run_id="0f")
    assert deliver_waiting() == 0
    [got] = receiver.got
    assert got["text"] == "credit-sba: training failed"
    assert (got["event"], got["model"], got["run_id"]) == ("failure", "credit-sba", "0f")
    assert {"id", "when", "who", "host"} < got.keys()


def test_a_message_is_signed_with_the_secret(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(webhook.SECRET, "between us")
    notify.notify("crash", "a run crashed")
    [(body, headers)] = receiver.raw
    expected = hmac.new(b"between us", body, hashlib.sha256).hexdigest()
    assert headers[webhook.SIGNATURE] == f"sha256={expected}"


def test_every_address_gets_its_own(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Receiver()
    monkeypatch.setenv(webhook.ADDRESSES, f"{receiver.url}, {other.url}")
    notify.notify("promotion", "a promotion")
    other.close()
    assert [r["id"] for r in receiver.got] == [r["id"] for r in other.got]
    assert len(receiver.got) == 1


def test_what_a_dead_server_missed_arrives_in_order_when_it_is_back(receiver: Receiver) -> None:
    receiver.close()
    for number in range(3):
        notify.notify("failure", f"failure {number}")
    assert len(outbox.waiting()) == 3
    back = Receiver(receiver.port)
    notify.notify("failure", "failure 3")
    back.close()
    assert [got["text"] for got in back.got] == [f"failure {n}" for n in range(4)]
    assert outbox.waiting() == []


@pytest.mark.parametrize("answer", [500, 503, 404, 429, 302])
def test_what_is_not_taken_waits(receiver: Receiver, answer: int) -> None:
    receiver.answer = answer
    notify.notify("rollback", "a rollback")
    assert len(outbox.waiting()) == 1
    receiver.answer = 200
    assert deliver_waiting() == 0
    assert len(receiver.got) == 1


def test_one_message_that_is_never_taken_does_not_hold_up_the_next(receiver: Receiver) -> None:
    receiver.answer = 400
    notify.notify("failure", "not for you")
    receiver.answer = 200
    outbox.waiting()[0].write_text("{}")
    notify.notify("failure", "the next")
    assert receiver.got[-1]["text"] == "the next"


def test_a_slow_server_holds_nobody_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_PATIENCE", 0.2)
    receiver.delay = 30.0
    notify.notify("failure", "to somebody slow")
    assert len(outbox.waiting()) == 1


def test_messages_of_several_processes_arrive_once_each(receiver: Receiver) -> None:
    receiver.delay = 0.05
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=notify.notify, args=("failure", str(n))) for n in range(6)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    deliver_waiting()
    assert sorted(got["text"] for got in receiver.got) == [str(n) for n in range(6)]


def test_the_oldest_go_when_too_many_wait_and_that_is_said(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST", 3)
    receiver.answer = 500
    for number in range(5):
        notify.notify("failure", f"failure {number}")
    assert (len(outbox.waiting()), outbox.dropped()) == (3, 2)
    receiver.answer = 200
    notify.notify("failure", "failure 5")
    assert [got["text"] for got in receiver.got] == [f"failure {n}" for n in (3, 4, 5)]
    assert receiver.got[-1]["dropped"] == "2"
    assert outbox.dropped() == 0


def test_a_disk_that_takes_nothing_does_not_silence(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outbox, "keep", full)
    notify.notify("failure", "the disk is full")
    assert receiver.got[0]["text"] == "the disk is full"


@pytest.mark.parametrize("address", ["ftp://example.org/x", "example.org", "http://", "http://a:b"])
def test_a_wrong_address_is_named_without_its_path_and_stops_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(webhook.ADDRESSES, f"https://example.org/secret,{address}")
    with pytest.raises(InputError, match="address 2 of 2 is not a web address") as raised:
        webhook.addresses()
    assert "secret" not in str(raised.value)
    notify.notify("failure", "nobody hears this")
    assert outbox.waiting() == []


def test_nothing_is_kept_where_nobody_is_to_be_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(webhook.ADDRESSES, raising=False)
    notify.notify("failure", "nobody listens")
    assert list(home.iterdir()) == []


def test_waiting_messages_are_for_their_owner_alone(receiver: Receiver, home: Path) -> None:
    receiver.answer = 500
    notify.notify("failure", "a failure")
    [path] = outbox.waiting()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert "secret" not in path.name + path.read_text()


def test_a_refusal_names_its_rules_and_no_number(receiver: Receiver) -> None:
    reasons = ["floor: not met (0.5123, 95 % interval 0.49 to 0.53)", "calibration: met (0.0312)"]
    announce("credit-sba", made("refuse", "1", "2", reasons, "1"))
    [got] = receiver.got
    assert got["event"] == "refusal"
    assert "version 2 was refused by the gate (not met: floor)" in got["text"]
    assert "0.5123" not in json.dumps(got)
    assert "0.0312" not in json.dumps(got)
