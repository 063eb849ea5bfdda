"""The last work of the patients flow: model and controls on the test records, as evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_scores import MEAN, Comparison, compare, judged, scores
from domains.healthcare.outcome_targets import known
from domains.healthcare.patients import Cohort
from domains.healthcare.split_name import key_name
from domains.metrics import ece, named
from models.multitask.scorer import PatientsScorer, load_scorer, predictions
from pipelines.evidence import Arm, Cell, Evidence, Figure, Table
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.progress import say
from pipelines.reporting import figures
from pipelines.settings import home_key
from pipelines.stages import stage
from pipelines.steps.patients import interference, words
from pipelines.steps.patients.prepare import EFFORTS, EXTERNAL, PARTS, Prepared
from pipelines.steps.patients.training import Trained, temperatures
from pipelines.tracking import Job, log_arm

ITSELF = "shared itself"


@dataclass(frozen=True)
class Tested:
    """Predictions of every model on one part, beside the records' targets.

    `frames` has one entry a model and, under `uncalibrated`, the network's own answers before
    calibration. `comparison` has the packed model under its name, and under `ITSELF` the network
    that all outcomes share, without those that answer `alone` in its place.
    """

    cohort: Cohort
    codecs: dict[str, Codec]
    frames: dict[str, pd.DataFrame]
    comparison: Comparison
    alone: tuple[str, ...] = ()


@stage()
def evaluate(job: Job, prepared: Prepared, package: Path, trained: Sequence[Trained]) -> Evidence:
    """Metrics of the packed model and its controls, each with its interval by patient.

    The packed model is judged by what it answers to raw records, as it will be served.
    """
    model, *controls = trained
    tested = _test(job, prepared, package, trained, "test")
    metrics = {each.name: _metrics(tested.comparison, each.name) for each in trained}
    if EXTERNAL in prepared.split:
        external = _test(job, prepared, package, trained, EXTERNAL)
        for each in trained:
            found = _metrics(external.comparison, each.name)
            metrics[each.name] |= {f"{EXTERNAL}.{key}": value for key, value in found.items()}
    if model.name == "shared":
        metrics[model.name] |= _own(tested.comparison)
    arms = [_arm(each, metrics[each.name], chosen=each is model) for each in trained]
    for arm, each in zip(arms, trained, strict=True):
        log_arm(job, arm, each.history if prepared.dataset.public else None)
    rivals = [control.name for control in controls]
    comparison, codecs = tested.comparison, tested.codecs
    headline = words.headline(
        comparison, model.name, rivals, len(codecs), prepared.split["test"]["records"]
    )
    say(headline)
    return Evidence(
        pipeline=job.pipeline,
        headline=headline,
        data=prepared.dataset.to_json(),
        split=prepared.split,
        metrics=metrics[model.name],
        arms=arms,
        calibration=_calibration(tested, temperatures(prepared, model)),
        findings=[
            *words.findings(comparison, codecs, model.name, rivals, tested.alone),
            *interference.findings(model, list(codecs), tested.alone),
            *words.cost({each.name: each.seconds for each in trained}),
        ],
        limits=words.limits(
            codecs, tested.cohort.targets, prepared.warnings, prepared.dataset.public
        ),
        figures=_figures(job.folder / "figures", tested, trained),
        tables=_tables(prepared, tested, model.name, rivals),
    )


def held_out(prepared: Prepared, seed: int) -> HeldOut:
    """The test records as the gate takes them; a masked label is NaN."""
    cohort = prepared.read("test")
    _, codecs = prepared.read_rules()
    target: dict[str, np.ndarray] = {}
    outcomes = []
    for name, codec in codecs.items():
        values = cohort.targets.values[name]
        if codec.outcome.kind == "survival":
            keys: tuple[str, ...] = (f"{name}.time", f"{name}.event")
            target.update(zip(keys, values.T, strict=True))
        else:
            keys = (name,)
            kind = codec.outcome.kind
            named_classes = kind in ("multiclass", "ordinal")
            target[name] = codec.places(values) if named_classes else values.astype(float)
        first = codec.outcome.kind in ("ordinal", "survival")
        columns = codec.columns[:1] if first else codec.columns
        log1p = codec.outcome.transform == "log1p"
        outcomes.append(HeldOutcome(name, codec.outcome.metric, keys, columns, log1p))
    data = prepared.dataset
    who = key_name(seed, None if data.public else home_key())
    split = f"patients, {data.name}, by {prepared.unit}, {PARTS['test']:.0%} test, {who}"
    return HeldOut(cohort.features, target, cohort.patients, cohort.records, tuple(outcomes), split)


def _test(
    job: Job, prepared: Prepared, package: Path, trained: Sequence[Trained], part: str
) -> Tested:
    scorer: PatientsScorer = load_scorer(package)
    cohort, codecs = prepared.read(part), scorer.codecs
    model, *controls = trained
    frames = {model.name: scorer.predict(cohort.features)}
    for control in controls:
        answers = control.read(part, codecs)
        frames[control.name] = predictions(codecs, answers, temperatures(prepared, control))
    models = {name: scores(codecs, cohort.targets, frame) for name, frame in frames.items()}
    own = predictions(codecs, model.read(part, codecs), temperatures(prepared, model))
    models[ITSELF] = scores(codecs, cohort.targets, own)
    effort = EFFORTS[job.config.scale]
    comparison = compare(models, cohort.patients, effort.repeats, job.config.seed)
    frames["uncalibrated"] = predictions(codecs, model.read(part, codecs), {})
    return Tested(cohort, codecs, frames, comparison, scorer.alone)


def _metrics(comparison: Comparison, model: str) -> dict[str, float]:
    """Every metric with its interval; `mean` leads."""
    keys = sorted(comparison.values[model], key=lambda key: key != MEAN)
    found: dict[str, float] = {}
    for key in keys:
        found |= named(key, comparison.interval(model, key))
    return {key: value for key, value in found.items() if np.isfinite(value)}


def _own(comparison: Comparison) -> dict[str, float]:
    """The shared network's own numbers: a fallback to another must not read as its merit."""
    found: dict[str, float] = {}
    for key in comparison.values[ITSELF]:
        found |= named(f"shared.{key}", comparison.interval(ITSELF, key))
    return {key: value for key, value in found.items() if np.isfinite(value)}


