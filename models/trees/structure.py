"""Trees whose splits are drawn, not learned: which feature, and which of its bins go right.

A tree is oblivious: all nodes of a level ask the same question, so a leaf is the number whose
binary digits are the answers. It asks about a few features in turn. Features come round in random
order, every one of them once before any comes again; of a number, one of the cuts between its bins
is drawn, and empty goes to a side of its own; of a category, each value's side is a coin.

Drawn from a public seed and from the encoder's features alone (public bins, or bins that their
owners have paid for): no record has a say, and the drawing costs no privacy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from domains.banking.features import Categorical, Feature
from models.credit_encoding import bins_of


@dataclass(frozen=True)
class Splits:
    """The questions of all trees.

    Attributes:
        feature: Which feature a level asks about, (trees, depth) int64.
        right: Whether a bin of it goes right, (trees, depth, most bins of a feature) bool.
    """

    feature: np.ndarray
    right: np.ndarray

    @property
    def trees(self) -> int:
        """How many."""
        return len(self.feature)

    @property
    def leaves(self) -> int:
        """Of each tree."""
        return 1 << self.feature.shape[1]

    def leaf(self, tree: int, bins: np.ndarray) -> np.ndarray:
        """The leaf of one tree that each record falls into, (n,) int64.

        Args:
            tree: Its number.
            bins: The bin of every feature, feature by feature, (features, n).
        """
        reached = np.zeros(bins.shape[1], dtype=np.int64)
        for feature, right in zip(self.feature[tree], self.right[tree], strict=True):
            reached = 2 * reached + right[bins[feature]]
        return reached


def draw_splits(
    features: tuple[Feature, ...], trees: int, depth: int, interaction: int, seed: int
) -> Splits:
    """Splits of so many trees; the first of them are the same however many follow.

    Args:
        features: With edges or values known.
        trees: How many.
        depth: Levels of each.
        interaction: Features that one tree asks about, in turn, at most.
        seed: Public.
    """
    draws = np.random.default_rng(seed)
    most = max(bins_of(feature) for feature in features)
    asked = np.zeros((trees, depth), dtype=np.int64)
    right = np.zeros((trees, depth, most), dtype=bool)
    turns = _turns(len(features), min(interaction, depth, len(features)), draws)
    for tree in range(trees):
        few = next(turns)
        asked[tree] = np.resize(few, depth)
        for level, number in enumerate(asked[tree]):
            sides = _sides(features[number], draws)
            right[tree, level, : len(sides)] = sides
    return Splits(asked, right)


def _turns(features: int, few: int, draws: np.random.Generator) -> Iterator[np.ndarray]:
    """Groups of different features, each feature as often as any other."""
    waiting = np.zeros(0, dtype=np.int64)
    while True:
        if len(waiting) < few:  # those left over go first, and do not come twice in one group
            fresh = draws.permutation(features)
            again = np.isin(fresh, waiting)
            waiting = np.concatenate([waiting, fresh[~again], fresh[again]])
        yield waiting[:few]
        waiting = waiting[few:]


def _sides(feature: Feature, draws: np.random.Generator) -> np.ndarray:
    """Which bins of a feature go right, (bins,) bool; some do, and some do not."""
    bins = bins_of(feature)
    if isinstance(feature, Categorical):
        sides = draws.random(bins) < 0.5
        if sides.all() or not sides.any():
            sides[draws.integers(bins)] ^= True
        return sides
    sides = np.arange(bins) >= draws.integers(1, bins - 1)
    sides[-1] = draws.random() < 0.5
    return sides
