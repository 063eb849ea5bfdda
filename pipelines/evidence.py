"""What a run found, as plain values: the one record that report, card and registry read.

A flow's last task builds an `Evidence`; everything a person later sees about the run is drawn
from it, so that the HTML report, the Markdown card and the JSON cannot disagree.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Metrics: TypeAlias = dict[str, float]
Cell: TypeAlias = str | float | int | None
Role: TypeAlias = Literal["arm", "control"]


@dataclass(frozen=True)
class Arm:
    """One training that the run compared: a strategy (`arm`) or what it is measured against.

    `metrics` holds numbers on test records keyed by name, with `NAME_low` and `NAME_high` beside
    each where an interval was computed (95 %). `seconds` is training time. `chosen` marks the arm
    that was registered; the choice was made on validation records.
    """

    name: str
    role: Role
    metrics: Metrics
    seconds: float
    note: str = ""
    chosen: bool = False

    def __post_init__(self) -> None:
        if self.role not in ("arm", "control"):
            raise ValueError(f"role of arm {self.name!r} is {self.role!r}; use 'arm' or 'control'")


@dataclass(frozen=True)
class Figure:
    """A PNG file that the report embeds.

    `title` says what is drawn, `caption` what to see in it; together they are the text that a
    reader who cannot see the image gets.
    """

    name: str
    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Table:
    """A small table for a person: `rows` are as long as `columns`; None prints as a dash.

    `section` is where in the report it stands, see `pipelines.reporting.report.SECTIONS`.
    """

    title: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    section: str = "closer"

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} of table {self.title!r} has {len(row)} cells, "
                    f"expected {len(self.columns)}, one a column"
                )


@dataclass(frozen=True)
class Evidence:
    """Everything a run can show for its model version.

    - `headline`: one sentence with the result in it.
    - `data`: the fields of `domains.dataset.Dataset` (name, digest, rows, unit, licence, …).
    - `split`: part name → {"records": n, "groups": n}.
    - `metrics`: the registered model on test records; empty when they may not be released.
    - `calibration`: numbers about the calibration (method, temperature, ece before and after, …).
    - `privacy`: {"unit", "epsilon", "delta", "owners", …} or None for a run without it.
    - `scorecard`: the table of points of a model that is one; it comes from noised training alone.
    - `fairness`: protected groups; empty where none is named, or nothing may be told of them.
    - `monitoring`: what to watch once the model is used, and when to act, from the run's numbers.
    - `findings`: the few sentences that matter most, computed from numbers.
    - `remarks`: section of the report → further such sentences, told there.
    - `served`: outcome → what answers it (`by`), why (`why`), and the shared network's difference
      from its single-task network on test records (`less_own`: value, low and high; None where
      there is none); empty for models that are one piece.
    - `limits`: what the numbers do not cover, in plain sentences.
    """

    pipeline: str
    headline: str
    data: dict[str, Any]
    split: dict[str, dict[str, int]]
    metrics: Metrics
    arms: list[Arm]
    calibration: dict[str, Any] = field(default_factory=dict)
    privacy: dict[str, Any] | None = None
    findings: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    scorecard: Table | None = None
    fairness: list[Table] = field(default_factory=list)
    monitoring: Table | None = None
    remarks: dict[str, list[str]] = field(default_factory=dict)
    served: dict[str, dict[str, Any]] = field(default_factory=dict)

    def every_sentence(self) -> list[str]:
        """Findings, then the remarks of every section."""
        return [*self.findings, *(line for lines in self.remarks.values() for line in lines)]


def to_json(evidence: Evidence) -> dict[str, Any]:
    """The evidence as values that `json.dumps` takes; paths become text.

    >>> to_json(Evidence("credit", "h", {}, {}, {}, []))["pipeline"]
    'credit'
    """
    plain: dict[str, Any] = _plain(asdict(evidence))
    return plain


def from_json(value: dict[str, Any]) -> Evidence:
    """The inverse of `to_json`."""
    return Evidence(
        **{
            **value,
            "arms": [Arm(**arm) for arm in value.get("arms", [])],
            "figures": [
                Figure(**{**figure, "path": Path(figure["path"])})
                for figure in value.get("figures", [])
            ],
            "tables": [Table(**table) for table in value.get("tables", [])],
            "fairness": [Table(**table) for table in value.get("fairness", [])],
            "monitoring": Table(**value["monitoring"]) if value.get("monitoring") else None,
            "scorecard": Table(**value["scorecard"]) if value.get("scorecard") else None,
        }
    )


def _plain(value: Any) -> Any:
    """Containers rebuilt with numpy scalars as Python numbers and paths as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    # numpy scalars have item(); naming numpy here would import it for nothing else
    return value.item() if hasattr(value, "item") else value
