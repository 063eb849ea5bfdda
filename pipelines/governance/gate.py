"""The checks between a version and its alias; the rules are `mlflow/promotion.toml`."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domains.errors import InputError
from domains.metrics import Interval
from pipelines.governance import decided
from pipelines.governance.held_out import Answers, calibration_error, difference, primary
from pipelines.governance.noninferiority import (
    Noninferiority,
    beyond,
    read_margins,
    shared_less_own,
)

RULES = Path(__file__).resolve().parents[2] / "mlflow" / "promotion.toml"
REQUIRED = frozenset({"floor", "margin", "max_ece", "min_records", "evidence"})
KNOWN = REQUIRED | {
    "approval",
    "approval_hours",
    "slope",
    "min_approval_ratio",
    "max_calibration_difference",
    "noninferiority",
}
AWAITING = "approval: awaiting approval by a person"


@dataclass(frozen=True)
class Rules:
    """What a version must show; see `mlflow/promotion.toml` for each key."""

    floor: float
    margin: float
    max_ece: float
    min_records: int
    evidence: tuple[str, ...]
    approval: bool = False
    approval_hours: float = 24.0
    slope: tuple[float, float] | None = None
    min_approval_ratio: float | None = None
    max_calibration_difference: float | None = None
    noninferiority: Noninferiority | None = None


@dataclass(frozen=True)
class Check:
    """One rule's outcome: its name, whether it held, and the numbers it held or failed by."""

    rule: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer, and whether the version is ahead of the best champion so far.

    `approval` is whether a person has to say yes as well.
    """

    checks: tuple[Check, ...]
    ahead: bool
    approval: bool = False

    @property
    def passed(self) -> bool:
        """Whether every rule held."""
        return all(check.passed for check in self.checks)

    @property
    def promotes(self) -> bool:
        """Whether `champion` moves on this verdict alone."""
        return self.passed and not self.approval

    def reasons(self, numbers: bool = True) -> list[str]:
        """One line a rule; yes or no alone where held-out metrics may not leave their owner."""
        waits = [AWAITING] if self.passed and self.approval else []
        if not numbers:
            said = f"gate: {'yes' if self.passed else 'no'} (the reasons are not released)"
            return [said, *waits]
        word = {True: "met", False: "not met"}
        return [f"{c.rule}: {word[c.passed]} ({c.detail})" for c in self.checks] + waits


def load_rules(pipeline: str, name: str, path: Path = RULES) -> Rules:
    """Rules for one registered model.

    Raises:
        InputError: The file is missing, not TOML, lacks a key, or has an unknown or wrong one.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from None
    chosen: dict[str, Any] = {
        **tables.get("default", {}),
        **tables.get(pipeline, {}),
        **tables.get("model", {}).get(name, {}),
    }
    if unknown := chosen.keys() - KNOWN:
        raise InputError(f"{path}: unknown rule {sorted(unknown)[0]!r}; known: {sorted(KNOWN)}")
    if missing := REQUIRED - chosen.keys():
        raise InputError(f"{path}: no {sorted(missing)[0]} for {pipeline}")
    if not isinstance(chosen.get("approval", False), bool):
        raise InputError(f"{path}: approval {chosen['approval']!r} for {pipeline}; true or false")
    if (slope := chosen.get("slope")) is not None:
        if not isinstance(slope, list) or len(slope) != 2 or not slope[0] < slope[1]:
            raise InputError(f"{path}: slope {slope!r} for {pipeline}; two rising numbers")
        chosen["slope"] = tuple(slope)
    if "noninferiority" in chosen:
        chosen["noninferiority"] = read_margins(chosen["noninferiority"], path, pipeline)
    return Rules(**{**chosen, "evidence": tuple(chosen["evidence"])})


def check(rules: Rules, evidence: dict[str, Any], new: Answers, best: Answers | None) -> Verdict:
    """Judge a version by its evidence and its answers on held-out records.

    Args:
        rules: From `load_rules`.
        evidence: The version's evidence as JSON.
        new: The version's answers on records it did not train on.
        best: Answers of the best champion so far; None when there has been none.
    """
    checks = [_complete(rules, evidence), _floor(rules, new), _calibrated(rules, new)]
    checks += [*_sloped(rules, new), *_fair(rules, new), *_noninferior(rules, evidence)]
    ahead = best is None
    if best is not None:
        compared, ahead = _no_worse(rules, new, best)
        checks.append(compared)
    return Verdict(tuple(checks), ahead, rules.approval)


def _complete(rules: Rules, evidence: dict[str, Any]) -> Check:
    missing = [name for name in rules.evidence if not _has(evidence, name)]
    detail = f"missing: {', '.join(missing)}" if missing else "nothing missing"
    return Check("evidence", not missing, detail)


