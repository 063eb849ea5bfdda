"""What is predicted about a patient: the declaration of one outcome, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from domains.errors import InputError

Kind: TypeAlias = Literal["binary", "multiclass", "ordinal", "count", "regression", "survival"]
Value: TypeAlias = str | int | float

METRIC_OF: dict[Kind, str] = {
    "binary": "auroc",
    "multiclass": "auroc",
    "ordinal": "ordering",
    "count": "d2",
    "regression": "r2",
    "survival": "cindex",
}
"""The metric each kind of outcome is judged by, a name of `domains.metrics.METRICS`."""


@dataclass(frozen=True)
class Outcome:
    """One outcome as a configuration declares it.

    Attributes:
        name: Name in metrics, predictions and reports.
        kind: `binary`, `multiclass`, `ordinal`, `count`, `regression` or `survival`.
        column: Target column; survival has `time` and `event` instead.
        positive: Binary and survival events: values that mean yes. Empty: the column holds 0 and 1.
        transform: `log1p` learns a skewed amount on log(1 + x); predictions are transformed back.
        missing: Codes that mean unknown, beside empty cells.
        time: Survival: column of the time from prediction to event or censoring, above 0.
        event: Survival: column that says whether the time is an event.
        horizons: Survival: times at which to answer; empty: quartiles of the event times.
        head: Survival: `hazard` learns each interval's hazard freely, `cox` one that is
            proportional to the same baseline for everyone.
        levels: Ordinal: classes from the lowest to the highest; empty: numbers, by size.

    >>> Outcome("death", "binary", column="hospdead").metric
    'auroc'
    """

    name: str
    kind: Kind
    column: str | None = None
    positive: tuple[Value, ...] = ()
    transform: Literal["none", "log1p"] = "none"
    missing: tuple[Value, ...] = ()
    time: str | None = None
    event: str | None = None
    horizons: tuple[float, ...] = ()
    head: Literal["hazard", "cox"] = "hazard"
    levels: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in METRIC_OF:
            raise InputError(
                f"outcome {self.name}: kind {self.kind!r}, expected one of {', '.join(METRIC_OF)}"
            )
        if self.kind == "survival" and not (self.time and self.event):
            raise InputError(f"outcome {self.name}: survival needs the columns time and event")
        if self.kind != "survival" and not self.column:
            raise InputError(f"outcome {self.name}: kind {self.kind} needs column")
        if any(horizon <= 0 for horizon in self.horizons):
            raise InputError(f"outcome {self.name}: horizons must be above 0")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is read from; none of them may be a feature of any outcome."""
        return tuple(name for name in (self.column, self.time, self.event) if name)

    @property
    def metric(self) -> str:
        """Name of the metric it is judged by."""
        return METRIC_OF[self.kind]

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Outcome:
        """Inverse of `to_json`."""
        made: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**made)


def class_name(value: object) -> str:
    """One spelling for a class or category however a file stores it: 1, 1.0 and ' 1' are `1`."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | float | np.integer | np.floating):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
