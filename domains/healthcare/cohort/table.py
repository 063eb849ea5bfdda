"""Table 1: who stands in which part of the split, and how unlike the parts are.

Of private records nothing is told of fewer than five patients: a level that so few have, or a
quartile with so few beyond it, is left out; numbers have three significant digits, and counts are
rounded to five, so that what is left out cannot be found by subtraction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from domains.healthcare.cohort.features import Category, Encoder, Feature
from domains.healthcare.few import FEWEST, HIDDEN, patients_in, round_digits, rounded
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import known
from domains.healthcare.patients import Cohort

REFERENCE = "train"
MISSING, OTHER = "missing", "other"
_TOO_FEW = "(too few)"

Distance = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: Column or outcome.
        level: Of a category, `missing`, or empty.
        cells: What each part shows.
        apart: Standardised mean difference of each part from the training records, of the whole
            column; None where it cannot be computed.
    """

    name: str
    level: str
    cells: dict[str, str]
    apart: dict[str, float | None] = field(default_factory=dict)


def table_one(
    parts: Mapping[str, Cohort],
    encoder: Encoder,
    codecs: Mapping[str, Codec],
    public: bool,
) -> list[Line]:
    """Every outcome and every feature of each part.

    Numbers are median [quartiles], levels n (%) of the records that have one, missing cells n (%).
    Levels are those that the encoder lists, others stand together; of 0 and 1 the ones are told.

    Args:
        parts: Part → its records; `train` is what the others are compared with.
        encoder: Of the features.
        codecs: Of the outcomes.
        public: Whether few may be told.
    """
    count = _Count(public)
    lines: list[Line] = []
    for name, codec in codecs.items():
        lines += _outcome_lines(name, codec, parts, count)
    for feature in encoder.features:
        lines += _feature_lines(feature, parts, count)
    return lines


def apart_numbers(one: np.ndarray, other: np.ndarray) -> float | None:
    """Standardised mean difference of two samples, (n,) and (m,), NaN where missing: the distance
    of their means in standard deviations (Austin, 2009, doi:10.1002/sim.3697)."""
    one, other = one[~np.isnan(one)], other[~np.isnan(other)]
    if min(len(one), len(other)) < 2:
        return None
    spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
    gap = abs(one.mean() - other.mean())
    return float(gap / spread) if spread else (0.0 if not gap else None)


def apart_levels(one: np.ndarray, other: np.ndarray) -> float | None:
    """The same of two samples of level numbers, NaN where missing: the Mahalanobis distance of
    their shares (Yang and Dalton, 2012, SAS Global Forum, paper 335)."""
    one, other = one[~np.isnan(one)], other[~np.isnan(other)]
    levels = np.unique(np.concatenate([one, other]))[1:]
    if not len(one) or not len(other):
        return None
    p, q = ((values[:, None] == levels).mean(axis=0) for values in (one, other))
    spread = sum(np.diag(share) - np.outer(share, share) for share in (p, q)) / 2
    squared = (p - q) @ np.linalg.pinv(np.atleast_2d(spread)) @ (p - q)
    return float(np.sqrt(max(squared, 0.0)))


@dataclass(frozen=True)
class _Count:
    """How numbers are told, of public and of private records."""

    public: bool

    def share(self, has: np.ndarray, patients: np.ndarray) -> str:
        """`n (p %)` of the records that have something, (n,) bool."""
        if self.public:
            return f"{has.sum():,} ({has.mean():.1%})" if len(has) else "–"
        if patients_in(patients[has]) < FEWEST:
            return HIDDEN
        count = rounded(int(has.sum()))
        return f"{count:,} ({min(count / len(has), 1.0):.0%})"

    def middle(self, values: np.ndarray, patients: np.ndarray) -> str:
        """`median [quartiles]` of the values that are not NaN."""
        present = ~np.isnan(values)
        if not present.any():
            return "–"
        if not self.public and patients_in(patients[present]) < 4 * FEWEST:
            return _TOO_FEW
        quantiles = np.quantile(values[present], [0.05, 0.25, 0.5, 0.75, 0.95])
        low, middle, high = round_digits(quantiles[1:4], float(np.ptp(quantiles)))
        return f"{middle:,.10g} [{low:,.10g}, {high:,.10g}]"


