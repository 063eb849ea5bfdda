"""A closed loop of requests over kept-alive connections, in a process of its own.

Each connection sends its next request when the answer to the last one has come. One loop drives
all of them with as little work a request as Python allows, the same for both sides.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, until: float, taken: list[float]) -> None:
        self._request, self._until, self._taken = request, until, taken
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._got, self._length = b"", -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._got, self._length, self._sent = b"", -1, time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer; when it is whole, send again."""
        self._got += data
        if self._length < 0 and (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = self._got[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self.done.set_exception(RuntimeError(head.partition(b"\r\n")[0].decode()))
                return
            self._length = end + 4 + int(head.partition(b"content-length:")[2].split()[0])
        if len(self._got) != self._length:
            return
        now = time.perf_counter()
        self._taken.append(now - self._sent)
        if now < self._until:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The server hung up."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("the server hung up"))


async def _load(port: int, request: bytes, connections: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    started = time.perf_counter()
    clients = [
        (
            await loop.create_connection(
                lambda: _Client(request, started + seconds, taken), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    passed = time.perf_counter() - started
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50": 1e3 * cuts[49], "p99": 1e3 * cuts[98], "rate": len(taken) / passed}


def http_request(port: int, path: str, kind: str, body: bytes) -> bytes:
    """A POST request as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    _port, _path, _kind, _file, _connections, _seconds = sys.argv[1:]
    _request = http_request(int(_port), _path, _kind, Path(_file).read_bytes())
    _found = asyncio.run(_load(int(_port), _request, int(_connections), float(_seconds)))
    print(json.dumps(_found))
