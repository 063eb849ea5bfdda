"""Gradient boosting, one model an outcome: the control that plain tables call for.

scikit-learn's HistGradientBoosting with its default settings takes missing values and categories
as they are. Its answers come as logits, so that calibration and metrics treat every arm alike.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_targets import known

_EDGE = 1e-6


def boosted_logits(
    codec: Codec,
    x: np.ndarray,
    y: np.ndarray,
    queries: np.ndarray,
    *,
    categorical: np.ndarray,
    seed: int,
    rounds: int = 100,
) -> np.ndarray:
    """Train on the labelled records and answer queries.

    Args:
        codec: Of the outcome.
        x: (n, features) plain numbers and category codes, NaN where missing.
        y: Encoded targets, NaN where unknown.
        queries: (m, features).
        categorical: Which features are categories, (features,) bool.
        seed: Of the trees.
        rounds: Boosting rounds.

    Returns:
        (m, size): log-odds, log probabilities, the standardised value, the logarithm of a count
        over its mean, or log-odds of the hazard, by kind.
    """
    rows = known(y)
    # scikit-learn cannot bin a column without a value, and labelled records may leave one so.
    filled = ~np.isnan(x[rows]).all(axis=0)
    x, queries, categorical = x[:, filled], queries[:, filled], categorical[filled]
    settings = {"categorical_features": categorical, "random_state": seed, "max_iter": rounds}
    if codec.outcome.kind == "regression":
        model = HistGradientBoostingRegressor(**settings).fit(x[rows], y[rows])
        return np.asarray(model.predict(queries), dtype=float)[:, None]
    if codec.outcome.kind == "count":
        counted = HistGradientBoostingRegressor(loss="poisson", **settings).fit(x[rows], y[rows])
        return np.log(np.maximum(counted.predict(queries), _EDGE))[:, None]
    # Early stopping would hold out person-periods of patients that stay in training.
    settings["early_stopping"] = False
    if codec.outcome.kind in ("ordinal", "survival"):
        return _hazards(codec, x[rows], y[rows], queries, settings)
    model = HistGradientBoostingClassifier(**settings).fit(x[rows], y[rows].astype(int))
    p = np.clip(model.predict_proba(queries), _EDGE, 1 - _EDGE)
    if codec.outcome.kind == "binary":
        return np.asarray(logit(p[:, 1:]), dtype=float)
    out = np.full((len(queries), codec.size), np.log(_EDGE))
    out[:, model.classes_] = np.log(p)
    return out


def _hazards(
    codec: Codec, x: np.ndarray, y: np.ndarray, queries: np.ndarray, settings: dict[str, object]
) -> np.ndarray:
    """Hazards by boosting on person-periods: one row a patient and interval, or level, reached.

    The same likelihood that the network's hazard head has, on the same intervals.
    """
    survived, event = y[:, 0].astype(int), y[:, 1].astype(int)
    reached = survived + event
    person = np.repeat(np.arange(len(x)), reached)
    interval = np.concatenate([np.arange(n) for n in reached]) if len(reached) else np.array([])
    happened = (event[person] == 1) & (interval == survived[person])
    categorical = np.append(np.asarray(settings["categorical_features"]), False)
    model = HistGradientBoostingClassifier(**{**settings, "categorical_features": categorical})
    model.fit(np.column_stack([x[person], interval]), happened.astype(int))
    cells = np.repeat(queries, codec.size, axis=0)
    cells = np.column_stack([cells, np.tile(np.arange(codec.size), len(queries))])
    p = np.clip(model.predict_proba(cells)[:, 1], _EDGE, 1 - _EDGE)
    return np.asarray(logit(p), dtype=float).reshape(len(queries), codec.size)
