"""A request's body in bounded memory: one body is limited, and so are all together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from pipelines.serving.limits import Limits
from pipelines.serving.refusal import OVERLOADED, Refusal


class Bodies:
    """Reads bodies; knows how many bytes are held."""

    def __init__(self, limits: Limits) -> None:
        self._most, self._left = limits.body_bytes, limits.held_bytes

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which counts as held until the block ends.

        Raises:
            Refusal: 413 it is too large: said before a byte is read where the client names its
                length, else as soon as the limit is passed. 503 too much is held already. 400 the
                client went away.
        """
        declared = int(request.headers.get("content-length") or 0)
        if declared > self._most:
            raise self._too_large()
        held = 0
        try:
            parts = []
            held += self._take(declared)
            length = 0
            async for part in _parts(request):
                length += len(part)
                if length > self._most:
                    raise self._too_large()
                held += self._take(length - held)
                parts.append(part)
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            self._left += held

    def _take(self, size: int) -> int:
        size = max(size, 0)
        if size > self._left:
            raise Refusal(503, OVERLOADED, retry_after=1)
        self._left -= size
        return size

    def _too_large(self) -> Refusal:
        return Refusal(
            413,
            f"the body is larger than {self._most:,} bytes (CARELEDGER_SERVE_BODY_BYTES); "
            "send fewer rows at once, or use `careledger score`",
        )


async def _parts(request: Request) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the client went away before the end of the body")
        yield message.get("body", b"")
        more = message.get("more_body", False)