def _has(evidence: dict[str, Any], name: str) -> bool:
    """Private records train no control, and a private run may release no metric: that is said,
    not missing.
    """
    private = not evidence.get("data", {}).get("public")
    withheld = private and bool(evidence.get("privacy"))
    if name == "data":
        return bool(evidence.get("data", {}).get("digest"))
    if name == "controls":
        return private or any(arm["role"] == "control" for arm in evidence.get("arms", []))
    if name == "metrics":
        return withheld or bool(evidence.get("metrics"))
    if name == "privacy":
        return evidence.get("pipeline") != "credit" or not private or bool(evidence.get("privacy"))
    return bool(evidence.get(name))


def _floor(rules: Rules, new: Answers) -> Check:
    found = primary(new)
    bounds = f"95 % interval {found.low:.4f} to {found.high:.4f}"
    if not math.isfinite(found.low):
        bounds = "no interval: too few records, or answers that are all alike"
    detail = f"{found.value:.4f}, {bounds}; its lower end must reach {rules.floor:g}"
    return Check("floor", found.low >= rules.floor, detail)


def _calibrated(rules: Rules, new: Answers) -> Check:
    error = calibration_error(new)
    if error is None:
        return Check("calibration", True, "no outcome answers probabilities")
    detail = f"expected calibration error {error:.4f}, at most {rules.max_ece:g}"
    return Check("calibration", error <= rules.max_ece, detail)


def _sloped(rules: Rules, new: Answers) -> list[Check]:
    if rules.slope is None:
        return []
    found = decided.slope(new)
    if found is None or not math.isfinite(found.low):
        return [Check("calibration slope", True, "cannot be told from these records")]
    low, high = rules.slope
    return [_not_beyond("calibration slope", found, low, high)]


def _fair(rules: Rules, new: Answers) -> list[Check]:
    """One check a protected column and rule; a column with fewer than two groups is said."""
    checks = []
    for column, found in decided.groups(new).items():
        if found is None:
            told = "fewer than two groups are large enough to be compared"
            checks.append(Check(f"fairness, {column}", True, told))
            continue
        ratio, gap = found
        if rules.min_approval_ratio is not None:
            rule = f"approval ratio, {column}"
            checks.append(_not_beyond(rule, ratio, rules.min_approval_ratio, math.inf))
        if rules.max_calibration_difference is not None:
            rule = f"calibration between groups, {column}"
            most = rules.max_calibration_difference
            checks.append(_not_beyond(rule, gap, -math.inf, most))
    return checks


def _noninferior(rules: Rules, evidence: dict[str, Any]) -> list[Check]:
    """Of outcomes of a shared network; nothing is said where none was trained alone beside it."""
    gaps = shared_less_own(evidence)
    if rules.noninferiority is None or not gaps:
        return []
    lost = beyond(rules.noninferiority, gaps)
    compared = f"{len(gaps)} outcomes of the shared network against their single-task networks"
    detail = "; ".join(lost) or f"{compared}: none lies wholly beyond its margin"
    return [Check("no outcome worse than alone", not lost, detail)]


def _not_beyond(rule: str, found: Interval, low: float, high: float) -> Check:
    """Fails only where the whole interval lies beyond a limit: few records are no offence."""
    limits = [f"at least {low:g}"] * math.isfinite(low) + [f"at most {high:g}"] * math.isfinite(
        high
    )
    detail = (
        f"{found.value:.4f}, 95 % interval {found.low:.4f} to {found.high:.4f}; "
        f"it may not lie wholly beyond {' and '.join(limits)}"
    )
    return Check(rule, found.high >= low and found.low <= high, detail)


def _no_worse(rules: Rules, new: Answers, best: Answers) -> tuple[Check, bool]:
    rule = "no worse than the best champion"
    try:
        gap, records = difference(new, best)
    except KeyError as error:
        detail = (
            f"the best champion does not answer {error.args[0]!r}, so the two cannot be compared; "
            "register the new kind of model under a model_name of its own"
        )
        return Check(rule, False, detail), False
    if records < rules.min_records:
        detail = (
            f"{records} held-out records in common, {rules.min_records} needed; "
            "train again on the champion's data and split, or use another model_name"
        )
        return Check(rule, False, detail), False
    detail = (
        f"difference {gap.value:+.4f}, 95 % interval {gap.low:+.4f} to {gap.high:+.4f} on "
        f"{records} records; its lower end must lie above {-rules.margin:g}"
    )
    return Check(rule, gap.low > -rules.margin, detail), gap.value > 0
