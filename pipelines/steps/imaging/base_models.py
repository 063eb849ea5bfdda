"""Registered bases to start from: found by name, and held against the images at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from domains.errors import InputError
from domains.fetching import file_hash
from models.imaging.base import KIND, WEIGHTS
from models.scorer import describe
from pipelines.governance import registry, seen, versions
from pipelines.governance.lineage import note_base
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.prepare import Prepared
from pipelines.tracking import Job


@dataclass(frozen=True)
class Registered:
    """A registered version whose encoder a training starts from.

    Attributes:
        name, version: As registered.
        run_id: The run that trained it.
        weights: safetensors of its net.
    """

    name: str
    version: str
    run_id: str
    weights: Path


def check_base(config: ImagingConfig) -> None:
    """Raise InputError where the base that is asked for cannot be: before an image is read."""
    if config.base is not None:
        registered(config.base, config.backbone)


def registered(reference: str, backbone: str) -> Registered:
    """The version behind `models:/NAME@alias` or `models:/NAME/VERSION`.

    Raises:
        InputError: No such version, no image model, or another backbone.
    """
    name, version = versions.resolve(reference.removeprefix("models:/"))
    folder = registry.package_folder(name, version)
    said = describe(folder)
    if said["kind"] not in (KIND, "imaging"):
        raise InputError(f"base: {reference} is a model of {said['kind']}, expected one of images")
    if said["backbone"] != backbone:
        raise InputError(
            f"base: {reference} is a {said['backbone']}, found backbone: {backbone}; "
            f"set backbone: {said['backbone']}"
        )
    run_id = str(registry.get_version(name, version).run_id)
    return Registered(name, version, run_id, folder / WEIGHTS)


def take(job: Job, prepared: Prepared, base: Registered) -> str:
    """Write down what a job starts from, and that it has seen what the base has.

    Returns:
        The base in words, for the report.

    Raises:
        InputError: The base was trained or chosen on patients or images that this job validates,
            calibrates or tests on: its results would tell what it remembers.
    """
    target = prepared.target
    held = target.records()["part"].isin(["validation", "calibration", "test"]).to_numpy()
    mine = sorted({str(unit) for ids in target.units() for unit in ids[held]})
    known = seen.shared(base.run_id, mine)
    if known:
        raise InputError(
            f"base: {base.name}/{base.version} was trained or chosen on {known} of the patients or "
            "images that are held out here for validation, calibration and test; train a base "
            "without them (source: leaves them out)"
        )
    name = f"{base.name}/{base.version}"
    note_base(job, name, f"sha256:{file_hash(base.weights)}")
    if known is None:
        return f"the registered base {name} (what it was trained on is not recorded in this home)"
    seen.inherit(job, base.run_id)
    return f"the registered base {name}"
