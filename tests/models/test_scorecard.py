"""A scorecard: its points add up, and the training behind it keeps its promises."""

from __future__ import annotations

import csv
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from domains.banking.features import Categorical, Numeric
from domains.errors import InputError
from domains.metrics import auroc
from models.credit import logits
from models.credit_encoding import Coding, Encoder, cuts
from models.federated import Client, FedAvg, run
from models.federated.fedavg import Project
from models.scorecard import Direction, build, check_monotone, make_card, monotone, train_centrally
from models.scorecard_points import TABLE, PointsLost, Scale, Scorecard
from models.scorer import load
from privacy.plan import PrivacyPlan, Schedule
from tests.domains.sample_loans import sample_loans
from tests.models.sample_card import FEATURES, sample_card, sample_encoder, sample_model

FULL_BATCH = Schedule(rounds=40, local_steps=1, sampling_rate=1.0)
KINDS = pytest.mark.parametrize("kind", ["steps", "linear"])


def _trained(
    encoder: Encoder, project: Project | None = None, schedule: Schedule = FULL_BATCH
) -> torch.nn.Sequential:
    frame = sample_loans(900)
    codes = torch.from_numpy(encoder.encode(frame))
    y = torch.from_numpy(frame["defaulted"].to_numpy(dtype=np.float32))
    clients = [Client(str(k), codes[k::3], y[k::3], 300.0) for k in range(3)]
    model = build(encoder.width)
    run(model, clients, schedule, FedAvg(4.0, 0.8, 0.5, project))
    return model


def test_the_lines_of_the_table_add_up_to_the_score_exactly(tmp_path: Path) -> None:
    sample_card().save(tmp_path)
    with (tmp_path / TABLE).open() as table:
        points = {(row["feature"], row["value"]): row["points"] for row in csv.DictReader(table)}
    frame = pd.DataFrame(
        {
            "amount": [5e3, 1e4, 7e4, np.nan],
            "income": [1e4, 5e4, 4e4, 1.0],
            "purpose": ["car", "home", "yacht", None],
        }
    )
    lines = [
        ["below 10,000", "below 20,000", "car", "0.5 to below 1"],
        ["10,000 to below 30,000", "20,000 and more", "home", "below 0.5"],
        ["30,000 and more", "20,000 and more", "any other", "1 and more"],
        ["empty", "below 20,000", "empty", "empty"],
    ]
    card = sample_card()
    names = [feature.column for feature in FEATURES]
    start = Decimal(points["(start)", "every feature at its reference"])
    for score, values in zip(card.predict(frame)["score"], lines, strict=True):
        own = [Decimal(points[pair]) for pair in zip(names, values, strict=True)]
        assert Decimal(str(score)) == start + sum(own)


@KINDS
def test_score_and_probability_say_the_same(kind: str) -> None:
    found = sample_card(kind).predict(sample_loans(300))
    odds = 50 * 2 ** ((found["score"] - 600) / 20)
    np.testing.assert_allclose(found["probability"], 1 / (1 + odds), rtol=1e-12)
    order = found["score"].to_numpy().argsort()
    assert (np.diff(found["probability"].to_numpy()[order]) <= 0).all()


@KINDS
def test_the_table_is_the_calibrated_model_to_within_its_rounding(kind: str) -> None:
    encoder, frame = sample_encoder(kind), sample_loans(300)
    model = sample_model(encoder)
    expected = 0.9 * logits(model, encoder.encode(frame)) - 0.2
    p = sample_card(kind).predict(frame)["probability"].to_numpy()
    worst = (2 * len(encoder.features) + 1) * 0.05 / Scale().factor
    assert np.abs(np.log(p / (1 - p)) - expected).max() <= worst


@KINDS
def test_reasons_are_the_points_that_were_lost(kind: str) -> None:
    card, frame = sample_card(kind), sample_loans(60)
    terms = card.terms(frame)
    for row, made in zip(terms, card.reasons(frame, top=9), strict=True):
        lost = [reason.points for reason in made if isinstance(reason, PointsLost)]
        assert lost == sorted(lost, reverse=True)
        assert sum(lost) == pytest.approx(-row[row < 0].sum() / 10)
        for reason in made:
            assert isinstance(reason, PointsLost)
            assert reason.points == pytest.approx(reason.log_odds * 20 / math.log(2))
    burden = [r for made in card.reasons(frame, 9) for r in made if r.column == "burden"]
    assert {reason.of for reason in burden} == {("amount", "income")}


def test_a_loan_at_every_reference_has_the_offset_and_no_reason() -> None:
    encoder = Encoder((Numeric("amount", (0.0, 1.0, 2.0, 3.0)),), (), Coding("steps", True, 1.0))
    card = make_card(encoder, sample_model(encoder), 1.0, 0.0, Scale())
    frame = pd.DataFrame({"amount": [1.5]})
    assert card.predict(frame)["score"].tolist() == [card.offset / 10]
    assert card.reasons(frame) == [[]]


