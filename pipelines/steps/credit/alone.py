"""Each lender alone, as well as it can: bins of its own or the public ones, and its own ridge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from domains.banking.features import Feature, Numeric, labels, numbers
from models.credit_encoding import Encoder
from models.federated.personal import Own, pulled
from pipelines.steps.credit.personal import (
    SCORECARD,
    Part,
    counted,
    own_rate,
    parts_of,
    step_codes,
    with_constant,
)
from pipelines.steps.credit.prepare import Prepared

RIDGES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
_MOST, _FEWEST = 50, 5  # values of a category, and records of one


def own_scorecards(prepared: Prepared, bins: int) -> np.ndarray:
    """Log-odds of every record by a scorecard that its own lender trained alone, (n,).

    Bins are quantiles of the lender's own training records, or those of the shared model; what
    either counts at each ridge is decided by likelihood on its own calibration records.
    """
    facts = prepared.facts
    y = facts["y"].to_numpy(dtype=float)
    frame, codes, encoder = prepared.frame, step_codes(prepared), prepared.encoder
    found = np.zeros(len(y))
    for part in parts_of(facts).values():
        own = own_encoder(encoder, frame.iloc[part.train], bins).encode(frame.iloc[part.every])
        found[part.every] = _answer(part, y, [own, codes[part.every]])
    return found


def own_encoder(shared: Encoder, frame: pd.DataFrame, bins: int) -> Encoder:
    """The shared encoder's features with edges and values of one lender's records alone."""
    features = tuple(_own(feature, frame, bins) for feature in shared.features)
    return Encoder(features, shared.derived, SCORECARD)


def _own(feature: Feature, frame: pd.DataFrame, bins: int) -> Feature:
    if not isinstance(feature, Numeric):
        counted = labels(frame[feature.column]).value_counts()
        often = counted[counted >= _FEWEST].index[:_MOST]
        return replace(feature, values=tuple(str(value) for value in often))
    held = numbers(frame, feature.column)
    held = held[~np.isnan(held)]
    edges = np.unique(np.quantile(held, np.linspace(0.0, 1.0, bins + 1))) if len(held) else held
    if len(edges) < 2:
        return feature
    return replace(feature, edges=tuple(edges.tolist()))


def _answer(part: Part, y: np.ndarray, codings: list[np.ndarray]) -> np.ndarray:
    rate, trained = own_rate(y[part.train]), part.place(part.train)
    columns = []
    for codes in codings:
        features = with_constant(codes)
        own = Own(features[trained], y[part.train], np.full(len(trained), rate))
        columns.append(rate + features @ pulled([own], RIDGES)[0].T)
    candidates = np.column_stack(columns)
    shares = counted(candidates[part.place(part.calibration)], y[part.calibration])
    return np.asarray(candidates @ shares)
