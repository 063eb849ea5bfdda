"""What a server refuses: strangers, too much, too often, too many at once; and how it says so."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.pipelines.serving.sample_service import Served, loans, metrics, register_loans, serving

pytestmark = pytest.mark.slow

KEYS = "nightly:s3cret-one, s3cret-two"
HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for the servers of this module."""
    folder = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder))
        register_loans()
        yield folder


@pytest.fixture(scope="module")
def keyed(shared_home: Path) -> Iterator[Served]:
    with serving("loans", KEYS) as served:
        yield served


@pytest.fixture(scope="module")
def small(shared_home: Path) -> Iterator[Served]:
    """A server that allows little."""
    with serving("loans", body_bytes=20_000, rows=50, waiting=20, seconds=1.0) as served:
        yield served


def _status(served: Served, headers: dict[str, str]) -> int:
    return served.ask("POST", "/predict", {"records": loans(1)}, headers)[0]


def test_a_key_opens_the_door_in_either_header_and_nothing_else_does(keyed: Served) -> None:
    assert _status(keyed, {"Authorization": "Bearer s3cret-one"}) == 200
    assert _status(keyed, {"X-API-Key": "s3cret-two"}) == 200
    for wrong in (
        {},
        {"Authorization": "Bearer s3cret"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic s3cret-one"},
        {"Authorization": "Bearer nightly:s3cret-one"},
        {"X-API-Key": "s3cret-one, s3cret-two"},
        {"X-API-Key": "\xff\xfe"},
    ):
        assert _status(keyed, wrong) == 401
    _, answer, headers = keyed.ask("POST", "/predict", {"records": loans(1)})
    assert "Authorization: Bearer KEY" in answer["detail"]
    assert headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/openapi.json"])
def test_the_state_is_open_without_a_key(keyed: Served, path: str) -> None:
    assert keyed.ask("GET", path)[0] == 200


def test_without_a_key_only_loopback_names_are_answered(small: Served, keyed: Served) -> None:
    for host in ("localhost", f"127.0.0.1:{small.port}", "[::1]:80", "LOCALHOST:1"):
        assert small.ask("GET", "/ready", headers={"Host": host})[0] == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", ""):
        assert small.ask("GET", "/ready", headers={"Host": host})[0] == 421
    assert keyed.ask("GET", "/ready", headers={"Host": "evil.example"})[0] == 200


def _raw(port: int, *parts: bytes) -> bytes:
    """Send parts until the server answers; its answer, up to the end of the head."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        return connection.makefile("rb").readline()


def test_a_body_of_a_gigabyte_is_refused_before_a_byte_of_it_is_read(small: Served) -> None:
    answer = _raw(small.port, f"{HEAD}Content-Length: {1 << 30}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_refused_when_it_passes_the_limit(small: Served) -> None:
    chunk = f"{10_000:x}\r\n".encode() + b" " * 10_000 + b"\r\n"
    answer = _raw(small.port, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(), *3 * [chunk])
    assert answer.startswith(b"HTTP/1.1 413")


def test_memory_stays_flat_while_gigabytes_are_sent(small: Served) -> None:
    """The rest of a refused body is read past, so that a client gets to see its answer."""
    before = psutil.Process().memory_info().rss
    piece = b" " * (1 << 20)
    with socket.create_connection(("127.0.0.1", small.port), timeout=120) as connection:
        connection.sendall(f"{HEAD}Content-Length: {256 << 20}\r\n\r\n".encode())
        for _ in range(256):
            connection.sendall(piece)
        assert connection.recv(12) == b"HTTP/1.1 413"
    assert psutil.Process().memory_info().rss - before < 100 << 20


def test_too_many_rows_or_values_are_413(small: Served) -> None:
    status, answer, _ = small.ask("POST", "/predict", {"records": [{}] * 51})
    assert status == 413
    assert "50 rows" in answer["detail"]
    status, _, _ = small.ask("POST", "/predict", {"records": [[0] * 5000]})
    assert status == 413


def test_a_body_that_does_not_end_is_503(small: Served) -> None:
    answer = _raw(small.port, f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
    assert answer.startswith(b"HTTP/1.1 503")
    assert metrics(small)["careledger_requests_under_way"] == 0


def test_asking_too_often_is_429_with_the_time_to_wait(shared_home: Path) -> None:
    with serving("loans", KEYS, rate=0.5) as served:
        first, second = ({"X-API-Key": key} for key in ("s3cret-one", "s3cret-two"))
        answers = [_status(served, first) for _ in range(7)]
        assert answers == 5 * [200] + 2 * [429]
        assert _status(served, second) == 200
        _, _, headers = served.ask("POST", "/predict", {"records": loans(1)}, first)
        assert 1 <= int(headers["retry-after"]) <= 2


def test_thousands_at_once_are_answered_or_told_to_come_back(shared_home: Path) -> None:
    """No hang, no crash: each gets 200, or 503 with the time to wait, and then all is well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(3000, (hard - 500) // 2)  # both ends of each connection are files of this process
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    body = json.dumps({"records": loans(20)}).encode()
    request = f"{HEAD}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    async def one(port: int, gate: asyncio.Event) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await gate.wait()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async def burst(port: int) -> list[bytes]:
        gate = asyncio.Event()
        tasks = [asyncio.create_task(one(port, gate)) for _ in range(count)]
        await asyncio.sleep(1)
        gate.set()
        return await asyncio.gather(*tasks)

    try:
        with serving("loans", waiting=100) as served:
            before = psutil.Process().memory_info().rss
            answers = asyncio.run(burst(served.port))
            grown = psutil.Process().memory_info().rss - before
            assert served.predict(records=loans(1))["rejected"] == []
            assert metrics(served)["careledger_requests_under_way"] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    statuses = Counter(answer[9:12] for answer in answers)
    assert set(statuses) <= {b"200", b"503"}
    assert statuses[b"200"] >= 100
    told = [answer.lower() for answer in answers if answer[9:12] == b"503"]
    assert all(b"retry-after: 1\r\n" in answer for answer in told)
    assert grown < 500 << 20


def test_questions_that_wait_are_answered_together_and_as_if_alone(shared_home: Path) -> None:
    rows = loans(40)
    with serving("loans") as served:
        alone = [served.predict(records=[row])["predictions"][0] for row in rows]
        before = metrics(served)
        found: dict[int, float] = {}

        def ask(place: int) -> None:
            answer = served.predict(records=[rows[place], {}])
            found[place] = answer["predictions"][0]["probability"]

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = metrics(served)
    assert all(abs(found[i] - alone[i]["probability"]) < 1e-6 for i in range(40))
    calls = "careledger_batch_rows_count"
    assert after[calls] - before[calls] <= 40
