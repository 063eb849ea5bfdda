"""Whether what the model says of its own answers holds: probabilities, bounds, survival curves."""

from __future__ import annotations

import numpy as np

from domains.healthcare.few import counted
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import known
from domains.metrics import Interval, ece, interval, resamples
from domains.survival import KaplanMeier
from models.multitask.calibrating import LEAST, Calibrator, least_patients
from pipelines.evidence import Cell, Table
from pipelines.reporting.wording import measured, percent
from pipelines.steps.patients.tested import MARGINAL, UNCALIBRATED, Tested

_SECTION = "calibration"
_PROBABILITIES = ("binary", "multiclass", "ordinal", "survival")


def told(tested: Tested) -> dict[str, dict[str, float | str | int | None]]:
    """Per outcome of probabilities: method, and the expected calibration error before and after.

    Survival has no such error; its curves are judged by `tables`.
    """
    found: dict[str, dict[str, float | str | int | None]] = {}
    for name, codec in tested.codecs.items():
        kind = codec.outcome.kind
        if kind not in _PROBABILITIES:
            continue
        fitted = tested.calibrators.get(name)
        heated = fitted is not None and fitted.method == "temperature"
        shifted = heated and kind != "multiclass"
        found[name] = {
            "method": fitted.method if fitted else f"none: fewer than {LEAST} labels",
            "temperature": fitted.temperature if fitted and heated else None,
            "shift": fitted.shift if fitted and shifted else None,
            "records": _labels(tested, fitted) if fitted else None,
            "ece_before": _error(tested, codec, UNCALIBRATED),
            "ece_after": _error(tested, codec, tested.model),
        }
    return found


def _labels(tested: Tested, fitted: Calibrator) -> int | str:
    return counted(fitted.labels, fitted.labels, tested.public)


def _error(tested: Tested, codec: Codec, model: str) -> float | None:
    if codec.outcome.kind == "survival":
        return None
    y, p = tested.labelled(codec.outcome.name, model)
    if codec.outcome.kind == "ordinal":  # judged by its expected level, calibrated as classes
        levels = list(codec.columns[1:])
        there = known(tested.cohort.targets.values[codec.outcome.name])
        p = tested.frames[model].loc[there, levels].to_numpy(dtype=float)
    return ece(y, p) if len(y) else float("nan")


def tables(tested: Tested, coverage: float) -> list[Table]:
    """Bounds of amounts and counts, survival against Kaplan–Meier; none without such outcomes."""
    return [*_bounds(tested, coverage), *_curves(tested), *_horizons(tested)]


def remarks(tested: Tested, coverage: float) -> list[str]:
    """What the bounds promised and what they kept, an outcome a sentence."""
    lines = []
    for name, fitted in tested.calibrators.items():
        key = f"{name}.coverage"
        if fitted.method == "conformal" and key in tested.comparison.values[tested.model]:
            kept = tested.comparison.interval(tested.model, key)
            lines.append(
                f"{name}: promised to lie between {name}.low and {name}.high for {coverage:.0%} of "
                f"new patients like these, it does so for {percent(kept)} of the test records."
            )
    if few := _uncalibrated(tested):
        lines.append(
            f"Too few calibration patients have a label for {', '.join(few)}: probabilities take "
            f"{LEAST}, bounds at {coverage:.0%} take {least_patients(coverage)}; they are answered "
            "as the network gives them, without bounds."
        )
    return lines


def _uncalibrated(tested: Tested) -> list[str]:
    return [name for name in tested.codecs if name not in tested.calibrators]


def _bounds(tested: Tested, coverage: float) -> list[Table]:
    rows: list[list[Cell]] = []
    for name, fitted in tested.calibrators.items():
        key = f"{name}.coverage"
        if fitted.method != "conformal" or key not in tested.comparison.values[tested.model]:
            continue
        kept = tested.comparison.interval(tested.model, key)
        frame = tested.frames[tested.model]
        width = float(np.median(frame[f"{name}.high"] - frame[f"{name}.low"]))
        shares = [coverage, kept.value, kept.low, kept.high]
        rows.append([name, _labels(tested, fitted), *shares, _plain(width)])
    if not rows:
        return []
    caption = (
        "Split conformal bounds around amounts and counts, set by the calibration records. The "
        "promise is for new patients like these, over all of them together: of one group, or of "
        "patients from elsewhere, nothing is promised. Half of the widths are below the middle one."
    )
    heads = ["outcome", "records", "promised", "within, test", "low", "high", "middle width"]
    return [Table("Bounds", caption, heads, rows, section=_SECTION)]


def _curves(tested: Tested) -> list[Table]:
    found = tested.comparison
    rows: list[list[Cell]] = []
    for key in (key for key in found.values[tested.model] if key.endswith(".ibs")):
        name = key.removesuffix(".ibs")
        score = found.interval(tested.model, key)
        gap = found.difference(tested.model, MARGINAL, key)
        until = float(tested.codecs[name].grid[-1])
        rows.append(
            [name, _plain(until), measured(score), found.values[MARGINAL][key], measured(gap)]
        )
    if not rows:
        return []
    caption = (
        "Brier score under censoring, from 0 to the last horizon; less is better, and 0 is best. "
        "Kaplan–Meier is the same curve for everyone, that of the test records themselves."
    )
    heads = ["outcome", "up to", "integrated Brier score", "Kaplan–Meier", "difference"]
    return [Table("Survival curves", caption, heads, rows, section=_SECTION)]


def _horizons(tested: Tested) -> list[Table]:
    rows: list[list[Cell]] = []
    for name, codec in tested.codecs.items():
        if codec.outcome.kind != "survival":
            continue
        for horizon in codec.horizons:
            said, happened = at_horizon(tested, name, horizon)
            if len(said):
                seen = _observed(tested, name, happened, horizon)
                before, _ = at_horizon(tested, name, horizon, UNCALIBRATED)
                means = [float(before.mean()), float(said.mean())]
                rows.append([name, _plain(horizon), *means, *_three(seen)])
    if not rows:
        return []
    caption = (
        "Mean probability of being event-free that the model gives, before calibration and after "
        "it, and the share that Kaplan and Meier's estimate finds on the test records, with 95 % "
        "intervals by patient."
    )
    heads = ["outcome", "horizon", "before", "predicted", "observed", "low", "high"]
    return [Table("Event-free at the horizons", caption, heads, rows, section=_SECTION)]


def _plain(value: float) -> float | int:
    """A time or an amount in three digits, without a fraction where it has none."""
    short = float(f"{value:.3g}")
    return int(short) if short.is_integer() else short


def _three(found: Interval) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def at_horizon(
    tested: Tested, name: str, horizon: float, model: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Event-free probability at a horizon (n,), and time and event (n, 2), where known."""
    y = tested.cohort.targets.values[name]
    frame = tested.frames[model or tested.model]
    said = frame[f"{name}.at_{horizon:g}"].to_numpy(dtype=float)
    return said[known(y)], y[known(y)]


def _observed(tested: Tested, name: str, y: np.ndarray, horizon: float) -> Interval:
    at, estimate = np.array([horizon]), KaplanMeier(y)
    drawn = resamples(len(y), tested.patients(name), tested.repeats, tested.seed)
    draws = [float(estimate(at, weight)[0]) for weight in drawn]
    return interval(float(estimate(at)[0]), draws)
