"""Whether an image is like those that the net has learned from.

A net answers to anything, a photograph of a cat included, and its probability says nothing of
that. The features of its base do: those of unlike images lie away from where the training images
lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.conformal import patient_quantile

_DIRECTIONS = 48
_MOST = 2000
_TINY = 1e-12
_FLOOR = 1e-7  # of the largest variance: float32 knows no finer


@dataclass(frozen=True)
class Cloud:
    """Where the training images lie at one depth, as a Gaussian of few directions.

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
    """

    mean: np.ndarray
    basis: np.ndarray
    scale: np.ndarray
    rest: float

    def raw(self, features: np.ndarray) -> np.ndarray:
        """Mean squared distance in standard deviations, (n,); 1 for the mean training image."""
        centred = _of_length_one(features) - self.mean
        inside = centred @ self.basis
        left = (centred - inside @ self.basis.T) / self.rest
        total = ((inside / self.scale) ** 2).sum(axis=1) + (left**2).sum(axis=1)
        return np.asarray(total / len(self.mean))


@dataclass(frozen=True)
class Familiar:
    """Where the training images lie at several depths of the net.

    Mahalanobis distances of several depths together (Lee et al., 2018, arXiv:1807.03888), their
    plain mean: what is strange about an image shows at one depth or another, and a weighing that
    is learned would have to know strange images beforehand.

    Attributes:
        clouds: One a depth, the deepest last.
        limit: Squared distance per direction above which an image counts as unlike.
        level: Share of calibration patients' images below the limit.
        patients: How many patients set it.
    """

    clouds: tuple[Cloud, ...]
    limit: float
    level: float
    patients: int

    def distance(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        """Distance (n,) from the training images, as a multiple of the limit: above 1 is unlike.

        Args:
            layers: Features (n, d) of each depth, the deepest last; of more depths than it knows
                only the deepest count.
        """
        return np.sqrt(self.raw(layers) / self.limit)

    def raw(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        """Mean squared distance in standard deviations, over directions and depths, (n,)."""
        known = layers[-len(self.clouds) :]
        each = [cloud.raw(values) for cloud, values in zip(self.clouds, known, strict=True)]
        return np.asarray(np.mean(each, axis=0))

    def arrays(self) -> dict[str, np.ndarray]:
        """What it is made of, by name, as float32; `familiar` reads it back."""
        parts = {
            f"{name}.{depth}": getattr(cloud, name)
            for depth, cloud in enumerate(self.clouds)
            for name in _PARTS
        }
        parts["rest"] = np.array([cloud.rest for cloud in self.clouds])
        parts["numbers"] = np.array([self.limit, self.level, self.patients])
        # safetensors writes memory as it lies: a transposed view would come back scrambled
        return {n: np.ascontiguousarray(v, dtype=np.float32) for n, v in parts.items()}


_PARTS = ("mean", "basis", "scale")


def familiar(arrays: dict[str, np.ndarray]) -> Familiar:
    """The inverse of `Familiar.arrays`; versions of old knew the last depth alone."""
    if "rest" not in arrays:
        rest, *numbers = arrays["numbers"].tolist()
        clouds = [_read(arrays, "", rest)]
    else:
        numbers = arrays["numbers"].tolist()
        rests = enumerate(arrays["rest"].tolist())
        clouds = [_read(arrays, f".{depth}", rest) for depth, rest in rests]
    limit, level, patients = numbers
    return Familiar(tuple(clouds), limit, round(level, 6), int(patients))


def _read(arrays: dict[str, np.ndarray], ending: str, rest: float) -> Cloud:
    mean, basis, scale = (arrays[name + ending] for name in _PARTS)
    return Cloud(mean, basis, scale, rest)


def fit_familiar(
    train: Sequence[np.ndarray],
    calibration: Sequence[np.ndarray],
    patients: np.ndarray,
    level: float,
) -> Familiar:
    """Where training images lie, with a limit set by images that did not train.

    The limit is `models.conformal.patient_quantile` of the calibration images: of new
    patients' images that are like the old ones, at most 1 − level pass it by chance. Where there
    are too few patients for that, it is the farthest calibration image.

    Args:
        train: Features (n, d) of each depth, the deepest last; of very many rows some are enough.
        calibration: Features (m, d) of each depth, at least one row.
        patients: Patient of each calibration image, (m,).
        level: Between 0 and 1.
    """
    some = np.random.default_rng(0).permutation(len(train[0]))[:_MOST]
    clouds = tuple(_cloud(_of_length_one(values[some])) for values in train)
    shape = Familiar(clouds, 1.0, level, len(np.unique(patients)))
    found = familiar(shape.arrays()).raw(calibration)
    limit = patient_quantile(found, patients, level)
    limit = float(found.max()) if np.isinf(limit) else limit
    return familiar(replace(shape, limit=limit).arrays())


def _cloud(some: np.ndarray) -> Cloud:
    mean = some.mean(axis=0)
    _, spread, directions = np.linalg.svd(some - mean, full_matrices=False)
    variance = spread**2 / max(len(some) - 1, 1)
    # a direction that few images span fits them and nothing else
    r = min(_DIRECTIONS, max(len(some) // 4, 1), len(mean) - 1)
    rest = variance[r:].sum() / (len(mean) - r)
    floor = max(variance[0], _TINY) * _FLOOR
    scale, left = np.sqrt(np.maximum(variance[:r], floor)), float(np.sqrt(max(rest, floor)))
    return Cloud(mean, directions[:r].T, scale, left)


def _of_length_one(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, dtype=np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)
