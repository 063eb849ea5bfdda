"""The MLflow store, where there is one to read."""

from __future__ import annotations

import os
from typing import Any

from pipelines.settings import home
from pipelines.tracking import client


def tracker() -> Any:
    """MLflow's client; None while nothing has ever been tracked here.

    Looking must not make a store: a home that nothing ran in stays as it is.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (home() / "mlflow.db").exists():
        return None
    return client()


def moment(milliseconds: int | None) -> str | None:
    """MLflow's time as ISO 8601 in UTC, to the second."""
    if milliseconds is None:
        return None
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
