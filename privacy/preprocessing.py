"""Bins and category lists that spend no privacy in secret.

With public bounds or a public list they cost nothing. Otherwise each owner counts its records in
the cells of a grid that is fixed for all data, adds the plan's setup noise to every count, and only
these counts leave it; edges and lists are read from their sum over owners.

Unit: one record, added or removed. It changes one count by one in each of these groups of counts: a
number's octaves, the cells within them (eight an octave on either side of zero), and a category's
values. Everything an owner releases is one Gaussian mechanism: group g gets noise of standard
deviation σ_g, so that the counts over their σ have L2 sensitivity √(Σ_g 1/σ_g²), and
σ_g = m · √(Σ_h w_h / w_g) makes that 1/m whatever the weights w, with m the plan's setup noise
multiplier. The weights are fixed: a category must be seen above its threshold at each single
owner, while octaves are summed over owners, and cells only divide an octave that was seen.

Where columns were voted on first (`privacy.voting`), that took a share s of the same event, and m
is then m/√(1 − s) in all of the above.

Numbers that differ by less than a tenth of their size, such as years, fall into one cell: those
need public bounds. A category is named only if its noised count passes a threshold that a category
with a single record passes with probability at most setup_delta / (category columns): those δ add
up to setup_delta, which the plan charges (Korolova et al., "Releasing search queries and clicks
privately", WWW 2009). What is made of the noised counts afterwards costs nothing.
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
from privacy.voting import VOTE_SHARE

Floats = NDArray[np.float64]

_SMALLEST = 1e-6
_PER_OCTAVE = 8
_POSITIVE = _SMALLEST * 2.0 ** (np.arange(60 * _PER_OCTAVE + 1) / _PER_OCTAVE)  # up to 1.15e12
_GRID = np.concatenate([-_POSITIVE[::-1], _POSITIVE])
_STEPS = np.arange(len(_GRID) + 1) - len(_GRID) // 2
_OCTAVE = np.sign(_STEPS) * ((np.abs(_STEPS) + _PER_OCTAVE - 1) // _PER_OCTAVE)
_OCTAVE -= _OCTAVE.min()  # for each cell the number of its octave, zero's own in the middle
_ENDS = 2 * _POSITIVE[-1]  # where the two open cells are taken to end
_TAIL = 0.001  # share of records beyond the outermost edges
_FALSE_OCTAVE = 0.001  # chance that noise makes a column seem to have values where it has none
_WEIGHTS = {"category": 1.0, "octave": 0.3, "cell": 0.1}


@dataclass(frozen=True)
class Summary:
    """What one owner releases about its columns, or an exact count of public data.

    Attributes:
        cells: for each numeric column, counts in the fixed grid's cells; missing values are in none
            of them.
        octaves: for each numeric column, counts in its octaves, counted and noised by themselves.
        categories: for each category column, the counts that passed the threshold, by text.
        cell_sigma, octave_sigma: standard deviation of the noise on every count; 0 for exact ones.
    """

    cells: dict[str, Floats]
    octaves: dict[str, Floats]
    categories: dict[str, dict[str, float]]
    cell_sigma: float = 0.0
    octave_sigma: float = 0.0


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
    voted: bool = False,
) -> Summary:
    """Count one owner's training records, with the plan's setup noise on every count.

    One call spends the plan's setup events; after `noised_votes`, what these left of them. Without
    a plan the counts are exact: for public data and for controls only.

    Raises:
        InputError: a column is missing or not numeric, or the plan was made for fewer columns.
    """
    _check(frame, numeric_cols, [*numeric_cols, *categorical_cols], plan)
    sigma = _sigmas(len(numeric_cols), len(categorical_cols), plan, voted)
    threshold = _threshold(sigma["category"], len(categorical_cols), plan)
    cells = {name: _counted(frame[name]) for name in numeric_cols}
    return Summary(
        {name: _noised(counts, sigma["cell"]) for name, counts in cells.items()},
        {name: _noised(_by_octave(counts), sigma["octave"]) for name, counts in cells.items()},
        {
            name: _noised_list(frame[name], sigma["category"], threshold)
            for name in categorical_cols
        },
        sigma["cell"],
        sigma["octave"],
    )


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
    cell, octave = (
        math.sqrt(sum(getattr(summary, name) ** 2 for summary in summaries))
        for name in ("cell_sigma", "octave_sigma")
    )
    edges = {}
    for name in summaries[0].cells:
        cells, octaves = (
            np.sum([getattr(s, kind)[name] for s in summaries], axis=0)
            for kind in ("cells", "octaves")
        )
        if octave == 0.0 and not cells.any():
            raise InputError(f"column {name}: every value is missing, expected numbers; exclude it")
        edges[name] = _quantile_edges(_masses(cells, octaves, cell, octave), bins)
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


def _sigmas(
    numbers: int, lists: int, plan: PrivacyPlan | None, voted: bool = False
) -> dict[str, float]:
    """Standard deviation of the noise on each count of a kind of group; all 0 without a plan."""
    if plan is None:
        return dict.fromkeys(_WEIGHTS, 0.0)
    multiplier = plan.setup_sigma / math.sqrt(plan.setup_columns)
    multiplier /= math.sqrt(1 - VOTE_SHARE if voted else 1.0)
    total = lists * _WEIGHTS["category"] + numbers * (_WEIGHTS["octave"] + _WEIGHTS["cell"])
    return {kind: multiplier * math.sqrt(total / weight) for kind, weight in _WEIGHTS.items()}


def _counted(column: pd.Series) -> Floats:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = np.searchsorted(_GRID, values[~np.isnan(values)], side="right")
    return np.bincount(cells, minlength=len(_GRID) + 1).astype(np.float64)


def _by_octave(cells: Floats) -> Floats:
    """Counts of the octaves, of which zero's has a single cell."""
    return np.bincount(_OCTAVE, weights=cells).astype(np.float64)


