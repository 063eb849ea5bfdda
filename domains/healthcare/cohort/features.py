"""Raw columns as numbers a network can use, by rules fixed on training records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from domains.errors import InputError
from domains.healthcare.few import round_digits
from domains.healthcare.outcomes.targets import class_names, coded, numbers
from domains.table_file import Records
from domains.unseen import FAR, Marks, marked

_QUANTILES = 101
_MOST_LEVELS = 40
_LEAST_SEEN = 10
_FEWEST_PATIENTS = 5
_OUTER = 0.01
_EDGE = 1e-3  # the outermost quantiles sit at ±3.1 standard deviations


@dataclass(frozen=True)
class Number:
    """A numeric column, mapped through its training quantiles to a normal distribution.

    Heavy tails and odd units vanish, the order stays. Values beyond the training range take the
    nearest edge. Repeated values share the middle of their quantiles. The rules of private records
    hold rounded quantiles without the outermost; see `fit_encoder`.

    Attributes:
        name: Column.
        values: Distinct training quantiles, ascending; empty when training held no value.
        scores: Their normal scores, standardised over the training records.
        gaps: Whether training had missing values: then missingness is a feature too.
    """

    name: str
    values: tuple[float, ...]
    scores: tuple[float, ...]
    gaps: bool

    @property
    def width(self) -> int:
        """Number of inputs it makes."""
        return 2 if self.gaps else 1

    def code(self, column: pd.Series, where: str) -> np.ndarray:
        """(n,) float32: the score, NaN where missing."""
        raw = self.ordinal(column, where)
        there = ~np.isnan(raw)
        codes = np.full(len(raw), np.nan, dtype=np.float32)
        codes[there] = np.interp(raw[there], self.values, self.scores) if self.values else 0.0
        return codes

    def spread(self, codes: np.ndarray, out: np.ndarray) -> None:
        """Fill (n, width) zeros with codes (n,): 0 where missing, and 1 there beside it."""
        missing = np.isnan(codes)
        np.copyto(out[:, 0], codes, where=~missing)
        if self.gaps:
            out[:, 1] = missing

    def far(self, column: pd.Series, codes: np.ndarray, where: str) -> np.ndarray:
        """Which values lie further from the known ones than these from one another, (n,) bool."""
        found = np.zeros(len(codes), dtype=bool)
        if len(self.values) < 2:  # one value says nothing of what is far from it
            return found
        ends = np.array([self.scores[0], self.scores[-1]], dtype=np.float32)
        outer = np.flatnonzero(np.isin(codes, ends))  # what is far is at an end
        raw, (low, high) = (
            self.ordinal(column.iloc[outer], where),
            (self.values[0], self.values[-1]),
        )
        found[outer] = (raw < 2 * low - high) | (raw > 2 * high - low)
        return found

    @property
    def typical(self) -> float:
        """The quantile nearest to the middle of the distribution; NaN where there is none."""
        return self.values[int(np.abs(self.scores).argmin())] if self.values else np.nan

    def ordinal(self, column: pd.Series, where: str) -> np.ndarray:
        """(n,) the plain number, NaN where missing."""
        return numbers(column, (), f"{where}: column {self.name}")


@dataclass(frozen=True)
class Category:
    """A column of text or codes, one-hot; levels rare or unseen in training fall in `other`.

    A missing cell is a level of its own kind: all zeros but for the last input.

    Attributes:
        name: Column.
        levels: Listed ones, by alphabet.
        common: The one that most training records have; empty where none is listed.
    """

    name: str
    levels: tuple[str, ...]
    common: str = ""

    @property
    def width(self) -> int:
        """One input a level, one for `other`, one for missing."""
        return len(self.levels) + 2

    @property
    def typical(self) -> str:
        """The most common level."""
        return self.common or next(iter(self.levels), "other")

    def code(self, column: pd.Series, where: str) -> np.ndarray:
        """(n,) float32: number of the level, NaN where missing; see `ordinal`."""
        return self.ordinal(column, where).astype(np.float32)

    def spread(self, codes: np.ndarray, out: np.ndarray) -> None:
        """Fill (n, width) zeros with codes (n,) one-hot, the last where missing."""
        place = np.where(np.isnan(codes), self.width - 1, codes).astype(int)
        out[np.arange(len(out)), place] = 1.0

    def ordinal(self, column: pd.Series, where: str) -> np.ndarray:  # noqa: ARG002 (one signature)
        """(n,) number of the level, that of `other` after the last, NaN where missing."""
        place = {level: float(k) for k, level in enumerate(self.levels)}
        other = float(len(self.levels))
        codes, names = coded(column)
        places = [np.nan if name is None else place.get(name, other) for name in names]
        return np.array([*places, np.nan], dtype=float)[codes]


Feature = Number | Category


@dataclass(frozen=True)
class Encoder:
    """All features of a model, in order."""

    features: tuple[Feature, ...]

    @property
    def width(self) -> int:
        """Number of inputs of the network."""
        return sum(feature.width for feature in self.features)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Places, among the inputs, of numbers on a standard normal scale."""
        starts = np.cumsum([0, *(feature.width for feature in self.features)]).tolist()
        placed = zip(starts, self.features, strict=False)
        return tuple(start for start, feature in placed if isinstance(feature, Number))

    @property
    def columns(self) -> tuple[str, ...]:
        """Raw columns it needs."""
        return tuple(feature.name for feature in self.features)

    @property
    def categorical(self) -> np.ndarray:
        """Which columns of `ordinal` are categories, (features,) bool."""
        return np.array([isinstance(feature, Category) for feature in self.features])

    def encode(self, frame: Records, where: str = "input") -> np.ndarray:
        """Network inputs, (n, width) float32.

        Raises:
            InputError: A column is missing, or holds text where training held numbers.
        """
        return self.spread(self.code(frame, where))

    def code(self, frame: Records, where: str = "input") -> np.ndarray:
        """What `spread` makes the same inputs of, (n, features) float32 (same errors)."""
        self.check(frame, where)
        codes = np.empty((len(frame), len(self.features)), dtype=np.float32)
        for place, feature in enumerate(self.features):
            codes[:, place] = feature.code(frame[feature.name], where)
        return codes

    def spread(self, codes: np.ndarray) -> np.ndarray:
        """Network inputs, (n, width) float32, from one number a feature, NaN where missing."""
        out = np.zeros((len(codes), self.width), dtype=np.float32)
        start = 0
        for place, feature in enumerate(self.features):
            feature.spread(codes[:, place], out[:, start : start + feature.width])
            start += feature.width
        return out

    def typical(self) -> pd.DataFrame:
        """One made-up record in the middle of every column: nobody's."""
        return pd.DataFrame([{f.name: f.typical for f in self.features}], dtype=object)

    def unseen(self, codes: np.ndarray, frame: pd.DataFrame, where: str = "input") -> Marks:
        """Which categories are not listed, which numbers far from all known ones, what is empty.

        Args:
            codes: What `code` made of the records.
            frame: The records.
            where: Of them, for messages.
        """
        marks: Marks = {}
        for k, feature in enumerate(self.features):
            empty = np.isnan(codes[:, k])
            if isinstance(feature, Category):
                marks[feature.name] = marked(codes[:, k] == len(feature.levels), empty)
            else:
                far = feature.far(frame[feature.name], codes[:, k], where)
                marks[feature.name] = np.subtract(FAR * far, empty, dtype=np.int8)
        return marks

    def ordinal(self, frame: Records, where: str = "input") -> np.ndarray:
        """One column a feature, (n, features) float64 with NaN: what boosted trees take."""
        self.check(frame, where)
        return np.column_stack([f.ordinal(frame[f.name], where) for f in self.features])

    def check(self, frame: Records, where: str) -> None:
        """Raise InputError when columns are missing."""
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            listed = ", ".join(missing[:8]) + (" …" if len(missing) > 8 else "")
            raise InputError(
                f"{where}: {len(missing)} of {len(self.columns)} needed columns are missing: "
                f"{listed}; give every column the model was trained on, empty where unknown"
            )

    def to_json(self) -> list[dict[str, Any]]:
        """JSON values; `from_json` is the inverse."""
        kinds = {Number: "number", Category: "category"}
        return [{"kind": kinds[type(feature)], **asdict(feature)} for feature in self.features]

    @classmethod
    def from_json(cls, values: list[dict[str, Any]]) -> Encoder:
        """Inverse of `to_json`."""
        kinds: dict[str, type[Feature]] = {"number": Number, "category": Category}
        return cls(tuple(kinds[v["kind"]](**_thaw(v)) for v in values))


