"""A new version of the same weights whose probabilities fit a default rate that has moved.

It is a run of its own in MLflow, registered, described and judged as a trained version is, and
names the one it comes from. It trains nothing, charges nobody and runs no flow.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from domains.banking import approval
from domains.errors import InputError
from models.calibration import fit_platt, log_odds, shifted_intercept
from models.credit_decision import Cutoff
from models.credit_encoding import Encoder, example
from pipelines.evidence import from_json
from pipelines.finish import publish
from pipelines.governance import handed_on, registry, seen
from pipelines.governance.held_out import Answers, HeldOut, HeldOutcome
from pipelines.governance.lineage import RECALIBRATED, TRAINED, trained_run
from pipelines.governance.versions import load_version, resolve
from pipelines.progress import say
from pipelines.settings import CreditConfig, home, writable_home
from pipelines.steps.credit.charge import may_release
from pipelines.steps.credit.labelled import (
    FIT,
    TEST,
    Labelled,
    is_public,
    read_labelled,
    records_of,
)
from pipelines.steps.credit.recalibrated import Source, evidence_of
from pipelines.steps.credit.recalibration import (
    Change,
    Shown,
    answers_after,
    groups_of,
    shown_on,
    tested_of,
    thinned,
)
from pipelines.tracking import Job, client, experiment, log_config, log_data, origin

Result = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What somebody wants.

    Attributes:
        model: `MODEL`, `MODEL@alias` or `MODEL/version`.
        rate: Default rate that probabilities are to fit; None: fit slope and intercept on `data`.
        was: Default rate that they fit now; None: as the version tells.
        data: Labelled file; None: `rate` alone.
        public: Whether its records are said to be public.
    """

    model: str
    rate: float | None = None
    was: float | None = None
    data: Path | None = None
    public: bool = False

    def __post_init__(self) -> None:
        for name in ("rate", "was"):
            found = getattr(self, name)
            if found is not None and not 0 < found < 1:
                raise InputError(f"--{name}: found {found:g}, expected one between 0 and 1")
        if self.rate is None and self.data is None:
            raise InputError("recalibrate: expected --rate, --data, or both")
        if self.was is not None and self.rate is None:
            raise InputError("--was: goes with --rate")
        if self.public and self.data is None:
            raise InputError("--public: is said of a file (--data)")


def recalibrate(asked: Asked) -> Result:
    """Make, register and judge the new version.

    Returns:
        The JSON of a training run.

    Raises:
        InputError: No such version, or not of a credit model; the default rate it fits now is not
            known; the file is wrong or too small.
        Refused: The file's records are private and may not be looked at, or the version's answers
            on held-out records are in another home.
    """
    writable_home()
    source = read_source(asked.model)
    config = _config(source)
    labelled = _labelled(asked, source, config)
    change = change_of(asked, source, labelled)
    say(f"{source.name} version {source.version}: {change.method}")
    with _job(source, config) as job:
        scorer = _recalibrated(source.scorer, change, labelled, config)
        scorer.save(job.folder / "package")
        held: Answers | HeldOut
        if labelled is None:
            held = _stored(source, change)
        else:
            held = _held_out(labelled, scorer, source, config)
            _note(job, labelled)
        shown = _shown(source, change, labelled, scorer, config)
        split, notes = _told(labelled)
        evidence = evidence_of(job, source, change, scorer, shown, split, notes)
        made: Result = publish.fn(job, evidence, job.folder / "package", _example(scorer), held)
        tags = {RECALIBRATED: f"{source.name}/{source.version}", TRAINED: source.trained}
        for key, value in tags.items():
            client().set_model_version_tag(job.name, made["model"]["version"], key, value)
        return made


def read_source(reference: str) -> Source:
    """The version that a reference names, with its evidence and model.

    Raises:
        InputError: No such version, not of a credit model, or its package cannot be loaded.
        Refused: It has no evidence.
    """
    name, version = resolve(reference)
    loaded = load_version(name, version)
    if loaded.kind != "credit":
        raise InputError(f"{name}: a model of {loaded.kind}; recalibrate takes credit models")
    found = registry.get_version(name, version)
    evidence = from_json(registry.stored_evidence(found))
    trained, split = trained_run(found), found.tags.get("careledger.split", "")
    run_id = str(found.run_id)
    return Source(name, version, run_id, trained, evidence, loaded.scorer, split)


def _config(source: Source) -> CreditConfig:
    """The configuration that the version was trained with, from its run."""
    try:
        path = download_artifacts(run_id=source.run_id, artifact_path="config.yaml")
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return CreditConfig.model_validate(given)
    except (MlflowException, OSError, ValidationError, yaml.YAMLError) as error:
        raise InputError(
            f"{source.name} version {source.version}: its configuration cannot be read "
            f"({type(error).__name__}); train again"
        ) from None


def _labelled(asked: Asked, source: Source, config: CreditConfig) -> Labelled | None:
    if asked.data is None:
        return None
    if not asked.data.is_file():
        raise InputError(f"{asked.data}: no such file; expected a CSV or Parquet file (--data)")
    public = is_public(config, asked.public)
    encoder: Encoder = source.scorer.encoder
    return read_labelled(asked.data, config, encoder, source.trained, public)


