"""Where a run comes from: code, configuration, data; told without a path and without a record."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mlflow.data.dataset_source import DatasetSource

from pipelines.settings import Job as JobConfig

ROLE_TAG = "careledger.role"
"""Tag of a run that is no job, and of a registered model that serves nobody: `base`."""


def git_revision() -> str:
    """Commit of this checkout, `-dirty` when it has been changed, `unknown` outside one."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def config_yaml(config: JobConfig) -> str:
    """The configuration as YAML, every default spelled out, paths by their last part."""
    return yaml.safe_dump(portable(config.model_dump()), sort_keys=False, allow_unicode=True)


def portable(value: Any) -> Any:
    """JSON values; a path is left to its last part, for the folders above may tell too much."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, dict):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return str(value) if isinstance(value, datetime.date) else value


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as `key.path` and text, the way MLflow keeps parameters."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else str(value)


def data_name(config: Any) -> str:
    """Name of a job's data: as configured, else its file's; fit for a registered name."""
    data = config.data
    return registrable(str(data.name or Path(data.path).name.strip(".").partition(".")[0]))


def registrable(name: str) -> str:
    """A name without what separates a registered name from its version, alias or scheme.

    >>> registrable("thorax: a/b@c")
    'thorax- a-b-c'
    """
    return re.sub("[/:@]", "-", name)


class Origin(DatasetSource):
    """Where a data set comes from, for MLflow: named, never a path into somebody's folder."""

    def __init__(self, name: str, licence: str, provenance: str) -> None:
        self.name, self.licence, self.provenance = name, licence, provenance

    @staticmethod
    def _get_source_type() -> str:
        return "careledger"

    def load(self, **_: Any) -> None:
        """Never: records do not come from MLflow."""
        raise NotImplementedError("records are read through domains/, never through MLflow")

    @staticmethod
    def _can_resolve(_: Any) -> bool:
        return False

    @classmethod
    def _resolve(cls, _: Any) -> Origin:
        raise NotImplementedError("an origin is named by the run that used it")

    def to_dict(self) -> dict[str, str]:
        """What MLflow keeps."""
        return {"name": self.name, "licence": self.licence, "provenance": self.provenance}

    @classmethod
    def from_dict(cls, source_dict: dict[str, str]) -> Origin:
        """The inverse of `to_dict`."""
        return cls(**source_dict)
