"""A snapshot as one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.reporting import page
from pipelines.status import telling, words
from pipelines.status.needs import people
from pipelines.status.snapshot import Snapshot

_OWNERS = 8
_GOOD = {"finished": "good", "running": "busy", "killed": "quiet"}


def write(snapshot: Snapshot, path: Path) -> Path:
    """Write the page to a path; links to reports are relative to it."""
    told = page.template(page.TEMPLATES / "status.html").render(
        **{name: part.value for name, part in snapshot.parts.items()},
        said={name: part.said for name, part in snapshot.parts.items()},
        at=snapshot.at,
        home=snapshot.home,
        needs=people(snapshot),
        tiles=_tiles(snapshot),
        shown=_OWNERS,
        looks=_GOOD,
        t=telling,
        w=words,
        link=lambda report: quote(Path(os.path.relpath(report, path.parent)).as_posix()),
    )
    return page.write(path, told)


def _tiles(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """The few numbers that head the page: what, how much, and a remark."""
    return [
        *_serving(snapshot.listed("models")),
        *_ended(snapshot.listed("runs")),
        *_least(snapshot.listed("budgets")),
        *_free(snapshot.of("space")),
    ]


def _serving(models: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    serve = sum(bool(model["champion_exists"]) for model in models)
    remark = "a version serves" if serve == len(models) else "the others have no champion"
    return [("Models", f"{serve} of {len(models)}", remark)] if models else []


def _ended(runs: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    ends = Counter(run["end"] for run in runs)
    finished = ends.pop("finished", 0)
    rest = ", ".join(f"{count} {end}" for end, count in ends.items())
    remark = f"finished; {rest}" if rest else "finished"
    return [("Last runs", f"{finished} of {len(runs)}", remark)] if runs else []


def _least(budgets: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    if not budgets:
        return []
    first = budgets[0]
    left = max(first["epsilon_left"] / first["epsilon_granted"], 0.0)
    return [("Least budget left", f"{100 * left:.0f} %", first["owner"])]


def _free(space: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    if not space:
        return []
    return [("Disk free", words.size(space["free"]), f"home takes {words.size(space['home'])}")]