def _arm(trained: Trained, metrics: dict[str, float], chosen: bool) -> Arm:
    return Arm(trained.name, trained.role, metrics, trained.seconds, trained.note, chosen)


def _calibration(tested: Tested, fitted: Mapping[str, float]) -> dict[str, dict[str, float | str]]:
    """Per outcome: method, temperature, and the expected calibration error before and after."""
    found: dict[str, dict[str, float | str]] = {}
    model = next(iter(tested.frames))
    for name, codec in tested.codecs.items():
        if codec.outcome.metric != "auroc":
            continue
        errors = []
        for frame in (tested.frames["uncalibrated"], tested.frames[model]):
            y, p = judged(codec, tested.cohort.targets.values[name], frame)
            errors.append(ece(y[known(y)], p[known(y)]) if known(y).any() else float("nan"))
        found[name] = {
            "method": "temperature" if name in fitted else "none: too few labels",
            "temperature": fitted.get(name, 1.0),
            "ece_before": errors[0],
            "ece_after": errors[1],
        }
    return found


# -------------------------------------------------------------------------- figures and tables


def _figures(folder: Path, tested: Tested, trained: Sequence[Trained]) -> list[Figure]:
    folder.mkdir(parents=True, exist_ok=True)
    series = {t.name: t.name if t.role == "arm" else f"control: {t.name}" for t in trained}
    drawn = [
        _bars(folder, tested, series, ("auroc", "cindex", "ordering"), "AUROC or C-index"),
        _bars(folder, tested, series, ("r2", "d2"), "R² or D²"),
        _forest(folder, tested, series),
        *interference.figures(folder, trained[0], list(tested.codecs)),
        *_binary(folder, tested, series),
    ]
    return [figure for figure in drawn if figure is not None]


