"""Ask several sources at once; each answers in time, or its part says in a line why not."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domains.errors import InputError, Refused


@dataclass(frozen=True)
class Part:
    """One source's answer, as JSON values; `said` is why there is none."""

    value: Any
    said: str | None = None


class _Asked(threading.Thread):
    """A call under way, in a thread that does not keep the program alive."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.part: Part | None = None

    def run(self) -> None:
        self.part = _guarded(self._call)


def ask(sources: Mapping[str, str], seconds: float) -> dict[str, Part]:
    """Call `read()` of every module named, all at the same time.

    Modules are imported first, one after the other, outside the time allowed: how long that takes
    says nothing about a source. A call that is late goes on in a thread that nothing waits for.

    Args:
        sources: Name of a part → module.
        seconds: Wall time within which a source must answer.
    """
    calls = {name: _reader(module) for name, module in sources.items()}
    asked = {name: _Asked(call) for name, call in calls.items()}
    for one in asked.values():
        one.start()
    until = time.monotonic() + seconds
    for one in asked.values():
        one.join(max(until - time.monotonic(), 0))
    late = Part(None, f"no answer within {seconds:g} s")
    return {name: one.part or late for name, one in asked.items()}


def _reader(module: str) -> Callable[[], Any]:
    imported = _guarded(lambda: importlib.import_module(module).read)
    if imported.said is None:
        reader: Callable[[], Any] = imported.value
        return reader
    said = imported.said

    def refuse() -> Any:
        raise InputError(said)

    return refuse


def _guarded(call: Callable[[], Any]) -> Part:
    """What a call returns, or why it could not; the text of an unforeseen error may hold a
    record and is not told."""
    try:
        return Part(call())
    except (InputError, Refused) as error:
        return Part(None, " ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - one broken source must not hide the others
        return Part(None, f"could not be read ({type(error).__name__})")
