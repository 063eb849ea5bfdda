"""A snapshot for a terminal; without colours or cut lines where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from pipelines.status import telling
from pipelines.status.needs import people
from pipelines.status.snapshot import Snapshot
from pipelines.status.words import minute, span

_OWNERS = 6
_BAR = 16


def tell(snapshot: Snapshot, width: int | None = None, colours: bool = False) -> str:
    """The whole status as text.

    Args:
        snapshot: What was seen.
        width: Columns to fold long lines at; None: no line is folded.
        colours: Whether headings may be bold.
    """
    lines = [f"Careledger {snapshot.home}, {minute(snapshot.at)} UTC"]
    for title, told in _sections(snapshot):
        lines += ["", f"\033[1m{title}\033[0m" if colours else title]
        lines += [_folded(line, width) for line in told]
    return "\n".join(lines)


def _folded(line: str, width: int | None) -> str:
    if width is None:
        return f"  {line}"
    return fill(line, width, initial_indent="  ", subsequent_indent="      ",
                break_long_words=False, break_on_hyphens=False, drop_whitespace=True)  # fmt: skip


def _sections(snapshot: Snapshot) -> Iterator[tuple[str, list[str]]]:
    yield "Needs a person", _needs(snapshot) or ["nothing"]
    yield "Models", _part(snapshot, "models", _models(snapshot), "none is registered yet")
    yield "Runs", _part(snapshot, "runs", _runs(snapshot), "none yet")
    yield "Cut short", _part(snapshot, "crashed", _crashed(snapshot), "none")
    yield "Scorings and requests", _part(snapshot, "activity", _activity(snapshot), "none yet")
    yield "Inboxes", _part(snapshot, "inboxes", _inboxes(snapshot), "none yet")
    yield "Budgets", _part(snapshot, "budgets", _budgets(snapshot), "no owner has granted any")
    yield "Next", _part(snapshot, "schedules", _schedules(snapshot), "nothing is scheduled")
    yield (
        "Services",
        _part(snapshot, "services", _services(snapshot), "none; `make up` starts them"),
    )
    told, space = snapshot.of("notifications"), snapshot.of("space")
    yield (
        "Notifications",
        _part(snapshot, "notifications", [telling.notifications(told)] if told else [], ""),
    )
    yield "Space", _part(snapshot, "space", [telling.space(space)] if space else [], "")


def _part(snapshot: Snapshot, name: str, lines: list[str], empty: str) -> list[str]:
    said = snapshot.parts[name].said
    return [said] if said else lines or [empty]


def _needs(snapshot: Snapshot) -> list[str]:
    return [
        f"! {need.what}" + (f"  ->  {need.command}" if need.command else "")
        for need in people(snapshot)
    ]


def _models(snapshot: Snapshot) -> list[str]:
    lines = []
    for model in snapshot.listed("models"):
        lines.append(f"{model['name']}: {telling.champion(model)}")
        if model["challenger"]:
            lines.append(f"  challenger {model['challenger']}")
        if (said := telling.verdict(model)) and model["verdict"]["action"] != "promote":
            lines.append(f"  last verdict: {said}")
    return lines


def _runs(snapshot: Snapshot) -> list[str]:
    rows = [
        (minute(run["started"]), span(run["seconds"]), telling.ran(run), run["end"],
         telling.outcome(run))
        for run in snapshot.listed("runs")
    ]  # fmt: skip
    return _columns(rows)


def _crashed(snapshot: Snapshot) -> list[str]:
    return [
        f"{telling.cut_short(job)}, {minute(job['since'])}  ->  {job['command']}"
        for job in snapshot.listed("crashed")
    ]


def _activity(snapshot: Snapshot) -> list[str]:
    activity = snapshot.of("activity") or {"scorings": [], "requests": []}
    rows = [
        (minute(act["when"]), str(act["who"]), telling.scored_by(act),
         telling.scoring(act))
        for act in activity["scorings"]
    ]  # fmt: skip
    served = [
        f"{one['model']}/{one['version']} over HTTP: {one['requests']:,} requests, "
        f"{one['rows']:,} rows since {minute(one['since'])}"
        for one in activity["requests"]
    ]
    return _columns(rows) + served


def _inboxes(snapshot: Snapshot) -> list[str]:
    return _columns([(row["folder"], telling.inbox(row)) for row in snapshot.listed("inboxes")])


def _budgets(snapshot: Snapshot) -> list[str]:
    rows = snapshot.listed("budgets")
    lines = _columns([(row["owner"], _bar(row), telling.budget(row)) for row in rows[:_OWNERS]])
    if len(rows) > _OWNERS:
        lines.append(f"and {len(rows) - _OWNERS} more owners, with more left")
    return lines


def _bar(row: telling.Row) -> str:
    spent = min(row["epsilon_spent"] / row["epsilon_granted"], 1.0)
    full = round(_BAR * spent)
    return "#" * full + "." * (_BAR - full)


def _schedules(snapshot: Snapshot) -> list[str]:
    return _columns([(r["name"], telling.schedule(r)) for r in snapshot.listed("schedules")])


def _services(snapshot: Snapshot) -> list[str]:
    return _columns(
        [
            (one["name"], "up" if one["up"] else "DOWN", one["url"] or "", telling.service(one))
            for one in snapshot.listed("services")
        ]
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns under each other, two spaces apart; the last one runs on."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