def change_of(asked: Asked, source: Source, labelled: Labelled | None) -> Change:
    """How probabilities are to move: to a stated default rate, or as a labelled file says."""
    if asked.rate is not None:
        before = asked.was or _known_rate(source)
        moved = shifted_intercept(0.0, before, asked.rate)
        told = f"to a stated default rate of {asked.rate:.1%}, before {before:.1%}"
        return Change(1.0, moved, before, asked.rate, told)
    if labelled is None:
        raise InputError("recalibrate: expected --rate, --data, or both")
    rows = labelled.rows(FIT)
    y = labelled.loans.y[rows].astype(float)
    frame = records_of(labelled, source.scorer.encoder.columns, FIT)
    z = log_odds(source.scorer.predict(frame)["probability"].to_numpy())
    slope, intercept = fit_platt(z, y)
    told = f"by Platt's line on {len(rows)} labelled records"
    return Change(slope, intercept, source.scorer.use.default_rate, float(y.mean()), told)


def _known_rate(source: Source) -> float:
    """The default rate that a version's calibration stands on."""
    known = source.scorer.use.default_rate or source.evidence.metrics.get("default_rate")
    if not known:
        raise InputError(
            f"{source.name} version {source.version}: does not tell which default rate it fits; "
            "say it: --was RATE"
        )
    return float(known)


def _recalibrated(
    scorer: Any, change: Change, labelled: Labelled | None, config: CreditConfig
) -> Any:
    """The new model; with a file its threshold approves the same share of the records fitted on."""
    moved = scorer.recalibrated(change.slope, change.intercept, change.after)
    if labelled is None:
        return moved
    rate = moved.use.cutoff.rate if moved.use.cutoff else config.approval_rate
    p = moved.predict(records_of(labelled, moved.encoder.columns, FIT))["probability"].to_numpy()
    cutoff = Cutoff(rate, approval.threshold(p, rate))
    return replace(moved, use=replace(moved.use, cutoff=cutoff))


def _stored(source: Source, change: Change) -> Answers:
    found = registry.stored_answers(registry.get_version(source.name, source.version))
    return answers_after(thinned(found, change.after), change)


def _held_out(labelled: Labelled, scorer: Any, source: Source, config: CreditConfig) -> HeldOut:
    """The file's test records as the gate takes them: on the side of the split that never trains,
    so that every version of this split may answer them."""
    rows, loans = labelled.rows(TEST), labelled.loans
    return HeldOut(
        inputs=records_of(labelled, scorer.encoder.columns, TEST),
        target={"default": loans.y[rows].astype(float)},
        groups=loans.group[rows],
        ids=loans.record[rows],
        outcomes=(HeldOutcome("default", "auroc", ("default",), ("probability",)),),
        split=source.split,
        protected={each.column: each.code for each in labelled.groups(config)},
        approve_below=scorer.use.cutoff.highest if scorer.use.cutoff else None,
    )


def _shown(
    source: Source, change: Change, labelled: Labelled | None, scorer: Any, config: CreditConfig
) -> Shown | None:
    """The test, where its numbers may be told."""
    uses = (source.scorer.use, scorer.use)
    before, after = (use.cutoff.highest if use.cutoff else None for use in uses)
    if labelled is None:
        if not may_release(config):
            return None
        found = registry.stored_answers(registry.get_version(source.name, source.version))
        left = thinned(found, change.after)
        hidden = not source.evidence.data["public"]
        groups = groups_of(left, source.evidence.fairness, config.fairness.least, hidden)
        return shown_on(left, change, (before, after), groups)
    rows = labelled.rows(TEST)
    frame = records_of(labelled, scorer.encoder.columns, TEST)
    first, second = (
        each.predict(frame)["probability"].to_numpy() for each in (source.scorer, scorer)
    )
    y, group = labelled.loans.y[rows].astype(float), labelled.loans.group[rows]
    tested = tested_of(y, second, np.unique(group.astype(str), return_inverse=True)[1])
    return Shown(tested, first, (before, after), labelled.groups(config))


def _note(job: Job, labelled: Labelled) -> None:
    log_data(job, labelled.dataset(), "recalibration")
    loans = labelled.loans
    seen.remember(job, labelled.table.name, labelled.role, loans.record, loans.group)


def _told(labelled: Labelled | None) -> tuple[dict[str, dict[str, int]] | None, list[str]]:
    if labelled is None:
        return None, []
    counts = {role: {"records": len(labelled.rows(role))} for role in (FIT, TEST)}
    return counts, [f"Recalibrated with another file: {labelled.digest}"]


def _example(scorer: Any) -> Any:
    """Made-up records, with the types that the model's own columns have."""
    import pandas as pd

    kinds = {field.name: float if field.kind == "number" else object for field in scorer.fields}
    like = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return example(scorer.encoder, like)


@contextmanager
def _job(source: Source, config: CreditConfig) -> Iterator[Job]:
    """A run that ends as the block does. A process that dies in it leaves a run that the next
    training ends, and at most a version that nobody has judged."""
    started, tracker = time.time(), client()
    tags = origin(config, started) | {
        RECALIBRATED: f"{source.name}/{source.version}",
        TRAINED: source.trained,
    }
    made = tracker.create_run(experiment(tracker, "credit"), run_name="recalibrate", tags=tags)
    run_id, ended = made.info.run_id, "FAILED"
    log_config(tracker, run_id, source.name, config)
    with tempfile.TemporaryDirectory(dir=home(), prefix="recalibrate-") as folder:
        job = Job("credit", source.name, run_id, Path(folder), config, started, 1)
        handed_on.hand_on(job, source.run_id)
        try:
            yield job
            ended = "FINISHED"
        finally:
            tracker.set_terminated(run_id, ended)
