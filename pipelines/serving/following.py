"""The version an alias points to, and what happens when it moves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from domains.errors import InputError
from pipelines.governance import registry
from pipelines.governance.versions import resolve
from pipelines.notices.notify import notify
from pipelines.progress import say
from pipelines.serving.every import Every
from pipelines.serving.meters import Meters
from pipelines.serving.ready import ready_version
from pipelines.serving.version import Version
from pipelines.settings import home

_LONGEST = 60.0


class Following:
    """The version that serves now. Only the thread of `watch` replaces it, in one assignment.

    Attributes:
        version: It.
        wrong: What is wrong with following the alias; None when nothing is.

    Args:
        reference: `MODEL`, `MODEL@alias` or `MODEL/version`; the last never moves.
        meters: Counts swaps and failures.
        poll: Seconds between two looks.

    Raises:
        InputError: There is no such version, or it cannot be loaded.
    """

    def __init__(self, reference: str, meters: Meters, poll: float) -> None:
        self._meters, self._poll = meters, poll
        name, number = resolve(reference)
        self._alias = None if "/" in reference else reference.partition("@")[2] or registry.CHAMPION
        self.version: Version = ready_version(name, number)
        self.wrong: str | None = None
        self._failed: str | None = None
        self._pause = self._again = 0.0
        meters.serves(name, number)

    def watch(self, swapped: Callable[[Version], None]) -> Every | None:
        """Start following in a thread of its own; None for a version that was named by number.

        Args:
            swapped: Told of every version that begins to serve.
        """
        if self._alias is None:
            return None
        thread = Every("following", self._poll, lambda: self._look(swapped))
        thread.start()
        return thread

    def _look(self, swapped: Callable[[Version], None]) -> None:
        wanted = self._wanted()
        if wanted is None:
            return
        if wanted == self.version.number:
            self.wrong = self._failed = None
        elif wanted != self._failed or time.monotonic() >= self._again:
            self._try(wanted, swapped)

    def _wanted(self) -> str | None:
        """Where the alias points; None, and what is wrong, when that cannot be said."""
        name, alias = self.version.name, str(self._alias)
        try:
            if not os.environ.get("MLFLOW_TRACKING_URI") and not (home() / "mlflow.db").exists():
                raise FileNotFoundError  # asking would make a new, empty store in its place
            wanted = registry.alias_of(name, alias)
        except InputError as error:
            found = str(error)
        except Exception as error:  # noqa: BLE001 - a registry that is gone for a while ends nothing
            found = f"the registry does not answer ({type(error).__name__})"
        else:
            self._meters.registry_up.set(1)
            if wanted is None:
                self.wrong = f"no version is {alias!r} any more; {self._stays()}"
            return wanted
        self._meters.registry_up.set(0)
        self.wrong = f"{found}; {self._stays()}"
        return None

    def _try(self, wanted: str, swapped: Callable[[Version], None]) -> None:
        before = self.version
        try:
            version = ready_version(before.name, wanted)
        except Exception as error:  # noqa: BLE001 - the old version answers on, whatever this is
            self._failure(wanted, error)
            return
        self.version = version
        self.wrong = self._failed = None
        self._meters.swaps.inc()
        self._meters.serves(version.name, version.number)
        say(f"{version.name}: version {version.number} answers, in place of {before.number}")
        swapped(version)

    def _failure(self, wanted: str, error: Exception) -> None:
        """Keep the old version, say so once, and try again later and later."""
        said = str(error) if isinstance(error, InputError) else f"failed: {type(error).__name__}"
        self.wrong = f"{said}; {self._stays()}"
        self._meters.load_failures.inc()
        first, self._failed = wanted != self._failed, wanted
        self._pause = self._poll if first else min(2 * self._pause, _LONGEST)
        self._again = time.monotonic() + self._pause
        if first:
            name = self.version.name
            say(f"{name}: {self.wrong}")
            notify("failure", f"serving {name}: {self.wrong}", model=name, version=wanted)

    def _stays(self) -> str:
        return f"version {self.version.number} still answers"
