"""Gradient boosting, one model an outcome: the control that plain tables call for.

scikit-learn's HistGradientBoosting, but for the number of rounds with its default settings, takes
missing values and categories as they are. Its answers come as logits, so that calibration and
metrics treat every arm alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import known
from models.multitask.boosted import Boosted
from models.multitask.forest import CODES, Forest

_AMOUNTS = {"regression": "squared_error", "count": "poisson"}
_EDGE = 1e-15
_FEWEST = 10  # labelled records that decide how many rounds there are


def boost(
    codec: Codec,
    x: np.ndarray,
    y: np.ndarray,
    *,
    categorical: np.ndarray,
    seed: int,
    rounds: int = 100,
) -> Boosted:
    """Train on the labelled records.

    Survival and ordinal outcomes are boosted on person-periods, one row a patient and interval, or
    level, that was reached: the same likelihood that the network's hazard head has, on the same
    intervals.

    Args:
        codec: Of the outcome.
        x: (n, features) plain numbers and category codes, NaN where missing.
        y: Encoded targets, NaN where unknown.
        categorical: Which features are categories, (features,) bool.
        seed: Of the trees.
        rounds: Boosting rounds.
    """
    return _grown(codec, x, y, categorical, seed, rounds).boosted(codec)


def boost_until_best(
    codec: Codec,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    categorical: np.ndarray,
    seed: int,
    most: int = 100,
) -> Boosted:
    """Train as `boost` does, and keep the rounds after which the loss on validation was lowest.

    A hundred rounds overfit rare events; how many an outcome bears is not known beforehand.

    Args:
        codec: Of the outcome.
        training, validation: `x` and `y` of the records to learn from, and of those that decide.
        categorical: Which features are categories, (features,) bool.
        seed: Of the trees.
        most: Rounds at most; so many where validation has hardly a label.
    """
    grown = _grown(codec, *training, categorical, seed, most)
    enough = known(validation[1]).sum() >= _FEWEST
    losses = grown.losses(codec, *validation) if enough else []
    rounds = int(np.argmin(losses)) + 1 if losses else most
    return grown.boosted(codec).first(rounds)


@dataclass(frozen=True)
class _Grown:
    """A fitted model of the library, and the columns that it was fitted on."""

    model: Any
    filled: np.ndarray

    def boosted(self, codec: Codec) -> Boosted:
        """As it is packed."""
        kind = codec.outcome.kind
        classes = tuple(self.model.classes_.tolist()) if kind == "multiclass" else ()
        return Boosted(kind, codec.size, _forest(self.model, self.filled), classes)

    def losses(self, codec: Codec, x: np.ndarray, y: np.ndarray) -> list[float]:
        """Mean loss on the labelled records after every round; none where nothing is labelled."""
        x, y = _rows(codec, x, y)
        if codec.outcome.kind == "multiclass":  # of classes that training had
            learned = np.isin(y, self.model.classes_)
            x, y = x[learned], np.searchsorted(self.model.classes_, y[learned])
        if not len(y):
            return []
        return [_loss(codec, said, y) for said in self._stages(codec, x[:, self.filled])]

    def _stages(self, codec: Codec, x: np.ndarray) -> Iterator[np.ndarray]:
        amount = codec.outcome.kind in _AMOUNTS
        staged: Iterator[np.ndarray] = (
            self.model.staged_predict(x) if amount else self.model.staged_predict_proba(x)
        )
        return staged


def _loss(codec: Codec, said: np.ndarray, y: np.ndarray) -> float:
    """That which the library grows trees by: squared error, Poisson's deviance but for what the
    target alone decides, or log loss."""
    if codec.outcome.kind == "regression":
        return float(np.mean((said - y) ** 2))
    if codec.outcome.kind == "count":
        return float(np.mean(said - y * np.log(said)))
    happened = said[np.arange(len(y)), y.astype(int)]
    return float(-np.mean(np.log(np.maximum(happened, _EDGE))))


def _grown(
    codec: Codec, x: np.ndarray, y: np.ndarray, categorical: np.ndarray, seed: int, rounds: int
) -> _Grown:
    x, y = _rows(codec, x, y)
    periods = np.zeros(x.shape[1] - len(categorical), dtype=bool)
    # scikit-learn cannot bin a column without a value, and labelled records may leave one so.
    filled = np.flatnonzero(~np.isnan(x).all(axis=0))
    settings: dict[str, Any] = {
        "categorical_features": np.append(categorical, periods)[filled],
        "random_state": seed,
        "max_iter": rounds,
        # What the library would hold out are person-periods of patients that stay in training.
        "early_stopping": False,
    }
    if codec.outcome.kind in _AMOUNTS:
        loss = _AMOUNTS[codec.outcome.kind]
        return _Grown(
            HistGradientBoostingRegressor(loss=loss, **settings).fit(x[:, filled], y), filled
        )
    model = HistGradientBoostingClassifier(**settings)
    return _Grown(model.fit(x[:, filled], y.astype(int)), filled)


def _rows(codec: Codec, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the library learns from: labelled records, or their person-periods."""
    labelled = known(y)
    x, y = x[labelled], y[labelled]
    return _periods(x, y) if codec.outcome.kind in ("ordinal", "survival") else (x, y)