def _bars(
    folder: Path, tested: Tested, series: Mapping[str, str], metrics: tuple[str, ...], label: str
) -> Figure | None:
    rows = []
    for name, codec in tested.codecs.items():
        key = f"{name}.{codec.outcome.metric}"
        for model, called in series.items():
            if codec.outcome.metric in metrics and key in tested.comparison.values[model]:
                found = tested.comparison.interval(model, key)
                rows.append((name, found.value, found.low, found.high, called))
    if not rows:
        return None
    path = figures.bars(folder / f"outcomes_{metrics[0]}.png", rows, label)
    title = f"{label} of every outcome, against controls"
    caption = "Test records; whiskers are 95 % intervals by patient."
    return Figure(f"outcomes-{metrics[0]}", title, caption, path)


def _forest(folder: Path, tested: Tested, series: Mapping[str, str]) -> Figure | None:
    model, *rivals = series
    keys = words.main_keys(tested.codecs, tested.comparison, model)
    rows = []
    for name, key in keys.items():
        for rival in rivals:
            gap = tested.comparison.difference(model, rival, key)
            metric = words.METRIC_NAMES[tested.codecs[name].outcome.metric]
            rows.append((f"{name} ({metric})", gap.value, gap.low, gap.high, f"against {rival}"))
    if not rows:
        return None
    path = figures.bars(
        folder / "outcomes_difference.png", rows, "difference", 0.0, "no difference"
    )
    title = f"What {model} gains or loses, outcome by outcome"
    caption = (
        "Paired differences on the same test records, 95 % intervals by patient. "
        "Right of the line the registered model is better."
    )
    return Figure("outcomes-difference", title, caption, path)


def _binary(folder: Path, tested: Tested, series: Mapping[str, str]) -> list[Figure]:
    """ROC, PR and reliability of the first yes-or-no outcome, the one a file names first."""
    model = next(iter(series))
    for name, codec in tested.codecs.items():
        values = tested.cohort.targets.values[name]
        y, _ = judged(codec, values, tested.frames[model])
        rows = known(y)
        if codec.outcome.kind != "binary" or len(np.unique(y[rows])) < 2:
            continue
        p = {key: judged(codec, values, frame)[1][rows] for key, frame in tested.frames.items()}
        curves = {called: p[key] for key, called in series.items()}
        both = {"before": p["uncalibrated"], "after calibration": p[model]}
        return [
            Figure(
                "discrimination",
                f"ROC and precision–recall for {name}",
                "Test records with a label.",
                figures.discrimination(folder / "discrimination.png", y[rows], curves),
            ),
            Figure(
                "reliability",
                f"Predicted against observed for {name}",
                "Test records in ten bins of equal size, before and after temperature scaling.",
                figures.reliability(folder / "reliability.png", y[rows], both),
            ),
        ]
    return []


def _tables(prepared: Prepared, tested: Tested, model: str, rivals: list[str]) -> list[Table]:
    columns = ["outcome", "kind", "labels in test"]
    test = tested.cohort.targets.values
    rows: list[list[Cell]] = [
        [name, codec.outcome.kind, int(known(test[name]).sum())]
        for name, codec in tested.codecs.items()
    ]
    if prepared.dataset.public:
        columns += ["labels in training", "in training"]
        training = prepared.read("train").targets.values
        for row, (name, codec) in zip(rows, tested.codecs.items(), strict=True):
            labels = training[name]
            row += [int(known(labels).sum()), words.describe_labels(codec, labels)]
    outcomes = Table(
        "Outcomes and their labels",
        "How many records have each label; a record without one is masked for that outcome only.",
        columns,
        rows,
    )
    return [outcomes, *_differences(tested, model, rivals)]


def _differences(tested: Tested, model: str, rivals: list[str]) -> list[Table]:
    rows: list[list[Cell]] = []
    keys = words.main_keys(tested.codecs, tested.comparison, model)
    if MEAN in tested.comparison.values[model]:
        keys[MEAN] = MEAN
    for name, key in keys.items():
        for rival in rivals:
            gap = tested.comparison.difference(model, rival, key)
            rows.append([name, rival, gap.value, gap.low, gap.high])
    if not rows:
        return []
    title, caption = "Paired differences", f"{model} minus the control, on the same test records."
    return [Table(title, caption, ["outcome", "control", "difference", "low", "high"], rows)]
