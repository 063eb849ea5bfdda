"""A job in a home of its own, that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from pipelines.settings import CreditConfig, ImagingConfig
from pipelines.tracking import Job, open_job


@contextmanager
def job_apart(pipeline: str, config: CreditConfig | ImagingConfig) -> Iterator[Job]:
    """A job in a fresh home; home and `CARELEDGER_HOME` are as before after the block."""
    with (
        tempfile.TemporaryDirectory() as home,
        patch.dict(os.environ, CARELEDGER_HOME=home),
        open_job(pipeline, config) as job,
    ):
        yield job
