"""Who scored what: an MLflow run a scoring, a line in the log of acts; no record, no path."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from domains.errors import InputError
from pipelines.acting import who
from pipelines.governance import activity
from pipelines.notices.notify import notify
from pipelines.progress import say
from pipelines.tracking import client, experiment

_TAG = "careledger."


@dataclass
class Act:
    """A scoring under way, as far as it is known.

    Attributes:
        model: Name as registered; what was asked for, until that is known.
        version, digest, run_id: None until known.
        rows, rejected: Of the whole input, once it is done.
    """

    model: str
    version: str | None = None
    digest: str | None = None
    run_id: str | None = None
    rows: int = 0
    rejected: int = 0
    how: str = "batch"


def begin(act: Act, earlier: str | None) -> str:
    """Open the run of a scoring.

    Args:
        act: Model, version and digest are known.
        earlier: The run of the same scoring, cut short: it goes on.

    Returns:
        Id of the run.
    """
    tracker = client()
    if earlier is not None:
        with suppress(MlflowException):  # another store's run, or a deleted one
            tracker.update_run(earlier, "RUNNING")
            return earlier
    tags = {"model": act.model, "version": act.version, "who": who(), "data.digest": act.digest}
    run = tracker.create_run(
        experiment(tracker, "score"),
        run_name="score",
        tags={_TAG + name: str(value) for name, value in tags.items()},
    )
    return str(run.info.run_id)


def drop(run_id: str) -> None:
    """Close the run of a scoring that was cut short and will not go on."""
    with suppress(MlflowException):
        client().set_terminated(run_id, "KILLED")


def done(act: Act, seconds: float) -> None:
    """Write down a scoring that is finished; its output stands, whoever does not answer now."""
    _note(act, "done")
    try:
        tracker, run_id, now = client(), str(act.run_id), int(time.time() * 1000)
        counts = {"rows": act.rows, "rejected": act.rejected}
        metrics = [Metric(k, v, now, 0) for k, v in {**counts, "seconds": seconds}.items()]
        tags = [RunTag(_TAG + name, str(count)) for name, count in counts.items()]
        tracker.log_batch(run_id, metrics=metrics, tags=tags)
        tracker.set_terminated(run_id)
    except (MlflowException, InputError):
        say(f"the output is complete, but MLflow did not take the end of run {act.run_id}")


def failed(act: Act, error: BaseException) -> None:
    """Write down a scoring that ended early; its error's text may hold what is private."""
    stopped = isinstance(error, KeyboardInterrupt)
    kind = type(error).__name__
    with suppress(OSError):  # a full disk is told all the same
        _note(act, "failed")
    if not stopped:
        facts = {k: str(v) for k, v in asdict(act).items() if k in ("model", "version", "run_id")}
        notify("failure", f"{act.model}: a scoring ended with {kind}", **facts)
    if act.run_id is not None:
        with suppress(MlflowException, InputError):
            client().set_tag(act.run_id, f"{_TAG}ended", kind)
            client().set_terminated(act.run_id, "KILLED" if stopped else "FAILED")


def _note(act: Act, ended: str) -> None:
    activity.note("score", **asdict(act), ended=ended)


class Pace:
    """Rows done and how fast, on standard error, every few seconds.

    Args:
        unit: What a row is.
    """

    _EVERY = 5.0

    def __init__(self, unit: str) -> None:
        self._unit, self._rows, self._started = unit, 0, time.monotonic()
        self._told = self._started

    def add(self, rows: int) -> None:
        """So many more are done."""
        self._rows += rows
        moment = time.monotonic()
        if moment - self._told >= self._EVERY:
            rate = self._rows / (moment - self._started)
            say(f"{self._rows:,} {self._unit} scored, {rate:,.0f} a second")
            self._told = moment