def _noised(counts: Floats, sigma: float) -> Floats:
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


def _masses(cells: Floats, octaves: Floats, cell_sigma: float, octave_sigma: float) -> Floats:
    """Records in each cell, as far as noised counts tell: nothing below 0, noise taken for noise.

    An octave's own count and the sum of its cells are weighed by their noise. Octaves that stand
    out are believed, and whatever lies between two of them; where none does, the largest is the
    best guess. Within an octave cells are drawn towards their mean by as much as noise explains
    their spread (James and Stein, 1961).
    """
    if octave_sigma == 0.0:
        return cells
    sizes = np.bincount(_OCTAVE)
    precise, summed = 1 / octave_sigma**2, 1 / (sizes * cell_sigma**2)
    total = (octaves * precise + _by_octave(cells) * summed) / (precise + summed)
    score = total * np.sqrt(precise + summed)
    seen = np.flatnonzero(score > stats.norm.isf(_FALSE_OCTAVE / len(sizes)))
    first, last = (seen[0], seen[-1]) if len(seen) else (score.argmax(), score.argmax())
    between = (np.arange(len(sizes)) >= first) & (np.arange(len(sizes)) <= last)
    total = np.where(between, np.maximum(total, 0.0), 0.0)
    spread = cells - (_by_octave(cells) / sizes)[_OCTAVE]
    explained = cell_sigma**2 * np.maximum(sizes - 1, 1) / np.maximum(_by_octave(spread**2), 1e-9)
    shrunk = np.maximum(1 - explained, 0.0)[_OCTAVE] * spread
    within = np.maximum((total / sizes)[_OCTAVE] + shrunk, 0.0)
    whole = _by_octave(within)
    return within * np.divide(total, whole, out=np.zeros(len(sizes)), where=whole > 0)[_OCTAVE]


def _quantile_edges(masses: Floats, bins: int) -> Floats:
    heights = np.cumsum(masses)
    if heights[-1] <= 0.0:
        return np.array([-_SMALLEST, _SMALLEST])  # nothing seen: the sign alone
    return _inverse(heights / heights[-1], np.linspace(_TAIL, 1 - _TAIL, bins + 1))


def _inverse(heights: Floats, shares: Floats) -> Floats:
    """Values at the given shares of a cumulated histogram, spread evenly within a cell.

    The cell of zero is one point: an edge on either side makes it a bin of its own.
    """
    bounds = np.concatenate([[-_ENDS], _GRID, [_ENDS]])
    cells = np.searchsorted(heights, shares)
    before = np.concatenate([[0.0], heights])[cells]
    within = (shares - before) / (heights[cells] - before)
    values = bounds[cells] + within * (bounds[cells + 1] - bounds[cells])
    zero = np.abs(values) < _SMALLEST
    beside = [-_SMALLEST, _SMALLEST] if zero.any() else []
    edges = np.unique(np.concatenate([values[~zero], beside]))
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
