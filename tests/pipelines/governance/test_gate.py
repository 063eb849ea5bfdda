"""The gate: a floor, no loss against the best champion, calibration, nothing missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.flawless import slack
from domains.metrics import Interval
from pipelines.governance import gate, held_out
from pipelines.governance.gate import Rules, check, load_rules
from pipelines.governance.held_out import Answers, HeldOut, HeldOutcome, answers

RULES = Rules(floor=0.6, margin=0.02, max_ece=0.1, min_records=50, evidence=("data", "controls"))
EVIDENCE: dict[str, Any] = {
    "pipeline": "imaging",
    "data": {"digest": "sha256:0", "public": True},
    "arms": [{"role": "control"}],
}
OUTCOME = HeldOutcome("sick", "auroc", ("sick",), ("sick",))


def _answers(noise: float, size: int = 2000, start: int = 0) -> Answers:
    """A calibrated score blurred by noise; records are numbered, so two of these share them."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=size + start)[start:]
    y = (rng.random(size + start)[start:] < 1 / (1 + np.exp(-2 * z))).astype(float)
    blurred = z + noise * np.random.default_rng(8).normal(size=size)
    slope = 2 / np.sqrt(1 + 2.5 * noise**2)
    ids = np.arange(start, start + size).astype(str)
    held = HeldOut(None, {"sick": y}, ids, ids, (OUTCOME,), "split")
    return answers(held, pd.DataFrame({"sick": 1 / (1 + np.exp(-slope * blurred))}))


