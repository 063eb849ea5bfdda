"""The last work of the imaging flow: calibration, then one reading of the test images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from domains.healthcare.images.pixels import AS_STATED
from domains.healthcare.split_name import facts_name, key_name
from domains.metrics import Interval
from models.imaging.scorer import ImagingScorer, load_scorer
from models.imaging.task import kind_of
from pipelines.evidence import Arm, Cell, Evidence, Metrics, Table
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.progress import say
from pipelines.reporting.wording import with_bounds
from pipelines.settings import ImagingConfig, home_key
from pipelines.stages import stage
from pipelines.steps.imaging import external, slices, words
from pipelines.steps.imaging.bases import Base
from pipelines.steps.imaging.budget import left_out
from pipelines.steps.imaging.curve import Curve
from pipelines.steps.imaging.curve_figure import draw_curve
from pipelines.steps.imaging.curve_read import tell
from pipelines.steps.imaging.effort import EFFORTS
from pipelines.steps.imaging.exporting import export_package
from pipelines.steps.imaging.figures import draw
from pipelines.steps.imaging.measuring import Sure, metrics_of
from pipelines.steps.imaging.packing import FEWEST, pack
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.tested import Tested, read_test
from pipelines.steps.imaging.training import Trained
from pipelines.steps.imaging.trust import Trust, examine
from pipelines.tracking import Job, log_arm

_LISTED = 50


def chosen(trained: Sequence[Trained]) -> Trained:
    """The arm with the highest AUROC on validation; the first of equals, which is the simplest."""
    return max((t for t in trained if t.role == "arm"), key=lambda t: t.validation)


@stage()
def evaluate(
    job: Job,
    prepared: Prepared,
    bases: list[Base],
    trained: Sequence[Trained],
    curve: Curve | None = None,
) -> Evidence:
    """Choose on validation, pack, and measure every arm and control on the test images.

    Metrics have 95 % intervals by patient. The packed model, under `PACKAGE` in the job's folder,
    is judged by what it answers to pixels, as it will be served.
    """
    config: ImagingConfig = job.config
    best = chosen(trained)
    package = pack(job, prepared, best)
    scorer = load_scorer(package)
    tested = read_test(prepared.target, trained, best, scorer, config.specificity)
    sure = tested.sure(EFFORTS[config.scale].repeats, config.seed)
    metrics = {name: sure.measure(tested.y, p) for name, p in tested.p.items()}
    gaps = _gaps(trained, best, tested, sure)
    groups = slices.by_group(
        slices.slice_columns(config, prepared.target), prepared.target, tested, sure
    )
    trust = _trust(prepared, scorer, tested, sure)
    export_package(trust, config, package)
    arms = _arms(job, prepared, trained, best, metrics)
    calibration = _calibration(tested, prepared, scorer, metrics[best.name])
    views = _views(scorer, tested, sure)
    story = words.Story(
        prepared,
        bases,
        list(trained),
        best,
        metrics,
        gaps,
        calibration,
        trust,
        views,
        sure.slack("auroc", tested.y, tested.p[best.name]),
    )
    less = tell(curve or Curve(), prepared, sure)
    headline = words.headline(story)
    say(headline)
    return Evidence(
        pipeline=job.pipeline,
        headline=headline,
        data=prepared.target.dataset.to_json(),
        split=prepared.target.split_counts(),
        metrics=metrics[best.name] | trust.metrics,
        arms=arms,
        calibration=calibration,
        findings=[*words.findings(story), *slices.finding(groups), *less.said],
        remarks=words.remarks(story, less.more),
        limits=[*words.limits(story), *left_out(job), *less.limits],
        figures=[
            *draw(job.folder / "figures", prepared, trained, tested, metrics, package),
            *draw_curve(job.folder / "figures", less.spots),
            *slices.draw(job.folder / "figures", groups, metrics[best.name]),
        ],
        tables=[
            _differences(best, gaps),
            *less.tables,
            *trust.tables,
            *slices.tables(groups, prepared.target.dataset.public),
            *_source_table(bases, prepared),
            *_set_aside(prepared),
        ],
    )


def _trust(prepared: Prepared, scorer: ImagingScorer, tested: Tested, sure: Sure) -> Trust:
    found = examine(scorer, tested, sure, prepared.target.dataset.public)
    if prepared.external is not None:
        external.validate(found, scorer, prepared.external, tested, sure)
    return found


def _arms(
    job: Job,
    prepared: Prepared,
    trained: Sequence[Trained],
    best: Trained,
    metrics: dict[str, Metrics],
) -> list[Arm]:
    arms = [
        Arm(t.name, t.role, metrics[t.name], t.seconds, t.note, chosen=t is best) for t in trained
    ]
    for arm, each in zip(arms, trained, strict=True):
        log_arm(job, arm, each.history if prepared.target.dataset.public else None)
    return arms


def _gaps(
    trained: Sequence[Trained], best: Trained, tested: Tested, sure: Sure
) -> dict[tuple[str, str], Interval]:
    """Paired differences of AUROC between any two, the chosen arm first."""
    order = sorted(trained, key=lambda t: t is not best)
    return {
        (a.name, b.name): sure.difference(tested.y, tested.p[a.name], tested.p[b.name])
        for a, b in combinations(order, 2)
    }


def _calibration(
    tested: Tested, prepared: Prepared, scorer: ImagingScorer, metrics: Metrics
) -> dict[str, float | str | int]:
    records = len(prepared.target.rows("calibration"))
    heat, few = scorer.temperature, records < FEWEST
    method = "temperature" if isinstance(heat, float) else "temperature of each label"
    said = heat if isinstance(heat, float) else ", ".join(f"{each:.2f}" for each in heat)
    found: dict[str, float | str | int] = {
        "method": "none: too few calibration images" if few else method,
        "temperature": said,
        "records": records,
        "ece_before": metrics_of(tested.y, tested.uncalibrated)["ece"](
            tested.y, tested.uncalibrated
        ),
        "ece_after": metrics["ece"],
    }
    found |= {end: metrics[end] for end in ("ece_low", "ece_high") if end in metrics}
    if tested.point is not None:
        found["threshold"] = tested.point.threshold
    if scorer.sets is not None:
        found |= {"sets": scorer.sets.method, "coverage_promised": scorer.sets.coverage}
    return found | {"precision": scorer.precision, "views": scorer.views}


def _views(scorer: ImagingScorer, tested: Tested, sure: Sure) -> list[str]:
    """What test-time augmentation did to the registered arm, where it is used."""
    if scorer.views == "one":
        return []
    gap = sure.difference(tested.y, tested.p[tested.best], tested.alone)
    how = "mirror image" if scorer.views == "mirrored" else "seven other ways to lay it"
    return [
        f"Every answer is the mean over an image and its {how}: AUROC "
        f"{with_bounds(gap, signed=True)} against the image alone."
    ]


def _differences(best: Trained, gaps: dict[tuple[str, str], Interval]) -> Table:
    rows: list[list[Cell]] = [[a, b, with_bounds(gap, signed=True)] for (a, b), gap in gaps.items()]
    return Table(
        "Paired differences of AUROC",
        "The first minus the second on the same test images, with 95 % intervals by patient; "
        f"{best.name} is registered.",
        ["first", "second", "difference"],
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
    rows, records = target.rows("test"), target.records()
    targets, outcomes = _outcomes(prepared, config, target.labels()[rows])
    return HeldOut(
        inputs=np.asarray(target.images()[rows]),
        target=targets,
        groups=records["group"].to_numpy()[rows],
        ids=records["id"].to_numpy()[rows],
        outcomes=outcomes,
        split=_split_name(prepared, config),
        repeats=EFFORTS[config.scale].repeats,
        seed=config.seed,
    )


def _outcomes(
    prepared: Prepared, config: ImagingConfig, y: np.ndarray
) -> tuple[dict[str, np.ndarray], tuple[HeldOutcome, ...]]:
    """One outcome of several classes, or one a label."""
    classes = prepared.target.classes
    columns = tuple(f"p_{name}" for name in classes)
    if kind_of(y) == "labels":
        made = [HeldOutcome(n, "auroc", (n,), (c,)) for n, c in zip(classes, columns, strict=True)]
        return dict(zip(classes, y.T, strict=True)), tuple(made)
    name = config.data.outcome
    taken = columns[1:] if len(columns) == 2 else columns
    return {name: y}, (HeldOutcome(name, "auroc", (name,), taken),)


def _split_name(prepared: Prepared, config: ImagingConfig) -> str:
    """Name of the split, and of what else decides who trained: joined groups, the source task.

    Patients who share a picture form one group, whose name, and so its part, a new picture can
    change. A digest of such groups, of a given split and of the source images in use is therefore
    part of the name.
    """
    data, target, source = config.data, prepared.target, prepared.source
    secret = None if target.dataset.public else home_key()
    limit = EFFORTS[config.scale].images
    given = data.kind == "medmnist" or data.split is not None or data.split_by != "patient"
    unit = f"patient column {data.patient}" if data.patient else "image"
    how = "given" if given else "hashed"
    made = [
        f"imaging, {target.dataset.name}",
        f"by {'patient' if data.kind == 'builtin' else unit}",
        f"split column {data.split}" if data.split else how,
        key_name(config.seed, secret),
        f"at most {limit} images" if limit else "all images",
    ]
    if target.reading != AS_STATED:  # other pixels of the same files
        made.append(f"read {facts_name([target.reading], config.seed, secret)}")
    facts = target.moving(given)
    if facts:
        made.append(f"groups {facts_name(facts, config.seed, secret)}")
    if source is not None:
        used = source.used()
        learned = [*used[["id", "patient", "part"]].itertuples(index=False, name=None)]
        learned.append((source.dataset.name, source.dataset.digest))
        made.append(f"source {facts_name(learned, config.seed, secret)}")
    return ", ".join(made)
