"""Whether an image is like those that the net has learned from.

A net answers to anything, a photograph of a cat included, and its probability says nothing of
that. The features of its base do: those of unlike images lie away from where the training images
lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.conformal import patient_quantile

_DIRECTIONS = 48
_MOST = 2000
_TINY = 1e-12
_FLOOR = 1e-7  # of the largest variance: float32 knows no finer


@dataclass(frozen=True)
class Familiar:
    """Where the training images lie, as a Gaussian of few directions.

    Probabilistic principal components (Tipping and Bishop, 1999): a Mahalanobis distance within
    the directions in which training images differ, and beside them the part of an image that no
    training image has. Features are brought to length 1 first: how strong they are differs among
    like images, and hides the unlike (Mueller and Hein, 2025). It holds means and variances, no
    record's features.

    Attributes:
        mean: (d,) of the features.
        basis: (d, r), orthonormal directions.
        scale: (r,) standard deviation in each.
        rest: Standard deviation in every other direction.
        limit: Squared distance per direction above which an image counts as unlike.
        level: Share of calibration patients' images below the limit.
        patients: How many patients set it.
    """

    mean: np.ndarray
    basis: np.ndarray
    scale: np.ndarray
    rest: float
    limit: float
    level: float
    patients: int

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Distance (n,) from the training images, as a multiple of the limit: above 1 is unlike.

        Args:
            features: (n, d).
        """
        return np.sqrt(self.raw(features) / self.limit)

    def raw(self, features: np.ndarray) -> np.ndarray:
        """Mean squared distance in standard deviations, (n,)."""
        centred = _of_length_one(features) - self.mean
        inside = centred @ self.basis
        left = (centred - inside @ self.basis.T) / self.rest
        total = ((inside / self.scale) ** 2).sum(axis=1) + (left**2).sum(axis=1)
        return np.asarray(total / len(self.mean))

    def arrays(self) -> dict[str, np.ndarray]:
        """What it is made of, by name, as float32; `familiar` reads it back."""
        parts = {"mean": self.mean, "basis": self.basis, "scale": self.scale}
        numbers = np.array([self.rest, self.limit, self.level, self.patients], np.float32)
        # safetensors writes memory as it lies: a transposed view would come back scrambled
        kept = {n: np.ascontiguousarray(v, dtype=np.float32) for n, v in parts.items()}
        return {**kept, "numbers": numbers}


def familiar(arrays: dict[str, np.ndarray]) -> Familiar:
    """The inverse of `Familiar.arrays`."""
    rest, limit, level, patients = arrays["numbers"].tolist()
    parts = (arrays["mean"], arrays["basis"], arrays["scale"])
    return Familiar(*parts, rest, limit, round(level, 6), int(patients))


def fit_familiar(
    train: np.ndarray, calibration: np.ndarray, patients: np.ndarray, level: float
) -> Familiar:
    """Where training images lie, with a limit set by images that did not train.

    The limit is `models.conformal.patient_quantile` of the calibration images: of new
    patients' images that are like the old ones, at most 1 − level pass it by chance. Where there
    are too few patients for that, it is the farthest calibration image.

    Args:
        train: Features (n, d); of very many rows some are enough.
        calibration: Features (m, d), at least one.
        patients: Patient of each calibration image, (m,).
        level: Between 0 and 1.
    """
    some = _of_length_one(train[np.random.default_rng(0).permutation(len(train))[:_MOST]])
    mean = some.mean(axis=0)
    _, spread, directions = np.linalg.svd(some - mean, full_matrices=False)
    variance = spread**2 / max(len(some) - 1, 1)
    # a direction that few images span fits them and nothing else
    r = min(_DIRECTIONS, max(len(some) // 4, 1), len(mean) - 1)
    rest = variance[r:].sum() / (len(mean) - r)
    floor = max(variance[0], _TINY) * _FLOOR
    scale, left = np.sqrt(np.maximum(variance[:r], floor)), float(np.sqrt(max(rest, floor)))
    shape = Familiar(mean, directions[:r].T, scale, left, 1.0, level, len(np.unique(patients)))
    found = familiar(shape.arrays()).raw(calibration)
    limit = patient_quantile(found, patients, level)
    limit = float(found.max()) if np.isinf(limit) else limit
    return familiar({**shape.arrays(), "numbers": _numbers(left, limit, level, patients)})


def _of_length_one(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, dtype=np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)


def _numbers(rest: float, limit: float, level: float, patients: np.ndarray) -> np.ndarray:
    return np.array([rest, limit, level, len(np.unique(patients))], np.float32)