def _feature_lines(feature: Feature, parts: Mapping[str, Cohort], count: _Count) -> list[Line]:
    values = {part: feature.ordinal(c.features[feature.name], part) for part, c in parts.items()}
    patients = {part: cohort.patients for part, cohort in parts.items()}
    if isinstance(feature, Category) or _yes_or_no(values[REFERENCE]):
        apart = _apart(values, apart_levels, count)
        levels = (*feature.levels, OTHER) if isinstance(feature, Category) else ("0", "1")
        found = _level_lines(feature.name, levels, values, patients, count, apart)
        found = found if isinstance(feature, Category) else found[1:]
    else:
        apart = _apart(values, apart_numbers, count)
        cells = {part: count.middle(value, patients[part]) for part, value in values.items()}
        found = [Line(feature.name, "", cells, apart)]
    return [*found, *_missing(feature.name, values, patients, count)]


def _yes_or_no(values: np.ndarray) -> bool:
    """Whether a number is 0 or 1 wherever it is known, and 1 somewhere."""
    present = values[~np.isnan(values)]
    return bool((present == 1.0).any()) and bool(np.isin(present, (0.0, 1.0)).all())


def _outcome_lines(
    name: str, codec: Codec, parts: Mapping[str, Cohort], count: _Count
) -> list[Line]:
    raw = {part: cohort.targets.values[name] for part, cohort in parts.items()}
    patients = {part: cohort.patients for part, cohort in parts.items()}
    if codec.outcome.kind in ("multiclass", "ordinal"):
        values = {part: codec.places(labels) for part, labels in raw.items()}
        apart = _apart(values, apart_levels, count)
        found = _level_lines(name, codec.classes, values, patients, count, apart)
        return [*found, *_missing(name, values, patients, count)]
    if codec.outcome.kind in ("count", "regression"):
        values = {part: labels.astype(float) for part, labels in raw.items()}
        cells = {part: count.middle(value, patients[part]) for part, value in values.items()}
        found = [Line(name, "", cells, _apart(values, apart_numbers, count))]
        return [*found, *_missing(name, values, patients, count)]
    survival = codec.outcome.kind == "survival"
    values = {
        part: np.where(known(labels), labels[:, 1] if survival else labels, np.nan).astype(float)
        for part, labels in raw.items()
    }
    levels, apart = ("no", "event" if survival else "yes"), _apart(values, apart_levels, count)
    found = _level_lines(name, levels, values, patients, count, apart)[1:]
    return [*found, *_missing(name, values, patients, count)]


def _level_lines(
    name: str,
    levels: tuple[str, ...],
    values: Mapping[str, np.ndarray],
    patients: Mapping[str, np.ndarray],
    count: _Count,
    apart: dict[str, float | None],
) -> list[Line]:
    """A line a level, of its share among the records that are not missing."""
    lines = []
    for place, level in enumerate(levels):
        cells = {}
        for part, value in values.items():
            present = ~np.isnan(value)
            cells[part] = count.share(value[present] == place, patients[part][present])
        if level != OTHER or any((value == place).any() for value in values.values()):
            lines.append(Line(name, level, cells, apart))
    return lines


def _missing(
    name: str,
    values: Mapping[str, np.ndarray],
    patients: Mapping[str, np.ndarray],
    count: _Count,
) -> list[Line]:
    if not any(np.isnan(value).any() for value in values.values()):
        return []
    cells = {part: count.share(np.isnan(value), patients[part]) for part, value in values.items()}
    return [Line(name, MISSING, cells)]


def _apart(
    values: Mapping[str, np.ndarray], distance: Distance, count: _Count
) -> dict[str, float | None]:
    """Of each part but the training records; of private ones where there are enough."""
    least = 0 if count.public else 4 * FEWEST
    return {
        part: distance(values[REFERENCE], value) if (~np.isnan(value)).sum() >= least else None
        for part, value in values.items()
        if part != REFERENCE
    }
