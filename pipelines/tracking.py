"""Jobs and their MLflow runs: a parent run a job, a child run an arm or control."""

from __future__ import annotations

import math
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from domains.dataset import Dataset
from domains.errors import InputError, Refused
from pipelines.evidence import Arm
from pipelines.provenance import Origin, config_yaml, flat, git_revision, portable
from pipelines.settings import Job as JobConfig
from pipelines.settings import home, writable_home
from pipelines.store import prepare_store

PARENT_TAG = "mlflow.parentRunId"
_SERVER, _PID = "MLFLOW_TRACKING_URI", "pid"
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
        started: Unix time when it was asked for.
        stages: How many stages its flow has.
    """

    pipeline: str
    name: str
    run_id: str
    folder: Path
    config: Any
    started: float
    stages: int


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

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        config: Its configuration.
        stages: How many stages its flow has, so that progress can be shown as a share.
    """
    global _asked_at
    started, _asked_at = _asked_at or time.time(), None
    tracker = client()
    run = tracker.create_run(
        _experiment(tracker, pipeline), run_name=pipeline, tags=_origin(config, started)
    )
    job = Job(
        pipeline=pipeline,
        name=config.model_name or f"{pipeline}-{_data_name(config)}",
        run_id=run.info.run_id,
        folder=home() / "runs" / run.info.run_id,
        config=config,
        started=started,
        stages=stages,
    )
    _sweep(job.folder.parent)
    job.folder.mkdir(parents=True, mode=0o700)
    (job.folder / _PID).write_text(str(os.getpid()))
    _log_config(tracker, job)
    status = "FAILED"
    try:
        yield job
        status = "FINISHED"
    except BaseException as error:
        tracker.set_tag(job.run_id, "careledger.ended", _ending(error, config))
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        raise
    finally:
        tracker.set_terminated(job.run_id, status)
        shutil.rmtree(job.folder, ignore_errors=True)


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


def log_arm(job: Job, arm: Arm, history: list[dict[str, float]] | None = None) -> str:
    """One child run for an arm or control, written in one batch; returns its run id.

    Args:
        job: The job.
        arm: Name, role, metrics and seconds.
        history: One mapping an epoch or round, with its number under `epoch` or `round`.
    """
    tracker = client()
    experiment = tracker.get_run(job.run_id).info.experiment_id
    tags = {PARENT_TAG: job.run_id, "careledger.role": arm.role, "careledger.note": arm.note}
    run_id: str = tracker.create_run(experiment, tags=tags, run_name=arm.name).info.run_id
    log_metrics(run_id, {**arm.metrics, "seconds": arm.seconds}, history)
    tracker.set_terminated(run_id)
    return run_id


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


def _ending(error: BaseException, config: Any) -> str:
    """How a job ended, for its run. What is wrong with private records is told on the terminal
    alone, and the text of an unforeseen error nowhere: it may hold a record."""
    public = config.data.path is None or config.data.public
    if isinstance(error, Refused) or (isinstance(error, InputError) and public):
        return f"{type(error).__name__}: {error}"[:5000]
    return type(error).__name__


def _sweep(folder: Path) -> None:
    """Close jobs whose process is gone: their scratch may hold records, their runs look alive."""
    for left in folder.glob("*/" + _PID):
        try:
            os.kill(int(left.read_text()), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(left.parent, ignore_errors=True)
            with suppress(MlflowException):  # another store's run
                client().set_terminated(left.parent.name, "KILLED")
        except OSError:  # another user's process, or another job is sweeping
            continue


def _experiment(tracker: MlflowClient, pipeline: str) -> str:
    name = f"careledger-{pipeline}"
    found = tracker.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server knows where its artifacts go; a bare database would put them in the working folder.
    bare = os.environ.get(_SERVER, "sqlite:").startswith("sqlite:")
    local = (home() / "artifacts" / pipeline).as_uri() if bare else None
    return str(tracker.create_experiment(name, artifact_location=local))


def _origin(config: JobConfig, started: float) -> dict[str, str]:
    return {
        "careledger.git_revision": git_revision(),
        "careledger.asked": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "careledger.data.name": _data_name(config),
    }


def _data_name(config: Any) -> str:
    data = config.data
    return str(data.name or Path(data.path).name.partition(".")[0]).replace("/", "-")


def _log_config(tracker: MlflowClient, job: Job) -> None:
    params = [Param(key, text[:6000]) for key, text in flat(portable(job.config.model_dump()))]
    for start in range(0, len(params), 100):  # MLflow's limit of one batch
        tracker.log_batch(job.run_id, params=params[start : start + 100])
    tracker.set_tag(job.run_id, "careledger.model", job.name)
    tracker.log_text(job.run_id, config_yaml(job.config), "config.yaml")


def _key(name: str) -> str:
    """MLflow allows letters, digits, and `_-. :/` in a metric's name."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)[:250]
