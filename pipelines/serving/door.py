"""The door before the routes: who may ask, how often, and how much at once.

It looks at the head of a request alone, so that what is refused costs next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pipelines.serving.keys import Keys, Pace
from pipelines.serving.limits import Limits
from pipelines.serving.meters import Meters
from pipelines.serving.refusal import OVERLOADED, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = frozenset({"/health", "/ready", "/metrics", "/openapi.json"})
ASKING = frozenset({"/predict", "/invocations"})
_HOST = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d*)?", re.IGNORECASE)


class Door:
    """ASGI middleware, outermost.

    Without a key the server listens on loopback alone, and then answers only to loopback names:
    a page in a browser whose own name was pointed at 127.0.0.1 gets 421 and no prediction. With
    keys such a page lacks one, so any name will do.

    Args:
        app: What stands behind it.
        keys: Who may ask.
        limits: How often, how much, how long.
        meters: Counts every answer.
    """

    def __init__(self, app: App, keys: Keys, limits: Limits, meters: Meters) -> None:
        self._app, self._keys, self._limits, self._meters = app, keys, limits, meters
        self._pace = Pace(limits.rate)
        self._under_way = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request, or the server's own start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Watched(send)
        started = time.perf_counter()
        try:
            await self._enter(scope, receive, answer)
        except Refusal as refusal:
            await _refuse(answer, refusal)
        except Exception as error:  # noqa: BLE001 - its text may hold a record: the type is said
            logging.getLogger("careledger").error("request failed: %s", type(error).__name__)
            await _refuse(answer, Refusal(500, f"failed with {type(error).__name__}"))
        path = scope["path"] if scope["path"] in OPEN | ASKING else "other"
        self._meters.answered(path, answer.status, time.perf_counter() - started)

    async def _enter(
        self, scope: MutableMapping[str, Any], receive: Receive, send: _Watched
    ) -> None:
        self._check_host(scope["headers"])
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        scope["state"]["key"] = self._holder(scope["headers"])
        if self._under_way >= self._limits.waiting:
            raise Refusal(503, OVERLOADED, retry_after=1)
        self._under_way += 1
        self._meters.under_way.set(self._under_way)
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._app(scope, receive, send)
        except TimeoutError:
            raise Refusal(
                503,
                f"not answered within {self._limits.seconds:g} s (CARELEDGER_SERVE_SECONDS)",
                retry_after=1,
            ) from None
        finally:
            self._under_way -= 1
            self._meters.under_way.set(self._under_way)

    def _check_host(self, headers: list[tuple[bytes, bytes]]) -> None:
        if self._keys.names:
            return
        host = next((value for name, value in headers if name == b"host"), b"")
        if not _HOST.fullmatch(host):
            raise Refusal(
                421, "without an API key this server answers to localhost and 127.0.0.1 alone"
            )

    def _holder(self, headers: list[tuple[bytes, bytes]]) -> str:
        holder = self._keys.holder(headers)
        if holder is None:
            raise Refusal(401, "expected an API key: Authorization: Bearer KEY, or X-API-Key: KEY")
        if wait := self._pace.wait(holder):
            raise Refusal(
                429,
                f"more than {self._limits.rate:g} requests a second (CARELEDGER_SERVE_RATE)",
                retry_after=math.ceil(wait),
            )
        return holder


class _Watched:
    """`send`, and what was sent: no second answer goes out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def _refuse(answer: _Watched, refusal: Refusal) -> None:
    if answer.status:  # half an answer is out already
        return
    body = refusal.body
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    raw = [(k.encode(), v.encode()) for k, v in (headers | refusal.headers).items()]
    await answer({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await answer({"type": "http.response.body", "body": body})
