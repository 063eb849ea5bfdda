"""Bins and category lists that spend no privacy in secret.

With public bounds or a public list they cost nothing. Otherwise each owner counts its records in
the cells of a grid that is fixed for all data, adds the plan's setup noise to every count, and only
these counts leave it; edges and lists are read from their sum over owners.

Unit: one record, added or removed. It changes one count of each of the d columns by one, so all
counts of all columns together have L2 sensitivity √d and are one Gaussian mechanism. The grid has
eight cells an octave on either side of zero, so numbers that differ by less than a tenth of their
size, such as years, fall into one cell: those need public bounds. A category is
named only if its noised count passes a threshold that a category with a single record passes with
probability at most setup_delta / (category columns): those δ add up to setup_delta, which the plan
charges (Korolova et al., "Releasing search queries and clicks privately", WWW 2009).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from domains.errors import InputError
from privacy import noise
from privacy.plan import PrivacyPlan

Floats = NDArray[np.float64]

_SMALLEST = 1e-6
_PER_OCTAVE = 8
_POSITIVE = _SMALLEST * 2.0 ** (np.arange(60 * _PER_OCTAVE + 1) / _PER_OCTAVE)  # up to 1.15e12
_GRID = np.concatenate([-_POSITIVE[::-1], _POSITIVE])
_ENDS = 2 * _POSITIVE[-1]  # where the two open cells are taken to end
_TAIL = 0.001  # share of records beyond the outermost edges
_FALSE_CELL = 0.001  # chance that noise alone makes a column seem to have values where it has none


@dataclass(frozen=True)
class Summary:
    """What one owner releases about its columns, or an exact count of public data.

    Attributes:
        histograms: for each numeric column, counts in the fixed grid's cells; missing values are
            in none of them.
        categories: for each category column, the counts that passed the threshold, by text.
        sigma: standard deviation of the noise on every count; 0 for exact ones.
    """

    histograms: dict[str, Floats]
    categories: dict[str, dict[str, float]]
    sigma: float


@dataclass(frozen=True)
class Columns:
    """Public facts about columns that encoders are built from.

    Attributes:
        edges: for each numeric column, increasing bin edges; the first and the last are its bounds.
        categories: for each category column, its categories as text, the most frequent first.
    """

    edges: dict[str, Floats]
    categories: dict[str, tuple[str, ...]]


def noised_summary(
    frame: pd.DataFrame,
    numeric_cols: Sequence[str],
    categorical_cols: Sequence[str],
    plan: PrivacyPlan | None,
) -> Summary:
    """Count one owner's training records, with the plan's setup noise on every count.

    One call spends the plan's setup events. Without a plan the counts are exact: for public data
    and for controls only.

    Raises:
        InputError: a column is missing or not numeric, or the plan was made for fewer columns.
    """
    _check(frame, numeric_cols, [*numeric_cols, *categorical_cols], plan)
    sigma = plan.setup_sigma if plan else 0.0
    threshold = _threshold(sigma, len(categorical_cols), plan)
    histograms = {name: _noised_histogram(frame[name], sigma) for name in numeric_cols}
    categories = {name: _noised_list(frame[name], sigma, threshold) for name in categorical_cols}
    return Summary(histograms, categories, sigma)


def merge(summaries: Sequence[Summary], bins: int = 16, most_categories: int = 50) -> Columns:
    """Bin edges at equal shares of the records, and category lists, of all owners together.

    Reads nothing but the summaries. A column gets fewer bins where one cell holds many records, and
    hardly any where its counts do not stand out from the noise.

    Args:
        summaries: of the same columns, one an owner.
        bins: bins asked for a numeric column.
        most_categories: length at which a list is cut; the rest is "other".

    Raises:
        InputError: a column of exact summaries has no value at all.
    """
    sigma = math.sqrt(sum(summary.sigma**2 for summary in summaries))
    edges = {
        name: _quantile_edges(
            name, np.sum([s.histograms[name] for s in summaries], axis=0), sigma, bins
        )
        for name in summaries[0].histograms
    }
    categories = {
        name: _most_frequent([s.categories[name] for s in summaries], most_categories)
        for name in summaries[0].categories
    }
    return Columns(edges, categories)


def category_text(column: pd.Series) -> pd.Series:
    """Categories as text, None where missing; whole numbers lose their ".0".

    Encoders use it too, so that a code read as 11, 11.0 or "11" is one category.
    """
    codes, values = pd.factorize(column)  # -1 where missing, which takes the last text
    texts = np.array([*map(_text, values), None], dtype=object)
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def _text(value: object) -> str:
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _noised_histogram(column: pd.Series, sigma: float) -> Floats:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = np.searchsorted(_GRID, values[~np.isnan(values)], side="right")
    counts = np.bincount(cells, minlength=len(_GRID) + 1)
    return counts + noise.gaussian(len(counts), sigma)


def _noised_list(column: pd.Series, sigma: float, threshold: float) -> dict[str, float]:
    counts = category_text(column).value_counts().sort_index()  # exact counts must not set an order
    noised = counts.to_numpy(dtype=np.float64) + noise.gaussian(len(counts), sigma)
    kept = noised > threshold
    return dict(zip(counts.index[kept].astype(str), noised[kept].tolist(), strict=True))


def _threshold(sigma: float, columns: int, plan: PrivacyPlan | None) -> float:
    if plan is None or not columns:
        return 0.0
    return 1.0 + sigma * float(stats.norm.isf(plan.setup_delta / columns))


def _quantile_edges(name: str, counts: Floats, sigma: float, bins: int) -> Floats:
    if sigma == 0.0 and not counts.any():
        raise InputError(f"column {name}: every value is missing, expected numbers; exclude it")
    cumulated = np.cumsum(np.where(_above_noise(counts, sigma), counts, 0.0))
    rising = np.maximum.accumulate(cumulated)
    falling = np.minimum.accumulate(cumulated[::-1])[::-1]
    heights = np.maximum((rising + falling) / 2, 0.0)  # noise must not let a distribution fall
    if heights[-1] <= 0.0:
        return np.array([-_SMALLEST, _SMALLEST])  # nothing seen: the sign alone
    return _inverse(heights / heights[-1], np.linspace(_TAIL, 1 - _TAIL, bins + 1))


def _above_noise(counts: Floats, sigma: float) -> NDArray[np.bool_]:
    """Cells to believe: those that stand out alone, and whole octaves that do.

    Pure noise passes in one column of a thousand, alone, and in one of a thousand as an octave.
    Where nothing does, the octave with the largest count is the best guess.
    """
    alone = counts > sigma * stats.norm.isf(_FALSE_CELL / len(counts))
    if sigma == 0.0:
        return alone
    groups, where, sizes = np.unique(_octaves(), return_inverse=True, return_counts=True)
    scores = np.bincount(where, weights=counts) / (sigma * np.sqrt(sizes))
    passed = scores > stats.norm.isf(_FALSE_CELL / len(groups))
    if not (alone.any() or passed.any()):
        passed = scores == scores.max()
    return alone | passed[where]


def _octaves() -> NDArray[np.int64]:
    """For each cell, the number of its octave: negative below zero, 0 for zero's own cell."""
    steps = np.arange(len(_GRID) + 1) - len(_GRID) // 2
    return np.sign(steps) * ((np.abs(steps) + _PER_OCTAVE - 1) // _PER_OCTAVE)


def _inverse(heights: Floats, shares: Floats) -> Floats:
    """Values at the given shares of a cumulated histogram, spread evenly within a cell."""
    bounds = np.concatenate([[-_ENDS], _GRID, [_ENDS]])
    cells = np.searchsorted(heights, shares)
    before = np.concatenate([[0.0], heights])[cells]
    within = (shares - before) / (heights[cells] - before)
    values = bounds[cells] + within * (bounds[cells + 1] - bounds[cells])
    zero = np.abs(values) < _SMALLEST  # the cell of zero is one point: it lies below its edge
    edges = np.unique(np.where(zero, _SMALLEST, values))
    return edges if len(edges) > 1 else np.array([-_SMALLEST, _SMALLEST])


def _most_frequent(lists: Sequence[dict[str, float]], most: int) -> tuple[str, ...]:
    total: dict[str, float] = {}
    for counts in lists:
        for category, count in counts.items():
            total[category] = total.get(category, 0.0) + count
    return tuple(sorted(total, key=lambda category: (-total[category], category))[:most])


def _check(
    frame: pd.DataFrame, numeric: Sequence[str], names: Sequence[str], plan: PrivacyPlan | None
) -> None:
    for name in names:
        if name not in frame.columns:
            raise InputError(f"column {name}: not in the data, which has {len(frame.columns)}")
    for name in numeric:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise InputError(f"column {name}: found {frame[name].dtype}, expected numbers")
    if plan and len(names) > plan.setup_columns:
        raise InputError(
            f"{len(names)} columns have neither public bounds nor public categories, the plan was "
            f"made for {plan.setup_columns}: calibrate it with setup_columns={len(names)}"
        )
    if plan and len(names) > len(numeric) and not plan.setup_delta > 0:
        raise InputError(
            f"{len(names) - len(numeric)} columns have no public category list and the plan keeps "
            "no δ for them: calibrate it with setup_categories"
        )
