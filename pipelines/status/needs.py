"""What must not wait: read from a snapshot, each with what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.status import telling
from pipelines.status.snapshot import Snapshot
from pipelines.status.telling import ALLOW, SCORE
from pipelines.status.words import epsilon, size

LEAST_FREE = 2 * 1024**3
_WRONG = ("failed", "refused")
_MAY_BE_AWAY = ("schedules",)  # a machine on which nothing is scheduled has no server


@dataclass(frozen=True)
class Need:
    """Something a person has to look at; `command` is empty where there is no one command."""

    what: str
    command: str = ""


def people(snapshot: Snapshot) -> list[Need]:
    """Everything in a snapshot that needs a person, the gravest first."""
    return [
        *_champions(snapshot),
        *_crashed(snapshot),
        *_runs(snapshot),
        *_scorings(snapshot),
        *_inboxes(snapshot),
        *_budgets(snapshot),
        *_services(snapshot),
        *_schedules(snapshot),
        *_messages(snapshot),
        *_space(snapshot),
        *_unread(snapshot),
    ]


def _champions(snapshot: Snapshot) -> Iterator[Need]:
    for model in snapshot.listed("models"):
        name, champion = model["name"], model["champion"]
        if champion is None and model["versions"]:
            yield Need(
                f"{name}: {model['versions']} registered and none of them serves",
                f"careledger models promote {shlex.quote(name)} VERSION",
            )
        elif champion is not None and not model["champion_exists"]:
            yield Need(
                f"{name}: its champion, version {champion}, is gone",
                f"careledger models rollback {shlex.quote(name)}",
            )
        elif champion is not None and champion != model["recorded"]:
            yield Need(
                f"{name}: version {champion} serves, and the record of moves says "
                f"{model['recorded'] or 'none'}: the alias was set past the gate",
                f"careledger models promote {shlex.quote(name)} {model['recorded'] or champion}",
            )
        if model["awaiting"]:
            yield Need(
                f"{name}: version {model['awaiting']} passed the gate and awaits approval",
                f"careledger models approve {shlex.quote(name)} {model['awaiting']}",
            )


def _crashed(snapshot: Snapshot) -> Iterator[Need]:
    for job in snapshot.listed("crashed"):
        if job.get("stopped"):
            continue  # on purpose
        if waits := job.get("waits"):
            why, _, command = waits.partition(ALLOW)
            yield Need(f"{job['name']}: a run waits: {why}", command.partition(" (")[0])
            continue
        yield Need(f"{job['name']}: a run crashed in {job['stage'] or 'its start'}", job["command"])


def _runs(snapshot: Snapshot) -> Iterator[Need]:
    """The last training and the last scoring of a model, when it did not end well: an earlier one
    has been made good."""
    crashed = {job["run_id"] for job in snapshot.listed("crashed")}
    seen = set()
    for run in snapshot.listed("runs"):
        last = (run["pipeline"] == SCORE, run["model"]) not in seen
        seen.add((run["pipeline"] == SCORE, run["model"]))
        if not last or run["run_id"] in crashed:
            continue
        if run["pipeline"] == SCORE:
            yield from _round(run)
        elif run["end"] in _WRONG:
            how = "was refused" if run["end"] == "refused" else run["end"]
            why, _, command = run["why"].partition(ALLOW)
            command, _, more = command.partition(" (")
            why += f" ({more}" if more else ""
            yield Need(f"{run['model']}: the last run {how}: {why}", command)


def _round(run: dict[str, Any]) -> Iterator[Need]:
    """A scheduled scoring that failed before any input did; inputs are told one by one."""
    if run["end"] in ("failed", "crashed") and not (run["scored"] or {}).get("failed"):
        yield Need(f"{run['model']}: the last scheduled scoring {run['end']}: {run['why']}")


def _scorings(snapshot: Snapshot) -> Iterator[Need]:
    """Inputs that could not be scored, until they are scored or taken away."""
    for act in (snapshot.of("activity") or {"failures": []})["failures"]:
        yield Need(f"{act['model']}: {act['input']} was not scored: {act['why']}", act["command"])


def _inboxes(snapshot: Snapshot) -> Iterator[Need]:
    for inbox in snapshot.listed("inboxes"):
        if names := inbox["passed_over"]:
            yield Need(f"{inbox['folder']}: {telling.passed_over(names)}")


def _budgets(snapshot: Snapshot) -> Iterator[Need]:
    named = " ".join(need.what for need in _runs(snapshot))  # a refusal has told it already
    for row in snapshot.listed("budgets"):
        if row["more_runs"] == 0 and row["owner"] not in named:
            yield Need(
                f"{row['owner']}: the ε {epsilon(row['epsilon_left'])} left of "
                f"{epsilon(row['epsilon_granted'])} pays for no further run like the last",
                f"careledger budget grant {shlex.quote(row['owner'])} --epsilon E "
                f"--delta {row['delta']:g}",
            )


def _services(snapshot: Snapshot) -> Iterator[Need]:
    for service in snapshot.listed("services"):
        if not service["up"]:
            yield Need(
                f"{service['name']} should be up and is down: {service['why']}", service["command"]
            )


def _schedules(snapshot: Snapshot) -> Iterator[Need]:
    for row in snapshot.listed("schedules"):
        if row["late"]:
            yield Need(
                f"{row['name']}: {row['late']} scheduled and late; no worker takes them", "make up"
            )


def _messages(snapshot: Snapshot) -> Iterator[Need]:
    told = snapshot.of("notifications") or {"waiting": 0, "dropped": 0}
    if told["waiting"]:
        yield Need(f"{told['waiting']} notifications wait: no webhook has taken them")
    if told["dropped"]:
        yield Need(f"{told['dropped']} notifications were dropped undelivered")


def _space(snapshot: Snapshot) -> Iterator[Need]:
    space = snapshot.of("space")
    if space and space["free"] < LEAST_FREE:
        yield Need(f"the disk has {size(space['free'])} left; runs need {size(LEAST_FREE)}")


def _unread(snapshot: Snapshot) -> Iterator[Need]:
    """Parts that could not be read, those for one reason together."""
    parts: dict[str, list[str]] = {}
    for name, part in snapshot.parts.items():
        if part.said and name not in _MAY_BE_AWAY:
            parts.setdefault(part.said, []).append(name)
    for said, names in parts.items():
        yield Need(f"not read: {', '.join(names)} ({said})", "careledger doctor")
