"""Imaging: what a few labelled images are worth on top of a base that has seen others.

Bases come from ImageNet, a file, or a source task on other patients. Transfer freezes them and
fits a new head; fine-tuning trains on from the best of them. Random weights, and size alone where
it is known, say how much of the result was learned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from prefect import flow

from pipelines.environment import time_limit
from pipelines.finish import publish
from pipelines.governance.approval import settled
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.base_models import check_base
from pipelines.steps.imaging.base_version import register_base
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.curve import train_curve
from pipelines.steps.imaging.evidence import evaluate, held_out
from pipelines.steps.imaging.exporting import check_forms
from pipelines.steps.imaging.packing import PACKAGE
from pipelines.steps.imaging.prepare import fetch_public, prepare_images
from pipelines.steps.imaging.training import train_controls, train_finetune, train_transfer
from pipelines.tracking import open_job


@flow(name="imaging", timeout_seconds=time_limit())
def imaging(config: ImagingConfig) -> dict[str, Any]:
    """Train the configured strategies, register the best on validation, and gate it.

    Images are split once, by a keyed hash of patient and picture, into training, validation
    (penalty, early stopping, choice between arms), calibration (temperature) and test, which is
    read once, by the evaluation.

    Returns:
        The JSON of a training run.
    """
    check_forms(config)
    with open_job("imaging", config, stages=10) as job:
        check_base(config)
        fetch_public(job)
        prepared = prepare_images(job)
        bases = find_bases(job, prepared)
        register_base(job, prepared, bases)
        probes = train_transfer(job, prepared, bases)
        tuned = train_finetune(job, prepared, bases, probes)
        controls = train_controls(job, prepared)
        trained = [*probes, *tuned, *controls]
        curve = train_curve(job, prepared, bases, trained)
        evidence = evaluate(job, prepared, bases, trained, curve)
        package = job.folder / PACKAGE
        held = held_out(prepared, config)
        return settled(job, publish(job, evidence, package, example(), held))


def example() -> np.ndarray:
    """Two made-up images, uint8 (2, 64, 64, 3): the input example that MLflow keeps."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    square = np.repeat(np.tile(ramp, (64, 1))[:, :, None], 3, axis=2)
    return np.stack([square, square.transpose(1, 0, 2)])
