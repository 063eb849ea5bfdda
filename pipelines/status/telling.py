"""The sentences that terminal and page share."""

from __future__ import annotations

from typing import Any

from pipelines.scoring.inbox import ACCEPTED
from pipelines.status.words import DECIDED, epsilon, minute, size

_NAMES = 5
Row = dict[str, Any]
SCORE = "score"
"""The pipeline of scheduled scorings among runs."""
ALLOW = "; to allow it: "
"""What stands before the command in the ledger's refusals."""


def champion(model: Row) -> str:
    """Which version serves, who moved it there, when and why."""
    number, since = model["champion"], model["since"]
    if number is None:
        return "no version serves"
    if not model["champion_exists"]:
        return f"version {number} is gone: the alias points to nothing"
    if since is None:
        return f"version {number}; nobody wrote down since when"
    how = "rolled back to" if since["action"] == "rollback" else "promoted"
    return (
        f"version {number} since {minute(since['when'])}, {how} by {since['who']}: {since['why']}"
    )


def verdict(model: Row) -> str:
    """The last word on a version; empty before the first."""
    last = model["verdict"]
    if last is None:
        return ""
    return f"version {last['to']} {DECIDED[last['action']]}, {minute(last['when'])}: {last['why']}"


def outcome(run: Row) -> str:
    """What came of a run: its version and the last word on it, or why it did not end well; and how
    often it was resumed after a crash."""
    times = run["resumed"]
    again = "resumed" + (f" {times} times" if times > 1 else "") if times else ""
    return "; ".join(filter(None, (_came(run), again)))


def ran(run: Row) -> str:
    """What a run was: the model that it trained or scored with."""
    return f"{run['model']} scoring" if run["pipeline"] == SCORE else str(run["model"])


def _came(run: Row) -> str:
    if run["end"] == "finished" and run["scored"]:
        if not run["scored"]["files"]:
            return "nothing new to score"
        files = f"{run['scored']['files']:,} input" + "s" * (run["scored"]["files"] != 1)
        return f"{files}, {scoring({**run['scored'], 'ended': 'done'})}"
    if run["end"] == "finished" and run["version"]:
        return f"version {run['version']} {run['verdict']}"
    if run["end"] == "running":
        return f"in {run['stage']}{_share(run['progress'])}" if run["stage"] else ""
    if run["end"] in ("crashed", "stopped"):
        return run["why"] or "its process ended without a word"
    return str(run["why"]).partition(ALLOW)[0]


def cut_short(job: Row) -> str:
    """Which job has no process, in which stage, and why where that is known."""
    if job.get("waits"):
        what = "a grant" if "budget grant" in job["waits"] else "the file it was charged for"
        return f"{job['name']} waits for {what} in {job['stage']}"
    if job.get("stopped"):
        return f"{job['name']} stopped by make down in {job['stage']}; make up goes on with it"
    return f"{job['name']} crashed in {job['stage']}"


def _share(progress: float | None) -> str:
    return "" if progress is None else f", {100 * progress:.0f} % done"


def budget(row: Row) -> str:
    """Granted, spent and left, and for how many more runs that is known to do."""
    text = (
        f"ε {epsilon(row['epsilon_spent'])} of {epsilon(row['epsilon_granted'])} spent, "
        f"{epsilon(row['epsilon_left'])} left"
    )
    if row["more_runs"] is None:
        return text
    runs = "run" if row["more_runs"] == 1 else "runs"
    return f"{text}: {row['more_runs'] or 'no'} more {runs} like the last"


def scoring(act: Row) -> str:
    """Rows and rejected rows, or the input that failed and why; what was stopped goes on."""
    if act["ended"] == "failed":
        return f"failed: {act['input']}: {act['why']}" if act["input"] else "failed"
    if act["ended"] == "stopped":
        return "stopped; the same scoring again goes on from there"
    rejected = f", {act['rejected']:,} rejected" if act["rejected"] else ""
    return f"{act['rows'] or 0:,} rows{rejected}"


def scored_by(act: Row) -> str:
    """Model and version, or the model alone where it never came to a version."""
    return f"{act['model']}/{act['version']}" if act["version"] else str(act["model"])


def passed_over(names: list[str]) -> str:
    """Files of an inbox that are of no kind that is scored, and which kinds are."""
    shown = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" * (len(names) > _NAMES))
    kind = "is of a kind" if len(names) == 1 else "are of kinds"
    return f"{shown} {kind} that is not scored; accepted: {ACCEPTED}; convert it or take it away"


def inbox(row: Row) -> str:
    """How many inputs wait, and what was passed over."""
    waits = f"{row['waiting']:,} waiting"
    return f"{waits}; {passed_over(row['passed_over'])}" if row["passed_over"] else waits


def schedule(row: Row) -> str:
    """When a deployment runs next, and by which rule."""
    rule = ", ".join(row["every"]) or "no schedule"
    if row["paused"]:
        return f"paused ({rule})"
    late = f", {row['late']} late" if row["late"] else ""
    return f"{minute(row['next'])} UTC ({rule}){late}" if row["next"] else rule


def space(row: Row) -> str:
    """Room left on the disk, and what the home takes of it."""
    least = "" if row["home_counted_whole"] else "more than "
    return (
        f"{size(row['free'])} free of {size(row['total'])}; home takes {least}{size(row['home'])}"
    )


def notifications(row: Row) -> str:
    """How many webhooks are told, and what waits."""
    hooks = "no webhook is set" if not row["webhooks"] else f"{row['webhooks']} webhook(s)"
    dropped = f", {row['dropped']} dropped" if row["dropped"] else ""
    return f"{hooks}; {row['waiting']} waiting{dropped}"


def service(row: Row) -> str:
    """What it serves and since when, or why it is down."""
    if not row["up"]:
        return str(row["why"])
    serves = f"version {row['version']} of {row['model']}, " if row["model"] else ""
    return f"{serves}since {minute(row['since'])}"
