"""Test images and what every arm says of them: read once, when all choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from domains.healthcare.images.set import ImageSet
from models.imaging.scorer import ImagingScorer
from pipelines.steps.imaging.measuring import Point, Sure, operating_point
from pipelines.steps.imaging.packing import calibrated, temperature
from pipelines.steps.imaging.training import Trained


@dataclass(frozen=True)
class Answered:
    """What the packed model says of some images, as it will be served.

    Attributes:
        y: Class numbers (n,), or labels (n, l).
        groups: Patients, (n,).
        p: Calibrated probabilities, (n,) of the last of two classes, else (n, k).
        members: Which classes each prediction set holds, bool (n, k); None without sets.
        distance: From the training images, above 1 is unlike them, (n,); None where not fitted.
    """

    y: np.ndarray
    groups: np.ndarray
    p: np.ndarray
    members: np.ndarray | None
    distance: np.ndarray | None

    def covered(self) -> np.ndarray:
        """Whether each prediction set holds the true class, bool (n,)."""
        assert self.members is not None  # noqa: S101 - asked only where there are sets
        return np.asarray(self.members[np.arange(len(self.y)), self.y])


@dataclass(frozen=True)
class Tested:
    """Test records, and what every arm and control says of them.

    Attributes:
        rows: Their rows in the target set, (n,).
        answered: By the packed model.
        p: Calibrated probabilities by arm, shaped as `Answered.p`; the chosen arm's as served.
        uncalibrated: The chosen arm's before calibration.
        alone: The chosen arm's calibrated ones without test-time augmentation.
        best: Name of the chosen arm.
        point: Threshold for a chosen specificity, from calibration records; None unless binary.
    """

    rows: np.ndarray
    answered: Answered
    p: dict[str, np.ndarray]
    uncalibrated: np.ndarray
    alone: np.ndarray
    best: str
    point: Point | None

    @property
    def y(self) -> np.ndarray:
        """Class numbers (n,), or labels (n, l)."""
        return self.answered.y

    @property
    def groups(self) -> np.ndarray:
        """Patients, (n,)."""
        return self.answered.groups

    def sure(self, repeats: int, seed: int) -> Sure:
        """How intervals on these records are made."""
        return Sure(self.groups, repeats, seed)


def answer(scorer: ImagingScorer, images: ImageSet, rows: np.ndarray) -> Answered:
    """What the packed model says of some images of a set."""
    said = scorer.judge(np.asarray(images.images()[rows]))
    p, members = said.predictions.to_numpy(), None
    if said.sets is not None:
        members = np.array([[name in names for name in scorer.classes] for names in said.sets])
    y, groups = images.labels()[rows], images.records()["group"].to_numpy()[rows]
    return Answered(y, groups, _as_metrics_take(p, y), members, said.distance)


def _as_metrics_take(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    return p[:, 1] if y.ndim == 1 and p.shape[1] == 2 else p


def read_test(
    target: ImageSet, trained: Sequence[Trained], best: Trained, scorer: ImagingScorer, aim: float
) -> Tested:
    """Test images as every arm sees them, each calibrated on the calibration images."""
    rows, held, labels = target.rows("test"), target.rows("calibration"), target.labels()
    p = {}
    for each in trained:
        logits = np.load(each.logits)
        p[each.name] = calibrated(logits[rows], temperature(logits[held], labels[held]))
    answered, alone = answer(scorer, target, rows), p[best.name]
    p[best.name] = answered.p
    plain = (1.0,) * labels.shape[1] if labels.ndim == 2 else 1.0
    raw = answered.p
    if scorer.temperature != plain:  # that alone: views and precision stay as served
        raw = answer(replace(scorer, temperature=plain), target, rows).p
    point = _point(target, scorer, held, aim) if answered.p.ndim == 1 else None
    return Tested(rows, answered, p, raw, alone, best.name, point)


def _point(target: ImageSet, scorer: ImagingScorer, held: np.ndarray, aim: float) -> Point | None:
    if not len(held):
        return None
    found = answer(scorer, target, held)
    return operating_point(found.y, found.p, aim)
