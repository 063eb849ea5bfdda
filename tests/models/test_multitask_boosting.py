"""Boosted trees that stop where records that they have not seen say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from models.multitask.boosting import boost, boost_until_best
from models.multitask.heads import LOSSES
from models.multitask.masked import Records
from tests.domains.sample_patients import EVERY_KIND
from tests.models.sample_outcomes import codecs, records

NAMES = [outcome.name for outcome in EVERY_KIND]
MOST = 25


def _part(part: Records, name: str, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(part.x, np.ndarray)
    return part.x[rows].astype(float), part.y[name][rows]


def _how(width: int) -> dict[str, Any]:
    return {"categorical": np.zeros(width, dtype=bool), "seed": 0}


def _loss(codec: Codec, logits: np.ndarray, y: np.ndarray) -> float:
    """By the losses that networks are trained by."""
    there = ~np.isnan(y.reshape(len(y), -1)).any(axis=1)
    each = LOSSES[codec.outcome.kind](torch.tensor(logits[there]), torch.tensor(y[there]))
    return float(each.mean())


@pytest.mark.parametrize("name", NAMES)
def test_the_rounds_kept_are_those_of_the_lowest_loss_on_validation(name: str) -> None:
    """Of every kind of outcome; by another path to the loss, and trees grown anew."""
    codec, few = codecs()[name], slice(0, 250)
    training, validation = (_part(part, name, few) for part in records())
    how = _how(training[0].shape[1])
    best = boost_until_best(codec, training, validation, most=MOST, **how)
    grown = [boost(codec, *training, rounds=n, **how) for n in range(1, MOST + 1)]
    losses = [_loss(codec, model.logits(validation[0]), validation[1]) for model in grown]
    assert min(losses) == pytest.approx(losses[best.rounds - 1], rel=1e-5)
    again = grown[best.rounds - 1]
    assert np.array_equal(best.logits(validation[0]), again.logits(validation[0]))
    assert min(losses) < losses[0] * 0.999 or name == "relapse"


def test_trees_that_learn_noise_are_stopped_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 4))
    codec = fit_codec(Outcome("o", "binary", column="o"), (x[:, 0] > 1.5).astype(float))

    def rounds(y: np.ndarray) -> int:
        parts = [(x[rows], y[rows]) for rows in (slice(0, 800), slice(800, None))]
        return boost_until_best(codec, parts[0], parts[1], **_how(4)).rounds

    assert rounds((rng.random(1200) < 0.07).astype(float)) <= 5
    assert rounds((x[:, 0] * x[:, 1] > 0.1).astype(float)) >= 30


@pytest.mark.parametrize("labels", [0, 9])
def test_without_labels_to_stop_by_all_rounds_are_kept(labels: int) -> None:
    training, validation = (_part(part, "death") for part in records())
    there = np.cumsum(~np.isnan(validation[1])) <= labels
    noise = np.arange(len(there)) % 2.0
    unlabelled = (validation[0], np.where(there & ~np.isnan(validation[1]), noise, np.nan))
    how = _how(training[0].shape[1])
    assert boost_until_best(codecs()["death"], training, unlabelled, most=7, **how).rounds == 7


def test_classes_that_training_never_had_do_not_decide() -> None:
    names = np.array(["a", "b", "c"], dtype=object)[np.arange(600) % 3]
    codec = fit_codec(Outcome("o", "multiclass", column="o"), names)
    x = np.random.default_rng(0).normal(size=(600, 3))
    y = np.where(x[:, 0] > 0, 2.0, 0.0)
    training, validation = (x[:400], y[:400]), (x[400:], y[400:])
    other = (validation[0], np.where(np.arange(200) % 4 == 0, 1.0, validation[1]))
    how = _how(3)
    kept = (np.arange(200) % 4) > 0
    fewer = (validation[0][kept], validation[1][kept])
    assert (
        boost_until_best(codec, training, other, **how).rounds
        == boost_until_best(codec, training, fewer, **how).rounds
    )
