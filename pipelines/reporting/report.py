"""The page a person looks at: one self-contained HTML file a run, and an index over several.

`render` and `index` write files that need no network and no script; `model_card` is the same
evidence as Markdown for the registry. Evidence whose `metrics` are empty belongs to a private run
that released none: then nothing computed from held-out records is shown, whatever else it holds.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from pipelines.evidence import Arm, Evidence, Table
from pipelines.reporting import embedding, page, risk, statements, wording
from pipelines.reporting.boards import boards

CARD = Path(__file__).parents[2] / "mlflow" / "model_card.md"
RISK = CARD.with_name("model_risk.md")

_ANCHORS = (
    ("findings", "In plain words"),
    ("worth", "Was it worth it?"),
    ("joining", "Client by client"),
    ("decisions", "Decisions"),
    ("calibration", "Calibration"),
    ("fairness", "Fairness"),
    ("explained", "What answers rest on"),
    ("scorecard", "The scorecard"),
    ("rounds", "Who took part"),
    ("privacy", "Privacy"),
    ("data", "Data and splits"),
    ("monitoring", "What to watch"),
    ("closer", "A closer look"),
    ("metrics", "Every test metric"),
    ("limits", "Limits"),
    ("provenance", "Provenance"),
)
# a figure belongs to the section whose words its name begins with; all others stand at the end
SECTIONS = {
    "worth": ("arms", "price", "discrimination", "clients", "lenders", "outcomes", "curve"),
    "joining": ("joining",),
    "decisions": ("decisions",),
    "calibration": ("calibration", "reliability"),
    "fairness": ("fairness",),
    "explained": ("explained",),
    "rounds": ("rounds",),
    "privacy": ("privacy", "budget", "epsilon"),
    "data": ("data", "samples", "split"),
}
_TABLED = ("worth", "joining", "decisions", "calibration", "explained", "rounds", "data")
"""Sections that take tables; all others stand at the end."""
_OF_RECORDS = ("findings", "joining", "decisions", "fairness", "explained", "closer")
"""Sections that are there only where held-out records' numbers may be told and there are any."""


def render(evidence: Evidence, result: Mapping[str, Any], path: Path) -> Path:
    """Write the report of a run to `path` and return it; the folder is made.

    `result` is the JSON of the run, and may hold `git_revision`, `config_yaml` and `started`.
    A figure of the arms is drawn unless `evidence` brings its own, see `embedding.pictures`.
    """
    with TemporaryDirectory() as scratch:
        pictures = embedding.pictures(evidence, Path(scratch))
    view = _view(evidence, result)
    by_section = {key: [p for name, p in pictures if _section(name) == key] for key in _KEYS}
    tables = {key: [t for t in evidence.tables if _place(t) == key] for key in _KEYS}
    held = {key: bool(by_section.get(key) or tables.get(key) or evidence.remarks.get(key))
            for key, _ in _ANCHORS}  # fmt: skip
    held["findings"] = bool(evidence.findings)
    held["fairness"] |= bool(evidence.fairness)
    held["closer"] = bool(by_section["more"] or tables["more"])
    hidden = {key for key in _OF_RECORDS if not (view["released"] and held[key])}
    hidden |= {key for key in ("rounds",) if not held[key]}
    hidden |= {key for key in ("scorecard", "monitoring") if getattr(evidence, key) is None}
    sections = {anchor: text for anchor, text in _ANCHORS if anchor not in hidden}
    written = page.template(page.TEMPLATES / "report.html", wording.typeset).render(
        **view, pictures=by_section, tables=tables, sections=sections
    )
    return page.write(path, written)


def model_card(evidence: Evidence, result: Mapping[str, Any]) -> str:
    """The model card of a run as Markdown, from `mlflow/model_card.md`."""
    return page.template(CARD, finalize=_markdown).render(**_view(evidence, result))


def risk_pack(evidence: Evidence, result: Mapping[str, Any]) -> str:
    """The model-risk pack of a run as Markdown, from `mlflow/model_risk.md`."""
    tables = {key: [t for t in evidence.tables if _place(t) == key] for key in _KEYS}
    return page.template(RISK, finalize=lambda told: wording.typeset(_markdown(told))).render(
        **_view(evidence, result),
        assumptions=risk.assumptions(evidence),
        untested=risk.untested(evidence),
        features=list(dict.fromkeys(str(row[0]) for row in _features(evidence))),
        tables={**tables, "fairness": evidence.fairness},
        parts={key: text for key, text in _ANCHORS if key in SECTIONS} | {"more": "Further"},
    )


def _features(evidence: Evidence) -> Sequence[Sequence[Any]]:
    """Lines of the table of points without its start; a model of another form has none."""
    return evidence.scorecard.rows[1:] if evidence.scorecard else []


