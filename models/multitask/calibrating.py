"""Calibration of every outcome by a kind's own method, on records that nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import log_expit

from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import known
from models.calibration import fit_shrunk, fit_temperature
from models.conformal import fewest_patients, patient_quantile
from models.isotonic import LEAST_A_BIN, Curve, against_rest, fit_curve

LEAST = 30
"""Patients with a label among the calibration records below which nothing is calibrated."""
LEAST_ISOTONIC = 300
"""Labelled calibration records below which isotonic regression is not tried."""
_FOLDS = 5

Method = Literal["temperature", "isotonic", "conformal"]


@dataclass(frozen=True)
class Calibrator:
    """What calibration records ask for, for one outcome.

    Attributes:
        method: `temperature` divides logits, and moves log-odds by a shift; `isotonic` bends
            log-odds along a rising curve, of several classes one each against the rest; `conformal`
            leaves the answer as it is and puts bounds around it.
        temperature, shift: Of `temperature`; several classes have no shift.
        curves: Of `isotonic`.
        coverage: Of `conformal`: share of new patients' records within their bounds, as promised.
        below, above: Of `conformal`: how far the bounds lie from the answer: of an amount in
            standard deviations on the scale it was learned on, of a count in square roots of it.
        labels: Calibration records that it was fitted on.
    """

    method: Method = "temperature"
    temperature: float = 1.0
    shift: float = 0.0
    curves: tuple[Curve, ...] = ()
    coverage: float = 0.0
    below: float = 0.0
    above: float = 0.0
    labels: int = 0

    def logits(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated logits, (n, size), of which the order of classes' or records' may bend."""
        if not self.curves:
            return np.asarray(logits, dtype=float) / self.temperature + self.shift
        if len(self.curves) == 1:
            return self.curves[0](np.asarray(logits, dtype=float)[:, 0])[:, None]
        odds = against_rest(logits)
        bent = [curve(odds[:, k]) for k, curve in enumerate(self.curves)]
        return np.asarray(log_expit(np.column_stack(bent)))

    def columns(self, codec: Codec) -> tuple[str, ...]:
        """Names of the bounds; none where there are no bounds."""
        name = codec.outcome.name
        return (f"{name}.low", f"{name}.high") if self.method == "conformal" else ()

    def bounds(self, codec: Codec, answer: np.ndarray) -> np.ndarray:
        """Lower and upper bound in natural units, (n, 2), of a head's answers (n,)."""
        if codec.outcome.kind == "count":
            rate = codec.decode(answer)[:, 0]
            root = np.sqrt(rate)
            # A count is whole: what lies between two whole numbers holds none.
            low = np.ceil(np.maximum(rate - self.below * root, 0.0))
            return np.column_stack([low, np.floor(rate + self.above * root)])
        ends = [codec.decode(answer + by)[:, 0] for by in (-self.below, self.above)]
        least = 0.0 if codec.outcome.transform == "log1p" else -np.inf
        return np.maximum(np.column_stack(ends), least)

    def to_json(self) -> dict[str, Any]:
        """JSON values of this method; `from_json` is the inverse."""
        keys = {
            "temperature": ("temperature", "shift"),
            "isotonic": (),
            "conformal": ("coverage", "below", "above"),
        }[self.method]
        found = {key: getattr(self, key) for key in ("method", *keys, "labels")}
        curves = {"curves": [curve.to_json() for curve in self.curves]} if self.curves else {}
        return found | curves

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibrator:
        """Inverse of `to_json`."""
        curves = tuple(Curve.from_json(curve) for curve in values.get("curves", ()))
        return cls(**{**values, "curves": curves})


NONE = Calibrator()
"""Leaves everything as it is."""


def fit_calibrators(
    codecs: Mapping[str, Codec],
    outputs: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    patients: np.ndarray,
    coverage: float,
) -> dict[str, Calibrator]:
    """One calibrator an outcome: probabilities, or bounds of amounts and counts.

    An outcome is left out where fewer than `LEAST` patients have its label, or too few for the
    coverage that is asked for. Of ordinal and survival outcomes the log-odds of stopping at a
    level, and of the event in an interval, are calibrated: the same numbers for all of them.

    Args:
        codecs: By outcome.
        outputs: Logits on the calibration records, (n, size).
        targets: Encoded targets of the same records, NaN where unknown.
        patients: Patient of each record, (n,).
        coverage: Share of new patients' records that bounds are to hold.
    """
    found = {}
    for name, codec in codecs.items():
        rows = known(targets[name])
        z, y, of = outputs[name][rows], targets[name][rows], patients[rows]
        if codec.outcome.kind in ("binary", "multiclass") and _count(of) >= LEAST:
            found[name] = _probabilities(z, y.astype(int), of)
        if codec.outcome.kind in ("ordinal", "survival") and _count(of) >= LEAST:
            found[name] = _steps(z, y)
        amounts = codec.outcome.kind in ("regression", "count")
        if amounts and _count(of) >= least_patients(coverage):
            found[name] = _bounds(codec, z[:, 0], y, of, coverage)
    return found


