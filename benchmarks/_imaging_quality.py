"""What a base is worth with few images: AUROC of strategies and controls at n = 20, 50 and all.

A repeat is a seed: its own split by patient, draw of training images and training of the base.
Near-duplicates of target images are removed from the source task before it is learned, and copies
within the target stand on one side of the split. Intervals are Student's, over repeats; differences
are paired by repeat. A repeat is kept as soon as it is measured, and not measured again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._apart import job_apart
from benchmarks._credit_arms import spread
from benchmarks._rows import Row
from pipelines.settings import ImagingConfig, home
from pipelines.steps.imaging.bases import find_bases, random_base
from pipelines.steps.imaging.curve import SIZE, train_points
from pipelines.steps.imaging.curve_points import Series
from pipelines.steps.imaging.curve_read import areas_of
from pipelines.steps.imaging.measuring import Sure
from pipelines.steps.imaging.prepare import fetch_public, prepare_images
from pipelines.steps.imaging.subsets import counts
from pipelines.tracking import Job

BRAIN = "CARELEDGER_BRAIN_MRI"
"""Names a folder with `brain_mri_4class/training/CLASS` and `brain_mri_tumour/{no,yes}`."""
TUMOUR, MALIGNANCY, SPICULATION = "tumour", "lidc malignancy", "lidc spiculation"
LPFT, SOURCE = "lp-ft from the source task", "transfer from the source task"
IMAGENET, RANDOM = "transfer from ImageNet", "random weights, frozen"
ARMS = (LPFT, SOURCE, IMAGENET, RANDOM, SIZE)
PAIRS = ((LPFT, SOURCE), (LPFT, IMAGENET), (SOURCE, IMAGENET), (IMAGENET, RANDOM), (LPFT, SIZE))
FEW = (20, 50)
EPOCHS = {"small": (8, 3), "full": (15, 4)}
"""Of the target task, and epochs without improvement before stopping, by scale."""

Areas = dict[tuple[str, str, int], dict[int, float]]
"""Task, arm and number of images (0: all) → seed → AUROC on test images."""


def rows(scale: str, seeds: int) -> list[Row]:
    """Differences that say where a strategy earns its place; every mean is printed."""
    for task, seed in product(tasks(), range(seeds)):
        _measure(task, seed, scale)
    areas = kept(scale, seeds)
    print(table(areas))
    return list(_rows(areas))


def tasks() -> list[str]:
    """The tasks that can be had; why one cannot is said."""
    if _brain() is not None:
        return [TUMOUR, MALIGNANCY, SPICULATION]
    print(
        f"left out: {TUMOUR} ({BRAIN} names no folder with brain_mri_4class and brain_mri_tumour)"
    )
    return [MALIGNANCY, SPICULATION]


def _brain() -> Path | None:
    folder = Path(os.environ.get(BRAIN, ""))
    parts = ("brain_mri_4class/training", "brain_mri_tumour")
    return folder if BRAIN in os.environ and all((folder / p).is_dir() for p in parts) else None


def config_of(task: str, seed: int, scale: str) -> ImagingConfig:
    """A job on one of the tasks; `scale` says how long its source task is learned."""
    epochs, patience = EPOCHS[scale]
    given: dict[str, Any] = {"scale": scale, "seed": seed, "epochs": epochs, "patience": patience}
    if task == TUMOUR:
        folder = _brain() or Path()
        target = {"path": folder / "brain_mri_tumour", "name": "tumour"}
        source = {"path": folder / "brain_mri_4class" / "training", "name": "brain-4class"}
        given["data"] = {"kind": "folder", "public": True, **target}
        given["source"] = {"kind": "folder", "public": True, **source}
    else:
        given["data"] = {"kind": "builtin", "name": "lidc", "label": task.split()[1]}
    return ImagingConfig.model_validate(given)


def _file(scale: str) -> Path:
    return home() / "benchmarks" / f"imaging-quality-{scale}.jsonl"


def kept(scale: str, seeds: int) -> Areas:
    """What was measured, of the first seeds."""
    path, found = _file(scale), Areas()
    for line in path.read_text().splitlines() if path.exists() else ():
        piece = json.loads(line)
        for arm, count, area in piece["areas"] if piece["seed"] < seeds else ():
            found.setdefault((piece["task"], arm, count), {})[piece["seed"]] = area
    return found


def _measure(task: str, seed: int, scale: str) -> None:
    if any(key[0] == task and seed in found for key, found in kept(scale, seed + 1).items()):
        return
    print(f"quality: {task}, seed {seed}", file=sys.stderr)
    path, config = _file(scale), config_of(task, seed, scale)
    with job_apart("imaging", config) as job:
        areas = list(_areas(job))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"task": task, "seed": seed, "areas": areas}) + "\n")


def _areas(job: Job) -> Iterator[tuple[str, int, float]]:
    fetch_public.fn(job)
    prepared = prepare_images.fn(job)
    found = {base.name: base for base in find_bases.fn(job, prepared)}
    series = [
        Series(LPFT, "lp-ft", found["source"]),
        Series(SOURCE, "transfer", found["source"]),
        Series(IMAGENET, "transfer", found["imagenet"]),
        Series(RANDOM, "transfer", random_base(job, prepared)),
    ]
    if prepared.target.sizes() is not None:
        series.append(Series(SIZE, "", None))
    whole = len(prepared.target.rows("train"))
    curve = train_points(job, prepared, series, counts(whole, FEW), 1, None)
    groups = prepared.target.records()["group"].to_numpy()[prepared.target.rows("test")]
    for point in curve.points:
        area = float(areas_of(point, prepared, Sure(groups, 0, 0))[1])
        yield point.series, 0 if point.count == whole else point.count, area


def _rows(areas: Areas) -> Iterator[Row]:
    for task in dict.fromkeys(key[0] for key in areas):
        for count in (*FEW, 0):
            for ours, peer in PAIRS:
                pair = areas.get((task, ours, count)), areas.get((task, peer, count))
                if pair[0] and pair[1] and len(pair[0].keys() & pair[1].keys()) > 1:
                    what = f"{task}, n = {count or 'all'}: {ours} beside {peer}"
                    yield _paired(what, pair[0], pair[1])


def _paired(what: str, ours: Mapping[int, float], peer: Mapping[int, float]) -> Row:
    seeds = sorted(ours.keys() & peer.keys())
    mine, theirs = [ours[seed] for seed in seeds], [peer[seed] for seed in seeds]
    base = float(np.mean(theirs))
    mean, low, high = spread(np.subtract(mine, theirs).tolist())
    ratio = 1 + mean / base
    spreading = (1 + low / base, 1 + high / base)
    return Row(what, float(np.mean(mine)), base, "AUROC", ratio, 0.0, True, *spreading)


def table(areas: Areas) -> str:
    """Every mean with its interval over repeats, as Markdown."""
    head = " | ".join(f"n = {count or 'all'}" for count in (*FEW, 0))
    lines = [f"| task | what learned | repeats | {head} |", "|---|---|---|---|---|---|"]
    for task in dict.fromkeys(key[0] for key in areas):
        for arm in ARMS:
            each = [list(areas.get((task, arm, count), {}).values()) for count in (*FEW, 0)]
            if any(each):
                told = " | ".join(_told(values) for values in each)
                lines.append(f"| {task} | {arm} | {len(each[0])} | {told} |")
    return "\n".join(lines)


def _told(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else "–"
    mean, low, high = spread(values)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"
