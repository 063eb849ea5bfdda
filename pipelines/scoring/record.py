"""Who scored what: an MLflow run a scoring, a line in the log of acts; no record.

Of a scoring that went well no path is kept, for a file may be named after a patient; of one that
did not, people have to know which file to mend.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from domains.errors import InputError
from pipelines.acting import who
from pipelines.governance import activity
from pipelines.life.flow_runs import told_to_end
from pipelines.notices.notify import notify
from pipelines.progress import say
from pipelines.scoring import wording
from pipelines.scoring.seen import mark
from pipelines.settings import ScoreConfig
from pipelines.tracking import client, experiment

_TAG = "careledger."


@dataclass
class Act:
    """A scoring under way, as far as it is known.

    Attributes:
        order: What was asked for.
        flow_run: The scheduled run that it belongs to; None at a terminal, where somebody sees how
            it ends.
        model: Name as registered; what was asked for, until that is known.
        version, digest, run_id: None until known.
        state, content: Of the input when it was opened, see `pipelines.scoring.seen`.
        rows, rejected: Of the whole input, once it is done.
        warnings: Lines about it that people should read; they name columns and hold no value.
    """

    order: ScoreConfig
    flow_run: str | None
    model: str
    version: str | None = None
    digest: str | None = None
    run_id: str | None = None
    state: str | None = None
    content: str | None = None
    rows: int = 0
    rejected: int = 0
    warnings: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """JSON values for the log of acts; where input and output are is not told by them."""
        kept = ("model", "version", "digest", "run_id", "state", "content", "rows", "rejected")
        return {
            **{name: getattr(self, name) for name in (*kept, "warnings")},
            "how": "batch" if self.flow_run is None else "schedule",
            "source": mark(self.order.input),
            "target": mark(self.order.output),
        }


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
    """Write down a scoring that ended early, and tell people.

    Whoever has typed a command is told by it alone until its scoring has begun: a name that is
    none, a file that is missing. Nobody is told of what was stopped on purpose.
    """
    if act.flow_run is None and act.run_id is None:
        return
    stopped = isinstance(error, KeyboardInterrupt) or (
        act.flow_run is not None and told_to_end(error)
    )
    why = "" if stopped else wording.reason(error, act.order.input)
    with suppress(OSError):  # a full disk is told all the same
        _note(act, "stopped" if stopped else "failed", why=why, **_asked(act.order))
    if not stopped:
        _tell(act, why)
    if act.run_id is not None:
        with suppress(MlflowException, InputError):
            client().set_tag(act.run_id, f"{_TAG}ended", type(error).__name__)
            client().set_terminated(act.run_id, "KILLED" if stopped else "FAILED")


def _asked(order: ScoreConfig) -> dict[str, str]:
    return {
        "input": str(order.input),
        "output": str(order.output),
        "command": wording.command(order),
    }


def _tell(act: Act, why: str) -> None:
    known = {"model": act.model, "version": act.version, "run_id": act.run_id}
    facts = {name: value for name, value in known.items() if value is not None}
    text = f"{act.model}: {act.order.input} was not scored: {why}"
    notify("failure", text, **facts, reason=why, **_asked(act.order))


def _note(act: Act, ended: str, **more: str) -> None:
    activity.note("score", **act.facts(), ended=ended, **more)


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
