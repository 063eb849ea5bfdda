"""First stage of the imaging flow: images read, checked, split, and kept as arrays."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.healthcare.image_split import EXCLUDED
from domains.healthcare.imaging import ImageSet, Request, prepare, without_target
from domains.sources import fetch, fetch_medmnist
from domains.splits import split_key
from pipelines.governance import seen
from pipelines.governance.lineage import note_bases
from pipelines.progress import say
from pipelines.settings import ImagingConfig, ImagingData, home_key
from pipelines.stages import stage
from pipelines.steps.imaging.effort import EFFORTS, Effort, has_source, pretrained, strategies
from pipelines.tracking import Job, log_data


@dataclass(frozen=True)
class Prepared:
    """The target task's images, and those of the source task where there is one.

    Attributes:
        target: Images to be classified.
        source: Images of the source task: none of them in use is a target image, nor of a target
            patient where both sets name patients.
        size: Side of both.
        silhouettes: Images whose scale and brightness carry meaning (the nodules of lidc).
    """

    target: ImageSet
    source: ImageSet | None
    size: int
    silhouettes: bool


@stage(retries=2)
def fetch_public(job: Job) -> None:
    """Fetch what comes over a network: a built-in or MedMNIST set, ImageNet weights."""
    config: ImagingConfig = job.config
    for data in (config.data, config.source):
        if data is not None and data.kind == "builtin":
            fetch(data.name or "lidc", progress=say)
        elif data is not None and data.kind == "medmnist" and data.path is None:
            fetch_medmnist(data.name or "", progress=say)
    if pretrained(config) == "imagenet":
        fetch(config.backbone, progress=say)


@stage()
def prepare_images(job: Job) -> Prepared:
    """Read, check and split the images of both tasks.

    Raises:
        InputError: The images cannot be used, or transfer is asked of a backbone without weights.
    """
    config: ImagingConfig = job.config
    strategies(config)
    effort = EFFORTS[config.scale]
    own = 48 if config.data.kind == "builtin" else 64
    size = config.image_size or min(own, effort.image_size or own)
    for name in ("target", "source"):  # what a process that was cut short has left
        shutil.rmtree(job.folder / name, ignore_errors=True)
    target = _load(config.data, job.folder / "target", size, config.seed, effort.images)
    log_data(job, target.dataset)
    note_bases(job)
    source = _source(job, size, effort)
    if source is not None:
        source = without_target(source, target)
        log_data(job, source.dataset, role="source")
    _remember(job, target, source)
    counts = ", ".join(f"{n['records']} {part}" for part, n in target.split_counts().items())
    say(f"{target.dataset.rows} images of {len(target.classes)} classes: {counts}")
    for file, reason in [*target.set_aside(), *(source.set_aside() if source else ())]:
        say(f"set aside: {file} ({reason})")
    for note in (*target.dataset.notes, *(source.dataset.notes if source else ())):
        say(note)
    return Prepared(target, source, size, config.data.kind == "builtin")


def _remember(job: Job, target: ImageSet, source: ImageSet | None) -> None:
    for images in [target, *([source] if source else [])]:
        records = images.records()
        parts = records["part"].to_numpy(dtype=object)
        if images is source:  # nothing is held out of a source task but what is set aside
            parts = np.where(parts == EXCLUDED, parts, "source")
        seen.remember(job, images.dataset.name, parts, records["id"], records["patient"])


def _source(job: Job, size: int, effort: Effort) -> ImageSet | None:
    config: ImagingConfig = job.config
    folder, limit = job.folder / "source", effort.source_images
    if config.source is not None:
        return _load(config.source, folder, size, config.seed, limit)
    if has_source(config):
        shapes = config.data.model_copy(update={"label": "shape"})
        return _load(shapes, folder, size, config.seed, limit)
    return None


def _load(data: ImagingData, folder: Path, size: int, seed: int, limit: int | None) -> ImageSet:
    public, path = data.is_public, data.path
    if data.kind == "medmnist" and path is None:
        path = fetch_medmnist(data.name or "", progress=say)
    secret = None if public else home_key()
    request = Request(
        kind=data.kind,
        name=data.name,
        path=path,
        label=data.label,
        image=data.image,
        patient=data.patient,
        split=data.split,
        public=public,
        max_unreadable=data.max_unreadable,
        digest_key=secret,
        limit=limit,
    )
    return prepare(request, folder, size, split_key(seed, secret))
