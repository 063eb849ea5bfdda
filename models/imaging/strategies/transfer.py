"""Transfer: the base is frozen, and a new head is fitted to its features."""

from __future__ import annotations

import time

import numpy as np
import torch

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.features import features
from models.imaging.head import Head, fit_head
from models.imaging.strategies.learned import Learned
from models.imaging.task import Task
from models.imaging.tuning import Tell, Tuning
from models.training import FitHistory


def transfer(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,  # noqa: ARG001 - its features are what is kept
) -> Learned:
    """Fit the head to features that are computed once; the penalty is chosen on validation.

    Nothing of the base changes. A run that was killed finds the features in the cache, and fits the
    head again to the same numbers.

    Args:
        net: Its base stays as it is, its head is replaced.
        examples: Classes or labels, see `models.imaging.head`.
        tuning: Only its precision is used.
        progress: Receives one line.
        checkpoint: Not needed.
    """
    started = time.perf_counter()
    values, head = probe(net, examples, tuning)
    outputs = head.logits(values)
    rows = examples.validation
    score = Task.of(examples.targets, examples.train).score(outputs[rows], rows)
    if progress:
        progress(f"head fitted, L2 penalty {head.penalty:g}: validation {score:.4f}")
    history = FitHistory(1, 1, score, time.perf_counter() - started)
    what = f"frozen; new head, L2 penalty {head.penalty:g} chosen on validation"
    return Learned(what, history, outputs)


def probe(net: Classifier, examples: Examples, tuning: Tuning) -> tuple[np.ndarray, Head]:
    """Put the best linear head on a frozen base; returns the features (n, d) too."""
    values = features(net.backbone, examples.images, examples.cache, tuning.precision)
    outputs = net.head.out_features
    head = fit_head(values, examples.targets, examples.train, examples.validation, outputs)
    with torch.no_grad():
        net.head.weight.copy_(torch.from_numpy(head.weight))
        net.head.bias.copy_(torch.from_numpy(head.bias))
    return values, head
