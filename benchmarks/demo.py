"""The demo after installation and download: time, memory, and what orchestration adds.

The peer column holds the limits that the demo promises on two cores: five minutes, 4 GB, 30 s.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks._rows import Row, main, smaller_is_better

DATA = ("lidc", "efficientnet-lite0", "support2", "sba")
LIMITS = {"seconds": 300.0, "memory": 4096.0, "orchestration": 30.0}


def measure(quick: bool) -> list[Row]:
    """Run the whole demo in fresh homes; data are fetched before the first one is timed."""
    fetch = f"from domains.sources import fetch; [fetch(name) for name in {DATA}]"
    subprocess.run([sys.executable, "-c", fetch], check=True)
    runs = [_run() for _ in range(1 if quick else 5)]

    def row(what: str, key: str, unit: str) -> Row:
        limits = [LIMITS[key]] * len(runs)
        return smaller_is_better(what, unit, [run[key] for run in runs], limits)

    return [
        row("the whole demo", "seconds", "s"),
        row("peak memory, all its processes", "memory", "MB"),
        row("Prefect, MLflow and reports, three pipelines", "orchestration", "s"),
    ]


def _run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.demo"],
            env={**os.environ, "CARELEDGER_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        peak = [0.0]
        threading.Thread(target=_watch, args=(process, peak), daemon=True).start()
        output = process.communicate()[0]
        if process.returncode != 0:
            raise SystemExit(f"the demo ended with exit status {process.returncode}:\n{output}")
        orchestration = re.findall(r"(\d+) Prefect, MLflow and reports", output)
        return {
            "seconds": time.perf_counter() - started,
            "memory": peak[0],
            "orchestration": float(sum(map(int, orchestration))),
        }


def _watch(process: subprocess.Popen[str], peak: list[float]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_resident, _family(process.pid))))
        time.sleep(0.2)


def _family(root: int) -> list[int]:
    """A process and all its descendants."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended between the listing and the reading
        parents[int(status.parent.name)] = int(fields[1])
    found = [root]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _resident(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


if __name__ == "__main__":
    main(measure, __doc__)