def _ids(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups and ids of so many records."""
    ids = np.arange(count).astype(str)
    return ids, ids


def _rule(verdict: gate.Verdict, rule: str) -> gate.Check:
    return next(c for c in verdict.checks if c.rule == rule)


def test_good_first_version_passes_and_is_ahead() -> None:
    verdict = check(RULES, EVIDENCE, _answers(0.1), None)
    assert verdict.passed
    assert verdict.ahead


def test_floor_is_held_by_the_lower_end_of_the_interval() -> None:
    new = _answers(0.1)
    found = held_out.primary(new)
    between = replace(RULES, floor=(found.low + found.value) / 2)
    assert not _rule(check(between, EVIDENCE, new, None), "floor").passed


def test_flawless_answers_on_few_records_do_not_reach_the_floor() -> None:
    held = HeldOut(None, {"sick": np.repeat([0.0, 1.0], 4)}, *_ids(8), (OUTCOME,), "split")
    new = answers(held, pd.DataFrame({"sick": np.linspace(0.01, 0.99, 8)}))
    found = held_out.primary(new)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.5
    assert not _rule(check(RULES, EVIDENCE, new, None), "floor").passed


def test_answers_all_alike_have_no_interval_and_no_way_in() -> None:
    held = HeldOut(None, {"sick": np.repeat([0.0, 1.0], 50)}, *_ids(100), (OUTCOME,), "split")
    new = answers(held, pd.DataFrame({"sick": np.full(100, 0.5)}))
    floor = _rule(check(replace(RULES, floor=0.4), EVIDENCE, new, None), "floor")
    assert not floor.passed
    assert "no interval" in floor.detail


def test_another_flawless_model_is_not_held_to_be_the_same_on_few_records() -> None:
    held = HeldOut(None, {"sick": np.repeat([0.0, 1.0], 40)}, *_ids(80), (OUTCOME,), "split")
    first = np.linspace(0.01, 0.99, 80)
    second = np.r_[first[:40][::-1], first[40:]]
    old, same, new = (answers(held, pd.DataFrame({"sick": p})) for p in (first, first**2, second))
    assert held_out.difference(same, old)[0] == Interval(0.0, 0.0, 0.0)
    found, _ = held_out.difference(new, old)
    assert found.low == pytest.approx(-slack(40))


def test_stored_answers_keep_how_they_are_resampled(tmp_path: Path) -> None:
    new = replace(_answers(0.3, size=200), repeats=60, seed=5)
    held_out.save(new, tmp_path / "answers.parquet")
    kept = held_out.load(tmp_path / "answers.parquet")
    assert held_out.primary(kept) == held_out.primary(new) != held_out.primary(_answers(0.3, 200))


def test_missing_evidence_is_named() -> None:
    verdict = check(RULES, {**EVIDENCE, "arms": []}, _answers(0.1), None)
    assert not verdict.passed
    assert "missing: controls" in _rule(verdict, "evidence").detail


def test_private_run_without_released_metrics_lacks_nothing() -> None:
    private = {"pipeline": "credit", "data": {"digest": "hmac:0"}, "privacy": {"epsilon": 3}}
    rules = replace(RULES, evidence=("data", "controls", "metrics", "privacy"))
    assert check(rules, private, _answers(0.1), None).passed


def test_worse_version_never_replaces_the_champion() -> None:
    verdict = check(RULES, EVIDENCE, _answers(1.5), _answers(0.1))
    assert not _rule(verdict, "no worse than the best champion").passed
    assert not verdict.ahead


def test_equal_version_passes_without_becoming_the_yardstick() -> None:
    verdict = check(RULES, EVIDENCE, _answers(0.1), _answers(0.1))
    assert verdict.passed
    assert not verdict.ahead


def test_better_version_passes_and_becomes_the_yardstick() -> None:
    verdict = check(RULES, EVIDENCE, _answers(0.1), _answers(1.5))
    assert verdict.passed
    assert verdict.ahead


def test_comparison_uses_only_records_that_both_held_out() -> None:
    gap, records = held_out.difference(_answers(0.1, 500, 0), _answers(0.1, 500, 400))
    assert records == 100
    assert abs(gap.value) < 0.2
    verdict = check(RULES, EVIDENCE, _answers(0.1, 500, 0), _answers(0.1, 500, 480))
    assert "20 held-out records in common, 50 needed" in verdict.checks[-1].detail


def test_champion_of_another_outcome_cannot_be_compared() -> None:
    old = _answers(0.1)
    other = replace(old, frame=old.frame.rename(columns={"prediction.sick": "prediction.else"}))
    detail = check(RULES, EVIDENCE, old, other).checks[-1].detail
    assert "does not answer 'sick'" in detail
    assert "model_name" in detail


def test_miscalibrated_version_is_refused() -> None:
    new = _answers(0.1)
    new.frame["prediction.sick"] = new.frame["prediction.sick"] ** 4
    assert not _rule(check(RULES, EVIDENCE, new, None), "calibration").passed


def test_reasons_keep_numbers_to_themselves_when_told_to() -> None:
    reasons = check(RULES, EVIDENCE, _answers(0.1), None).reasons(numbers=False)
    assert reasons == ["gate: yes (the reasons are not released)"]


def test_masked_targets_are_left_out() -> None:
    new = _answers(0.1)
    known = new.frame.iloc[:1000]
    masked = new.frame.copy()
    masked.loc[1000:, "target.sick"] = np.nan
    whole = held_out.primary(replace(new, frame=known)).value
    assert held_out.primary(replace(new, frame=masked)).value == pytest.approx(whole)


def test_ranked_outcomes_are_averaged_and_amounts_stand_aside() -> None:
    new = _answers(0.1)
    stay = HeldOutcome("stay", "r2", ("sick",), ("sick",))
    assert held_out.judged((OUTCOME, stay)) == (OUTCOME,)
    assert held_out.judged((stay,)) == (stay,)
    both = replace(new, outcomes=(OUTCOME, stay))
    assert held_out.primary(both) == held_out.primary(new)


def test_answers_survive_being_written(tmp_path: Path) -> None:
    new = _answers(0.1, 60)
    held_out.save(new, tmp_path / "a.parquet")
    read = held_out.load(tmp_path / "a.parquet")
    assert read.outcomes == new.outcomes
    assert read.split == new.split
    pd.testing.assert_frame_equal(read.frame, new.frame, check_dtype=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("pipeline", ["imaging", "patients", "credit"])
def test_rules_of_every_pipeline_are_whole(pipeline: str) -> None:
    assert load_rules(pipeline, "any").floor > 0


def test_rules_that_are_wrong_are_named(tmp_path: Path) -> None:
    path = tmp_path / "promotion.toml"
    path.write_text("[default]\nflour = 1\n")
    with pytest.raises(InputError, match="unknown rule 'flour'"):
        load_rules("credit", "m", path)
    path.write_text("[credit]\nfloor = 0.6\n")
    with pytest.raises(InputError, match="no evidence for credit"):
        load_rules("credit", "m", path)
    with pytest.raises(InputError, match="cannot be read"):
        load_rules("credit", "m", tmp_path / "none.toml")


def test_one_model_may_have_rules_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "promotion.toml"
    path.write_text(gate.RULES.read_text() + '\n[model."credit-mine"]\nfloor = 0.9\n')
    assert load_rules("credit", "credit-mine", path).floor == 0.9
    assert load_rules("credit", "credit-other", path).floor < 0.9


def test_ids_are_disguised_the_same_way_every_time_and_by_the_key() -> None:
    ids = np.array(["anna", "bert", "anna"])
    held = HeldOut(None, {}, ids, ids, (), "split")
    public, private = held_out.disguised(held, None), held_out.disguised(held, b"key")
    assert public.ids[0] == public.ids[2] != public.ids[1]
    assert public.ids[0] != private.ids[0]
    assert "anna" not in {*public.ids, *private.groups}
