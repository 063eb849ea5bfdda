"""Imaging jobs on files of a user's own, as a configuration file beside them describes them."""

import json
from pathlib import Path
from typing import Any

from pipelines.settings import ImagingConfig, load_config


def config(folder: Path, **keys: Any) -> ImagingConfig:
    """A configuration file beside the images, read as a user's is."""
    (folder / "job.yaml").write_text(json.dumps({"scale": "tiny", **keys}))  # JSON is YAML
    found = load_config("imaging", folder / "job.yaml")
    assert isinstance(found, ImagingConfig)
    return found


def folder(path: str, **keys: Any) -> dict[str, Any]:
    """A folder of images, one folder a class."""
    return {"kind": "folder", "path": path, "name": "shapes", **keys}