def _thaw(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "kind"}


def fit_encoder(
    frame: Records, patients: np.ndarray | None = None, categories: Collection[str] = ()
) -> Encoder:
    """Rules from the training records' features alone.

    Args:
        frame: Features of the training records.
        patients: Of private records, the patient of each, (n,): then the rules hold no one's own
            values. The outermost quantiles are left out, the others are rounded as by
            `round_digits`, and a level that fewer than five patients have is not listed.
        categories: Columns that are categories though they hold numbers: codes.
    """
    names = frame.columns
    return Encoder(tuple(_fit(frame[name], patients, name in categories) for name in names))


def _fit(column: pd.Series, patients: np.ndarray | None, category: bool) -> Feature:
    name = str(column.name)
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    if not category and (numeric or _spells_numbers(column)):
        return _fit_number(name, numbers(column, (), name), patients)
    names = class_names(column)
    counts = pd.Series(names).value_counts()
    if patients is not None:
        had_by = pd.Series(patients).groupby(np.asarray(names, dtype=object)).nunique()
        counts = counts[(had_by.reindex(counts.index) >= _FEWEST_PATIENTS).to_numpy()]
    common = counts[counts >= min(_LEAST_SEEN, max(1, len(names) // 50))].index[:_MOST_LEVELS]
    listed = [str(level) for level in common]
    return Category(name, tuple(sorted(listed)), next(iter(listed), ""))


def _spells_numbers(column: pd.Series) -> bool:
    """Whether every cell that is not empty is a number, each distinct one looked at once."""
    seen = pd.Series([name for name in coded(column)[1] if name is not None], dtype=object)
    return bool(pd.to_numeric(seen, errors="coerce").notna().all())


def _fit_number(name: str, raw: np.ndarray, patients: np.ndarray | None) -> Number:
    present = np.sort(raw[~np.isnan(raw)])
    gaps = len(present) < len(raw)
    if not len(present):
        return Number(name, (), (), gaps)
    if patients is None:
        values = np.unique(np.quantile(present, np.linspace(0, 1, _QUANTILES)))
    else:
        few = _FEWEST_PATIENTS / len(np.unique(patients[~np.isnan(raw)]))
        outer = min(max(_OUTER, few), 0.5)
        level = np.linspace(outer, 1 - outer, _QUANTILES)
        found = np.quantile(present, level)
        values = np.unique(round_digits(found, float(np.ptp(found))))
    low = np.searchsorted(present, values, side="left")
    high = np.searchsorted(present, values, side="right")
    rank = np.clip((low + high) / (2 * len(present)), _EDGE, 1 - _EDGE)
    scores = ndtri(rank)
    trained = np.interp(present, values, scores)
    scores = (scores - trained.mean()) / (trained.std() or 1.0)
    return Number(name, tuple(values.tolist()), tuple(scores.tolist()), gaps)
