"""A base trained on the user's own source task, as a model version that later runs start from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domains.healthcare.images.split import EXCLUDED
from models.imaging.backbones import build
from models.imaging.base import ImagingBase
from models.imaging.weights import load_weights
from pipelines.evidence import Evidence, to_json
from pipelines.finish import log_package
from pipelines.governance import registry, seen
from pipelines.life.arms import once
from pipelines.progress import say
from pipelines.provenance import ROLE_TAG, git_revision, registrable
from pipelines.stages import stage
from pipelines.steps.imaging.bases import Base, channels
from pipelines.steps.imaging.prepare import Prepared
from pipelines.tracking import PARENT_TAG, Job, client, experiment, log_data

ALIAS = "base"
"""Alias of the newest version of a base."""


@dataclass(frozen=True)
class Version:
    """What was registered; `reference` is what `base:` of a later job takes."""

    reference: str


@stage(kind="orchestration")
def register_base(job: Job, prepared: Prepared, bases: list[Base]) -> Version | None:
    """Register the base of the source task as `imaging-base-NAME`; None where there is none.

    It has a run of its own below the job's, with its data and whom it has seen, and the alias
    `base`. No gate judges it: it answers nobody, and what starts from it is judged by itself.
    """
    found = [base for base in bases if base.name == "source"]
    if not found or prepared.source is None:
        return None
    return once(job, Version, "registered-base", lambda: _register(job, prepared, found[0]))


def _register(job: Job, prepared: Prepared, base: Base) -> Version:
    source = prepared.source
    assert source is not None  # noqa: S101 - the caller has asked
    name = f"imaging-base-{registrable(source.dataset.name)}"
    _remove_remains(job, name)
    about = {PARENT_TAG: job.run_id, ROLE_TAG: "base", "careledger.note": base.note}
    run = client().create_run(experiment(client(), job.pipeline), tags=about, run_name=name)
    mine = replace(job, run_id=run.info.run_id, name=name)
    log_data(mine, source.dataset)
    _remember(mine, prepared)
    backbone = build(job.config.backbone, prepared.size, channels=channels(source))
    package = ImagingBase(load_weights(backbone, base.file), prepared.size)
    folder = package.save(job.folder / "base" / "package")  # its last part is kept as its name
    example = np.zeros((2, prepared.size, prepared.size, 3), dtype=np.uint8)
    uri = log_package(mine.run_id, name, folder, example)
    _log_evidence(mine, prepared, base, folder.with_name(registry.EVIDENCE))
    tags = {
        "careledger.data.name": source.dataset.name,
        "careledger.data.digest": source.dataset.digest,
        "careledger.git_revision": git_revision(),
    }
    version = registry.create_version(name, uri, mine.run_id, tags)
    client().set_registered_model_tag(name, ROLE_TAG, "base")
    client().set_registered_model_alias(name, ALIAS, version)
    client().update_model_version(name, version, description=f"{job.config.backbone}, {base.note}.")
    client().set_terminated(mine.run_id)
    say(f"base registered: models:/{name}@{ALIAS} is version {version}")
    return Version(f"models:/{name}/{version}")


def _log_evidence(job: Job, prepared: Prepared, base: Base, file: Path) -> None:
    """What the base is, where `careledger models show` looks for it; it has no test of its own."""
    source = prepared.source
    assert source is not None  # noqa: S101 - the caller has asked
    unit = "AUROC" if source.classes else "mean R²"
    scores = ", ".join(f"from {start} {score:.3f}" for start, score in base.trials.items())
    found = Evidence(
        pipeline=job.pipeline,
        headline=f"A base to start from: {job.config.backbone}, {base.note}.",
        data=source.dataset.to_json(),
        split=source.split_counts(),
        metrics={},
        arms=[],
        findings=[f"{unit} on the source task's validation images: {scores}."],
        limits=["No gate judges a base: what starts from it is judged by itself."],
    )
    file.write_text(json.dumps(to_json(found), indent=1), encoding="utf-8")
    client().log_artifact(job.run_id, str(file))


def _remember(job: Job, prepared: Prepared) -> None:
    """Whom the base has seen: every source record that was not set aside."""
    source = prepared.source
    assert source is not None  # noqa: S101 - the caller has asked
    records = source.records()
    parts = records["part"].to_numpy(dtype=object)
    parts = np.where(parts == EXCLUDED, parts, "train")
    seen.remember(job, source.dataset.name, parts, records["id"], *source.units())


def _remove_remains(job: Job, name: str) -> None:
    """Delete what a process that was killed in the middle has left: its run and its version."""
    tracker = client()
    mine = f"tags.`{PARENT_TAG}` = '{job.run_id}'"
    for run in tracker.search_runs([experiment(tracker, job.pipeline)], mine):
        if run.info.run_name == name:
            if version := registry.version_of(name, run.info.run_id):
                tracker.delete_model_version(name, version)
            tracker.delete_run(run.info.run_id)
