"""Splits are drawn from features and a seed; no record has a say."""

from __future__ import annotations

import numpy as np
import torch

from domains.banking.features import Categorical, Numeric
from models.credit_encoding import Coding, Encoder, bins_of
from models.federated import Client
from models.trees import run
from models.trees.structure import draw_splits
from tests.domains.sample_loans import sample_loans
from tests.models.trees.sample_trees import ENCODER, HOW, banks, private, sapling

FEATURES = ENCODER.features


def test_structure_does_not_depend_on_the_records() -> None:
    flipped = [Client(c.name, c.features.flip(1), 1 - c.target, c.records) for c in banks()]
    for clients in (banks(), flipped):
        model = sapling()
        before = model.feature.clone(), model.right.clone()
        run(model, clients, private(), HOW)
        assert torch.equal(model.feature, before[0])
        assert torch.equal(model.right, before[1])


def test_another_seed_draws_other_splits_and_the_same_one_the_same() -> None:
    first, again, other = (draw_splits(FEATURES, 20, 3, 2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.right, again.right)
    assert not np.array_equal(first.right, other.right)


def test_the_first_trees_are_the_same_however_many_follow() -> None:
    few, many = draw_splits(FEATURES, 5, 3, 2, 0), draw_splits(FEATURES, 50, 3, 2, 0)
    assert np.array_equal(few.right, many.right[:5])
    assert np.array_equal(few.feature, many.feature[:5])


def test_a_tree_asks_about_a_few_different_features_and_all_come_round() -> None:
    for few in (1, 2, 3):
        asked = draw_splits(FEATURES, 40, 3, few, 0).feature
        assert [len(set(row)) for row in asked.tolist()] == [few] * 40
        counts = np.bincount(asked[:, :few].ravel())
        assert counts.max() - counts.min() <= 1


def test_every_split_parts_the_bins_and_a_number_keeps_its_order() -> None:
    splits = draw_splits(FEATURES, 200, 3, 2, 0)
    for number, feature in enumerate(FEATURES):
        sides = splits.right[splits.feature == number][:, : bins_of(feature)]
        assert sides.any(axis=1).all()
        assert not sides.all(axis=1).any()
        if isinstance(feature, Numeric):
            assert (np.diff(sides[:, :-1].astype(int), axis=1) >= 0).all()
            assert set(sides[:, -1].tolist()) == {True, False}


def test_all_cuts_and_all_groups_of_values_are_drawn() -> None:
    features = (Numeric("a", (0.0, 1.0, 2.0, 3.0)), Categorical("b", ("x",)))
    splits = draw_splits(features, 400, 1, 1, 0)
    for number, groups in ((0, 4), (1, 6)):  # 2 cuts × 2 sides of empty; 2³ − 2 groups
        sides = splits.right[splits.feature == number]
        assert len(np.unique(sides, axis=0)) == groups


def test_bins_are_those_of_the_steps_and_empty_is_the_last() -> None:
    frame = sample_loans(500)
    bins = ENCODER.encode(frame)
    steps = Encoder(ENCODER.features, ENCODER.derived, Coding("steps")).encode(frame) > 0
    counted = steps[:, :5].sum(axis=1)
    numbered = np.where(steps[:, 5 - 1], 5, counted)
    assert bins.shape == (500, len(FEATURES))
    assert np.array_equal(bins[:, 0], numbered)
    assert (bins[frame["income"].isna(), 1] == bins_of(FEATURES[1]) - 1).all()
    assert (bins.max(axis=0) < [bins_of(feature) for feature in FEATURES]).all()
