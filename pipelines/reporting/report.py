"""The page a person looks at: one self-contained HTML file a run, and an index over several.

`render` and `index` write files that need no network and no script; `model_card` is the same
evidence as Markdown for the registry. Evidence whose `metrics` are empty belongs to a private run
that released none: then nothing computed from held-out records is shown, whatever else it holds.
"""

import base64
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from pipelines.evidence import Arm, Evidence, Figure
from pipelines.reporting import page, statements, wording
from pipelines.reporting.drawing import DPI, Row, narrow
from pipelines.reporting.figures import bars

CARD = Path(__file__).parents[2] / "mlflow" / "model_card.md"
RISK = CARD.with_name("model_risk.md")

_ANCHORS = (
    ("findings", "In plain words"),
    ("worth", "Was it worth it?"),
    ("scorecard", "The scorecard"),
    ("calibration", "Calibration"),
    ("fairness", "Fairness"),
    ("privacy", "Privacy"),
    ("data", "Data and splits"),
    ("closer", "A closer look"),
    ("metrics", "Every test metric"),
    ("limits", "Limits"),
    ("provenance", "Provenance"),
)
# a figure belongs to the section whose words its name begins with; all others stand at the end
SECTIONS = {
    "worth": ("arms", "discrimination", "clients", "lenders", "outcomes"),
    "calibration": ("calibration", "reliability"),
    "fairness": ("fairness",),
    "privacy": ("privacy", "budget", "epsilon"),
    "data": ("data", "samples", "split"),
}
_PHOTOS = ("samples", "gradcam", "images")
_ELSEWHERE = ("external.", "validation.")  # not of the test records that arms are compared on
_COMPARES = ("arms", "outcomes")  # figures that already set the arms against each other


@dataclass(frozen=True)
class Picture:
    """A figure ready to embed: data addresses at two widths, its size in CSS pixels, and whether it
    shows images, whose colours a dark page must not touch."""

    title: str
    caption: str
    wide: str
    narrow: str
    width: int
    height: int
    photo: bool


def render(evidence: Evidence, result: Mapping[str, Any], path: Path) -> Path:
    """Write the report of a run to `path` and return it; the folder is made.

    `result` is the JSON of the run, and may hold `git_revision`, `config_yaml` and `started`.
    A figure of the arms is drawn unless `evidence` brings its own, see `_COMPARES`.
    """
    with TemporaryDirectory() as scratch:
        pictures = _pictures(evidence, Path(scratch))
    view = _view(evidence, result)
    by_section = {key: [p for name, p in pictures if _section(name) == key] for key in _KEYS}
    closer = view["released"] and bool(evidence.tables or by_section["more"])
    told = view["released"] and evidence.findings
    hidden = {"findings": not told, "closer": not closer, "scorecard": not evidence.scorecard}
    hidden["fairness"] = not (view["released"] and evidence.fairness)
    sections = [(anchor, text) for anchor, text in _ANCHORS if not hidden.get(anchor)]
    written = page.template(page.TEMPLATES / "report.html").render(
        **view, pictures=by_section, sections=sections
    )
    return page.write(path, written)


def model_card(evidence: Evidence, result: Mapping[str, Any]) -> str:
    """The model card of a run as Markdown, from `mlflow/model_card.md`."""
    return page.template(CARD, finalize=_markdown).render(**_view(evidence, result))


def risk_pack(evidence: Evidence, result: Mapping[str, Any]) -> str:
    """The model-risk pack of a run as Markdown, from `mlflow/model_risk.md`."""
    return page.template(RISK, finalize=_markdown).render(**_view(evidence, result))


