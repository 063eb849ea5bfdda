"""Loans as numbers between 0 and 1: piecewise-linear codes and one-hot lists, from fixed edges.

A number x with edges e_0 < … < e_m becomes m codes clip((x − e_j) / (e_{j+1} − e_j), 0, 1)
(Gorishniy et al., 2022, arXiv:2203.05556) and an indicator of being empty; a category becomes one
code a listed value, one for every other value and one for empty. All rows are scaled by one
constant that depends on the features alone, so that encoding a record looks at that record only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.banking.features import (
    Categorical,
    Derived,
    Feature,
    Numeric,
    coded,
    derive,
    from_json,
    label,
    need,
    numbers,
    to_json,
)
from models.intake import Field

_NORM = 6.0
"""Norm of a row in which every code is 1: large enough to learn in a few noised steps."""


@dataclass(frozen=True)
class Encoder:
    """From raw columns to a matrix.

    Attributes:
        features: Each with its edges or values known.
        derived: Columns computed from raw ones first.

    Raises:
        ValueError: A feature's edges or values are not known.

    >>> encoder = Encoder((Numeric("amount", (0.0, 10.0, 20.0)),))
    >>> (encoder.encode(pd.DataFrame({"amount": [15.0]})) / encoder.scale).tolist()
    [[1.0, 0.5, 0.0]]
    """

    features: tuple[Feature, ...]
    derived: tuple[Derived, ...] = ()

    def __post_init__(self) -> None:
        for feature in self.features:
            known = feature.edges if isinstance(feature, Numeric) else feature.values
            if known is None:
                raise ValueError(f"feature {feature.column!r} has neither edges nor values yet")

    @property
    def columns(self) -> list[str]:
        """Raw columns a record needs."""
        made = {item.column for item in self.derived}
        raw = [name for item in self.derived for name in item.of]
        raw += [feature.column for feature in self.features if feature.column not in made]
        return list(dict.fromkeys(raw))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The same columns with what a scorer expects in them."""
        counted = {f.column for f in self.features if isinstance(f, Numeric)}
        counted |= {name for d in self.derived if d.kind != "prefix" for name in d.of}
        return tuple(Field(n, "number" if n in counted else "text") for n in self.columns)

    @property
    def width(self) -> int:
        """Number of codes a record becomes."""
        return sum(_width(feature) for feature in self.features)

    @property
    def scale(self) -> float:
        """The constant all codes are multiplied with."""
        most = sum(_most(feature) for feature in self.features)
        return _NORM / math.sqrt(most)

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Codes of raw records, (n, width) float32.

        Raises:
            InputError: A column is missing, or a number is infinite or text.
        """
        need(frame, self.columns)
        frame = derive(frame, self.derived)
        blocks = [_encode(frame, feature) for feature in self.features]
        codes: np.ndarray = np.concatenate(blocks, axis=1) * np.float32(self.scale)
        return codes

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON values."""
        return {"features": to_json(self.features), "derived": to_json(self.derived)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Encoder:
        """The inverse of `to_json`."""
        return cls(from_json(value["features"]), from_json(value["derived"]))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_json()), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Read what `save` wrote."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))


def example(encoder: Encoder, like: pd.DataFrame, rows: int = 3) -> pd.DataFrame:
    """Made-up records for a signature: edges and listed values, nobody's record.

    Args:
        encoder: Names the raw columns.
        like: Records whose column types (not values) the example takes.
        rows: How many.
    """
    known = {feature.column: feature for feature in encoder.features}
    made = {}
    for column in encoder.columns:
        values = [_made_up(known.get(column), row) for row in range(rows)]
        made[column] = _typed(values, like[column].dtype)
    return pd.DataFrame(made)


def _made_up(feature: Feature | None, row: int) -> float | str:
    if feature is None:  # a raw column under a derivation: a code or an amount
        return float(10 + row)
    if isinstance(feature, Numeric):
        edges = feature.edges or (0.0,)
        return edges[min(row, len(edges) - 1)]
    values: Sequence[str] = feature.values or ("other",)
    return values[row % len(values)]


def _typed(values: Sequence[float | str], kind: Any) -> list[Any]:
    if pd.api.types.is_bool_dtype(kind):
        return [value == "True" for value in values]
    if pd.api.types.is_numeric_dtype(kind):
        # floats, so that an empty field fits the signature too
        return pd.to_numeric(pd.Series(values), errors="coerce").fillna(0.0).astype(float).tolist()
    return [label(value) for value in values]


def _width(feature: Feature) -> int:
    if isinstance(feature, Numeric):
        return len(feature.edges or ())
    return len(feature.values or ()) + 2


def _most(feature: Feature) -> int:
    """Largest squared norm of one feature's codes, before scaling."""
    return max(_width(feature) - 1, 1) if isinstance(feature, Numeric) else 1


def _encode(frame: pd.DataFrame, feature: Feature) -> np.ndarray:
    if isinstance(feature, Numeric):
        return _segments(numbers(frame, feature.column), np.array(feature.edges))
    return _listed(frame[feature.column], feature)


def _segments(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    empty = np.isnan(x)
    codes = np.zeros((len(x), len(edges)), dtype=np.float32)
    steps = np.where(empty, edges[0], x)[:, None] - edges[:-1]
    steps /= np.diff(edges)
    np.clip(steps, 0.0, 1.0, out=codes[:, :-1], casting="same_kind")
    codes[:, -1] = empty
    return codes


def _listed(values: pd.Series, feature: Categorical) -> np.ndarray:
    known = {value: place for place, value in enumerate(feature.values or ())}
    codes, spelled = coded(values)
    places = [known.get(text, known.get(_respelled(text), len(known))) for text in spelled]
    place = np.array([*places, len(known) + 1])[codes]
    listed = np.zeros((len(values), len(known) + 2), dtype=np.float32)
    listed[np.arange(len(values)), place] = 1.0
    return listed


def _respelled(text: str) -> str:
    """A cell of a file, `7.0` or `true`, as a whole column of such cells would be labelled."""
    if text in ("true", "false"):
        return text.capitalize()
    try:
        return label(float(text))
    except (ValueError, OverflowError):
        return text
