"""Something done again and again in a thread of its own, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Every(threading.Thread):
    """Calls `act` every so many seconds. `act` must not raise."""

    def __init__(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._seconds, self._act = seconds, act
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped.wait(self._seconds):
            self._act()

    def stop(self) -> None:
        """No call starts after this one."""
        self._stopped.set()
