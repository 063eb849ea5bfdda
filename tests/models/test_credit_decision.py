"""The threshold that is packed with a model, and a calibration moved with it: no order changes, the
same loans are approved, and what is saved is what was meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.banking import approval
from domains.errors import InputError
from models.calibration import log_odds, shifted_intercept
from models.credit import CreditScorer, build
from models.credit_decision import Cutoff, Use, decisions
from models.scorer import load
from tests.domains.sample_loans import sample_loans
from tests.models.sample_card import sample_card, sample_encoder
from tests.models.trees.sample_trees import ENCODER, banks, grown

FRAME = sample_loans(400, seed=3)


def _net() -> CreditScorer:
    encoder = sample_encoder("linear")
    return CreditScorer(encoder, build(encoder.width, 4, seed=2), 0.9, -0.2)


SCORERS: dict[str, Callable[[], Any]] = {
    "scorecard": sample_card,
    "mlp": _net,
    "trees": lambda: CreditScorer(ENCODER, grown(banks()), 0.9, -0.2),
}
KINDS = sorted(SCORERS)
CHANGES = [(1.0, 0.0), (1.0, 1.3), (1.0, -2.0), (0.6, 0.4), (1.7, -0.3)]


def _used(kind: str, rate: float = 0.7) -> Any:
    """A scorer of a kind, with a threshold chosen on the loans."""
    scorer: Any = SCORERS[kind]()
    cut = approval.threshold(scorer.predict(FRAME)["probability"].to_numpy(), rate)
    return replace(scorer, use=Use(Cutoff(rate, cut), 0.2))


def _decided(scorer: Any) -> list[str]:
    made = decisions(scorer, scorer.predict(FRAME))
    assert made is not None
    return list(made)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_threshold_nothing_is_decided_or_written(kind: str, tmp_path: Path) -> None:
    scorer: Any = SCORERS[kind]()
    scorer.save(tmp_path)
    again: Any = load(tmp_path)
    assert decisions(again, again.predict(FRAME)) is None
    assert "cutoff" not in (tmp_path / "scorer.json").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_packed_and_loaded_it_decides_the_same(kind: str, tmp_path: Path) -> None:
    scorer = _used(kind)
    scorer.save(tmp_path)
    again: Any = load(tmp_path)
    assert again.use == scorer.use
    made = _decided(again)
    assert made == _decided(scorer)
    assert made.count("approve") + made.count("decline") == len(FRAME)
    assert made.count("approve") / len(FRAME) == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("slope", "intercept"), CHANGES)
def test_a_recalibration_moves_log_odds_alike_and_approves_the_same_loans(
    kind: str, slope: float, intercept: float, tmp_path: Path
) -> None:
    scorer = _used(kind)
    scorer.recalibrated(slope, intercept, 0.1).save(tmp_path)
    moved: Any = load(tmp_path)
    before, after = scorer.predict(FRAME), moved.predict(FRAME)
    z, new = (log_odds(each["probability"].to_numpy()) for each in (before, after))
    assert new == pytest.approx(slope * z + intercept, abs=1e-9)
    assert _decided(moved) == _decided(scorer)
    assert (moved.use.cutoff.rate, moved.use.default_rate) == (0.7, 0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_two_recalibrations_are_one(kind: str) -> None:
    scorer = _used(kind)
    twice = scorer.recalibrated(0.8, 0.5, None).recalibrated(1.5, -0.2, 0.3)
    once = scorer.recalibrated(1.2, 1.5 * 0.5 - 0.2, 0.3)
    assert twice.predict(FRAME).to_numpy() == pytest.approx(once.predict(FRAME).to_numpy())
    assert twice.use.cutoff.highest == pytest.approx(once.use.cutoff.highest)


@pytest.mark.parametrize("slope", [1.0, 1.4])
def test_a_recalibrated_scorecard_has_the_same_points_and_scores(slope: float) -> None:
    card = sample_card()
    moved = card.recalibrated(slope, 0.7, None)
    assert (moved.points, moved.offset) == (card.points, card.offset)
    assert (moved.predict(FRAME)["score"] == card.predict(FRAME)["score"]).all()
    for one, other in zip(card.reasons(FRAME), moved.reasons(FRAME), strict=True):
        assert [(r.column, r.points) for r in one] == [(r.column, r.points) for r in other]  # type: ignore[attr-defined]
        assert [slope * r.log_odds for r in one] == pytest.approx([r.log_odds for r in other])


def test_when_the_default_rate_moves_and_nothing_else_the_correction_is_exact() -> None:
    """Bayes: with the same densities in both groups, σ(z + logit(π') − logit(π)) is the new
    probability."""
    draws = np.random.default_rng(0)
    bad = draws.normal(1, 1, 40_000)
    good = draws.normal(0, 1, 40_000)
    z = np.concatenate([bad, good]) - 0.5  # of one density over the other: log-odds at rate ½
    y = np.repeat([1.0, 0.0], 40_000)
    kept = (y == 0) | (draws.random(len(y)) < 0.1)
    rate = float(y[kept].mean())
    p = 1 / (1 + np.exp(-(z[kept] + shifted_intercept(0.0, 0.5, rate))))
    assert p.mean() == pytest.approx(rate, abs=0.003)
    assert (1 / (1 + np.exp(-z[kept]))).mean() > rate + 0.2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slope", [0.0, -0.4, float("nan")])
def test_a_calibration_that_turns_the_order_over_is_refused(kind: str, slope: float) -> None:
    scorer: Any = SCORERS[kind]()
    with pytest.raises(InputError, match="calibration slope"):
        scorer.recalibrated(slope, 0.0, None)


@pytest.mark.parametrize("highest", [1.0, 0.0])
def test_a_threshold_that_approves_all_or_nobody_stays(highest: float) -> None:
    use = Use(Cutoff(0.9, highest)).moved(0.5, -3.0, 0.1)
    assert use.cutoff is not None
    assert use.cutoff.highest == pytest.approx(highest, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_reasons_name_what_the_reasons_name(kind: str) -> None:
    scorer: Any = SCORERS[kind]()
    columns = scorer.explain(FRAME)
    assert list(columns) == [f"reason_{place}" for place in range(1, 5)]
    for row, reasons in enumerate(scorer.reasons(FRAME)):
        told = [name for name in columns.iloc[row] if name is not None]
        assert told == [reason.column for reason in reasons]
