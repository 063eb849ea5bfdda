"""Boosted trees with drawn splits, as a net's place takes them: bins in, a logit out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from models.credit_encoding import Encoder
from models.trees.structure import Splits, draw_splits

_HELD = 1 << 21  # answers of trees that are held at once


class Trees(nn.Module):
    """The sum of one leaf's value of every tree.

    Args:
        splits: What the trees ask.
    """

    feature: Tensor
    right: Tensor
    value: Tensor

    def __init__(self, splits: Splits) -> None:
        super().__init__()
        self.register_buffer("feature", torch.from_numpy(splits.feature))
        self.register_buffer("right", torch.from_numpy(splits.right))
        value = torch.zeros(splits.trees, splits.leaves, dtype=torch.float64)
        self.register_buffer("value", value)

    @property
    def splits(self) -> Splits:
        """What the trees ask."""
        return Splits(self.feature.numpy(), self.right.numpy())

    def forward(self, codes: Tensor) -> Tensor:
        """Logits of records, (n, 1) float64.

        Args:
            codes: The bin of every feature, (n, features), as `Coding("bins")` writes them.
        """
        bins, logits = codes.long(), torch.zeros(len(codes), dtype=torch.float64)
        some = max(1, _HELD // max(1, len(codes) * self.feature.shape[1]))
        for start in range(0, len(self.feature), some):
            logits += self._added(bins, slice(start, start + some))
        return logits.unsqueeze(1)

    def _added(self, bins: Tensor, trees: slice) -> Tensor:
        """What some trees add to each record's logit, (n,)."""
        feature, right, value = self.feature[trees], self.right[trees], self.value[trees]
        levels = torch.arange(feature.numel()) * right.shape[-1]
        answers = right.reshape(-1)[bins[:, feature.reshape(-1)] + levels]
        digits = 2 ** torch.arange(feature.shape[1] - 1, -1, -1)
        leaf = (answers.view(-1, *feature.shape) * digits).sum(-1)
        return value.reshape(-1)[leaf + torch.arange(len(value)) * value.shape[1]].sum(1)


def build(encoder: Encoder, trees: int, depth: int, interaction: int, seed: int = 0) -> Trees:
    """Trees that know nothing yet: splits drawn, all values 0.

    Args:
        encoder: Whose bins they split.
        trees: How many.
        depth: Levels of each: 2^depth leaves.
        interaction: Features that one tree asks about at most; with 1 risk is additive.
        seed: Of the splits, public.
    """
    return Trees(draw_splits(encoder.features, trees, depth, interaction, seed))


def asking(model: Trees, feature: int) -> Trees:
    """The trees that ask about a feature, by its number: the others' sum does not depend on it."""
    chosen = (model.feature == feature).any(dim=1)
    some = Trees(Splits(model.feature[chosen].numpy(), model.right[chosen].numpy()))
    some.value.copy_(model.value[chosen])
    return some


def from_state(state: Mapping[str, Tensor]) -> Trees:
    """Trees of a saved `state_dict`."""
    model = Trees(Splits(state["feature"].numpy(), state["right"].numpy()))
    model.load_state_dict(dict(state))
    return model


def as_bins(codes: Tensor) -> np.ndarray:
    """Bins of records feature by feature, (features, n) int16, each feature's in one piece."""
    return np.ascontiguousarray(codes.numpy().T.astype(np.int16))
