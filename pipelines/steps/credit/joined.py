"""The table of joining in a run's evidence: table, pictures, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from domains.errors import InputError
from domains.metrics import Interval
from pipelines.evidence import Cell, Evidence, Figure, Table
from pipelines.governance import registry
from pipelines.reporting import joining as pictures
from pipelines.steps.credit.charge import is_public
from pipelines.steps.credit.joining import (
    ARMS,
    JOINED,
    Group,
    Member,
    along,
    groups,
    members,
    pays,
    tally,
)
from pipelines.steps.credit.pictures import lender_figure, lender_table
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import Tested, lenders
from pipelines.steps.credit.training import FEDERATED
from pipelines.tracking import Job

TITLE = "Worth joining? Every client's own answer"
_NAMED = 5
_AXIS = "AUROC gained over being alone"


def with_lenders(job: Job, prepared: Prepared, tested: Tested, evidence: Evidence) -> Evidence:
    """The evidence and every client's line: on public records what joining is worth to it, else
    the model inside it."""
    said = come_and_gone(job, list(prepared.sizes))
    found = members(tested, prepared.sizes) if is_public(job.config) else []
    if not found:
        own = lenders(tested, FEDERATED)
        drawn = lender_figure(job.folder / "figures", own)
        return replace(
            evidence,
            findings=[*evidence.findings, *said],
            figures=[*evidence.figures, *([drawn] if drawn else [])],
            tables=[*evidence.tables, lender_table(own, list(prepared.sizes))],
        )
    told = [member for member in found if member.told]
    return replace(
        evidence,
        findings=[*evidence.findings, *sentences(found, groups(tested, prepared.sizes)), *said],
        figures=[*evidence.figures, *figures(job.folder / "figures", told)],
        tables=[*evidence.tables, table(found)],
    )


def table(found: Sequence[Member]) -> Table:
    """One row a client, largest first."""
    arms = [arm for arm in ARMS if any(arm in member.areas for member in found)]
    gains = [arm for arm in JOINED if any(arm in member.gains for member in found)]
    rows: list[list[Cell]] = []
    for each in found:
        areas = [_value(each.areas.get(arm)) for arm in arms]
        differences = [_signed(each.gains.get(arm)) for arm in gains]
        apart = None if each.apart is None else f"{each.apart:.2f}"
        rows.append([each.name, answer(each), each.records, apart, *areas, *differences])
    return Table(
        title=TITLE,
        caption="AUROC inside each client's own test records, and paired differences with 95 % "
        "intervals, by borrower. Better and worse off: the whole interval lies on one side of 0. "
        "Differs: 1 less the rank correlation of its own model's scores with the shared model's. "
        "Each interval stands for itself: of many, one in twenty misses. A dash: too few test "
        "records of either outcome.",
        columns=["client", "its answer", "records", "differs", *arms,
                 *(f"{arm} − alone" for arm in gains)],
        rows=rows,
        section="joining",
    )  # fmt: skip


def answer(member: Member) -> str:
    """A client's own answer in one sentence, without the numbers that stand beside it.

    >>> answer(Member("A", 9, 2, None, {}, {}, None))
    'Too few test records to tell.'
    """
    if not member.told:
        return "Too few test records to tell."
    found: dict[str, list[str]] = {}
    for arm, gain in member.gains.items():
        verdict = "no different" if gain.low <= 0 <= gain.high else (
            "better off" if gain.low > 0 else "worse off"
        )  # fmt: skip
        found.setdefault(verdict, []).append(arm)
    said = "; ".join(f"{verdict} {' or '.join(arms)}" for verdict, arms in found.items())
    return f"{said[0].upper()}{said[1:]}."


def sentences(found: Sequence[Member], by_size: Sequence[Group]) -> list[str]:
    """How many clients are better off, who is not, and what gains go along with."""
    told = [member for member in found if member.told]
    if not told:
        return [f"Joining: none of {len(found)} clients has enough test records to tell."]
    said = [_counts(told, arm, len(found)) for arm in told[0].gains]
    for arm in told[0].gains:
        said += [
            f"The gain of {arm} over alone goes along with {what}: rank correlation {rho:+.2f}."
            for what, rho in along(told, arm).items()
        ]
    where = [pays(by_size, arm) for arm in told[0].gains] if by_size else []
    return [*said, *(_of_group(group) for group in by_size), *where]


def figures(folder: Path, told: Sequence[Member]) -> list[Figure]:
    """Every client's gain, and gains against size and difference; none where none is told."""
    gains = [
        pictures.Gain(each.name, arm, gain.value, gain.low, gain.high, each.records,
                      each.apart if each.apart is not None else 0.0)
        for each in told for arm, gain in each.gains.items()
    ]  # fmt: skip
    if not gains:
        return []
    drawn = [
        Figure(
            "joining",
            "Worth joining? Every client against itself alone",
            "AUROC inside each client less that of its own model alone, with 95 % intervals. To "
            "the right of zero the client is better off. More than 40 stand in order of their "
            "gain, without names.",
            pictures.forest(folder / "joining.png", gains, _AXIS),
        )
    ]
    against = pictures.sorts(gains)
    if against:
        drawn.append(
            Figure(
                "joining-along",
                "Who gains",
                f"The same gains against {' and against '.join(against)}.",
                pictures.along(folder / "joining-along.png", gains, _AXIS),
            )
        )
    return drawn


