"""First stage of the imaging flow: images read, checked, split, and kept as arrays."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domains.errors import InputError
from domains.healthcare.images.draft import SET_ASIDE
from domains.healthcare.images.manifest import Columns
from domains.healthcare.images.overlap import external, without_target
from domains.healthcare.images.pixels import AS_STATED, Reading, Slices
from domains.healthcare.images.set import COPIES, ImageSet
from domains.healthcare.images.split import EXCLUDED, Rule
from domains.healthcare.imaging import Request, prepare
from domains.sources import fetch, fetch_medmnist
from domains.splits import split_key
from models.imaging.conformal import BETWEEN
from models.imaging.weights import check_there
from pipelines.governance import seen
from pipelines.governance.lineage import note_bases
from pipelines.progress import say
from pipelines.settings import ImagingConfig, ImagingData, home_key
from pipelines.stages import stage
from pipelines.steps.imaging.effort import EFFORTS, Effort, has_source, pretrained, strategies
from pipelines.tracking import Job, log_data, reports_folder

_TOLD = 20


@dataclass(frozen=True)
class Prepared:
    """The target task's images, and those of the source task and of a second test where there are.

    Attributes:
        target: Images to be classified.
        source: Images of the source task: none of them in use is a target image, nor of a target
            patient where both sets name patients.
        size: Side of all.
        silhouettes: Images whose scale and brightness carry meaning (the nodules of lidc).
        external: Images of the same labels from elsewhere, all for testing (part `test`), with the
            target's class numbers; what the target or the source holds too is excluded.
    """

    target: ImageSet
    source: ImageSet | None
    size: int
    silhouettes: bool
    external: ImageSet | None = None


@stage(retries=2)
def fetch_public(job: Job) -> None:
    """Fetch what comes over a network: a built-in or MedMNIST set, ImageNet weights."""
    config: ImagingConfig = job.config
    for data in (config.data, config.source, config.test):
        if data is not None and data.kind == "builtin":
            fetch(data.name or "lidc", progress=say)
        elif data is not None and data.kind == "medmnist" and data.path is None:
            fetch_medmnist(data.name or "", progress=say)
    if pretrained(config) == "imagenet":
        fetch(config.backbone, progress=say)


@stage()
def prepare_images(job: Job) -> Prepared:
    """Read, check and split the images of both tasks, and read those of a second test.

    Raises:
        InputError: The images or the names of their classes cannot be used, transfer is asked of a
            backbone without weights, or there is no such file of weights.
    """
    config: ImagingConfig = job.config
    strategies(config)
    if config.weights is not None:
        check_there(config.weights)
    effort = EFFORTS[config.scale]
    own = 48 if config.data.kind == "builtin" else 64
    size = config.image_size or min(own, effort.image_size or own)
    for name in ("target", "source", "external"):  # what a process that was cut short has left
        shutil.rmtree(job.folder / name, ignore_errors=True)
    asked = request(config.data, effort.images, tuple(config.slices))
    target = _load(asked, job.folder / "target", size, config.seed)
    _check_names(target, config)
    log_data(job, target.dataset)
    note_bases(job)
    second = _external(job, target, size)
    source = _source(job, size, effort)
    if source is not None:
        source = without_target(source, target)
        source = without_target(source, second) if second is not None else source
        log_data(job, source.dataset, role="source")
    _remember(job, target, source, second)
    _tell(job, target, source, second)
    return Prepared(target, source, size, config.data.kind == "builtin", second)


def _check_names(target: ImageSet, config: ImagingConfig) -> None:
    """Raise InputError for a class whose name would fall apart in a written prediction set."""
    barred = [name for name in target.classes if BETWEEN in name]
    if barred and config.sets is not None and not target.multilabel:
        raise InputError(
            f"{target.dataset.path}: class {barred[0]!r}, and prediction sets are written with "
            f"{BETWEEN} between classes; rename it, or leave prediction sets out (sets: null)"
        )


def _external(job: Job, target: ImageSet, size: int) -> ImageSet | None:
    """The second test set, read as the target is: so does the model read what is new to it."""
    config: ImagingConfig = job.config
    if config.test is None:
        return None
    folder, images = job.folder / "external", EFFORTS[config.scale].images
    asked = request(config.test, images)
    if asked.reading not in (AS_STATED, target.reading):
        raise InputError(
            "test: its images are read as the model reads, by the window, volume and channels of "
            "data; leave these keys out of test"
        )
    asked = replace(asked, reading=target.reading, whole=True)
    found = external(_load(asked, folder, size, config.seed), target)
    log_data(job, found.dataset, role="external")
    return found


def _tell(job: Job, target: ImageSet, source: ImageSet | None, second: ImageSet | None) -> None:
    counts = ", ".join(f"{n['records']} {part}" for part, n in target.split_counts().items())
    kind = "labels" if target.multilabel else "classes"
    say(f"{target.dataset.rows} images of {len(target.classes)} {kind}: {counts}")
    for name, images in (("data", target), ("source", source), ("test", second)):
        if images is not None:
            told = images.set_aside()[:_TOLD] if images.dataset.public else ()
            for file, reason in told:  # names of private files may say who they show
                say(f"set aside: {file} ({reason})")
            for note in images.dataset.notes:
                say(note if images is target else f"{name}: {note}")
            _keep_lists(job, name, images)


def _keep_lists(job: Job, name: str, images: ImageSet) -> None:
    """Leave the lists of unusable files and of copies beside the report, on this machine alone."""
    for file in (SET_ASIDE, COPIES):
        found = images.folder / file
        if found.exists():
            folder = reports_folder(job.run_id)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, folder / f"{name}_{file}")
            say(f"listed in {folder / f'{name}_{file}'}")


def _remember(job: Job, target: ImageSet, source: ImageSet | None, second: ImageSet | None) -> None:
    for images in (target, source, second):
        if images is None:
            continue
        records = images.records()
        parts = records["part"].to_numpy(dtype=object)
        if images is not target:  # no part but what is set aside tells these apart
            parts = np.where(parts == EXCLUDED, parts, "source" if images is source else "external")
        known = records["id"], records["patient"], *images.units()
        seen.remember(job, images.dataset.name, parts, *known)


def _source(job: Job, size: int, effort: Effort) -> ImageSet | None:
    config: ImagingConfig = job.config
    folder, limit = job.folder / "source", effort.source_images
    if config.source is not None:
        return _load(request(config.source, limit), folder, size, config.seed)
    if has_source(config):
        shapes = config.data.model_copy(update={"label": "shape"})
        return _load(request(shapes, limit), folder, size, config.seed)
    return None


def request(data: ImagingData, limit: int | None = None, more: tuple[str, ...] = ()) -> Request:
    """What a configuration asks the readers for.

    Args:
        data: Where images are.
        limit: At most about so many of them; None for all.
        more: Further columns of a manifest to keep.
    """
    path = data.path
    if data.kind == "medmnist" and path is None:
        path = fetch_medmnist(data.name or "", progress=say)
    first = None if data.test_from is None else data.test_from.isoformat()
    return Request(
        kind=data.kind,
        name=data.name,
        path=path,
        task=data.outcome,
        columns=_columns(data, more),
        reading=reading(data),
        rule=Rule(data.split_by, tuple(data.test_sites), first, data.duplicates),
        public=data.is_public,
        max_unreadable=data.max_unreadable,
        digest_key=None if data.is_public else home_key(),
        limit=limit,
    )


def reading(data: ImagingData) -> Reading:
    """How the files of a configuration become images."""
    keys = data.volume
    if keys is None:
        return Reading(data.window, None, data.channels)
    slices = Slices(keys.axis, keys.every, keys.between, keys.stack)
    return Reading(data.window, slices, data.channels)


def _columns(data: ImagingData, more: tuple[str, ...]) -> Columns:
    return Columns(
        image=data.image,
        labels=(data.label,) if isinstance(data.label, str) else tuple(data.label),
        patient=data.patient,
        site=data.site,
        time=data.time,
        split=data.split,
        slice=data.slice,
        more=more if data.kind == "manifest" else (),
        classes=tuple(data.classes),
    )


def _load(asked: Request, folder: Path, size: int, seed: int) -> ImageSet:
    return prepare(asked, folder, size, split_key(seed, asked.digest_key))
