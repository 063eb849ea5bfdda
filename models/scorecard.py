"""The training of a scorecard: logistic regression on binned features, and the table it becomes.

One weight a code of `models.credit_encoding`, trained across clients like any other model. It is
convex and starts at 0, so a few full-batch steps learn it, and the order of bins and values changes
nothing. Calibrated and rounded to tenths, its terms are the points of `models.scorecard_points`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from domains.banking.features import Feature, Numeric
from domains.errors import InputError
from models.credit_encoding import Encoder, cuts, number_codes, width_of
from models.credit_reasons import reference
from models.scorecard_points import TENTHS, Scale, Scorecard

ROW_NORM = 3.0
"""Norm of a row in which every code is as large as it can be, beside the 1 of the intercept. A
record's gradient is that long times the error of its probability, so under a clip norm of 2.5 only
records are shortened that the model gets wrong by nearly 0.8."""
_RIDGE = 1.0

Direction = Literal["up", "down"]


def build(width: int) -> nn.Sequential:
    """Logistic regression that knows nothing yet: all weights 0.

    Args:
        width: Codes a record has.
    """
    layer = nn.Linear(width, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(layer)


def train_centrally(model: nn.Sequential, codes: np.ndarray, y: np.ndarray) -> None:
    """Fit in place on records in one hand, without privacy, until it is done, with a small ridge.

    Args:
        model: From `build`.
        codes: Encoded records, (n, width).
        y: 0 or 1, (n,); with one outcome alone the model learns nothing.
    """
    if len(np.unique(y)) < 2:
        return
    fitted = LogisticRegression(C=1 / _RIDGE, max_iter=300).fit(codes / ROW_NORM, y)
    weight, bias = model.parameters()
    with torch.no_grad():
        weight.copy_(torch.from_numpy(fitted.coef_ / ROW_NORM))
        bias.copy_(torch.from_numpy(fitted.intercept_))


@dataclass(frozen=True)
class Monotone:
    """The projection onto weights with which risk only rises or falls with some of the numbers.

    Every code of a number grows with it, so that is a sign for each of its weights. The projection
    sees weights alone: after noised steps it costs no privacy.

    Attributes:
        signs: For each code 1 where its weight may not be negative, −1 where it may not be
            positive, 0 where it is free.
    """

    signs: tuple[int, ...]

    def __call__(self, state: list[Tensor]) -> list[Tensor]:
        """The parameters [weight (1, width), bias (1,)] with wrong signs set to 0."""
        wrong = state[0] * torch.tensor(self.signs) < 0
        return [torch.where(wrong, 0.0, state[0]), *state[1:]]


def monotone(encoder: Encoder, directions: Mapping[str, Direction]) -> Monotone | None:
    """The projection for a risk that rises (`up`) or falls with columns; None without any."""
    if not directions:
        return None
    sign, signs = {"up": 1, "down": -1}, []
    for feature in encoder.features:
        width = width_of(feature, encoder.coding)
        given = directions.get(feature.column)
        signs += [sign[given] if given else 0] * (width - 1) + [0]
    return Monotone(tuple(signs))


def check_monotone(features: Sequence[Feature], directions: Mapping[str, Direction]) -> None:
    """Raise InputError where a direction is not of a feature that is a number."""
    known = {feature.column: feature for feature in features}
    for column in directions:
        if not isinstance(known.get(column), Numeric):
            found = "holds categories" if column in known else "is no feature of the model"
            raise InputError(f"monotone: column {column!r} {found}, expected one of its numbers")


def make_card(
    encoder: Encoder, model: nn.Sequential, slope: float, intercept: float, scale: Scale
) -> Scorecard:
    """The scorecard of a trained model: its calibrated terms, rounded to tenths of a point.

    Args:
        encoder: Whose codes the model was trained on.
        model: From `build`.
        slope, intercept: Calibration, log-odds = slope · logit + intercept.
        scale: What points mean.
    """
    weight, bias = (parameter.detach().double().numpy() for parameter in model.parameters())
    middle = float(bias[0]) * slope + intercept
    points, start = [], 0
    for feature, size in zip(encoder.features, encoder.scales, strict=True):
        stop = start + width_of(feature, encoder.coding)
        own, stated = weight[0][start:stop] * size * slope, reference(feature, encoder.coding)
        terms = _codes_of_values(feature, encoder) @ own - stated @ own
        middle += float(stated @ own)
        points.append(tuple(np.rint(-scale.factor * TENTHS * terms).astype(int).tolist()))
        start = stop
    return Scorecard(encoder, tuple(points), round(scale.score(middle) * TENTHS), scale)


def _codes_of_values(feature: Feature, encoder: Encoder) -> np.ndarray:
    """Codes of everything that has points of its own, (points, width), before scaling."""
    if not isinstance(feature, Numeric):
        return np.eye(width_of(feature, encoder.coding), dtype=np.float64)
    if encoder.coding.kind == "steps":
        inner = cuts(feature)
        values = np.append(inner[0] - 1.0 - abs(inner[0]), inner)
    else:
        values = np.array(feature.edges)
    return number_codes(np.append(values, np.nan), feature, encoder.coding).astype(np.float64)