def come_and_gone(job: Job, names: Sequence[str]) -> list[str]:
    """Which clients of the last champion take no part in this job, and which are new beside it."""
    before = _clients_of_champion(job)
    missing = [name for name in before if name not in set(names)]
    new = [name for name in names if name not in set(before)] if before else []
    said = []
    if missing:
        verb = "takes" if len(missing) == 1 else "take"
        said.append(
            f"Of the {len(before)} clients of the champion, {len(missing)} {verb} no part in this "
            f"run{_list(missing)}; nothing was learned from them here."
        )
    if new:
        said.append(
            f"Of the {len(names)} clients of this run, the champion has not learned from "
            f"{len(new)}{_list(new)}."
        )
    return said


def _clients_of_champion(job: Job) -> list[str]:
    """By the budgets that it spent, else by its own table; none before the first champion."""
    try:
        version = registry.champion(job.name)
    except InputError:  # nothing is registered under this name yet
        return []
    if version is None:
        return []
    evidence = registry.stored_evidence(registry.get_version(job.name, version))
    if owners := (evidence.get("privacy") or {}).get("owners"):
        return [owner.partition("/")[2] for owner in owners if "/" in owner]
    rows = [each["rows"] for each in evidence.get("tables", []) if each["title"] == TITLE]
    return [str(row[0]) for row in rows[0]] if rows else []


def _counts(told: Sequence[Member], arm: str, clients: int) -> str:
    better, alike, worse = tally(told, arm)
    lost = [member.name for member in told if member.gains[arm].high < 0]
    few = (
        f"; {clients - len(told)} have too few test records to tell" if clients > len(told) else ""
    )
    return (
        f"Joining, {arm}: {better + alike} of {len(told)} clients are no worse off than alone "
        f"beyond their interval, {better} of them better; {worse} worse{_list(lost)}{few}."
    )


def _of_group(group: Group) -> str:
    said = "; ".join(f"{arm} {_signed(gain)}" for arm, gain in group.gains.items())
    return (
        f"The {group.name} of the clients ({group.lenders}, of {group.sizes} records) gain "
        f"over alone, inside clients: {said}."
    )


def _list(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" ({', '.join(names[:_NAMED])}{more})"


def _value(area: Interval | None) -> Cell:
    return None if area is None else f"{area.value:.3f}"


def _signed(gain: Interval | None) -> Cell:
    return None if gain is None else f"{gain.value:+z.3f} ({gain.low:+z.3f} to {gain.high:+z.3f})"
