"""Boosted models of single outcomes as they are packed: they answer logits, as networks do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import log_expit, log_softmax, logit

from domains.errors import InputError
from domains.healthcare.outcomes.codec import Codec
from models.multitask.forest import Forest

BOOSTED = "boosted.safetensors"
_PERIODS = ("ordinal", "survival")
_ROWS = 4_096  # records whose levels or intervals are asked for at a time
_EDGE = 1e-6  # no answer is surer: a leaf of few records is


@dataclass(frozen=True)
class Boosted:
    """One outcome's boosted trees.

    Attributes:
        kind: Of the outcome.
        size: Of its logits.
        forest: Its trees; of an ordinal or survival outcome they ask, behind the features, for the
            number of the level or interval.
        classes: Multiclass: numbers of those that training records had.
    """

    kind: str
    size: int
    forest: Forest
    classes: tuple[int, ...] = ()

    def logits(self, x: np.ndarray) -> np.ndarray:
        """(n, size): log-odds, log probabilities, the standardised value, the logarithm of a count
        over its mean, or log-odds of the hazard, by kind.

        Args:
            x: (n, features) plain numbers and category codes, NaN where missing.
        """
        raw = self._of_periods(x) if self.kind in _PERIODS else self.forest.raw(x)
        if self.kind == "regression":
            return raw
        if self.kind == "count":
            return np.maximum(raw, np.log(_EDGE))
        if self.kind == "multiclass":
            return self._of_classes(raw)
        return np.clip(raw, logit(_EDGE), -logit(_EDGE))

    @property
    def rounds(self) -> int:
        """How many times trees were grown."""
        return len(self.forest.roots)

    def first(self, rounds: int) -> Boosted:
        """Those of the first rounds: what as many rounds would have grown."""
        return replace(self, forest=replace(self.forest, roots=self.forest.roots[:rounds]))

    def _of_periods(self, x: np.ndarray) -> np.ndarray:
        """Raw answers (n, size) for every level or interval; so many records at a time, for each
        becomes as many as there are of those."""
        period, found = np.arange(self.size), [np.empty((0, self.size))]
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS]
            cells = np.repeat(part, self.size, axis=0)
            asked = np.column_stack([cells, np.tile(period, len(part))])
            found.append(self.forest.raw(asked).reshape(len(part), self.size))
        return np.concatenate(found)

    def _of_classes(self, raw: np.ndarray) -> np.ndarray:
        two = raw.shape[1] == 1
        found = log_expit(np.column_stack([-raw, raw])) if two else log_softmax(raw, axis=1)
        out = np.full((len(raw), self.size), np.log(_EDGE))
        out[:, self.classes] = np.clip(found, np.log(_EDGE), np.log1p(-_EDGE))
        return out


def save_boosted(models: Mapping[str, Boosted], folder: Path) -> None:
    """Write models by outcome as one safetensors file."""
    arrays = {
        f"{name}/{key}": np.ascontiguousarray(values)
        for name, model in models.items()
        for key, values in {**model.forest.arrays(), _CLASSES: _numbers(model.classes)}.items()
    }
    save_file(arrays, folder / BOOSTED)


def load_boosted(folder: Path, codecs: Mapping[str, Codec], features: int) -> dict[str, Boosted]:
    """Read what `save_boosted` wrote.

    Args:
        folder: It lies in.
        codecs: Of the outcomes that are answered.
        features: Columns of the records.

    Raises:
        InputError: The file is missing or no safetensors file, or its trees are no trees.
    """
    path = folder / BOOSTED
    try:
        arrays = load_file(path)
        return {name: _read(codec, arrays, features) for name, codec in codecs.items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(
            f"{path}: expected the boosted trees of {', '.join(codecs)}, found {error}; "
            "the file was changed or cut short: fetch the model again"
        ) from None


_CLASSES = "classes"


def _numbers(classes: tuple[int, ...]) -> np.ndarray:
    return np.array(classes, dtype=np.int32)


def _read(codec: Codec, arrays: Mapping[str, np.ndarray], features: int) -> Boosted:
    name, kind, size = codec.outcome.name, codec.outcome.kind, codec.size
    own = {key.split("/", 1)[1]: v for key, v in arrays.items() if key.startswith(f"{name}/")}
    forest = Forest.from_arrays(own, features + (kind in _PERIODS))
    classes = tuple(int(number) for number in own.get(_CLASSES, ()))
    outputs = len(forest.start)
    expected = (1 if len(classes) == 2 else len(classes)) if kind == "multiclass" else 1
    if outputs != expected or not set(classes) <= set(range(size)):
        raise ValueError(f"{outputs} trees a round for {len(classes)} of {size} classes of {name}")
    return Boosted(kind, size, forest, classes)