def _periods(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Person-periods with the number of the interval behind the features, and what happened."""
    survived, event = y[:, 0].astype(int), y[:, 1].astype(int)
    reached = survived + event
    person = np.repeat(np.arange(len(x)), reached)
    interval = np.concatenate([np.arange(n) for n in reached]) if len(reached) else np.array([])
    happened = (event[person] == 1) & (interval == survived[person])
    return np.column_stack([x[person], interval]), happened


def _forest(model: Any, columns: np.ndarray) -> Forest:
    """The trees of a fitted model.

    scikit-learn has no public way to them. It moves categories to the front and numbers them anew;
    here nodes ask for the columns and codes that came in.

    Args:
        columns: Place of each column that the model was fitted on.
    """
    trees = [tree for grown in model._predictors for tree in grown]
    ends = np.cumsum([0, *(len(tree.nodes) for tree in trees)])
    nodes = np.concatenate([tree.nodes for tree in trees])
    start = np.repeat(ends[:-1], np.diff(ends))
    leaf, here = nodes["is_leaf"] == 1, np.arange(len(nodes))
    moved, categories = _moved(model)
    feature = columns[moved[nodes["feature_idx"]]]
    baseline = np.ravel(model._baseline_prediction).astype(float)
    return Forest(
        feature=np.where(leaf, 0, feature).astype(np.int32),
        threshold=np.ascontiguousarray(nodes["num_threshold"]),
        codes=np.concatenate([_codes(tree, categories) for tree in trees]),
        missing=nodes["missing_go_to_left"] == 1,
        left=np.where(leaf, here, start + nodes["left"]).astype(np.int32),
        right=np.where(leaf, here, start + nodes["right"]).astype(np.int32),
        value=np.where(leaf, nodes["value"], 0.0),
        roots=ends[:-1].reshape(-1, len(baseline)).astype(np.int32),
        start=baseline,
    )


def _moved(model: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Column that came in of each that the trees ask for; codes of the first, the categories."""
    chosen = model.is_categorical_
    if chosen is None:
        return np.arange(model.n_features_in_), []
    fitted = model._preprocessor.named_transformers_["encoder"].categories_
    categories = [codes[~np.isnan(codes)].astype(np.uint64) for codes in fitted]
    if max((int(codes.max(initial=0)) for codes in categories), default=0) >= CODES:
        raise ValueError(f"categories beyond the {CODES} that a node can tell apart")
    return np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)]), categories


def _codes(tree: Any, categories: list[np.ndarray]) -> np.ndarray:
    """Categories that go left at each node, as bits; unknown ones go where missing values go."""
    nodes, one = tree.nodes, np.uint64(1)
    found = np.zeros(len(nodes), dtype=np.uint64)
    for place in np.flatnonzero((nodes["is_categorical"] == 1) & (nodes["is_leaf"] == 0)):
        node = nodes[place]
        codes = categories[node["feature_idx"]]
        number = np.arange(len(codes))
        bits = tree.raw_left_cat_bitsets[node["bitset_idx"]]
        left = codes[(bits[number // 32] >> (number % 32).astype(np.uint32)) & 1 == 1]
        if node["missing_go_to_left"]:
            unknown = np.setdiff1d(np.arange(CODES, dtype=np.uint64), codes)
            left = np.append(left, unknown)
        found[place] = np.bitwise_or.reduce(one << left)
    return found
