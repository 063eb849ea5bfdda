"""The packed model of the patients pipeline: one row of raw columns in, every outcome out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from domains.errors import InputError
from domains.healthcare.cohort.features import Encoder, Number
from domains.healthcare.outcomes.codec import Codec
from domains.unseen import Marks
from models.inference import ROWS
from models.intake import Field
from models.multitask.boosted import Boosted, load_boosted, save_boosted
from models.multitask.calibrating import NONE, Calibrator
from models.multitask.explaining import REASONS, Reason, explained, in_words, reasons
from models.multitask.heads import answer
from models.multitask.learning import logits
from models.multitask.named import network
from models.multitask.patched import BOOSTING, SINGLE, Patched
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.scorer import DESCRIPTION, describe

WEIGHTS = "weights.safetensors"
_ROWS = 8 * ROWS  # answered at a time: the same batches as all at once, which round the same


@dataclass(frozen=True)
class PatientsScorer:
    """Raw rows → predictions of every outcome.

    Columns, by kind of outcome: binary `NAME` probability of yes; regression `NAME` in the
    target's own unit, and of a count too, with bounds `NAME.low` and `NAME.high` where they are
    calibrated; multiclass `NAME.CLASS` probabilities; survival `NAME.risk` (larger is
    sooner) and `NAME.at_H`, the probability of being event-free at H.

    Attributes:
        encoder: Features.
        codecs: Outcomes by name.
        network: Encoded features → logits of every outcome.
        sharing: How the network shares, a name of `models.multitask.named.SHARING`.
        shape: What the network is built from.
        calibrators: By outcome; none of those that had too few labels.
        alone: Outcomes that are not answered by what all share → what answers them:
            `single-task`, a network of their own inside the network (`models.multitask.patched`),
            or `boosting`.
        boosted: Trees of the outcomes that `boosting` answers.
        known: Columns that most training records had → the share of these.
    """

    encoder: Encoder
    codecs: dict[str, Codec]
    network: Network
    sharing: str
    shape: Shape
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    boosted: Mapping[str, Boosted] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Raw columns of a record."""
        return tuple(
            Field(feature.name, "number")
            if isinstance(feature, Number)
            else Field(feature.name, "text", any("\n" in level for level in feature.levels))
            for feature in self.encoder.features
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the predicted columns, outcome by outcome."""
        return tuple(
            column
            for name, codec in self.codecs.items()
            for column in (*codec.columns, *self.calibrators.get(name, NONE).columns(codec))
        )

    def logits(self, inputs: pd.DataFrame, where: str = "input") -> dict[str, np.ndarray]:
        """Logits (n, size) of every outcome, before calibration."""
        return self._answered(self.encoder.code(inputs, where), inputs)

    def predict(self, inputs: Any) -> pd.DataFrame:
        """One row of predictions a record, in the same order.

        Raises:
            InputError: A column is missing, holds text where numbers are expected, or there are
                no columns at all.
        """
        return self.predict_noting(inputs)[0]

    def predict_noting(self, inputs: Any) -> tuple[pd.DataFrame, Marks]:
        """`predict`, and which values are unknown, far from all known, or empty."""
        if not isinstance(inputs, pd.DataFrame):
            raise InputError(f"input: expected a table with named columns, found {type(inputs)}")
        if not len(inputs):
            return pd.DataFrame(columns=list(self.outputs), dtype=float), {}
        codes = self.encoder.code(inputs)
        found = predictions(self.codecs, self._answered(codes, inputs), self.calibrators)
        return found, self.encoder.unseen(codes, inputs)

    def _answered(self, codes: np.ndarray, inputs: pd.DataFrame) -> dict[str, np.ndarray]:
        """Block by block: what the network takes is several times what a record is."""
        starts = range(0, len(codes), _ROWS)
        blocks = [slice(start, start + _ROWS) for start in starts]
        found = [self._of_block(codes[block], inputs.iloc[block]) for block in blocks]
        names = found[0] if found else ()
        return {name: np.concatenate([each[name] for each in found]) for name in names}

    def _of_block(self, codes: np.ndarray, inputs: pd.DataFrame) -> dict[str, np.ndarray]:
        found = logits(self.network, self.encoder.spread(codes))
        if self.boosted:
            x = self.encoder.ordinal(inputs)
            found |= {name: model.logits(x) for name, model in self.boosted.items()}
        return found

    def reasons(self, inputs: pd.DataFrame, top: int = REASONS) -> list[list[Reason]]:
        """What moves each record's answers most; see `models.multitask.explaining`."""
        return reasons(explained(self, inputs), self.predict(inputs), top)

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """`reasons` as columns `OUTCOME.reason_1` …: `+age` where age raises the answer."""
        return in_words(self, inputs)

    def example(self) -> pd.DataFrame:
        """Two made-up records, one typical and one with nothing known: no patient's values."""
        columns: dict[str, list[Any]] = {}
        for feature in self.encoder.features:
            if isinstance(feature, Number):
                middle = feature.typical if feature.values else 0.0
                columns[feature.name] = [float(f"{middle:.2g}"), np.nan]
            else:
                columns[feature.name] = [feature.typical, None]
        return pd.DataFrame(columns)

    def save(self, folder: Path) -> Path:
        """Write `scorer.json`, the weights, and boosted trees if any; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "kind": "patients",
            "sharing": self.sharing,
            "shape": self.shape.to_json(),
            "features": self.encoder.to_json(),
            "outcomes": [codec.to_json() for codec in self.codecs.values()],
            "calibration": {name: each.to_json() for name, each in self.calibrators.items()},
            "alone": dict(self.alone),
            "known": dict(self.known),
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
        save_file(self.network.state_dict(), folder / WEIGHTS)
        if self.boosted:
            save_boosted(self.boosted, folder)
        return folder


def load_scorer(folder: Path) -> PatientsScorer:
    """Read what `PatientsScorer.save` wrote.

    Raises:
        InputError: The folder holds no packed model, or boosted trees that are none.
    """
    description = describe(folder)
    encoder = Encoder.from_json(description["features"])
    made = [Codec.from_json(values) for values in description["outcomes"]]
    codecs = {codec.outcome.name: codec for codec in made}
    sharing, shape = description["sharing"], Shape.from_json(description["shape"])
    alone = _alone(description["alone"])
    own, trees = served_by(alone, SINGLE), served_by(alone, BOOSTING)
    built = network(sharing, shape)
    built = Patched(shape, built, own) if own else built
    built.load_state_dict(load_file(folder / WEIGHTS))
    chosen = {name: codecs[name] for name in trees}
    boosted = load_boosted(folder, chosen, len(encoder.features)) if trees else {}
    calibrators = _calibrators(description)
    known = description.get("known", {})  # packages from before it was kept have none
    return PatientsScorer(
        encoder, codecs, built.eval(), sharing, shape, calibrators, alone, boosted, known
    )


def served_by(alone: Mapping[str, str], kind: str) -> tuple[str, ...]:
    """The outcomes that one kind of model answers."""
    return tuple(name for name, by in alone.items() if by == kind)


def _alone(stored: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Packages from before boosting could answer list the outcomes of single-task networks."""
    return dict(stored) if isinstance(stored, Mapping) else dict.fromkeys(stored, SINGLE)


def _calibrators(description: Mapping[str, Any]) -> dict[str, Calibrator]:
    """Packages from before there were other methods list temperatures."""
    if "calibration" not in description:
        heats = description["temperatures"].items()
        return {name: Calibrator("temperature", heat) for name, heat in heats}
    stored = description["calibration"].items()
    return {name: Calibrator.from_json(values) for name, values in stored}


def curves(
    codecs: Mapping[str, Codec],
    outputs: Mapping[str, np.ndarray],
    calibrators: Mapping[str, Calibrator],
) -> dict[str, np.ndarray]:
    """Logits of any model as event-free probabilities on `Codec.grid`, by survival outcome."""
    return {
        name: codec.event_free(answer(codec, calibrators.get(name, NONE).logits(outputs[name])))
        for name, codec in codecs.items()
        if codec.outcome.kind == "survival"
    }


def predictions(
    codecs: Mapping[str, Codec],
    outputs: Mapping[str, np.ndarray],
    calibrators: Mapping[str, Calibrator],
) -> pd.DataFrame:
    """Logits of any model, network or control, as predicted columns in natural units."""
    columns: dict[str, np.ndarray] = {}
    for name, codec in codecs.items():
        fitted = calibrators.get(name, NONE)
        said = answer(codec, fitted.logits(outputs[name]))
        columns.update(zip(codec.columns, codec.decode(said).T, strict=True))
        if bounds := fitted.columns(codec):
            columns.update(zip(bounds, fitted.bounds(codec, said).T, strict=True))
    return pd.DataFrame(columns)
