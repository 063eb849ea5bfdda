"""Tasks by the type of their targets, and what counts as a good answer to each."""

import numpy as np
import pytest
import torch

from domains.metrics import auroc
from models.imaging.task import Task, kind_of, macro_auroc

ROWS = np.arange(6)


def test_the_type_and_shape_of_targets_say_the_task() -> None:
    assert kind_of(np.array([0, 2, 1])) == "classes"
    assert kind_of(np.array([[0, 1], [1, 1]])) == "labels"
    assert kind_of(np.array([[False, True]])) == "labels"
    assert kind_of(np.array([[0.3], [2.0]], dtype=np.float32)) == "values"


def test_labels_are_each_judged_by_itself_and_one_that_all_share_not_at_all() -> None:
    targets = np.array([[0, 1, 1], [1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 1, 0], [1, 1, 1]])
    scores = np.random.default_rng(0).normal(size=(6, 3))
    expected = np.mean([auroc(targets[:, j], scores[:, j]) for j in (0, 2)])
    assert macro_auroc(targets, scores) == pytest.approx(expected)
    assert Task.of(targets, ROWS).score(scores, ROWS) == pytest.approx(expected)
    assert np.isnan(macro_auroc(np.ones((4, 2)), np.ones((4, 2))))


def test_the_loss_of_labels_is_the_mean_over_independent_ones() -> None:
    targets = np.array([[0, 1], [1, 1]])
    task = Task.of(targets, np.arange(2))
    outputs = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    p = torch.sigmoid(outputs).numpy()
    expected = -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    assert float(task.loss(outputs, task.targets)) == pytest.approx(expected, rel=1e-5)


def test_values_are_standardised_by_training_rows_alone() -> None:
    targets = np.array([[1.0], [3.0], [100.0]], dtype=np.float32)
    task = Task.of(targets, np.array([0, 1]))
    assert task.targets[:2].flatten().tolist() == pytest.approx([-1.0, 1.0], abs=1e-4)
