"""Trees are packed, loaded and explained as the other credit models are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.credit import CreditScorer, logits
from models.credit_reasons import reasons
from models.scorer import load
from models.trees import Boosting, build, run
from privacy.plan import Schedule
from tests.domains.sample_loans import sample_loans
from tests.models.trees.sample_trees import ENCODER, banks


def _scorer(interaction: int = 2) -> CreditScorer:
    model = build(ENCODER, 24, 3, interaction)
    run(model, banks(), Schedule(6, 4, 1.0), Boosting(1.0))
    return CreditScorer(ENCODER, model, 0.9, -0.2)


def test_packed_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    scorer, frame = _scorer(), sample_loans(300, seed=8)
    scorer.save(tmp_path)
    again = load(tmp_path)
    assert np.array_equal(again.predict(frame), scorer.predict(frame))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_a_record_is_scored_by_itself() -> None:
    scorer, frame = _scorer(), sample_loans(40, seed=8)
    alone = [scorer.predict(frame.iloc[[row]])["probability"].to_numpy()[0] for row in range(40)]
    assert np.array_equal(alone, scorer.predict(frame)["probability"])


def test_an_unseen_value_is_other_and_an_empty_one_is_empty() -> None:
    scorer, frame = _scorer(), sample_loans(4, seed=8)
    purpose = pd.Series(["yacht", None, "yacht", None], dtype=object)
    strange = frame.assign(purpose=purpose, income=np.nan)
    assert scorer.predict(strange)["probability"].between(0, 1).all()
    assert ENCODER.encode(strange)[:, 2].tolist() == [3.0, 4.0, 3.0, 4.0]


def test_where_trees_ask_about_one_feature_each_reasons_add_up() -> None:
    """The risk is a sum over features then, and a reason is its feature's part of it: what all of
    them raise and lower it by is the distance from one and the same base."""
    scorer, frame = _scorer(interaction=1), sample_loans(60, seed=8)
    lowered = CreditScorer(ENCODER, scorer.model, -scorer.slope, -scorer.intercept)
    log_odds = np.log(1 / (1 / scorer.predict(frame)["probability"].to_numpy() - 1))
    moved = np.array(
        [
            sum(r.log_odds for r in up) - sum(r.log_odds for r in down)
            for up, down in zip(
                scorer.reasons(frame, top=9), lowered.reasons(frame, top=9), strict=True
            )
        ]
    )
    assert log_odds - moved == pytest.approx((log_odds - moved)[0], abs=1e-9)


def test_reasons_are_what_asking_all_trees_again_would_say() -> None:
    """Trees that do not ask about a feature say the same of both sides, and are left out."""
    scorer, frame = _scorer(), sample_loans(60, seed=8)

    def log_odds(codes: np.ndarray) -> np.ndarray:
        return scorer.slope * logits(scorer.model, codes) + scorer.intercept

    whole = reasons(ENCODER, log_odds, frame, top=9)
    for found, expected in zip(scorer.reasons(frame, top=9), whole, strict=True):
        amounts = {reason.column: reason.log_odds for reason in expected}
        assert all(
            reason.log_odds == pytest.approx(amounts[reason.column], abs=1e-9) for reason in found
        )
        assert sum(reason.log_odds for reason in found) == pytest.approx(sum(amounts.values()))
