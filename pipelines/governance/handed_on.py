"""What a home knows of whom a run saw, asked and handed on to a version of the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domains import durable
from pipelines.acting import now
from pipelines.governance.seen import keyed
from pipelines.settings import home
from pipelines.tracking import Job


def kept(run_id: str) -> bool:
    """Whether this home has written down whom a run saw."""
    return _path(run_id).exists()


def trained(run_id: str, *ids: Any) -> np.ndarray | None:
    """Which records a run was trained with, (n,) bool; None where this home does not know.

    Args:
        run_id: The run.
        ids: Ids of each record's units, each (n,), as in `seen.remember`.
    """
    if not kept(run_id):
        return None
    table = pq.read_table(_path(run_id))
    known = table.filter(pc.equal(table["part"], "train"))["key"]
    found = [pc.is_in(pa.array(keyed(each).tolist(), known.type), known) for each in ids]
    return np.any([each.to_numpy(zero_copy_only=False) for each in found], axis=0)


def hand_on(job: Job, run_id: str) -> None:
    """Write down for a job all that an earlier run saw, whose weights its version has."""
    if not kept(run_id):
        return
    table = pq.read_table(_path(run_id))
    meta = {**(table.schema.metadata or {}), b"model": job.name.encode(), b"when": now().encode()}
    with durable.replacing(_path(job.run_id)) as part:
        pq.write_table(table.replace_schema_metadata(meta), part)
        os.chmod(part, 0o600)


def _path(run_id: str) -> Path:
    return home() / "seen" / f"{run_id}.parquet"
