"""A scorecard: every feature's bins have points, and the points add up to a score.

The model is additive, so each bin of a feature stands for a fixed share of the log-odds, and
calibrated log-odds become points on the usual scale: score = base + pdo / ln 2 · (ln odds of
repaying − ln odds at base) (Siddiqi, "Credit Risk Scorecards", 2006). A feature's points are
counted from its reference (`models.credit_reasons`); the offset is the score of a loan with every
feature at its reference.

The table of points is the model that is served. Points are whole tenths and are added as whole
numbers, so a score is exactly what the table adds up to, and the probability follows from it.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from domains.banking.features import Feature, Numeric, derive, need, numbers
from domains.unseen import Marks
from models.calibration import probabilities
from models.credit_decision import UNKNOWN, Use, check_rising
from models.credit_encoding import Encoder, bin_numbers, cuts
from models.credit_reasons import REASONS, Reason, made_of, named
from models.intake import Field
from models.scorer import DESCRIPTION

CARD, TABLE = "scorecard.json", "scorecard.csv"
_ENCODER, _POINTS = "encoder.json", "points.safetensors"
TENTHS = 10
_ZERO = 1e-6  # zero's own bin, as `privacy.preprocessing` cuts it, lies between this on either side


@dataclass(frozen=True)
class Scale:
    """What points mean.

    Attributes:
        base: Score at which the odds of repaying are `odds` to 1.
        odds: These odds.
        pdo: Points that double the odds.
    """

    base: float = 600.0
    odds: float = 50.0
    pdo: float = 20.0

    @property
    def factor(self) -> float:
        """Points a unit of log-odds."""
        return self.pdo / math.log(2.0)

    def score(self, log_odds: float) -> float:
        """The score at log-odds of default.

        >>> round(Scale().score(-math.log(100)))  # odds of repaying twice those at base
        620
        """
        return self.base + self.factor * (-log_odds - math.log(self.odds))

    def log_odds(self, score: np.ndarray) -> np.ndarray:
        """Log-odds of default at scores; the inverse of `score`."""
        return (self.base - score) / self.factor - math.log(self.odds)

    def recalibrated(self, slope: float, intercept: float) -> Scale:
        """The scale on which every score stands for log-odds slope · z + intercept where it stood
        for z: no score and no point changes, but what they mean."""
        odds = math.exp(slope * math.log(self.odds) - intercept)
        return Scale(self.base, odds, self.pdo / slope)


@dataclass(frozen=True)
class PointsLost(Reason):
    """A reason in points.

    Attributes:
        points: How many the feature costs against its reference, above 0.
    """

    points: float


@dataclass(frozen=True)
class Line:
    """One line of the table for a person: a feature, which of its values, and their points."""

    feature: str
    value: str
    points: float


@dataclass(frozen=True)
class Scorecard:
    """From raw loan records to score and probability of default, by a table of points.

    Attributes:
        encoder: Names features, bins and values.
        points: For each feature its points, in whole tenths. A number: one each bin of `steps`,
            each edge of `linear` (between edges they are interpolated), and empty. A category: one
            each listed value, any other value, and empty.
        offset: Score at every feature's reference, in whole tenths.
        scale: What points mean.
        use: Threshold and default rate, as far as they are known.
        quick_reasons: `explain` costs next to nothing.
    """

    encoder: Encoder
    points: tuple[tuple[int, ...], ...]
    offset: int
    scale: Scale = Scale()
    use: Use = UNKNOWN
    quick_reasons: ClassVar[bool] = True

    @property
    def fields(self) -> tuple[Field, ...]:
        """Raw columns of a loan."""
        return self.encoder.fields

    @property
    def outputs(self) -> tuple[str, ...]:
        """Probability of default, and score: the higher, the better."""
        return ("probability", "score")

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Columns `probability` and `score`, one row a record, in the same order.

        An unseen value of a category counts as other, an empty field as empty.

        Raises:
            InputError: A column is missing, or a number is infinite or text.
        """
        return self.predict_noting(inputs)[0]

    def predict_noting(self, inputs: pd.DataFrame) -> tuple[pd.DataFrame, Marks]:
        """`predict`, and which categories are unknown."""
        marks: Marks = {}
        score = (self.offset + self.terms(inputs, marks).sum(axis=1)) / TENTHS
        p = probabilities(self.scale.log_odds(score))
        return pd.DataFrame({"probability": p, "score": score}, index=inputs.index), marks

    def terms(self, inputs: pd.DataFrame, marks: Marks | None = None) -> np.ndarray:
        """Points of every feature of every record in tenths, (n, features) int64.

        Args:
            inputs: Raw columns, n rows.
            marks: Receives which categories are unknown.
        """
        need(inputs, self.encoder.columns)
        frame, noted = derive(inputs, self.encoder.derived), {} if marks is None else marks
        pairs = zip(self.encoder.features, self.points, strict=True)
        return np.column_stack([self._term(frame, *pair, noted) for pair in pairs])

    def _term(
        self, frame: pd.DataFrame, feature: Feature, points: tuple[int, ...], marks: Marks
    ) -> np.ndarray:
        given = np.array(points, dtype=np.int64)
        if not isinstance(feature, Numeric):
            return np.asarray(given[self.encoder.place(frame, feature, marks)])
        x = numbers(frame, feature.column)
        if self.encoder.coding.kind == "steps":
            return np.asarray(given[bin_numbers(x, feature)])
        empty = np.isnan(x)
        between = np.interp(np.where(empty, 0.0, x), np.array(feature.edges), given[:-1])
        return np.where(empty, given[-1], np.rint(between).astype(np.int64))

    def reasons(self, inputs: pd.DataFrame, top: int = REASONS) -> list[list[Reason]]:
        """The features that cost each record most points against their references, most first.

        Exact, because the score is a sum; ties stand in the order of the table.
        """
        lost, names = -self.terms(inputs), made_of(self.encoder)
        order = np.argsort(-lost, axis=1, kind="stable")[:, :top]
        return [
            [self._lost(names[place], int(row[place])) for place in first if row[place] > 0]
            for row, first in zip(lost, order, strict=True)
        ]

    def _lost(self, name: tuple[str, tuple[str, ...]], tenths: int) -> PointsLost:
        points = tenths / TENTHS
        return PointsLost(*name, points / self.scale.factor, points)

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """`reasons` as columns `reason_1` … of features' names; None where fewer cost points."""
        return named(-self.terms(inputs), self.encoder, inputs.index)

    def recalibrated(self, slope: float, intercept: float, default_rate: float | None) -> Scorecard:
        """The same table on another scale; see `Scale.recalibrated`. The threshold moves with it.

        Raises:
            InputError: The slope is not above 0.
        """
        check_rising(slope)
        use = self.use.moved(slope, intercept, default_rate)
        return replace(self, scale=self.scale.recalibrated(slope, intercept), use=use)

    def lines(self) -> list[Line]:
        """The table as a person reads it; the first line is the offset."""
        made = [Line("(start)", "every feature at its reference", self.offset / TENTHS)]
        for feature, points in zip(self.encoder.features, self.points, strict=True):
            values = _values(feature, self.encoder.coding.kind)
            made += [
                Line(feature.column, value, tenths / TENTHS)
                for value, tenths in zip(values, points, strict=True)
            ]
        return made

    def save(self, folder: Path) -> None:
        """Write description, encoder and points, and the table for people and other programs."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {"kind": "credit", "model": "scorecard", "scale": asdict(self.scale)}
        description |= self.use.to_json()
        (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
        self.encoder.save(folder / _ENCODER)
        flat = [self.offset, *itertools.chain.from_iterable(self.points)]
        save_file({"tenths": torch.tensor(flat)}, folder / _POINTS)
        table = {**asdict(self.scale), "lines": [asdict(line) for line in self.lines()]}
        (folder / CARD).write_text(json.dumps(table, indent=1), encoding="utf-8")
        (folder / TABLE).write_text(as_csv(self.lines()), encoding="utf-8")


def load_card(folder: Path) -> Scorecard:
    """Read what `Scorecard.save` wrote."""
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    encoder = Encoder.load(folder / _ENCODER)
    offset, *flat = load_file(folder / _POINTS)["tenths"].tolist()
    given = iter(flat)
    points = tuple(
        tuple(itertools.islice(given, len(_values(feature, encoder.coding.kind))))
        for feature in encoder.features
    )
    scale, use = Scale(**description["scale"]), Use.from_json(description)
    return Scorecard(encoder, points, offset, scale, use)


def as_csv(lines: Sequence[Line]) -> str:
    """The table as CSV text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["feature", "value", "points"])
    writer.writerows([line.feature, line.value, f"{line.points:.1f}"] for line in lines)
    return text.getvalue()


