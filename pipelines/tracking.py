"""Jobs and their MLflow runs: a parent run a job, a child run an arm or control."""

from __future__ import annotations

import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import LoggedModelStatus, Metric, Param
from mlflow.tracking import MlflowClient

from domains.dataset import Dataset
from domains.errors import InputError, Interrupted, Waiting
from pipelines.evidence import Arm
from pipelines.life import flow_runs, jobs, reopening
from pipelines.life.endings import announce, close, pause, wait, wording
from pipelines.provenance import Origin, config_yaml, data_name, flat, git_revision, portable
from pipelines.settings import Job as JobConfig
from pipelines.settings import home, writable_home
from pipelines.store import prepare_store

PARENT_TAG = "mlflow.parentRunId"
_SERVER = "MLFLOW_TRACKING_URI"
_asked_at: float | None = None


@dataclass(frozen=True)
class Job:
    """One job under way.

    Attributes:
        pipeline: `imaging`, `patients` or `credit`.
        name: Name its model is registered under.
        run_id: Its MLflow run, parent of the arms' runs.
        folder: Scratch folder, gone when the job ends.
        config: Its configuration.
        started: Unix time when it was asked for, moved on by the time in which it lay dead.
        stages: How many stages its flow has.
        attempt: 1, and one more for every process that took the job up after a crash.
    """

    pipeline: str
    name: str
    run_id: str
    folder: Path
    config: Any
    started: float
    stages: int
    attempt: int = 1

    @property
    def charge_id(self) -> str:
        """Under which the ledger keeps what this attempt spends beyond the first one's charge."""
        return f"{self.run_id}.{self.attempt}"


def asked_at(moment: float) -> None:
    """Start the next job's clock at a Unix time: before anything slow was imported for it."""
    global _asked_at
    _asked_at = moment


def client() -> MlflowClient:
    """The tracking server of `MLFLOW_TRACKING_URI`, else a SQLite store in the home folder."""
    given = os.environ.get(_SERVER)
    uri = given or prepare_store(home() if (home() / "mlflow.db").exists() else writable_home())
    _check_answers(uri)
    if mlflow.get_tracking_uri() != uri:
        mlflow.set_tracking_uri(uri)
        if not given:  # MLflow sets the variable too, which would then pass for a given server
            os.environ.pop(_SERVER, None)
    return MlflowClient(uri)


@cache
def _check_answers(uri: str) -> None:
    """Ask a server once whether it is there: MLflow itself would try for minutes.

    Raises:
        InputError: Nothing answers.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # it answers, and has its own opinion of who may ask
    except OSError as error:
        raise InputError(
            f"{_SERVER}={uri}: no MLflow server answers ({getattr(error, 'reason', error)}); "
            "start it, correct the address, or unset the variable to use the local store"
        ) from None


def reports_folder(run_id: str) -> Path:
    """Where a job's report, card and evidence stay."""
    return home() / "reports" / run_id


