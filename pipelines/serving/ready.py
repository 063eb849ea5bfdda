"""A version made ready to serve: loaded, and warm from answering its own made-up example."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from domains.errors import InputError
from domains.healthcare.images.pixels import resize
from pipelines.governance.versions import load_version
from pipelines.serving.answers import answer
from pipelines.serving.questions import Question
from pipelines.serving.refusal import Refusal
from pipelines.serving.version import Version

_EXAMPLE = "serving_input_example.json"


def ready_version(name: str, number: str) -> Version:
    """A version that has answered once, so that the first request need not wait.

    Raises:
        InputError: It cannot be loaded, or does not answer its example with numbers.
    """
    version = Version(load_version(name, number))
    try:
        rows = _rows(version)
        (found,) = answer([Question(version, rows, list(range(len(rows))), {}, len(rows))])
    except Exception as error:
        raise _silent(version, type(error).__name__) from error
    if isinstance(found, Refusal):
        raise _silent(version, found.detail)
    if not _all_finite(orjson.loads(found.body)["predictions"]):
        raise _silent(version, "its weights may be damaged")
    return version


def _rows(version: Version) -> list[Any]:
    example = _example(version)
    if version.images:
        pixels = np.asarray(example["inputs"], dtype=np.uint8)
        return [resize(image, version.image_size) for image in pixels]
    return pd.DataFrame(**example["dataframe_split"]).to_dict("records")


def _example(version: Version) -> dict[str, Any]:
    """The example that was logged with the model; one with nothing known where there is none."""
    try:
        path = download_artifacts(f"models:/{version.name}/{version.number}/{_EXAMPLE}")
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (MlflowException, OSError, ValueError):
        side = version.image_size if version.images else 0
        empty = [None for _ in version.fields]
        return {
            "inputs": np.zeros((1, side, side, 3)),
            "dataframe_split": {"columns": [f.name for f in version.fields], "data": [empty]},
        }


def _all_finite(predictions: list[dict[str, float | str | None] | None]) -> bool:
    """Whether every prediction is a number, or a decision: JSON spells the others null."""
    return all(
        isinstance(value, str) or (value is not None and math.isfinite(value))
        for row in predictions
        for value in (row or {"": None}).values()
    )


def _silent(version: Version, what: str) -> InputError:
    return InputError(
        f"{version.name} version {version.number} does not answer its own example: {what}; "
        f"`careledger models rollback {version.name}` goes back to the champion before it"
    )
