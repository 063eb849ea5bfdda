"""Numbers and names as people read them: shared by the report, the card and the index."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domains.metrics import LOWER_IS_BETTER, Interval

_METRICS = {
    "auroc": ("AUROC", "how often a random case ranks above a random non-case"),
    "auroc_client_mean": ("AUROC, client mean", "computed at each client, then averaged"),
    "average_precision": ("Average precision", "area under precision and recall"),
    "accuracy": ("Accuracy", "share of records put in the right class"),
    "sensitivity": ("Sensitivity", "share of cases given a probability of one half or more"),
    "specificity": ("Specificity", "share of non-cases given less than one half"),
    "sensitivity_at_specificity": (
        "Sensitivity at the chosen specificity",
        "share of cases above the threshold that calibration records set",
    ),
    "specificity_reached": ("Specificity reached", "share of non-cases below that threshold"),
    "set_coverage": ("Coverage of prediction sets", "share that hold the true class"),
    "set_size": ("Classes in a prediction set", "1 says most"),
    "false_alarms": ("False warnings", "share of test records warned of as unlike"),
    "unlike": ("Warned of as unlike", "share of these records"),
    "ece": ("Calibration error", "gap between predicted and observed; 0 is best"),
    "ibs": ("Integrated Brier score", "squared error of survival curves; 0 is best"),
    "coverage": ("Coverage", "share of true values within their bounds"),
    "brier": ("Brier score", "mean squared error of the probability; 0 is best"),
    "ks": ("KS", "largest gap between the two score distributions"),
    "gini": ("Gini", "2 × AUROC − 1"),
    "r2": ("R²", "share of the variance explained"),
    "cindex": ("C-index", "share of pairs put in the right order of time"),
    "ordering": ("ordering", "share of pairs of different levels put in their order"),
    "d2": ("D²", "share of the deviance of counts that is explained"),
    "rmse": ("RMSE", "root of the mean squared error; 0 is best"),
    "mean": ("Mean", "over outcomes: of AUROC and C-index, or of R² where none is ranked"),
    "mae": ("MAE", "mean absolute error; 0 is best"),
    "calibration_slope": ("Calibration slope", "1 is best; below 1: too extreme"),
    "calibration_intercept": ("Calibration intercept", "0 is best; above 0: too optimistic"),
    "default_rate": ("Default rate", ""),
    "approval_ratio": ("Approval, lowest over highest", "1 is equal"),
    "approval_difference": ("Approval, highest less lowest", "0 is equal"),
    "opportunity_difference": ("Approval of those who repaid, highest less lowest", "0 is equal"),
    "odds_difference": ("Approval at equal outcome, highest less lowest", "0 is equal"),
    "calibration_difference": ("Predicted less observed, highest less lowest", "0 is equal"),
}
_WHOLE = {
    "approval.rate": "Share approved",
    "approval.default_rate": "Default rate of those approved",
    "approval.of_repaid": "Approved of those who repaid",
    "approval.of_defaulted": "Approved of those who defaulted",
}
_PARTS = {"external": "External test", "out_of_time": "Later approvals", "fairness": "Fairness"}
_KEY_ORDER = ("auroc", "auroc_client_mean", "accuracy", "ece", "ks")
_MAIN = ("auroc", "cindex", "r2", "accuracy")
_UNRANKED = ("coverage",)
_SUFFIXES = ("_low", "_high")
_MINUS, _PERCENT = re.compile(r"(?<![\w.])-(?=\d)"), re.compile(r"(\d) ?%")
_INTERVAL = re.compile(r"(\S+) \((\S+ to \S+)\)")


def split_name(name: str) -> tuple[str, str]:
    """`death.auroc` → (`death`, `auroc`); a name without an outcome has an empty first part."""
    outcome, _, metric = name.rpartition(".")
    return outcome, metric


def title(name: str) -> str:
    """A metric's name for a person: `external.death.auroc` → `External test · death · AUROC`."""
    if name in _WHOLE:
        return _WHOLE[name]
    outcome, metric = split_name(name)
    parts = outcome.split(".") if outcome else []
    last = _METRICS[metric][0] if metric in _METRICS else _PARTS.get(metric, words(metric))
    return " · ".join([*(_PARTS.get(part, words(part)) for part in parts), last])


def gloss(name: str) -> str:
    """What the metric means, in a few words; empty for one that explains itself."""
    return _METRICS.get(split_name(name)[1], ("", ""))[1]


def words(key: str) -> str:
    """`noise_multiplier` → `noise multiplier`, `ece_before` → `calibration error before`."""
    return " ".join("calibration error" if word == "ece" else word for word in key.split("_"))


