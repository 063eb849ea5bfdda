"""What each raw column adds to a prediction: Shapley values, found by sampling orders of columns.

A record starts as the typical one (`Encoder.typical`), and its columns enter one after the other;
what a prediction moves by is the column's share in that order, and the mean over orders its Shapley
value (Castro et al., 2009, doi:10.1016/j.cor.2008.04.004). A value, its missingness and all levels
of a category are one column. Every order is taken forwards and backwards, which is exact as long as
columns act alone or in pairs (Mitchell et al., 2022, arXiv:2104.12199). In each order the shares
add up to the distance between the record and the typical one, so the means do. The orders are the
same for every record, so that equal records get equal shares.

It asks nothing but `predict`: any mixture of models behind it is explained alike. Shares tell how
the model answers, not what causes an outcome, and columns that say the same divide a share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.special import logit

from domains.healthcare.cohort.features import Encoder, Number
from domains.healthcare.outcomes.codec import Codec

ORDERS = 16
"""Orders of columns a record is explained by."""
REASONS = 4
"""Columns that a record's answer to an outcome is explained by."""
_ROWS = 1 << 14  # of made-up rows that are answered at a time
_RECORDS = 1 << 12  # whose shares are held at a time
_EDGE = 1e-12
_NOTHING = 1e-6  # a network's sums round so far
_LOG_ODDS, _LOGARITHM, _OWN = "log-odds", "logarithm", "its own unit"

Ask = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows (m,) and which columns are the record's own (m, columns) bool → values (m, k)."""


