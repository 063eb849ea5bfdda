"""Connections on which nothing happens: cut off, so that they cannot fill the server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

_State = tuple[int, bool]


class Sweep:
    """Cuts off connections whose state has not changed for too long.

    Half a head that never ends, a body that goes on after its answer, an answer that is not
    fetched: none of them is a request under way, so none is ended by the limit on its time.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[Any, tuple[_State, float]] = {}

    def __call__(self, connections: Iterable[Any]) -> None:
        """Look at all of uvicorn's connections; call it every few seconds."""
        now = time.monotonic()
        seen = {}
        for connection in list(connections):
            cycle = connection.cycle
            state = (id(cycle), cycle is not None and cycle.response_complete)
            before = self._seen.get(connection)
            since = before[1] if before and before[0] == state else now
            seen[connection] = (state, since)
            if now - since > self._seconds:
                connection.transport.abort()
        self._seen = seen