def index(runs: Sequence[tuple[Evidence, Mapping[str, Any]]], path: Path) -> Path:
    """Write one page that tells the story of each run and links to its report.

    Links are relative to `path`, so that the folder can be moved or sent as a whole.
    """
    stories = []
    with TemporaryDirectory() as scratch:
        for evidence, result in runs:
            pictures = embedding.pictures(evidence, Path(scratch))
            first = next((p for name, p in pictures if _section(name) == "worth"), None)
            stories.append(
                {
                    **_view(evidence, result),
                    "picture": first,
                    "link": _relative(result.get("report"), path),
                }
            )
    template = page.template(page.TEMPLATES / "index.html", wording.typeset)
    return page.write(path, template.render(stories=stories))


def headline(evidence: Evidence) -> str:
    """The sentence over the page; where metrics are not released, one that tells none of them."""
    if evidence.metrics:
        return evidence.headline
    epsilon = wording.number((evidence.privacy or {}).get("epsilon"), 2)
    return f"Trained on {evidence.data.get('name', 'private records')} within ε = {epsilon}"


_KEYS = (*SECTIONS, "more")


def _section(name: str) -> str:
    found = [key for key, starts in SECTIONS.items() if name.startswith(starts)]
    return found[0] if found else "more"


def _place(table: Table) -> str:
    return table.section if table.section in _TABLED else "more"


def _view(evidence: Evidence, result: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates print, chosen; how it is printed is theirs."""
    released = bool(evidence.metrics)
    compared = wording.names(name for arm in evidence.arms for name in arm.metrics)
    return {
        "e": evidence,
        "r": result,
        "w": wording,
        "story": statements.STORIES[evidence.pipeline],
        "released": released,
        "headline": headline(evidence),
        "model": result.get("model") or {},
        "seconds": result.get("seconds") or {},
        "shares": _shares(result.get("seconds") or {}),
        "calibration_columns": _columns(evidence.calibration),
        "covered": statements.COVERED,
        "uncovered": statements.uncovered(released),
        "key": wording.key_metrics(evidence.metrics),
        "main": wording.main_metrics(evidence.metrics),
        "all_metrics": wording.names(evidence.metrics),
        "boards": boards(evidence.arms),
        "best_control": {
            name: _best([arm for arm in evidence.arms if arm.role == "control"], name)
            for name in compared
        },
        "owners": statements.owners(evidence.privacy or {}),
        "alike": statements.alike(statements.owners(evidence.privacy or {})),
        "budget_note": statements.BUDGET,
        "additive_note": statements.ADDITIVE,
        "thin_note": statements.THIN,
        "checking": statements.checking(evidence.privacy or {}, str(result.get("run_id") or "")),
        "unit": statements.unit(evidence.privacy or {}),
        "plan": statements.plan(evidence.privacy or {}),
        "records": _whole(evidence.split),
        "points": _by_feature(evidence.scorecard.rows if evidence.scorecard else []),
    }


def _whole(split: Mapping[str, Mapping[str, int]]) -> int:
    """Records of all parts together; 0 where those of one are not told."""
    told = all("records" in part for part in split.values())
    return sum(part["records"] for part in split.values()) if told else 0


def _by_feature(rows: Sequence[Sequence[Any]]) -> list[list[Sequence[Any]]]:
    """Rows of a table of points, a list a feature, in order; the first is where the sum starts."""
    return [list(group) for _, group in groupby(rows, key=lambda row: row[0])]


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """Training and orchestration as percentages of the whole."""
    total = seconds.get("total") or 1.0
    parts = ("training", "orchestration")
    return {part: round(100 * seconds.get(part, 0.0) / total, 1) for part in parts}


def _columns(calibration: Mapping[str, Any]) -> list[str]:
    """Columns of a calibration told by outcome; none where it is one model's plain numbers."""
    if not all(isinstance(value, Mapping) for value in calibration.values()):
        return []
    return list(dict.fromkeys(key for value in calibration.values() for key in value))


def _best(arms: Sequence[Arm], name: str) -> Arm | None:
    by_name = {arm.name: arm for arm in arms}
    key = wording.best({a.name: a.metrics[name] for a in arms if name in a.metrics}, name)
    return None if key is None else by_name[key]


def _relative(report: str | None, origin: Path) -> str:
    return quote(Path(os.path.relpath(report, origin.parent)).as_posix()) if report else ""


def _markdown(value: Any) -> Any:
    """Text that stays in its cell and its paragraph: no tag, no pipe, no line break.

    What a template calls safe stays as it is.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return " ".join(value.replace("<", "&lt;").replace("|", "\\|").split())
