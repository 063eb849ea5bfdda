"""The gate's rules on decisions: the calibration slope, and groups that are approved alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from pipelines.governance import decided, gate, held_out
from pipelines.governance.gate import RULES, Rules, check, load_rules
from pipelines.governance.held_out import Answers, HeldOut, HeldOutcome, answers

OPEN = Rules(floor=0.5, margin=0.02, max_ece=1.0, min_records=50, evidence=())
DECIDING = replace(OPEN, slope=(0.6, 1.6), min_approval_ratio=0.8, max_calibration_difference=0.1)
OUTCOME = HeldOutcome("default", "auroc", ("default",), ("probability",))


def _answers(
    apart: float = 0.0, stretch: float = 1.0, wrong: float = 0.0, size: int = 2000, groups: int = 2
) -> Answers:
    """Calibrated answers, then bent: groups whose log-odds lie `apart` and are `wrong` for one."""
    rng = np.random.default_rng(1)
    group = rng.integers(groups, size=size)
    z = rng.normal(-1, 1, size) + apart * group
    y = (rng.random(size) < 1 / (1 + np.exp(-z - wrong * group))).astype(float)
    p = 1 / (1 + np.exp(-z * stretch))
    ids = np.arange(size).astype(str)
    held = HeldOut(
        None, {"default": y}, ids, ids, (OUTCOME,), "split", {"sex": group}, approve_below=0.3
    )
    return answers(held, pd.DataFrame({"probability": p}))


def _passed(rule: str, new: Answers, rules: Rules = DECIDING) -> bool:
    return next(c for c in check(rules, {}, new, None).checks if c.rule == rule).passed


def test_groups_that_are_alike_pass_every_rule() -> None:
    assert check(DECIDING, {}, _answers(), None).passed


def test_a_group_that_is_approved_too_rarely_is_refused() -> None:
    assert not _passed("approval ratio, sex", _answers(apart=1.5))
    assert not check(DECIDING, {}, _answers(apart=1.5), None).passed


def test_a_model_that_is_wrong_for_one_group_alone_is_refused() -> None:
    assert not _passed("calibration between groups, sex", _answers(wrong=1.5))
    assert _passed("calibration between groups, sex", _answers(apart=1.5))


@pytest.mark.parametrize(("stretch", "passed"), [(1.0, True), (0.4, False), (3.0, False)])
def test_the_slope_is_held_between_its_limits(stretch: float, passed: bool) -> None:
    assert _passed("calibration slope", _answers(stretch=stretch)) == passed


def test_few_records_are_no_offence() -> None:
    assert _passed("approval ratio, sex", _answers(apart=0.6, size=60))
    assert not _passed("approval ratio, sex", _answers(apart=0.6, size=6000))


def test_one_group_alone_is_said_and_not_divided_by() -> None:
    found = check(DECIDING, {}, _answers(groups=1), None).checks
    assert "fewer than two groups" in next(c for c in found if c.rule == "fairness, sex").detail


def test_records_of_groups_too_small_to_be_told_of_count_nowhere() -> None:
    new = _answers()
    few = replace(new, frame=new.frame.copy())
    few.frame.loc[:99, "protected.sex"] = -1
    without = replace(new, frame=new.frame.iloc[100:])
    one, other = (decided.groups(each)["sex"] for each in (few, without))
    assert one is not None
    assert other is not None
    assert one[0].value == pytest.approx(other[0].value)


def test_rules_that_nobody_set_check_nothing() -> None:
    rules = [c.rule for c in check(OPEN, {}, _answers(apart=3), None).checks]
    assert rules == ["evidence", "floor", "calibration"]


def test_the_rules_judge_in_secret_too() -> None:
    reasons = check(DECIDING, {}, _answers(apart=1.5), None).reasons(numbers=False)
    assert reasons == ["gate: no (the reasons are not released)"]


def test_decisions_survive_being_written(tmp_path: Path) -> None:
    new = _answers(size=60)
    held_out.save(new, tmp_path / "a.parquet")
    read = held_out.load(tmp_path / "a.parquet")
    assert check(DECIDING, {}, read, None) == check(DECIDING, {}, new, None)


def test_the_file_of_rules_asks_it_of_credit_alone() -> None:
    assert load_rules("credit", "x").min_approval_ratio == 0.8
    assert load_rules("imaging", "x").slope is None


@pytest.mark.parametrize("wrong", ["[1.4, 0.7]", "[1]", "1"])
def test_a_slope_that_is_no_range_is_one_line(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "promotion.toml"
    whole: Any = RULES.read_text()
    path.write_text(whole.replace("slope = [0.6, 1.6]", f"slope = {wrong}"))
    with pytest.raises(InputError, match=r"slope .* two rising numbers"):
        gate.load_rules("credit", "x", path)
