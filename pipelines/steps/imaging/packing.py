"""The chosen arm as it is served: calibrated, with prediction sets and a sense of the strange.

All of it is fitted to what the packed net itself answers to calibration images, with the views and
the precision that it will be served with. Nothing else in the flow reads those images' labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from models.calibration import (
    fit_label_temperatures,
    fit_temperature,
    label_probabilities,
    probabilities,
)
from models.imaging.conformal import Sets, fit_sets
from models.imaging.forward import machine
from models.imaging.outliers import Familiar, fit_familiar
from models.imaging.precision import Precision
from models.imaging.scorer import ImagingScorer, load_net
from models.imaging.task import kind_of
from models.imaging.views import Views
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.training import Trained
from pipelines.tracking import Job

PACKAGE = "package"
"""Folder of the packed model, below the job's."""
FEWEST = 50
"""Calibration images below which no temperature is fitted."""

_CHANGE = 0.005
_COMPARED = 128
_KNOWN = 2000


def pack(job: Job, prepared: Prepared, best: Trained) -> Path:
    """Write the chosen arm, with all that calibration images tell, as the package to register."""
    assert best.net is not None  # noqa: S101 - an arm has a net
    config: ImagingConfig = job.config
    target = prepared.target
    shape = prepared.size, len(target.classes), target.images().shape[3]
    net = load_net(best.net, config.backbone, *shape)
    scorer = ImagingScorer(
        net,
        target.classes,
        prepared.size,
        views=_views(config, prepared),
        reading=target.reading,
    )
    rows = target.rows("calibration")
    if len(rows):
        images, y = target.images()[rows], target.labels()[rows]
        scorer = replace(scorer, precision=_precision(config, scorer, images, y))
        scorer = _calibrated(config, prepared, scorer, rows)
    return scorer.save(job.folder / PACKAGE)


def _calibrated(
    config: ImagingConfig, prepared: Prepared, scorer: ImagingScorer, rows: np.ndarray
) -> ImagingScorer:
    target = prepared.target
    logits, layers = scorer.read(np.asarray(target.images()[rows]))
    y, patients = target.labels()[rows], target.records()["group"].to_numpy()[rows]
    return replace(
        scorer,
        temperature=temperature(logits, y),
        sets=_sets(config, logits, y, patients),
        familiar=_familiar(config, prepared, scorer, layers, patients),
    )


def temperature(logits: np.ndarray, y: np.ndarray) -> float | tuple[float, ...]:
    """Temperature of calibration records, one a label for several; 1 where they are too few."""
    if kind_of(y) == "labels":
        few = len(y) < FEWEST
        return (1.0,) * y.shape[1] if few else fit_label_temperatures(logits, y.astype(float))
    return fit_temperature(logits, y) if len(y) >= FEWEST else 1.0


def calibrated(logits: np.ndarray, heat: float | tuple[float, ...]) -> np.ndarray:
    """Probabilities as metrics take them: (n,) of the last of two classes, else (n, k)."""
    if isinstance(heat, tuple):
        return label_probabilities(logits, heat)
    p = probabilities(logits, heat)
    return p[:, 1] if p.shape[1] == 2 else p


def _sets(
    config: ImagingConfig, logits: np.ndarray, y: np.ndarray, patients: np.ndarray
) -> Sets | None:
    """Prediction sets; of several labels an image, which are no alternatives, there are none."""
    asked = config.sets
    if asked is None or kind_of(y) == "labels":
        return None
    return fit_sets(probabilities(logits), y, patients, asked.coverage, asked.method)


def _familiar(
    config: ImagingConfig,
    prepared: Prepared,
    scorer: ImagingScorer,
    layers: list[np.ndarray],
    patients: np.ndarray,
) -> Familiar:
    rows = prepared.target.rows("train")
    some = np.sort(np.random.default_rng(config.seed).permutation(rows)[:_KNOWN])
    alone = replace(scorer, views="one")
    _, train = alone.read(np.asarray(prepared.target.images()[some]))
    return fit_familiar(train, layers, patients, config.unlike)


def _views(config: ImagingConfig, prepared: Prepared) -> Views:
    if not config.test_time_augmentation:
        return "one"
    return "turned" if prepared.silhouettes else "mirrored"


def _precision(
    config: ImagingConfig, scorer: ImagingScorer, images: np.ndarray, y: np.ndarray
) -> Precision:
    """bf16 where asked for; by itself only where it pays, on the device that is there, and moves no
    probability noticeably."""
    if config.precision != "auto":
        return config.precision
    if not machine(scorer.net.backbone.name, precision="auto").half:
        return "float32"
    some = np.asarray(images[:_COMPARED])
    whole = replace(scorer, precision="float32").read(some)[0]
    halved = replace(scorer, precision="bfloat16").read(some)[0]
    heat = temperature(whole, y[:_COMPARED])
    moved = np.abs(calibrated(whole, heat) - calibrated(halved, heat)).max()
    return "bfloat16" if moved <= _CHANGE else "float32"
