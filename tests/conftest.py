"""What every test gets: a home of its own kind, one Prefect server, and fast tests first."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from absl import logging as absl_logging

# Set before any test module imports `pipelines`, which reads it. The cache stays the user's own:
# public data are fetched once a machine.
SESSION_HOME = Path(tempfile.mkdtemp(prefix="careledger-tests-"))
os.environ["CARELEDGER_HOME"] = str(SESSION_HOME)
os.environ["PREFECT_HOME"] = str(SESSION_HOME / "prefect")
os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a run, and before torch is imported
if "PYTEST_XDIST_WORKER" in os.environ:  # a core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
for _name in (
    "MLFLOW_TRACKING_URI",
    "PREFECT_API_URL",
    "CARELEDGER_DEBUG",
    "CARELEDGER_LEDGER_URL",
    "CARELEDGER_LEDGER_KEY",
):
    os.environ.pop(_name, None)


# Logging set up anew (Prefect's, or uvicorn's in a thread) closes the handlers there were, and
# absl's closes its stream unless that is a standard one just then: it may be what pytest captures
# with.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

hypothesis.settings.register_profile("fixed", derandomize=True)  # the same examples every time
hypothesis.settings.load_profile("fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: what is broken shows early."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(SESSION_HOME, ignore_errors=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh `CARELEDGER_HOME`: no store, no ledger, no key."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CARELEDGER_HOME", str(folder))
    return folder


@pytest.fixture
def known_key(home: Path) -> None:
    """The home has a key that is always the same, and so the same few records in each part."""
    path = home / "key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """One local Prefect server for all flows of the session, subprocesses included; its address."""
    from pipelines import server

    started = server.start()
    assert started is not None
    url = f"http://127.0.0.1:{started.port}/api"
    with server.ready(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", url)
        environment.setenv("PREFECT_API_AUTH_STRING", started.password)
        yield url