def number(value: Any, digits: int = 3) -> str:
    """A number in fixed notation, a whole one with thousands set apart; a dash for none.

    >>> number(0.71234), number(9105), number(None), number(1e-5)
    ('0.712', '9,105', '–', '1e-5')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:z,.{digits}f}"


def fixed(value: float | None, digits: int = 3) -> str:
    """A measure, always with as many digits; a dash for none.

    >>> fixed(0.71234), fixed(-6.2e-5), fixed(None)
    ('0.712', '0.000', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:z,.{digits}f}"


def with_interval(value: Any) -> tuple[str, str]:
    """A table's cell and the interval in it, apart: `0.7 (0.6 to 0.8)` → `0.7`, `0.6 to 0.8`."""
    text = number(value)
    found = _INTERVAL.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def number_columns(rows: Sequence[Sequence[Any]]) -> set[int]:
    """Which columns of a table, the first left out, hold numbers: those are set to the right."""
    columns = enumerate(zip(*rows, strict=True))
    return {i for i, cells in columns if i and not any(map(_is_text, cells))}


def _is_text(value: Any) -> bool:
    return bool(value) and number(value)[:1].isalpha()


def moment(value: Any) -> str:
    """A time in ISO 8601 without its seconds: `2000-01-01 09:30`; a dash for none."""
    return str(value)[:16].replace("T", " ") if value else "–"


def seconds(value: float | None) -> str:
    """A duration: `0.4 s`, `83 s`, `12 min`."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def interval(metrics: Mapping[str, float], name: str) -> str:
    """The 95 % interval beside a metric, `0.690 to 0.733`; empty where none was computed."""
    low, high = (metrics.get(name + suffix) for suffix in _SUFFIXES)
    return "" if low is None or high is None else f"{fixed(low)} to {fixed(high)}"


def measured(found: Interval) -> str | None:
    """A value with its interval, `0.842 (0.801 to 0.880)`; None where there is none."""
    return with_bounds(found) if math.isfinite(found.value) else None


def with_bounds(found: Interval, signed: bool = False) -> str:
    """The same of a value that is one; where it has no interval, that is said.

    >>> with_bounds(Interval(1.0, math.nan, math.nan)), with_bounds(Interval(0.1, 0.0, 0.2), True)
    ('1.000 (no interval)', '+0.100 (+0.000 to +0.200)')
    """
    one = "+z.3f" if signed else "z.3f"
    if not math.isfinite(found.low):
        return f"{found.value:{one}} (no interval)"
    return f"{found.value:{one}} ({found.low:{one}} to {found.high:{one}})"


def percent(found: Interval) -> str:
    """A share with its interval, `91.2 % (88.0 to 94.1)`."""
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    if not math.isfinite(low):
        return f"{value:z.1f} % (no interval)"
    return f"{value:z.1f} % ({low:z.1f} to {high:z.1f})"


def names(metrics: Iterable[str]) -> list[str]:
    """The metrics themselves, without the bounds of their intervals, in order."""
    known = list(dict.fromkeys(metrics))
    return [
        name
        for name in known
        if not any(name.endswith(s) and name.removesuffix(s) in known for s in _SUFFIXES)
    ]


def main_metrics(metrics: Iterable[str]) -> list[str]:
    """What arms are compared by: the AUROC, or for several outcomes the first measure of each."""
    own = [name for name in names(metrics) if not name.startswith("external.")]
    overall = [name for name in _MAIN if name in own][:1]
    if overall:
        return overall
    outcomes = dict.fromkeys(split_name(name)[0] for name in own)
    ranked = [[f"{o}.{m}" for m in _MAIN if f"{o}.{m}" in own] for o in outcomes]
    return [candidates[0] for candidates in ranked if candidates]


def key_metrics(metrics: Iterable[str], count: int = 3) -> list[str]:
    """The few metrics that head a report."""
    own = names(metrics)
    return [name for name in _KEY_ORDER if name in own][:count] or main_metrics(own)[:count]


def best(values: Mapping[str, float], name: str) -> str | None:
    """The key of the best value of a metric; None where there is none, or it has no better way."""
    known = {key: value for key, value in values.items() if not math.isnan(value)}
    if not known or split_name(name)[1] in _UNRANKED:
        return None
    pick = min if split_name(name)[1] in LOWER_IS_BETTER else max
    return pick(known, key=lambda key: known[key])


def typeset(value: Any) -> Any:
    """What a page prints: a minus for a hyphen before a number, and no line break before %.

    >>> typeset("-0.012, 95 % of 2030-05-07"), typeset("22%")
    ('−0.012, 95\xa0% of 2030-05-07', '22\xa0%')
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _PERCENT.sub("\\1\xa0%", _MINUS.sub("−", value))
