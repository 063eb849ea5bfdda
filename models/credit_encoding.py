"""Loans as short rows of numbers: piecewise-linear or stepped codes and one-hot lists.

A number x with edges e_0 < … < e_m becomes m codes clip((x − e_j) / (e_{j+1} − e_j), 0, 1)
(`linear`; Gorishniy et al., 2022, arXiv:2203.05556) or m − 1 codes that say whether it reaches the
inner edges (`steps`, a thermometer: m bins, the outer two of them open), and an indicator of being
empty. A category becomes one code a listed value, one for every other value and one for empty.

For trees a feature is one code, the number of its bin (`bins`): those of `steps`, or the listed
values, then other; empty is the last one.

Balanced codes of a number lie between −½ and ½, and are 0 where it is empty: the same models with
rows half as long, which under a clip norm is twice the signal; and every feature's codes are as far
apart at most as any other's, however many they are. All scales depend on the features alone, so
that encoding a record looks at that record only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

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
from domains.unseen import Marks, marked
from models.intake import Field


@dataclass(frozen=True)
class Coding:
    """How numbers are written, and how long a row may be.

    Attributes:
        kind: `linear`, `steps` or `bins`.
        balanced: Whether numbers lie around 0, and all features' codes spread alike.
        norm: Largest norm of a row, which `bins` have not. 6 is large enough for a net to learn in
            a few noised steps.
    """

    kind: Literal["linear", "steps", "bins"] = "linear"
    balanced: bool = False
    norm: float = 6.0


@dataclass(frozen=True)
class Encoder:
    """From raw columns to a matrix.

    Attributes:
        features: Each with its edges or values known.
        derived: Columns computed from raw ones first.
        coding: How numbers are written.

    Raises:
        ValueError: A feature's edges or values are not known.

    >>> encoder = Encoder((Numeric("amount", (0.0, 10.0, 20.0)),))
    >>> (encoder.encode(pd.DataFrame({"amount": [15.0]})) / encoder.scales[0]).tolist()
    [[1.0, 0.5, 0.0]]
    """

    features: tuple[Feature, ...]
    derived: tuple[Derived, ...] = ()
    coding: Coding = Coding()

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
        listed = {f.column: f.values or () for f in self.features if isinstance(f, Categorical)}
        broken = {name for name, values in listed.items() if any("\n" in v for v in values)}
        return tuple(
            Field(name, "number" if name in counted else "text", name in broken)
            for name in self.columns
        )

    @property
    def width(self) -> int:
        """Number of codes a record becomes."""
        return sum(width_of(feature, self.coding) for feature in self.features)

    @property
    def scales(self) -> tuple[float, ...]:
        """For each feature the constant that its codes are multiplied with."""
        if self.coding.kind == "bins":
            return (1.0,) * len(self.features)
        most = np.array([_most(feature, self.coding) for feature in self.features])
        # two values of a category are √2 apart where the ends of a number are 2·√most
        spread = [1.0 if isinstance(feature, Numeric) else 2.0 for feature in self.features]
        share = spread / most if self.coding.balanced else np.ones(len(most))
        return tuple((self.coding.norm * np.sqrt(share / (share * most).sum())).tolist())

    def encode(self, frame: pd.DataFrame, marks: Marks | None = None) -> np.ndarray:
        """Codes of raw records, (n, width) float32.

        Args:
            frame: Raw columns, n rows.
            marks: Receives which categories are not listed.

        Raises:
            InputError: A column is missing, or a number is infinite or text.
        """
        need(frame, self.columns)
        frame, noted = derive(frame, self.derived), {} if marks is None else marks
        blocks = [
            self._encode(frame, feature, noted) * np.float32(scale)
            for feature, scale in zip(self.features, self.scales, strict=True)
        ]
        codes: np.ndarray = np.concatenate(blocks, axis=1)
        return codes

    def _encode(self, frame: pd.DataFrame, feature: Feature, marks: Marks) -> np.ndarray:
        if isinstance(feature, Numeric):
            return number_codes(numbers(frame, feature.column), feature, self.coding)
        place = self.place(frame, feature, marks)
        if self.coding.kind == "bins":
            return place.astype(np.float32)[:, None]
        listed = np.zeros((len(frame), width_of(feature, self.coding)), dtype=np.float32)
        listed[np.arange(len(frame)), place] = 1.0
        return listed

    def place(self, frame: pd.DataFrame, feature: Categorical, marks: Marks) -> np.ndarray:
        """Place of each value among those listed, then other, then empty, (n,).

        Args:
            frame: Raw and derived columns, n rows.
            feature: Which one.
            marks: Receives which values are not listed, under the raw columns' names.
        """
        place, other = places(frame[feature.column], feature), len(feature.values or ())
        of = next((item.of for item in self.derived if item.column == feature.column), None)
        name = f"{', '.join(of)} (as {feature.column})" if of else feature.column
        marks[name] = marked(place == other, place > other)
        return place

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON values."""
        return {
            "features": to_json(self.features),
            "derived": to_json(self.derived),
            "coding": asdict(self.coding),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Encoder:
        """The inverse of `to_json`."""
        coding = Coding(**value.get("coding", {}))
        return cls(from_json(value["features"]), from_json(value["derived"]), coding)

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
    """Numbers, truth values or text. Truth is known by the values and not by the column's type,
    which one record with an empty field would change."""
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        # floats, so that an empty field fits the signature too
        return pd.to_numeric(pd.Series(values), errors="coerce").fillna(0.0).astype(float).tolist()
    labels = [label(value) for value in values]
    return [each == "True" for each in labels] if {*labels} <= {"True", "False"} else labels


def cuts(feature: Numeric) -> np.ndarray:
    """The edges between a number's bins, the middle of its bounds where it has no other."""
    edges = np.array(feature.edges)
    return edges[1:-1] if len(edges) > 2 else edges.mean(keepdims=True)


def bins_of(feature: Feature) -> int:
    """Number of bins of a number or values of a category, other and empty among them."""
    if isinstance(feature, Categorical):
        return len(feature.values or ()) + 2
    return len(cuts(feature)) + 2


def bin_numbers(x: np.ndarray, feature: Numeric) -> np.ndarray:
    """The bin of each number, (n,); NaN is empty."""
    found = np.searchsorted(cuts(feature), x, side="right")
    return np.where(np.isnan(x), len(cuts(feature)) + 1, found)


def width_of(feature: Feature, coding: Coding) -> int:
    """Number of codes that a feature becomes; the last of them means empty."""
    if coding.kind == "bins":
        return 1
    if isinstance(feature, Categorical):
        return len(feature.values or ()) + 2
    return len(cuts(feature)) + 1 if coding.kind == "steps" else len(feature.edges or ())


def number_codes(x: np.ndarray, feature: Numeric, coding: Coding) -> np.ndarray:
    """Codes of a number before they are scaled, (n, width) float32; NaN is empty."""
    if coding.kind == "bins":
        return bin_numbers(x, feature).astype(np.float32)[:, None]
    empty = np.isnan(x)
    codes = np.zeros((len(x), width_of(feature, coding)), dtype=np.float32)
    filled = np.where(empty, (feature.edges or (0.0,))[0], x)[:, None]
    if coding.kind == "steps":
        codes[:, :-1] = filled >= cuts(feature)
    else:
        edges = np.array(feature.edges)
        parts = (filled - edges[:-1]) / np.diff(edges)
        np.clip(parts, 0.0, 1.0, out=codes[:, :-1], casting="same_kind")
    codes[:, -1] = empty
    if coding.balanced:
        codes[~empty, :-1] -= 0.5
        codes[:, -1] *= math.sqrt(_most(feature, coding))  # an empty field weighs as much as any
    return codes


def places(values: pd.Series, feature: Categorical) -> np.ndarray:
    """`Encoder.place` of values by themselves."""
    known = {value: place for place, value in enumerate(feature.values or ())}
    codes, spelled = coded(values)
    found = [known.get(text, known.get(_respelled(text), len(known))) for text in spelled]
    place: np.ndarray = np.array([*found, len(known) + 1])[codes]
    return place


def _most(feature: Feature, coding: Coding) -> float:
    """Largest squared norm of one feature's codes, before scaling."""
    if isinstance(feature, Categorical):
        return 1.0
    number = width_of(feature, coding) - 1
    return number / 4 if coding.balanced else max(number, 1.0)


def _respelled(text: str) -> str:
    """A cell of a file, `7.0` or `true`, as a whole column of such cells would be labelled."""
    if text in ("true", "false"):
        return text.capitalize()
    try:
        return label(float(text))
    except (ValueError, OverflowError):
        return text
