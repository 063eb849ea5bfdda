"""Protected groups: the values of a column, or classes of a number, and which are large enough.

Only held-out records are looked at. A group below the least number of members is not told of; all
such stand together, and what they hold is nobody's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from domains.banking.cells import numbers_of, texts_of
from domains.banking.features import label

EMPTY, OTHERS = "empty", " or other"
_FEW = 8
"""More distinct numbers than these are put in classes."""


@dataclass(frozen=True)
class Groups:
    """A protected column's groups.

    Attributes:
        column: The column.
        names: Groups that are told of, largest first.
        code: Number of each record's group, −1 where it is not told of, (n,).
        small: How many groups are too small to be told of; None where not even that is told.
    """

    column: str
    names: tuple[str, ...]
    code: np.ndarray
    small: int | None


def classes(
    column: pd.Series,
    calibrating: np.ndarray,
    edges: Sequence[float] = (),
    kind: str | None = None,
    rounded: bool = False,
) -> np.ndarray:
    """The class of every record as text, (n,).

    A category's value is its class. A number that takes more than a few values is cut at the inner
    of the public `edges`, or else at the quartiles of the calibration records. Empty is a class;
    in a column that is declared a number, so is what spells none.

    Args:
        column: Values, as numbers or as a file spells them, (n,).
        calibrating: Which are calibration records, (n,) bool.
        edges: Public edges, rising, the outer two among them.
        kind: `number` or `category`, whatever its values look like; None where nobody declared it:
            then it is a category if one of its values spells no number.
        rounded: Quartiles are rounded to two digits: each is some record's own value, and names
            its class.
    """
    empty = column.isna().to_numpy()
    x = np.full(len(column), np.nan)
    if kind != "category" and not pd.api.types.is_bool_dtype(column.dtype):
        spelled = numbers_of(column)
        x = np.where(np.isinf(spelled), np.nan, spelled)
    if kind == "number":
        empty = np.isnan(x)
    if kind == "category" or np.isnan(x[~empty]).any():
        found = texts_of(column)
    elif not len(edges) and len(np.unique(x[~empty])) <= _FEW:
        found = pd.Series(x, index=column.index).map(label, na_action="ignore")
    else:
        cuts = _inner(x[calibrating & ~empty], edges, rounded)
        found = pd.Series(_cut(x, cuts), index=column.index)
    return np.where(empty, EMPTY, found.to_numpy(dtype=object))


def large_enough(
    column: str, found: np.ndarray, tested: np.ndarray, least: int, hidden: bool
) -> Groups:
    """The groups with at least `least` test records.

    Args:
        column: Name of the column.
        found: From `classes`, (n,).
        tested: Which are test records, (n,) bool.
        least: Members that a group needs.
        hidden: Whether what the small ones hold must not follow from what is told: then, if they
            are fewer than `least` together, they count with the smallest group that is large
            enough, and its name says so.
    """
    counts = pd.Series(found[tested]).value_counts().sort_index().sort_values(
        ascending=False, kind="stable"
    )  # fmt: skip
    names = [str(name) for name, count in counts.items() if count >= least]
    rest = counts[[name for name in counts.index if name not in names]]
    places = {name: place for place, name in enumerate(names)}
    among = -1
    if hidden and 0 < rest.sum() < least and names:
        among = len(names) - 1
        names[-1] += OTHERS
    code = np.array([places.get(str(each), among) for each in found], dtype=int)
    return Groups(column, tuple(names), code, None if hidden else len(counts) - len(names))


def _inner(x: np.ndarray, edges: Sequence[float], rounded: bool) -> np.ndarray:
    if len(edges) > 2:
        return np.asarray(edges[1:-1], dtype=float)
    found = np.quantile(x, [0.25, 0.5, 0.75]) if len(x) else np.zeros(0)
    return np.unique([float(f"{cut:.2g}") for cut in found] if rounded else found)


def _cut(x: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    if not len(cuts):
        return np.full(len(x), "any", dtype=object)
    names = [
        f"below {cuts[0]:g}",
        *(f"{low:g} to below {high:g}" for low, high in pairwise(cuts)),
        f"{cuts[-1]:g} and more",
    ]
    return np.array(names, dtype=object)[np.searchsorted(cuts, x, side="right")]