def _values(feature: Feature, kind: str) -> list[str]:
    """What each of a feature's points stands for, in words."""
    if not isinstance(feature, Numeric):
        return [*(feature.values or ()), "any other", "empty"]
    if kind == "linear":
        shown = [_shown(edge) for edge in feature.edges or ()]
        return [f"{shown[0]} and less", *shown[1:-1], f"{shown[-1]} and more", "empty"]
    inner = cuts(feature).tolist()
    bins = [_bin(low, high) for low, high in itertools.pairwise(inner)]
    return [_to(inner[0]), *bins, _from(inner[-1]), "empty"]


def _to(high: float) -> str:
    return "0 and less" if high == _ZERO else f"below {_shown(high)}"


def _bin(low: float, high: float) -> str:
    if (low, high) == (-_ZERO, _ZERO):
        return "0"
    return f"{'above 0' if low == _ZERO else _shown(low)} to below {_shown(high)}"


def _from(low: float) -> str:
    return "above 0" if low == _ZERO else f"{_shown(low)} and more"


def _shown(value: float) -> str:
    """Five figures of a number, without an exponent where it can be helped."""
    if abs(value) <= _ZERO:
        return "0"
    if 1e-3 <= abs(value) < 1e12:
        text = f"{float(f'{value:.5g}'):,f}"
        return text.rstrip("0").rstrip(".")
    return f"{value:.5g}"