@contextmanager
def open_job(pipeline: str, config: JobConfig, stages: int = 6) -> Iterator[Job]:
    """A job from start to end: its run is FINISHED, FAILED or KILLED, its scratch folder gone.

    A job whose process died, one that the machine stopped and one that waits for a grant keep their
    folder: what `careledger resume` or a Prefect worker takes up again is opened here as well.

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        config: Its configuration.
        stages: How many stages its flow has, so that progress can be shown as a share.
    """
    global _asked_at
    asked, _asked_at = _asked_at or time.time(), None
    tracker = client()
    taken = reopening.taken_up(tracker, asked)
    record, held = taken or _begin(tracker, pipeline, config, stages, asked)
    try:
        yield _job(record, config)
        close(tracker, record, "FINISHED")
    except Interrupted as error:
        pause(tracker, record, error)
        raise
    except Waiting as error:
        wait(tracker, record, error)
        raise
    except BaseException as error:
        if flow_runs.told_to_end(error):  # as good as killed: the work can go on elsewhere
            raise
        text = wording(error, config)
        close(tracker, record, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", text)
        announce(record, error, text)
        raise
    finally:
        held.release()


def _begin(
    tracker: MlflowClient, pipeline: str, config: JobConfig, stages: int, started: float
) -> tuple[jobs.Record, jobs.Hold]:
    """A new job: its run, its folder, its lock."""
    tags = origin(config, started)
    run = tracker.create_run(experiment(tracker, pipeline), run_name=pipeline, tags=tags)
    flow_run_id, deployed = flow_runs.current()
    record = jobs.Record(
        run_id=run.info.run_id,
        pipeline=pipeline,
        name=config.model_name or f"{pipeline}-{data_name(config)}",
        config=config.model_dump(mode="json", exclude_unset=True),
        started=started,
        began=started,
        stages=stages,
        revision=git_revision(),
        flow_run_id=flow_run_id,
        deployed=deployed,
    )
    held = jobs.begin(record)
    log_config(tracker, record.run_id, record.name, config)
    return record, held


def _job(record: jobs.Record, config: Any) -> Job:
    return Job(
        pipeline=record.pipeline,
        name=record.name,
        run_id=record.run_id,
        folder=record.folder,
        config=config,
        started=record.began,
        stages=record.stages,
        attempt=record.attempts,
    )


def log_data(job: Job, dataset: Dataset, role: str = "training") -> None:
    """Record which data a job used, by digest, as an MLflow input; no path, no record."""
    source = Origin(dataset.name, dataset.licence, dataset.provenance)
    # MLflow keeps 36 characters of a digest; the whole one is a tag beside it.
    short = dataset.digest.rpartition(":")[2][:32]
    meta = MetaDataset(source, name=dataset.name, digest=short)
    tracker = client()
    with mlflow.start_run(run_id=job.run_id):
        mlflow.log_input(meta, context=role)
    tracker.update_run(job.run_id, "RUNNING")
    tracker.set_tag(job.run_id, f"careledger.data.{role}", dataset.digest)


def logged_model(job: Job) -> str | None:
    """Address of the model that an earlier process of the job has logged whole.

    What it has logged by half is deleted.
    """
    if job.attempt == 1:
        return None
    tracker = client()
    experiment = tracker.get_run(job.run_id).info.experiment_id
    found = tracker.search_logged_models([experiment], f"source_run_id = '{job.run_id}'")
    whole = [model for model in found if model.status == LoggedModelStatus.READY]
    for model in found:
        if model not in whole[:1]:
            tracker.delete_logged_model(model.model_id)
    return str(whole[0].model_uri) if whole else None


def log_arm(job: Job, arm: Arm, history: list[dict[str, float]] | None = None) -> str:
    """One child run for an arm or control, written in one batch; returns its run id.

    One that an earlier process of the job has finished serves; one that it left half written is
    deleted.

    Args:
        job: The job.
        arm: Name, role, metrics and seconds.
        history: One mapping an epoch or round, with its number under `epoch` or `round`.
    """
    tracker = client()
    experiment = tracker.get_run(job.run_id).info.experiment_id
    if job.attempt > 1 and (finished := _logged_arm(tracker, experiment, job, arm)):
        return finished
    tags = {PARENT_TAG: job.run_id, "careledger.role": arm.role, "careledger.note": arm.note}
    run_id: str = tracker.create_run(experiment, tags=tags, run_name=arm.name).info.run_id
    log_metrics(run_id, {**arm.metrics, "seconds": arm.seconds}, history)
    tracker.set_terminated(run_id)
    return run_id


def _logged_arm(tracker: MlflowClient, experiment: str, job: Job, arm: Arm) -> str | None:
    mine = f"tags.`{PARENT_TAG}` = '{job.run_id}'"
    kept = None
    for run in tracker.search_runs([experiment], mine, max_results=1000):
        if run.info.run_name != arm.name:
            continue
        if run.info.status == "FINISHED" and kept is None:
            kept = str(run.info.run_id)
        else:
            tracker.delete_run(run.info.run_id)
    return kept


def log_metrics(
    run_id: str, metrics: dict[str, float], history: list[dict[str, float]] | None = None
) -> None:
    """Metrics, and curves by epoch or round, in batches; numbers that are not finite are left."""
    now = int(time.time() * 1000)
    entries = [Metric(_key(k), float(v), now, 0) for k, v in metrics.items() if math.isfinite(v)]
    for point in history or []:
        step = int(point.get("epoch", point.get("round", 0)))
        entries += [
            Metric(f"curve.{_key(k)}", float(v), now, step)
            for k, v in point.items()
            if k not in ("epoch", "round") and math.isfinite(v)
        ]
    tracker = client()
    for start in range(0, len(entries), 1000):  # MLflow's limit of one batch
        tracker.log_batch(run_id, metrics=entries[start : start + 1000])


def experiment(tracker: MlflowClient, pipeline: str) -> str:
    """Id of the experiment of a pipeline, made if there is none."""
    name = f"careledger-{pipeline}"
    found = tracker.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server knows where its artifacts go; a bare database would put them in the working folder.
    bare = os.environ.get(_SERVER, "sqlite:").startswith("sqlite:")
    local = (home() / "artifacts" / pipeline).as_uri() if bare else None
    return str(tracker.create_experiment(name, artifact_location=local))


def origin(config: JobConfig, started: float) -> dict[str, str]:
    """Tags of a run that begins: code, time, data, home."""
    return {
        "careledger.git_revision": git_revision(),
        "careledger.asked": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "careledger.data.name": data_name(config),
        jobs.HOME_TAG: jobs.home_mark(),
    }


def log_config(tracker: MlflowClient, run_id: str, name: str, config: JobConfig) -> None:
    """Write a run's model and configuration down, in parameters and as YAML."""
    params = [Param(key, text[:6000]) for key, text in flat(portable(config.model_dump()))]
    for start in range(0, len(params), 100):  # MLflow's limit of one batch
        tracker.log_batch(run_id, params=params[start : start + 100])
    tracker.set_tag(run_id, "careledger.model", name)
    tracker.log_text(run_id, config_yaml(config), "config.yaml")


def _key(name: str) -> str:
    """MLflow allows letters, digits, and `_-. :/` in a metric's name."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)[:250]
