"""What Prefect and MLflow cost before any work is done, beside their own defaults.

Peers: Prefect's ephemeral server, started by the first flow, and a fresh MLflow store that runs
its migrations. Both sides load torch, as every job does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._rows import Row, main, smaller_is_better

FLOW = """
import prefect
@prefect.flow
def nothing():
    return 1
"""
OURS = f"""
from pipelines import server
server.start()
import torch
{FLOW}
with server.ready():
    nothing()
"""
PEER = f"import torch\n{FLOW}\nnothing()"

STORE = """
import sys, time, mlflow, mlflow.store.db.utils
from pathlib import Path
from pipelines.store import prepare_store
home = Path(sys.argv[1])
uri = prepare_store(home) if sys.argv[2] == "ours" else f"sqlite:///{home}/mlflow.db"
mlflow.MlflowClient(uri).create_experiment("any", artifact_location=home.as_uri())
"""


def measure(quick: bool) -> list[Row]:
    """Wall seconds of a process that runs one empty flow, and of one that opens a fresh store."""
    repeats = 5 if quick else 9
    with tempfile.TemporaryDirectory() as folder:
        return [
            smaller_is_better(
                "import torch and run one empty flow",
                "s",
                *_alternate(
                    lambda _: _seconds(OURS, Path(folder) / "ours"),
                    lambda _: _seconds(PEER, Path(folder) / "peer"),
                    repeats,
                ),
                goal=1.2,
            ),
            smaller_is_better(
                "import mlflow and open a fresh store",
                "s",
                *_alternate(
                    lambda i: _seconds(STORE, Path(folder) / f"copied{i}", "ours"),
                    lambda i: _seconds(STORE, Path(folder) / f"migrated{i}", "peer"),
                    repeats,
                ),
                goal=1.2,
            ),
        ]


def _alternate(
    ours: Callable[[int], float], peer: Callable[[int], float], repeats: int
) -> tuple[list[float], list[float]]:
    """Both sides in turn, after one unmeasured run of each that fills caches."""
    ours(-1)
    peer(-1)
    pairs = [(ours(i), peer(i)) for i in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _seconds(code: str, home: Path, *arguments: str) -> float:
    home.mkdir(exist_ok=True)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "CARELEDGER_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, str(home), *arguments],
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main(measure, __doc__)
