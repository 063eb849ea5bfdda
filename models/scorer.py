"""A trained model as a folder of JSON and safetensors that turns raw records into predictions.

Every pipeline packs its model the same way: `scorer.json` names the kind and holds the
preprocessing and calibration, the tensors lie in safetensors files beside it. Nothing is pickled,
and the same code answers in batch, over HTTP and in the gate.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from domains.errors import InputError
from models.intake import Field

DESCRIPTION = "scorer.json"

_MODULES = {
    "imaging": "models.imaging.scorer",
    "imaging-base": "models.imaging.base",
    "patients": "models.multitask.scorer",
    "credit": "models.credit",
}


class Scorer(Protocol):
    """Anything that predicts from raw records."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Raw columns it needs; empty for images."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the predicted columns, in order."""

    def predict(self, inputs: Any) -> pd.DataFrame:
        """One row of predictions an input record, in the same order.

        Raises:
            InputError: A needed column is missing, or an image has an impossible shape.
        """


def describe(folder: Path) -> dict[str, Any]:
    """The description of a packed model.

    Raises:
        InputError: The folder holds no packed model, or one of an unknown kind.
    """
    try:
        description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
    except FileNotFoundError:
        raise InputError(f"{folder}: no {DESCRIPTION}, so this is not a packed model") from None
    if description.get("kind") not in _MODULES:
        expected = ", ".join(_MODULES)
        raise InputError(
            f"{folder}/{DESCRIPTION}: kind {description.get('kind')!r}, expected one of {expected}"
        )
    return description


def load(folder: Path) -> Scorer:
    """Load a packed model; see `describe` for what is raised."""
    module = importlib.import_module(_MODULES[describe(folder)["kind"]])
    scorer: Scorer = module.load_scorer(folder)
    return scorer