def least_patients(coverage: float) -> int:
    """Labelled calibration patients that bounds of this coverage need.

    >>> least_patients(0.9), least_patients(0.95)
    (30, 39)
    """
    return max(LEAST, fewest_patients((1 + coverage) / 2))


def _count(patients: np.ndarray) -> int:
    return len(np.unique(patients))


def _probabilities(z: np.ndarray, y: np.ndarray, patients: np.ndarray) -> Calibrator:
    """Isotonic where it is better than a temperature on patients that neither was fitted on.

    Better is a lower log loss by more than one standard error of the paired difference, so that
    equals keep the one number of a temperature. Fold by fold, by patient.
    """
    simple = _heated(z, y)
    rarest = np.bincount(y, minlength=max(z.shape[1], 2)).min()
    if len(y) < LEAST_ISOTONIC or rarest < LEAST_A_BIN:
        return simple
    fold = np.unique(patients, return_inverse=True)[1] % _FOLDS
    gain = np.zeros(len(y))
    for k in range(_FOLDS):
        inside, out = fold != k, fold == k
        losses = [_losses(fit(z[inside], y[inside]), z[out], y[out]) for fit in (_heated, _bent)]
        gain[out] = losses[0] - losses[1]
    return _bent(z, y) if gain.mean() > gain.std() / np.sqrt(len(gain)) else simple


def _heated(z: np.ndarray, y: np.ndarray) -> Calibrator:
    if z.shape[1] > 1:
        return Calibrator("temperature", fit_temperature(z, y), labels=len(y))
    heat, shift = fit_shrunk(z[:, 0].astype(float), y)
    return Calibrator("temperature", heat, shift, labels=len(y))


def _steps(z: np.ndarray, y: np.ndarray) -> Calibrator:
    """Of levels or intervals, by the likelihood that they were learned with: each one reached is a
    yes or no (`models.multitask.heads.hazard_loss`)."""
    step, (passed, stopped) = np.arange(z.shape[1]), (y[:, :1], y[:, 1:])
    reached = step < passed + stopped
    here = (step == passed) & (stopped > 0)
    heat, shift = fit_shrunk(z[reached].astype(float), here[reached].astype(float))
    return Calibrator("temperature", heat, shift, labels=len(y))


def _bent(z: np.ndarray, y: np.ndarray) -> Calibrator:
    odds = z.astype(float) if z.shape[1] == 1 else against_rest(z)
    first = 1 if z.shape[1] == 1 else 0
    curves = [fit_curve(odds[:, k], (y == k + first).astype(float)) for k in range(odds.shape[1])]
    return Calibrator("isotonic", curves=tuple(curves), labels=len(y))


def _losses(calibrator: Calibrator, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log loss of each record, (n,)."""
    bent = calibrator.logits(z)
    if bent.shape[1] == 1:
        return np.asarray(-log_expit(np.where(y == 1, 1.0, -1.0) * bent[:, 0]))
    highest = bent.max(axis=1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(bent - highest).sum(axis=1))
    return np.asarray(total - bent[np.arange(len(y)), y])


def _bounds(
    codec: Codec, answer: np.ndarray, y: np.ndarray, patients: np.ndarray, coverage: float
) -> Calibrator:
    """Bounds that miss on either side at most half of what may be missed.

    Signed errors (Linusson, Johansson and Löfström, 2014, doi:10.1007/978-3-319-06608-0_19), so
    that each bound has its meaning by itself, and three digits rounded outwards, so that no bound
    is one patient's.
    """
    error = y - answer
    if codec.outcome.kind == "count":
        rate = codec.decode(answer)[:, 0]
        error = (y * np.exp(codec.center) - rate) / np.sqrt(rate)
    level = (1 + coverage) / 2
    below, above = (
        max(round_up(patient_quantile(side, patients, level)), 0.0) for side in (-error, error)
    )
    return Calibrator("conformal", coverage=coverage, below=below, above=above, labels=len(y))


def round_up(value: float) -> float:
    """The least number of three significant digits that is not below.

    >>> round_up(1.2341), round_up(-0.98765)
    (1.24, -0.987)
    """
    if value == 0 or not np.isfinite(value):
        return value
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return float(round(np.ceil(value * 10.0**digits) / 10.0**digits, max(digits, 0)))
