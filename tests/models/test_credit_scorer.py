"""From raw loans to codes to a probability, and back from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from domains.banking.features import Categorical, Derived, Numeric
from domains.errors import InputError
from models.credit import CreditScorer, build, train_centrally
from models.credit_boosting import boosted_logits
from models.credit_encoding import Encoder, example
from models.scorer import load
from tests.domains.sample_loans import sample_loans

ENCODER = Encoder(
    (
        Numeric("amount", (0.0, 1e4, 3e4, 1e6)),
        Numeric("income", (0.0, 2e4, 5e4)),
        Categorical("purpose", ("car", "home")),
        Numeric("burden", (0.0, 0.5, 1.0, 4.0)),
    ),
    (Derived("burden", "share", ("amount", "income")),),
)


@pytest.fixture
def scorer() -> CreditScorer:
    return CreditScorer(ENCODER, build(ENCODER.width, 8, seed=1), slope=0.9, intercept=-0.2)


def test_a_number_fills_the_segments_below_it() -> None:
    codes = ENCODER.encode(sample_loans(3).assign(amount=[-5.0, 2e4, 9e9]))
    expected = np.array([[0, 0, 0], [1, 0.5, 0], [1, 1, 1]])
    assert np.allclose(codes[:, :3] / ENCODER.scales[0], expected)


def test_rows_are_no_longer_than_promised() -> None:
    codes = ENCODER.encode(sample_loans())
    assert codes.dtype == np.float32
    assert np.linalg.norm(codes, axis=1).max() <= 6.0 + 1e-4


def test_a_record_is_encoded_by_itself() -> None:
    frame = sample_loans(50)
    together = ENCODER.encode(frame)
    alone = np.concatenate([ENCODER.encode(frame.iloc[[row]]) for row in range(50)])
    assert np.array_equal(together, alone)


def test_an_unseen_value_is_other_and_an_empty_one_is_empty() -> None:
    frame = sample_loans(3).assign(purpose=pd.Series(["yacht", None, "car"]))
    other, empty, car = ENCODER.encode(frame)[:, 7:11] > 0
    assert other.tolist() == [False, False, True, False]
    assert empty.tolist() == [False, False, False, True]
    assert car.tolist() == [True, False, False, False]


def test_a_model_answers_the_same_after_a_round_trip(scorer: CreditScorer, tmp_path: Path) -> None:
    frame = sample_loans(40)
    scorer.save(tmp_path / "package")
    again = load(tmp_path / "package").predict(frame)
    assert list(again.columns) == ["probability"]
    assert np.array_equal(again, scorer.predict(frame))
    assert {path.suffix for path in (tmp_path / "package").iterdir()} == {".json", ".safetensors"}


def test_predictions_keep_the_rows_order_and_index(scorer: CreditScorer) -> None:
    frame = sample_loans(20).set_index(pd.Index(range(100, 120)))
    shuffled = frame.sample(frac=1, random_state=0)
    assert np.allclose(scorer.predict(shuffled).loc[frame.index], scorer.predict(frame))


def test_a_missing_column_is_named(scorer: CreditScorer) -> None:
    with pytest.raises(InputError, match="column 'income' is missing"):
        scorer.predict(sample_loans(3).drop(columns="income"))


def test_an_infinite_value_is_refused(scorer: CreditScorer) -> None:
    with pytest.raises(InputError, match="row 2, column 'amount': infinite"):
        scorer.predict(sample_loans(3).assign(amount=[1.0, np.inf, 2.0]))


def test_the_example_has_the_columns_types_and_no_record(scorer: CreditScorer) -> None:
    frame = sample_loans(200)
    made = example(ENCODER, frame)
    assert list(made.columns) == ENCODER.columns
    assert scorer.predict(made).notna().all(axis=None)
    assert not set(made["income"]) & set(frame["income"])


def test_the_first_weights_are_the_seeds_and_leave_torchs_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = build(4, 3, seed=2), build(4, 3, seed=2)
    assert torch.equal(next(first.parameters()), next(second.parameters()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_controls_learn_what_the_records_show() -> None:
    frame = sample_loans(1500)
    y, rows = frame["defaulted"].to_numpy(dtype=np.float32), np.arange(1500) < 1000
    codes = ENCODER.encode(frame)
    net = build(ENCODER.width, 8)
    train_centrally(net, codes[rows], y[rows], seed=0)
    with torch.inference_mode():
        by_net = net(torch.from_numpy(codes[~rows]))[:, 0].numpy()
    by_trees = boosted_logits(ENCODER, frame, y, rows, seed=0)[~rows]
    from domains.metrics import auroc

    assert auroc(y[~rows], by_net) > 0.75
    assert auroc(y[~rows], by_trees) > 0.75
