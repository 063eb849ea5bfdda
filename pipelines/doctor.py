"""What an installation needs, looked at one by one."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from domains.errors import InputError, Refused
from pipelines.settings import home, home_key, open_ledger, writable_home

_PACKAGES = ("torch", "scikit-learn", "monai", "opacus", "dp-accounting", "mlflow", "prefect")
_LEAST_FREE = 2 * 1024**3


@dataclass(frozen=True)
class Checked:
    """One thing looked at, whether it is well, and what was seen."""

    name: str
    ok: bool
    detail: str


def examine() -> list[Checked]:
    """Look at everything; one thing wrong does not hide the next."""
    return [
        _look("python", _python),
        _look("packages", _packages),
        _look("home", _home),
        _look("key", _key),
        _look("disk", _disk),
        _look("mlflow folder", _mlflow_folder),
        _look("tracking", _tracking),
        _look("registry", _registry),
        _look("services", _services),
        _look("prefect", _prefect),
        _look("webhooks", _webhooks),
        _look("ledger", _ledger),
        _look("telemetry", _telemetry),
    ]


def _look(name: str, at: Callable[[], tuple[bool, str]]) -> Checked:
    try:
        return Checked(name, *at())
    except (InputError, Refused, OSError, sqlite3.Error, ImportError) as error:
        return Checked(name, False, str(error))


def _python() -> tuple[bool, str]:
    return sys.version_info >= (3, 11), sys.version.split()[0]


def _packages() -> tuple[bool, str]:
    return True, ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)


def _home() -> tuple[bool, str]:
    return True, str(writable_home())


def _key() -> tuple[bool, str]:
    home_key()
    mode = (home() / "key").stat().st_mode & 0o077
    return (
        mode == 0,
        "readable by its owner alone" if mode == 0 else "others can read it: chmod 600",
    )


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(home()).free
    return free > _LEAST_FREE, f"{free / 1024**3:.1f} GiB free"


def _mlflow_folder() -> tuple[bool, str]:
    import mlflow

    installed = "site-packages" in str(Path(mlflow.__file__))
    return installed, f"import mlflow is {mlflow.__version__} from {Path(mlflow.__file__).parent}"


def _tracking() -> tuple[bool, str]:
    from pipelines.tracking import client

    found = client().search_experiments(max_results=100)
    return (
        True,
        f"{os.environ.get('MLFLOW_TRACKING_URI') or 'local store'}, {len(found)} experiments",
    )


def _registry() -> tuple[bool, str]:
    from pipelines.governance import registry

    rows = registry.list_versions()
    unjudged = [
        f"{name} version {version}"
        for name, version, _ in rows
        if "careledger.gate" not in registry.get_version(name, version).tags
    ]
    if unjudged:
        return False, f"registered by a run that was cut short: {', '.join(unjudged)}"
    return True, f"{len(rows)} versions, every one judged by the gate"


def _services() -> tuple[bool, str]:
    from pipelines.status.running import read

    rows = read()
    if down := [f"{row['name']} ({row['why']})" for row in rows if not row["up"]]:
        return (
            False,
            f"down: {', '.join(down)}; `make up` starts what is missing, `make down` ends all",
        )
    return True, f"{', '.join(row['name'] for row in rows) or 'none'} up"


def _prefect() -> tuple[bool, str]:
    from pipelines.status.schedules import read, server

    url = server()
    return (True, f"{url}, {len(read())} deployments") if url else (True, "no server is set or up")


def _webhooks() -> tuple[bool, str]:
    from pipelines.notices import outbox, webhook

    found = [webhook.shown(address) for address in webhook.addresses()]
    waiting, dropped = len(outbox.waiting()), outbox.dropped()
    said = f"{', '.join(found) or 'none set'}; {waiting} messages waiting, {dropped} dropped"
    return not (waiting or dropped), said


def _ledger() -> tuple[bool, str]:
    ledger = open_ledger()
    if findings := ledger.verify():
        first = findings[0]
        return False, f"{first.kind}, entry {first.number}: {first.said}; careledger budget verify"
    return True, f"{ledger.where}: {len(ledger.budgets())} owners, {ledger.head()[0]} entries"


def _telemetry() -> tuple[bool, str]:
    from pipelines.environment import TELEMETRY_OFF

    on = [name for name, value in TELEMETRY_OFF.items() if os.environ.get(name) != value]
    return not on, f"reporting usage: {', '.join(on)}" if on else "off"