def index(runs: Sequence[tuple[Evidence, Mapping[str, Any]]], path: Path) -> Path:
    """Write one page that tells the story of each run and links to its report.

    Links are relative to `path`, so that the folder can be moved or sent as a whole.
    """
    stories = []
    with TemporaryDirectory() as scratch:
        for evidence, result in runs:
            pictures = _pictures(evidence, Path(scratch))
            first = next((p for name, p in pictures if _section(name) == "worth"), None)
            stories.append(
                {
                    **_view(evidence, result),
                    "picture": first,
                    "link": _relative(result.get("report"), path),
                }
            )
    return page.write(path, page.template(page.TEMPLATES / "index.html").render(stories=stories))


def headline(evidence: Evidence) -> str:
    """The sentence over the page; where metrics are not released, one that tells none of them."""
    if evidence.metrics:
        return evidence.headline
    epsilon = wording.number((evidence.privacy or {}).get("epsilon"), 2)
    return f"Trained on {evidence.data.get('name', 'private records')} within ε = {epsilon}"


def data_uri(path: Path) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


_KEYS = (*SECTIONS, "more")


def _section(name: str) -> str:
    found = [key for key, starts in SECTIONS.items() if name.startswith(starts)]
    return found[0] if found else "more"


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
        "compared": [name for name in compared if not name.startswith(_ELSEWHERE)],
        "best": {name: _best_value(evidence.arms, name) for name in compared},
        "best_control": {
            name: _best([arm for arm in evidence.arms if arm.role == "control"], name)
            for name in compared
        },
        "owners": statements.owners(evidence.privacy or {}),
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


def _best_value(arms: Sequence[Arm], name: str) -> float | None:
    arm = _best(arms, name)
    return None if arm is None else arm.metrics[name]


def _pictures(evidence: Evidence, scratch: Path) -> list[tuple[str, Picture]]:
    """Every figure of released evidence, the arms first."""
    if not evidence.metrics:
        return []
    figures = list(evidence.figures)
    if not any(figure.name.startswith(_COMPARES) for figure in figures):
        figures = [*_arms(evidence, scratch), *figures]
    return [(figure.name, _embed(figure)) for figure in figures]


def _arms(evidence: Evidence, folder: Path) -> list[Figure]:
    """Arms against controls by the main metrics; nothing where there is nothing to compare."""
    main = wording.main_metrics(evidence.metrics)
    rows = [_arm_row(arm, name, len(main)) for name in main for arm in evidence.arms]
    if len(evidence.arms) < 2 or not main:
        return []
    label = wording.title(main[0]) if len(main) == 1 else "the outcome's own measure"
    path = bars(folder / f"{evidence.pipeline}-arms.png", rows, f"{label}, test records")
    return [
        Figure(
            "arms",
            "Strategies against their controls",
            "Dots are test results, whiskers 95 % intervals. Where whiskers overlap widely, the "
            "difference may be chance.",
            path,
        )
    ]


def _arm_row(arm: Arm, name: str, metrics: int) -> Row:
    """One metric: a line an arm, coloured by role. Several: a line a metric, coloured by arm."""
    value, low, high = (arm.metrics.get(name + suffix) for suffix in ("", "_low", "_high"))
    if metrics == 1:
        role = "strategies" if arm.role == "arm" else "controls"
        return arm.name, value, low, high, role
    return wording.title(name), value, low, high, arm.name


def _embed(figure: Figure) -> Picture:
    with figure.path.open("rb") as stream:
        width, height = struct.unpack(">16xII", stream.read(24))  # the PNG header's size
    phone = narrow(figure.path)
    scale = DPI // 100
    return Picture(
        figure.title,
        figure.caption,
        data_uri(figure.path),
        data_uri(phone) if phone.exists() else "",
        width // scale,
        height // scale,
        figure.name.startswith(_PHOTOS),
    )


def _relative(report: str | None, origin: Path) -> str:
    return quote(Path(os.path.relpath(report, origin.parent)).as_posix()) if report else ""


def _markdown(value: Any) -> Any:
    """Text that stays in its cell and its paragraph: no tag, no pipe, no line break."""
    if not isinstance(value, str):
        return value
    return " ".join(value.replace("<", "&lt;").replace("|", "\\|").split())