class Explainable(Protocol):
    """Whatever answers raw rows of an encoder's columns."""

    @property
    def encoder(self) -> Encoder:
        """Features."""

    @property
    def codecs(self) -> Mapping[str, Codec]:
        """Outcomes by name."""

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Columns as `Codec.decode` makes them."""


@dataclass(frozen=True)
class Answer:
    """One number that is explained.

    Attributes:
        outcome: Of which outcome.
        column: Predicted column.
        scale: `log-odds`, `logarithm`, or `its own unit`.
    """

    outcome: str
    column: str
    scale: str


@dataclass(frozen=True)
class Shares:
    """What columns add to answers.

    Attributes:
        columns: Raw columns, (c,).
        answers: (k,).
        values: Of each record, (n, c, k), on the answers' scales.
        typical: Answers to the typical record, (k,); with a record's values it adds up to its own.
    """

    columns: tuple[str, ...]
    answers: tuple[Answer, ...]
    values: np.ndarray
    typical: np.ndarray

    def by_outcome(self) -> dict[str, np.ndarray]:
        """Mean size of each column's share over records and over an outcome's answers, (c,)."""
        size = np.abs(self.values).mean(axis=0)
        places: dict[str, list[int]] = {}
        for place, answer in enumerate(self.answers):
            places.setdefault(answer.outcome, []).append(place)
        return {name: size[:, place].mean(axis=1) for name, place in places.items()}


@dataclass(frozen=True)
class Reason:
    """One column that moves a record's answer.

    Attributes:
        outcome: Its name.
        answer: Predicted column that is explained.
        column: Raw column.
        change: By how much it moves the answer from that of the typical record, not 0.
        scale: Of the change, see `Answer`.
    """

    outcome: str
    answer: str
    column: str
    change: float
    scale: str


def explained(model: Explainable, frame: pd.DataFrame, orders: int = ORDERS) -> Shares:
    """Shares of every column in every answer to each record.

    Args:
        model: What is explained.
        frame: Raw rows, at least one.
        orders: How many orders of columns, even; more is closer.

    Raises:
        InputError: A column is missing, or holds text where numbers are expected.
    """
    encoder, codecs = model.encoder, model.codecs
    encoder.check(frame, "input")
    mixed = _Mixed(encoder, frame)

    def ask(rows: np.ndarray, own: np.ndarray) -> np.ndarray:
        return on_scale(codecs, model.predict(mixed.rows(rows, own)))

    nothing = np.zeros((1, len(encoder.columns)), dtype=bool)
    typical = ask(np.zeros(1, dtype=int), nothing)[0]
    values = shapley(ask, len(frame), len(encoder.columns), orders)
    return Shares(encoder.columns, answers(codecs), values, typical)


def shapley(ask: Ask, records: int, columns: int, orders: int, seed: int = 0) -> np.ndarray:
    """Sampled Shapley values, (records, columns, k).

    Args:
        ask: The function of which columns are a record's own.
        records: How many.
        columns: How many.
        orders: Even; half of them are drawn, each is taken backwards too.
        seed: Of the orders.
    """
    drawn = np.random.default_rng(seed).permuted(
        np.tile(np.arange(columns), (orders // 2, 1)), axis=1
    )
    every = np.concatenate([drawn, drawn[:, ::-1]])
    # Which columns have entered after each step of each order: (orders, columns + 1, columns)
    entered = np.argsort(every, axis=1)[:, None, :] < np.arange(columns + 1)[None, :, None]
    pairs = [(record, order) for record in range(records) for order in range(orders)]
    step = max(1, _ROWS // (columns + 1))
    total: np.ndarray | None = None
    for start in range(0, len(pairs), step):
        record, order = np.array(pairs[start : start + step]).T
        rows = np.repeat(record, columns + 1)
        told = ask(rows, entered[order].reshape(-1, columns))
        moves = np.diff(told.reshape(len(record), columns + 1, -1), axis=1)
        total = np.zeros((records, columns, moves.shape[2])) if total is None else total
        np.add.at(total, (record[:, None], every[order]), moves)
    return np.zeros((0, columns, 0)) if total is None else total / orders


def answers(codecs: Mapping[str, Codec]) -> tuple[Answer, ...]:
    """What is explained: a class each of several, else one number an outcome."""
    return tuple(
        Answer(name, column, _scale(codec))
        for name, codec in codecs.items()
        for column in _explained_columns(codec)
    )


def on_scale(codecs: Mapping[str, Codec], predicted: pd.DataFrame) -> np.ndarray:
    """Predictions as numbers that add up, (n, k): log-odds of probabilities and of the share of the
    follow-up that is lost, logarithms of counts and of amounts learned so, others as they are."""
    columns = []
    for codec in codecs.values():
        for name in _explained_columns(codec):
            value = predicted[name].to_numpy(dtype=float)
            columns.append(_transformed(codec, value))
    return np.column_stack(columns)


def reasons(shares: Shares, predicted: pd.DataFrame, top: int = REASONS) -> list[list[Reason]]:
    """The columns that move each record's answers most, outcome by outcome, largest first.

    Of several classes the one that is most probable for the record is explained.

    Args:
        shares: Of the records.
        predicted: Their predictions.
        top: At most so many an outcome.
    """
    return [
        [
            Reason(
                answer.outcome,
                answer.column,
                shares.columns[place],
                float(values[place, k]),
                answer.scale,
            )
            for k, answer in _told(shares.answers, predicted.iloc[row])
            for place in np.argsort(-np.abs(values[:, k]), kind="stable")[:top]
            if abs(values[place, k]) > _NOTHING
        ]
        for row, values in enumerate(shares.values)
    ]


def in_words(model: Explainable, frame: pd.DataFrame) -> pd.DataFrame:
    """`reasons` as columns of text `OUTCOME.reason_1` …, `+age` where age raises the answer."""
    names = {name: [f"{name}.reason_{k + 1}" for k in range(REASONS)] for name in model.codecs}
    columns = [name for several in names.values() for name in several]
    lines: list[dict[str, str]] = []
    for start in range(0, len(frame), _RECORDS):
        part = frame.iloc[start : start + _RECORDS]
        for found in reasons(explained(model, part), model.predict(part)):
            line: dict[str, str] = {}
            for reason in found:
                free = next(n for n in names[reason.outcome] if n not in line)
                line[free] = f"{'+' if reason.change > 0 else '-'}{reason.column}"
            lines.append(line)
    made = pd.DataFrame(lines, frame.index, columns, dtype=object)
    return made.where(made.notna(), None)


def _told(found: tuple[Answer, ...], predicted: pd.Series) -> list[tuple[int, Answer]]:
    """Places of the answers that are explained to one record, one an outcome."""
    chosen: dict[str, tuple[int, Answer]] = {}
    for place, answer in enumerate(found):
        held = chosen.get(answer.outcome)
        if held is None or predicted[answer.column] > predicted[held[1].column]:
            chosen[answer.outcome] = (place, answer)
    return list(chosen.values())


def _explained_columns(codec: Codec) -> tuple[str, ...]:
    return codec.columns if codec.outcome.kind == "multiclass" else codec.columns[:1]


def _scale(codec: Codec) -> str:
    if codec.outcome.kind in ("binary", "multiclass", "survival"):
        return _LOG_ODDS
    logarithm = codec.outcome.kind == "count" or codec.outcome.transform == "log1p"
    return _LOGARITHM if logarithm else _OWN


def _transformed(codec: Codec, value: np.ndarray) -> np.ndarray:
    if _scale(codec) == _LOG_ODDS:
        return np.asarray(logit(np.clip(value, _EDGE, 1 - _EDGE)))
    return np.log(value) if codec.outcome.kind == "count" else codec.transform(value)


class _Mixed:
    """Rows of which some columns are a record's own, and the others the typical record's.

    Args:
        encoder: Of the columns.
        frame: Records.
    """

    def __init__(self, encoder: Encoder, frame: pd.DataFrame) -> None:
        self._columns: list[tuple[str, np.ndarray, pd.Index | None]] = []
        everyone = pd.concat([encoder.typical(), frame[list(encoder.columns)].astype(object)])
        for feature in encoder.features:
            column = everyone[feature.name]
            if isinstance(feature, Number):
                self._columns.append((feature.name, feature.ordinal(column, "input"), None))
            else:
                codes, levels = pd.factorize(column)
                self._columns.append((feature.name, codes, pd.Index(levels, dtype=object)))

    def rows(self, rows: np.ndarray, own: np.ndarray) -> pd.DataFrame:
        """Raw rows, (m, columns): of record `rows[i]` where `own[i]`, typical elsewhere."""
        made: dict[str, object] = {}
        for place, (name, values, levels) in enumerate(self._columns):
            chosen = values[np.where(own[:, place], rows + 1, 0)]
            made[name] = chosen if levels is None else pd.Categorical.from_codes(chosen, levels)
        return pd.DataFrame(made)
