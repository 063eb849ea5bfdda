"""Sets of made-up images, prepared as a run prepares them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from domains.healthcare.images.manifest import Columns
from domains.healthcare.images.set import ImageSet
from domains.healthcare.imaging import Request, prepare
from domains.splits import split_key

_KEY = split_key(0, None)


def image_set(tmp_path: Path, name: str = "set", **request: Any) -> ImageSet:
    """A set of 32 × 32 pixels in a folder of that name."""
    return prepare(Request(**request), tmp_path / name, 32, _KEY)


def manifest_set(
    tmp_path: Path, frame: pd.DataFrame, name: str = "set", **request: Any
) -> ImageSet:
    """A set of a manifest; names of columns as in the configuration, `rule` and the like apart."""
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    known = {field.name for field in fields(Columns)}
    columns = Columns(
        **{"patient": "patient_id"} | {k: v for k, v in request.items() if k in known}
    )
    rest = {key: value for key, value in request.items() if key not in known}
    path = tmp_path / "manifest.csv"
    return image_set(tmp_path, name, kind="manifest", path=path, columns=columns, **rest)
