"""Boosted trees as plain arrays: what is packed, and how it answers, without the library that grew
them.

A package must still answer when scikit-learn has changed its classes, and must run nothing that
lies in a file. Arrays do both, and how they may point at each other can be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

_ROWS = 2_048  # records at a time: a place in every tree for each of them
CODES = 64


@dataclass(frozen=True)
class Forest:
    """Regression trees whose leaves are added up, `outputs` trees a round.

    Attributes:
        feature: Column that a node asks for, (nodes,) int32.
        threshold: A number up to it goes left, (nodes,) float64.
        codes: Bit c is set where category c goes left, (nodes,) uint64; 0 where the column is a
            number.
        missing: Whether a missing value goes left, (nodes,) bool.
        left, right: Nodes below, which stand behind it; a leaf names itself, (nodes,) int32.
        value: What a leaf adds, (nodes,) float64.
        roots: (rounds, outputs) int32.
        start: What is added to, (outputs,) float64.
    """

    feature: np.ndarray
    threshold: np.ndarray
    codes: np.ndarray
    missing: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    start: np.ndarray

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Sums of leaves, (n, outputs) float64, added in the order in which the trees were grown.

        Args:
            x: (n, features) numbers and category codes below 64, NaN where missing.
        """
        parts = [self._sums(x[row : row + _ROWS]) for row in range(0, len(x), _ROWS)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.start)))

    def _sums(self, x: np.ndarray) -> np.ndarray:
        leaves = self.value[self._leaves(x)].reshape(len(x), *self.roots.shape)
        start = np.broadcast_to(self.start, (len(x), 1, len(self.start)))
        sums: np.ndarray = np.cumsum(np.concatenate([start, leaves], axis=1), axis=1)[:, -1]
        return sums

    def _leaves(self, x: np.ndarray) -> np.ndarray:
        """Leaf of each record in each tree, (n · trees,)."""
        node = np.tile(self.roots.ravel(), len(x))
        row = np.repeat(np.arange(len(x)), self.roots.size)
        inner = self.left != np.arange(len(self.left))
        under_way = np.flatnonzero(inner[node])
        while len(under_way):
            here = node[under_way]
            goes = self._goes_left(here, x[row[under_way], self.feature[here]])
            here = np.where(goes, self.left[here], self.right[here])
            node[under_way] = here
            under_way = under_way[inner[here]]
        return node

    def _goes_left(self, node: np.ndarray, value: np.ndarray) -> np.ndarray:
        goes, codes = value <= self.threshold[node], self.codes[node]
        listed = np.flatnonzero(codes)
        if len(listed):
            code = np.nan_to_num(value[listed]).astype(np.uint64)
            goes[listed] = (codes[listed] >> code) & np.uint64(1)
        return np.where(np.isnan(value), self.missing[node], goes)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name → array; `from_arrays` is the inverse."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], features: int) -> Forest:
        """Inverse of `arrays`.

        Args:
            arrays: By name.
            features: Columns that there are.

        Raises:
            ValueError: An array is missing, or has another type or length; or a node points at a
                column or a node that there is not, or back.
        """
        made = cls(**{name: _typed(arrays, name, kind) for name, kind in _KINDS.items()})
        made._check(features)
        return made

    def _check(self, features: int) -> None:
        nodes, place = len(self.left), np.arange(len(self.left))
        lengths = {len(getattr(self, name)) for name in _KINDS if name not in ("roots", "start")}
        if lengths != {nodes} or self.roots.ndim != 2 or self.roots.shape[1:] != self.start.shape:
            raise ValueError("arrays of lengths that do not go together")
        leaf = (self.left == place) & (self.right == place)
        inner = (np.minimum(self.left, self.right) > place) & (
            np.maximum(self.left, self.right) < nodes
        )
        if not (leaf | inner).all() or not _within(self.roots, nodes):
            raise ValueError("a node that points back or nowhere")
        if not _within(self.feature, features):
            raise ValueError(f"a node that asks for a column beyond the {features}")
        if not (np.isfinite(self.value).all() and np.isfinite(self.start).all()):
            raise ValueError("a leaf without a number")


_KINDS = {
    "feature": np.int32,
    "threshold": np.float64,
    "codes": np.uint64,
    "missing": np.bool_,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
    "roots": np.int32,
    "start": np.float64,
}


def _typed(arrays: Mapping[str, np.ndarray], name: str, kind: type) -> np.ndarray:
    if name not in arrays or arrays[name].dtype != kind:
        found = arrays[name].dtype if name in arrays else "none"
        raise ValueError(f"{found} for {name}, where {np.dtype(kind)} stands")
    return arrays[name]


def _within(places: np.ndarray, count: int) -> bool:
    return bool(((places >= 0) & (places < count)).all())
