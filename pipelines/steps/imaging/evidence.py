"""The last work of the imaging flow: calibration, then one reading of the test images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from domains.healthcare.split_name import facts_name, key_name
from domains.metrics import (
    Interval,
    Metric,
    accuracy,
    auroc,
    average_precision,
    bootstrap,
    ece,
    named,
    paired_bootstrap,
)
from models.calibration import fit_temperature, probabilities
from models.imaging.scorer import ImagingScorer, load_net, load_scorer
from pipelines.evidence import Arm, Cell, Evidence, Table
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.progress import say
from pipelines.settings import ImagingConfig, home_key
from pipelines.stages import stage
from pipelines.steps.imaging import words
from pipelines.steps.imaging.bases import Base
from pipelines.steps.imaging.effort import EFFORTS
from pipelines.steps.imaging.figures import Tested, draw
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.training import Trained, positive
from pipelines.tracking import Job, log_arm


def sensitivity(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of positives whose probability is at least one half (binary)."""
    sick = np.asarray(y) > 0
    w = None if weight is None else weight[sick]
    if not sick.any() or (w is not None and w.sum() == 0):
        return float("nan")
    return float(np.average(np.asarray(p)[sick] >= 0.5, weights=w))


def specificity(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of negatives whose probability is below one half (binary)."""
    return sensitivity(1 - np.asarray(y), np.nextafter(1 - np.asarray(p), 0), weight)


PACKAGE = "package"
"""Folder of the packed model, below the job's."""
_FEWEST = 50
_LISTED = 50
_METRICS: dict[str, Metric] = {"auroc": auroc, "accuracy": accuracy, "ece": ece}
_BINARY: dict[str, Metric] = {
    "average_precision": average_precision,
    "sensitivity": sensitivity,
    "specificity": specificity,
}


def chosen(trained: Sequence[Trained]) -> Trained:
    """The arm with the highest AUROC on validation; the first of equals, which is the simplest."""
    return max((t for t in trained if t.role == "arm"), key=lambda t: t.validation)


def pack(job: Job, prepared: Prepared, best: Trained) -> Path:
    """Write the chosen arm, calibrated, as the package that is registered."""
    assert best.net is not None  # noqa: S101 - an arm has a net
    target = prepared.target
    net = load_net(best.net, job.config.backbone, prepared.size, len(target.classes))
    scorer = ImagingScorer(net, target.classes, prepared.size, _temperature(prepared, best))
    return scorer.save(job.folder / PACKAGE)


def _temperature(prepared: Prepared, arm: Trained) -> float:
    """Temperature of the calibration records; 1 where there are too few to tell."""
    rows = prepared.target.rows("calibration")
    if len(rows) < _FEWEST:
        return 1.0
    return fit_temperature(np.load(arm.logits)[rows], prepared.target.labels()[rows])


@stage()
def evaluate(
    job: Job, prepared: Prepared, bases: list[Base], trained: Sequence[Trained]
) -> Evidence:
    """Choose on validation, pack, and measure every arm and control on the test images.

    Metrics have 95 % intervals by patient. The packed model, under `PACKAGE` in the job's folder,
    is judged by what it answers to pixels, as it will be served.
    """
    best = chosen(trained)
    package = pack(job, prepared, best)
    tested = _test(prepared, trained, best, package)
    repeats, seed = EFFORTS[job.config.scale].repeats, job.config.seed
    metrics = {name: _measure(tested, p, repeats, seed) for name, p in tested.p.items()}
    arms = [
        Arm(t.name, t.role, metrics[t.name], t.seconds, t.note, chosen=t is best) for t in trained
    ]
    for arm, each in zip(arms, trained, strict=True):
        log_arm(job, arm, each.history if prepared.target.dataset.public else None)
    gaps = {
        (a.name, b.name): paired_bootstrap(
            auroc, tested.y, tested.p[a.name], tested.p[b.name], tested.groups, repeats, seed
        )
        for a, b in combinations(sorted(trained, key=lambda t: t is not best), 2)
    }
    calibration = _calibration(tested, prepared, best)
    story = words.Story(prepared, bases, list(trained), best, metrics, gaps, calibration)
    headline = words.headline(story)
    say(headline)
    return Evidence(
        pipeline=job.pipeline,
        headline=headline,
        data=prepared.target.dataset.to_json(),
        split=prepared.target.split_counts(),
        metrics=metrics[best.name],
        arms=arms,
        calibration=story.calibration,
        findings=words.findings(story),
        limits=words.limits(story),
        figures=draw(job.folder / "figures", prepared, trained, tested, metrics, package),
        tables=[
            _differences(best, gaps),
            *_source_table(bases, prepared),
            *_set_aside(prepared),
        ],
    )


def _test(prepared: Prepared, trained: Sequence[Trained], best: Trained, package: Path) -> Tested:
    target = prepared.target
    rows, labels = target.rows("test"), target.labels()
    p = {}
    for each in trained:
        outputs = np.load(each.logits)[rows]
        p[each.name] = positive(probabilities(outputs, _temperature(prepared, each)))
    served = load_scorer(package).predict(np.asarray(target.images()[rows]))
    p[best.name] = positive(served.to_numpy())
    raw = positive(probabilities(np.load(best.logits)[rows]))
    groups = target.records()["group"].to_numpy()[rows]
    return Tested(rows, labels[rows], groups, p, raw, best.name)


def _measure(tested: Tested, p: np.ndarray, repeats: int, seed: int) -> dict[str, float]:
    metrics = _METRICS | (_BINARY if p.ndim == 1 else {})
    found: dict[str, float] = {}
    for name, metric in metrics.items():
        found |= named(name, bootstrap(metric, tested.y, p, tested.groups, repeats, seed))
    return found


def _calibration(tested: Tested, prepared: Prepared, best: Trained) -> dict[str, float | str | int]:
    records = len(prepared.target.rows("calibration"))
    return {
        "method": "temperature" if records >= _FEWEST else "none: too few calibration images",
        "temperature": _temperature(prepared, best),
        "records": records,
        "ece_before": ece(tested.y, tested.uncalibrated),
        "ece_after": ece(tested.y, tested.p[best.name]),
    }


def _differences(best: Trained, gaps: dict[tuple[str, str], Interval]) -> Table:
    rows: list[list[Cell]] = [[a, b, gap.value, gap.low, gap.high] for (a, b), gap in gaps.items()]
    return Table(
        "Paired differences of AUROC",
        "The first minus the second on the same test images, with 95 % intervals by patient; "
        f"{best.name} is registered.",
        ["first", "second", "difference", "low", "high"],
        rows,
    )


def _source_table(bases: list[Base], prepared: Prepared) -> list[Table]:
    if prepared.source is None:
        return []
    unit = "AUROC" if prepared.source.classes else "mean R²"
    rows: list[list[Cell]] = [
        [start, score] for base in bases for start, score in base.trials.items()
    ]
    title = "Source task"
    caption = f"{unit} on the source task's own validation patients, by what the base started from."
    return [Table(title, caption, ["start", unit], rows)]


def _set_aside(prepared: Prepared) -> list[Table]:
    """Unreadable files of public data; the names of private ones may say who they show."""
    found = prepared.target.set_aside()
    if not found or not prepared.target.dataset.public:
        return []
    rows: list[list[Cell]] = [[Path(file).name, reason] for file, reason in found[:_LISTED]]
    caption = f"{len(found)} in all; they took no part in anything."
    return [Table("Unreadable images, set aside", caption, ["file", "reason"], rows)]


def held_out(prepared: Prepared, config: ImagingConfig) -> HeldOut:
    """The test images as the gate takes them."""
    target = prepared.target
    rows, records, label = target.rows("test"), target.records(), config.data.label
    columns = tuple(f"p_{name}" for name in target.classes)
    outcome = HeldOutcome(label, "auroc", (label,), columns[1:] if len(columns) == 2 else columns)
    return HeldOut(
        inputs=np.asarray(target.images()[rows]),
        target={label: target.labels()[rows]},
        groups=records["group"].to_numpy()[rows],
        ids=records["id"].to_numpy()[rows],
        outcomes=(outcome,),
        split=_split_name(prepared, config),
    )


def _split_name(prepared: Prepared, config: ImagingConfig) -> str:
    """Name of the split, and of what else decides who trained: joined groups, the source task.

    Patients who share a picture form one group, whose name, and so its part, a new picture can
    change. A digest of such groups, of a given split and of the source images in use is therefore
    part of the name.
    """
    data, target, source = config.data, prepared.target, prepared.source
    secret = None if target.dataset.public else home_key()
    limit = EFFORTS[config.scale].images
    given = data.kind == "medmnist" or data.split is not None
    unit = f"patient column {data.patient}" if data.patient else "image"
    made = [
        f"imaging, {target.dataset.name}",
        f"by {'patient' if data.kind == 'builtin' else unit}",
        f"split column {data.split}" if data.split else "given" if given else "hashed",
        key_name(config.seed, secret),
        f"at most {limit} images" if limit else "all images",
    ]
    facts = target.moving(given)
    if facts:
        made.append(f"groups {facts_name(facts, config.seed, secret)}")
    if source is not None:
        used = source.used()
        learned = [*used[["id", "patient", "part"]].itertuples(index=False, name=None)]
        learned.append((source.dataset.name, source.dataset.digest))
        made.append(f"source {facts_name(learned, config.seed, secret)}")
    return ", ".join(made)
