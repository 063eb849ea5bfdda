"""Headless Chromium through its DevTools pipe: open a page at a width and a scheme, ask, look.

Chromium reads commands from descriptor 3 and writes answers to descriptor 4, JSON ended by a zero
byte; so no port is opened and no package is needed. Every host name leads nowhere.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip
# Puts two descriptors where chromium expects them, whatever their numbers, and becomes it.
_ENTER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE = 60.0  # seconds for one answer: a busy machine is no fault of a page


@dataclass(frozen=True)
class View:
    """How a page is looked at: CSS pixels across, and which colour scheme the reader prefers."""

    width: int
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


VIEWS = [View(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


class Browser:
    """One tab of one Chromium; `requests` are the addresses the open page has asked for, and
    `complaints` what its console has told of errors."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._held, self._number = b"", 0
        self._session = ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, page: Path, view: View) -> None:
        """Load a page; back when it and its images are there."""
        phone = view.width < 600
        size = {"width": view.width, "height": 900, "deviceScaleFactor": 2 if phone else 1}
        self._ask("Emulation.setDeviceMetricsOverride", mobile=phone, **size)
        feature = {"name": "prefers-color-scheme", "value": view.scheme}
        self._ask("Emulation.setEmulatedMedia", features=[feature])
        self.requests, self.complaints = [], []
        self._ask("Page.navigate", url=page.resolve().as_uri())
        self.run(
            "new Promise(done => document.readyState === 'complete' ? done()"
            " : addEventListener('load', done))"
        )

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self._ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path) -> Path:
        """The whole page, from its top to its foot, as a PNG file."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == self._number:
                assert "error" not in heard, f"{method}: {heard['error']}"
                return dict(heard["result"])

    def _hear(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._answers], [], [], max(until - time.monotonic(), 0))
            assert ready, "chromium does not answer"
            more = os.read(self._answers, 1 << 20)
            assert more, "chromium is gone"
            self._held += more
        line, _, self._held = self._held.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        if heard.get("method") == "Network.requestWillBeSent":
            self.requests.append(heard["params"]["request"]["url"][:200])
        if (said := _complaint(heard)) is not None:
            self.complaints.append(said[:200])
        return heard


def _complaint(heard: dict[str, Any]) -> str | None:
    """What an event says is wrong with the page; None for every other one."""
    told = heard.get("params", {})
    if heard.get("method") == "Log.entryAdded" and told["entry"]["level"] in ("warning", "error"):
        return str(told["entry"]["text"])
    if heard.get("method") == "Runtime.exceptionThrown":
        return str(told["exceptionDetails"]["text"])
    if heard.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
        return str(told["args"])
    return None


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A Chromium with a fresh profile in this folder; it ends with the block."""
    read_commands, commands = os.pipe()
    answers, write_answers = os.pipe()
    ends = [read_commands, write_answers]
    chromium = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [sys.executable, "-c", _ENTER, *map(str, ends), *chromium],
        pass_fds=ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)  # chromium ends when nobody can command it any more
        os.close(answers)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
