"""What the gate asks of probabilities that decisions follow from: their slope, and who is approved.

Groups come as numbers with the held-out answers, so that a private run which releases no metric is
judged by the same rules, and only yes or no is told.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from domains.banking import approval
from domains.metrics import Interval, interval, resamples
from models.calibration import calibration_line
from pipelines.governance.held_out import Answers

_REPEATS = 200


def slope(answered: Answers) -> Interval | None:
    """Calibration slope of the first outcome that answers one probability; None without any."""
    pair = _pair(answered)
    if pair is None:
        return None
    _, y, p, weights = pair
    draws = [calibration_line(y, p, row)[0] for row in weights]
    return interval(draws[0], draws[1:])


def groups(answered: Answers) -> dict[str, tuple[Interval, Interval] | None]:
    """Protected column → approval of the least over that of the most approved group, and the
    difference between groups of predicted less observed; None where fewer than two groups are
    large enough."""
    pair = _pair(answered)
    if pair is None or "approved" not in answered.frame:
        return {}
    frame, y, p, weights = pair
    yes = frame["approved"].to_numpy(dtype=bool)
    made: dict[str, tuple[Interval, Interval] | None] = {}
    for name in (str(column) for column in frame if str(column).startswith("protected.")):
        code = frame[name].to_numpy(dtype=int)
        told = code >= 0
        found: tuple[Interval, Interval] | None = None
        if len(np.unique(code[told])) > 1:
            shares = approval.rates(weights[:, told], y[told], p[told], yes[told], code[told])
            draws = approval.ratio(shares.approved), approval.gap(shares.predicted)
            ratio, gap = (interval(float(each[0]), each[1:]) for each in draws)
            found = ratio, gap
        made[name.removeprefix("protected.")] = found
    return made


def _pair(
    answered: Answers,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray] | None:
    """Answers of known outcome: themselves, outcome, probability, and weights (1 + repeats, n) by
    borrower, of which the first row is 1s."""
    outcome = next((o for o in answered.outcomes if o.metric == "auroc"), None)
    if outcome is None or len(outcome.predictions) != 1:
        return None
    target = f"target.{outcome.target[0]}"
    frame = answered.frame[answered.frame[target].notna()]
    y = frame[target].to_numpy(dtype=float)
    p = frame[f"prediction.{outcome.predictions[0]}"].to_numpy(dtype=float)
    drawn = resamples(len(y), frame["group"].to_numpy(), _REPEATS, 0)
    return frame, y, p, np.vstack([np.ones(len(y)), *drawn])
