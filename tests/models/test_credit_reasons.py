"""Reason codes: what raises the risk of one loan against a stated reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from domains.banking.features import Categorical, Derived, Numeric
from models.credit import CreditScorer, build
from models.credit_encoding import Encoder
from models.credit_reasons import Reason, reasons

ENCODER = Encoder(
    (
        Numeric("amount", (0.0, 10.0, 20.0)),
        Categorical("purpose", ("car", "home")),
        Numeric("burden", (0.0, 0.5, 1.0)),
    ),
    (Derived("burden", "share", ("amount", "income")),),
)
FRAME = pd.DataFrame(
    {"amount": [20.0, 0.0, 10.0], "income": [20.0, 20.0, 20.0], "purpose": ["car", "home", None]}
)


def _scorer(slope: float = 1.0) -> CreditScorer:
    return CreditScorer(ENCODER, build(ENCODER.width, 6, seed=2), slope, 0.3)


def test_a_reason_is_the_fall_in_log_odds_when_the_feature_takes_its_reference() -> None:
    scorer = _scorer(slope=0.7)
    codes = ENCODER.encode(FRAME)
    found = scorer.reasons(FRAME, top=3)
    reference = codes.copy()
    reference[:, :3] = np.array([1.0, 0.0, 0.0], dtype=np.float32) * np.float32(ENCODER.scales[0])
    with torch.inference_mode():
        whole, without = (scorer.model(torch.from_numpy(c))[:, 0] for c in (codes, reference))
    fall = 0.7 * (whole - without).numpy()
    for row, made in enumerate(found):
        given = {reason.column: reason.log_odds for reason in made}
        if fall[row] > 0:
            assert given["amount"] == pytest.approx(fall[row], abs=1e-6)
        else:
            assert "amount" not in given


def test_only_what_raises_the_risk_is_named_strongest_first() -> None:
    for made in _scorer().reasons(FRAME, top=2):
        raised = [reason.log_odds for reason in made]
        assert len(made) <= 2
        assert all(value > 0 for value in raised)
        assert raised == sorted(raised, reverse=True)


def test_a_record_at_every_reference_has_no_reason() -> None:
    encoder = Encoder((Numeric("amount", (0.0, 10.0, 20.0)), Numeric("age", (0.0, 50.0))))
    frame = pd.DataFrame({"amount": [10.0], "age": [25.0]})
    net = build(encoder.width, 4, seed=1)
    assert CreditScorer(encoder, net).reasons(frame) == [[]]


def test_on_a_linear_model_the_reasons_are_its_terms() -> None:
    weights = np.arange(1.0, ENCODER.width + 1)

    def log_odds(codes: np.ndarray) -> np.ndarray:
        made: np.ndarray = codes @ weights
        return made

    made = reasons(ENCODER, log_odds, FRAME.iloc[[0]], top=9)[0]
    given = {reason.column: reason.log_odds / ENCODER.scales[0] for reason in made}
    assert given["amount"] == pytest.approx(weights[1], rel=1e-5)
    assert given["burden"] == pytest.approx(weights[8], rel=1e-5)
    assert "purpose" not in given  # a car: 4 against the mean of 4 and 5


def test_a_derived_feature_names_the_columns_it_is_made_of() -> None:
    named = {r.column: r.of for made in _scorer().reasons(FRAME, top=3) for r in made}
    made = {r.column: r.of for r in _all(_scorer())}
    assert made["burden"] == ("amount", "income")
    assert made["amount"] == ("amount",)
    assert set(named) <= set(made)


def _all(scorer: CreditScorer) -> list[Reason]:
    """Reasons of the model and of its opposite: between them, every feature that moves."""
    flipped = CreditScorer(ENCODER, scorer.model, -scorer.slope)
    return [r for each in (scorer, flipped) for made in each.reasons(FRAME, top=9) for r in made]


def test_reasons_do_not_depend_on_the_rows_beside_them() -> None:
    scorer = _scorer()
    together = scorer.reasons(FRAME)
    for row in range(len(FRAME)):
        (alone,) = scorer.reasons(FRAME.iloc[[row]])
        assert [r.column for r in alone] == [r.column for r in together[row]]
        assert [r.log_odds for r in alone] == pytest.approx(
            [r.log_odds for r in together[row]], abs=1e-6
        )
