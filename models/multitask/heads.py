"""What a head answers and how wrong it is, for each kind of outcome.

A head is one linear layer on the trunk; kinds differ in its width, its loss and how its logits are
read. Losses are of one record, so that records without a label can be left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit
from torch import Tensor, arange, xlogy
from torch.nn import functional

from domains.healthcare.outcomes.codec import Codec
from models.calibration import probabilities

_HIGHEST = 15.0  # a rate e^15 times the mean is an error, and must not become infinity

RecordLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, size) and encoded targets (n,) or (n, 2) → loss of each record (n,)."""


def binary_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Log loss of a yes or no."""
    return functional.binary_cross_entropy_with_logits(logits[:, 0], target, reduction="none")


def multiclass_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Log loss of the class."""
    return functional.cross_entropy(logits, target.long(), reduction="none")


def regression_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Squared error on the standardised scale."""
    return (logits[:, 0] - target) ** 2


def count_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Half of the Poisson deviance, never below 0; logits and targets are of rate over mean."""
    log_rate = logits[:, 0].clamp(max=_HIGHEST)
    return log_rate.exp() - target * log_rate + xlogy(target, target) - target


def hazard_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Negative log likelihood of discrete-time survival.

    Each interval that a patient reached is a yes or no: did the event fall into it? Censored
    patients count for the intervals they survived. Gensheimer and Narasimhan (2019),
    doi:10.7717/peerj.6257.

    Args:
        logits: (n, intervals) log-odds of the hazard.
        target: (n, 2), intervals survived and whether the event fell into the next one.
    """
    interval = arange(logits.shape[1], device=logits.device)
    survived, event = target[:, :1], target[:, 1:]
    at_risk = interval < survived + event
    happened = (interval == survived) & (event > 0)
    each = functional.binary_cross_entropy_with_logits(
        logits, happened.to(logits.dtype), reduction="none"
    )
    return (each * at_risk).sum(dim=1)


LOSSES: dict[str, RecordLoss] = {
    "binary": binary_loss,
    "multiclass": multiclass_loss,
    "ordinal": hazard_loss,
    "count": count_loss,
    "regression": regression_loss,
    "survival": hazard_loss,
}
"""The loss of each kind of outcome."""


def answer(codec: Codec, logits: np.ndarray) -> np.ndarray:
    """Logits (n, size) → what `Codec.decode` takes.

    Args:
        codec: Of the outcome.
        logits: Of any model: a network's head or a control's log-odds.
    """
    if codec.outcome.kind == "binary":
        return probabilities(logits[:, 0])
    if codec.outcome.kind == "multiclass":
        return probabilities(logits)
    if codec.outcome.kind in ("ordinal", "survival"):
        hazards: np.ndarray = expit(np.asarray(logits, dtype=float))
        return hazards
    return np.asarray(logits[:, 0], dtype=float)