def test_reasons_in_columns_name_the_same_features() -> None:
    card, frame = sample_card(), sample_loans(60)
    told = card.explain(frame)
    assert list(told.columns) == ["reason_1", "reason_2", "reason_3", "reason_4"]
    for row, made in zip(told.to_numpy(), card.reasons(frame, top=4), strict=True):
        assert [name for name in row if name is not None] == [reason.column for reason in made]


@KINDS
def test_a_scorecard_saved_and_loaded_predicts_the_same(kind: str, tmp_path: Path) -> None:
    card, frame = sample_card(kind), sample_loans(50)
    card.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Scorecard)
    assert again == card
    pd.testing.assert_frame_equal(again.predict(frame), card.predict(frame))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv", ".safetensors"}


def test_a_new_category_is_other_and_a_new_column_is_passed_over() -> None:
    card, frame = sample_card(), sample_loans(20)
    other = card.predict(frame.assign(purpose="yacht"))
    assert other.equals(card.predict(frame.assign(purpose="boat", colour="red")))


def test_a_missing_column_is_one_line() -> None:
    with pytest.raises(InputError, match="column 'income' is missing; the model needs") as error:
        sample_card().predict(sample_loans(3).drop(columns="income"))
    assert "\n" not in str(error.value)


def test_an_empty_table_has_no_scores() -> None:
    card, frame = sample_card(), sample_loans(3).iloc[:0]
    assert card.predict(frame).shape == (0, 2)
    assert card.explain(frame).shape == (0, 4)


@KINDS
def test_points_are_monotone_where_it_is_asked(kind: str) -> None:
    encoder = sample_encoder(kind)
    wanted: list[tuple[Direction, int]] = [("up", 1), ("down", -1)]
    for direction, sign in wanted:
        model = _trained(encoder, monotone(encoder, {"amount": direction, "income": direction}))
        card = make_card(encoder, model, 1.0, 0.0, Scale())
        for points in card.points[:2]:  # risk that rises costs points
            assert (sign * np.diff(points[:-1]) <= 0).all()
    free = make_card(encoder, _trained(encoder), 1.0, 0.0, Scale()).points
    assert (np.diff(free[0][:-1]) < 0).any()
    assert (np.diff(free[1][:-1]) > 0).any()


def test_a_direction_is_of_a_number_the_model_has() -> None:
    check_monotone(FEATURES, {"amount": "up"})
    for column, found in (("purpose", "holds categories"), ("height", "is no feature")):
        with pytest.raises(InputError, match=f"monotone: column '{column}' {found}"):
            check_monotone(FEATURES, {column: "down"})


def test_the_order_of_values_and_features_changes_nothing() -> None:
    frame = sample_loans(200)
    purpose = Categorical("purpose", ("trade", "car", "home"))
    amount = Numeric("amount", (0.0, 1e4, 2e4, 4e4, 1e6))
    turned = Categorical("purpose", ("home", "trade", "car"))
    made = []
    for features in ((amount, purpose), (turned, amount)):
        encoder = Encoder(features, (), Coding("steps", True, 1.0))
        made.append(make_card(encoder, _trained(encoder), 1.0, 0.0, Scale()).predict(frame))
    np.testing.assert_allclose(made[0]["score"], made[1]["score"], atol=0.11)


def test_trained_across_clients_it_ranks_as_well_as_in_one_hand() -> None:
    encoder, frame = sample_encoder(), sample_loans(900)
    y = frame["defaulted"].to_numpy(dtype=np.float32)
    codes = encoder.encode(frame)
    pooled = build(encoder.width)
    train_centrally(pooled, codes, y)
    together = _trained(encoder)
    assert auroc(y, logits(together, codes)) > auroc(y, logits(pooled, codes)) - 0.01


def test_no_record_is_longer_than_promised_and_no_feature_weighs_more() -> None:
    encoder = sample_encoder()
    frame = sample_loans(500).assign(amount=lambda f: f["amount"].where(f.index % 7 > 0))
    assert np.linalg.norm(encoder.encode(frame), axis=1).max() <= 1.0 + 1e-6
    ends = pd.DataFrame({"amount": [0.0, 9e9], "income": [1e4, 1e4], "purpose": ["car", "car"]})
    other = ends.assign(amount=[0.0, 0.0], purpose=["car", "home"])
    amount, purpose = (np.linalg.norm(np.diff(encoder.encode(f)[:, w], axis=0))
                       for f, w in ((ends, slice(0, 3)), (other, slice(5, 9))))  # fmt: skip
    assert amount == pytest.approx(purpose)


def test_under_a_plan_it_is_noised_and_still_starts_at_nothing() -> None:
    plan = PrivacyPlan(2, 1, 1.0, 3.0, 1e-5, 5.0, 1.0)
    encoder = sample_encoder()
    first, second = (_trained(encoder, schedule=plan) for _ in range(2))
    weights = [next(model.parameters()) for model in (first, second)]
    assert not torch.equal(*weights)
    assert all(float(p.detach().abs().sum()) == 0 for p in build(4).parameters())


def test_bins_are_cut_at_the_inner_edges() -> None:
    assert cuts(Numeric("x", (0.0, 1.0, 2.0, 3.0))).tolist() == [1.0, 2.0]
    assert cuts(Numeric("x", (0.0, 1.0))).tolist() == [0.5]
