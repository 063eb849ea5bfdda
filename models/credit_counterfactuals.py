"""Reason codes against counterfactuals: does moving a named feature to its reference help?

A reason is computed on codes inside the model. Here the raw record is changed as its borrower
would have to, and scored by the packed model as any loan is: if the named feature counts for what
the reason says, the risk falls. Where a reference lies between values, each of them is tried and
the mean of the answers in log-odds counts, as the reason does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.banking.features import Derived, Feature, Numeric
from models.calibration import log_odds
from models.credit import CreditScorer
from models.credit_encoding import Encoder, cuts
from models.credit_reasons import made_of
from models.scorecard_points import Scorecard

_OTHER = "(any other)"
_NONE = 1e-12


@dataclass(frozen=True)
class Agreement:
    """How often moving one feature to its reference lowers the risk.

    Attributes:
        records: Records looked at.
        named: Reasons whose feature could be moved by itself.
        agreed: Of these, how many lowered the risk.
        others: Features moved that were not named, over all records.
        others_lowered: Of these, how many lowered the risk.
        fixed: Features that cannot be moved by themselves, because their raw columns make others.
    """

    records: int
    named: int
    agreed: int
    others: int
    others_lowered: int
    fixed: tuple[str, ...]


def agreement(scorer: CreditScorer | Scorecard, frame: pd.DataFrame, top: int = 4) -> Agreement:
    """Move every feature of every record to its reference, one at a time.

    Args:
        scorer: The packed model.
        frame: Raw columns, n rows.
        top: Reasons a record, as it is served.
    """
    encoder = scorer.encoder
    raw = frame[encoder.columns].reset_index(drop=True)
    given = [{each.column for each in found} for found in scorer.reasons(raw, top)]
    base = log_odds(scorer.predict(raw)["probability"].to_numpy())
    counts, fixed = np.zeros(4, dtype=int), []
    for feature in encoder.features:
        moves = at_reference(encoder, feature)
        if moves is None:
            fixed.append(feature.column)
            continue
        tried = [scorer.predict(raw.assign(**move))["probability"].to_numpy() for move in moves]
        lowered = np.mean([log_odds(p) for p in tried], axis=0) < base - _NONE
        named = np.array([feature.column in each for each in given], dtype=bool)
        counts += [named.sum(), (named & lowered).sum(), (~named).sum(), (~named & lowered).sum()]
    return Agreement(len(raw), *_four(counts), tuple(fixed))


def _four(counts: np.ndarray) -> tuple[int, int, int, int]:
    named, agreed, others, lowered = (int(count) for count in counts)
    return named, agreed, others, lowered


def at_reference(encoder: Encoder, feature: Feature) -> list[dict[str, float | str]] | None:
    """Values of raw columns with which a feature is at its reference; None where that would move
    another feature too."""
    of = dict(made_of(encoder))[feature.column]
    uses = [name for _, columns in made_of(encoder) for name in columns]
    if any(uses.count(name) > 1 for name in of) or len(of) > 1:
        return None
    derived = next((item for item in encoder.derived if item.column == feature.column), None)
    if isinstance(feature, Numeric):
        return [{of[0]: value} for value in _middle(feature, encoder.coding.kind)]
    values = feature.values or (_OTHER,)
    return [{of[0]: _raw(value, derived)} for value in values]


def _raw(value: str, derived: Derived | None) -> float | str:
    """What a raw column holds where the feature made of it has this value."""
    if derived is not None and derived.kind == "above_one":
        return 2.0 if value == "yes" else 1.0
    return f"{value}0000" if derived is not None else value


def _middle(feature: Numeric, kind: str) -> list[float]:
    """Raw values whose codes are the reference, or have it as their mean."""
    if kind == "linear":
        edges = np.array(feature.edges)
        return [float(np.interp((len(edges) - 1) / 2, np.arange(len(edges)), edges))]
    inner = cuts(feature)
    middle = sorted({len(inner) // 2, (len(inner) + 1) // 2})
    return [float(inner[b - 1] if b else inner[0] - 1.0 - abs(inner[0])) for b in middle]
