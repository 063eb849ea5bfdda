"""Gradient boosting on pooled loans, without privacy: the control that plain tables call for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier

from domains.banking.features import Categorical, derive, labels, numbers
from models.credit_encoding import Encoder

_EDGE = 1e-6


def boosted_logits(
    encoder: Encoder, frame: pd.DataFrame, y: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Log-odds of default for every record, from trees trained on some of them.

    scikit-learn's HistGradientBoosting with its default settings, on the numbers themselves (not
    their codes); it takes empty fields and listed categories as they are.

    Args:
        encoder: Names the features and lists the categories.
        frame: Raw columns, n rows.
        y: 1 for default, (n,).
        rows: Which records train, (n,) bool.
        seed: Of the trees.

    Returns:
        (n,) float64.
    """
    table = _table(encoder, frame)
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", early_stopping=False, random_state=seed
    )
    model.fit(table[rows], y[rows])
    p = np.clip(model.predict_proba(table)[:, 1], _EDGE, 1 - _EDGE)
    return np.asarray(logit(p), dtype=float)


def _table(encoder: Encoder, frame: pd.DataFrame) -> pd.DataFrame:
    frame = derive(frame, encoder.derived)
    columns: dict[str, pd.Series | np.ndarray | pd.Categorical] = {}
    for feature in encoder.features:
        if isinstance(feature, Categorical):
            text = labels(frame[feature.column])
            columns[feature.column] = pd.Categorical(text, categories=list(feature.values or ()))
        else:
            columns[feature.column] = numbers(frame, feature.column)
    return pd.DataFrame(columns)
