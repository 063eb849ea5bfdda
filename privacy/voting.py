"""What columns are whose type nobody declared: number, date or category, by a noised vote.

A type read from the records would tell of one of them: a single word among numbers makes their
column text. So each owner counts, in each such column, the fields of its training records that
spell a number, those that spell a date, and the others; adds noise; and the largest sum of noised
counts over owners decides. What is declared is public and is not voted on.

Unit: one record, added or removed. It has one field, or none, in each of the d columns, and so
changes one of three counts by one in each: √d in all (L2). Noise of standard deviation
σ = m · √(d / s) on every count, with m the plan's setup noise multiplier and s the vote's share,
makes that √s/m. The counts that follow (`privacy.preprocessing`) are noised as under the multiplier
m/√(1 − s). In which way they count which column is read from the noised votes: two Gaussian
mechanisms, the second chosen by what the first released, √s/m and √(1 − s)/m. Their squares add up
to 1/m², so that both together are as private as the one Gaussian mechanism of multiplier m that
the plan charges (Dong, Roth and Su, "Gaussian differential privacy", JRSS B 2022, corollary 3.3).
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from domains.errors import InputError
from privacy import noise
from privacy.plan import PrivacyPlan

Floats = NDArray[np.float64]

KINDS = ("category", "date", "number")
VOTE_SHARE = 0.05
"""s: a few hundred records outvote that noise."""


def vote_sigma(columns: int, plan: PrivacyPlan) -> float:
    """Standard deviation of the noise on each count of a vote on so many columns, in records."""
    multiplier = plan.setup_sigma / math.sqrt(plan.setup_columns)
    return multiplier * math.sqrt(columns / VOTE_SHARE)


def noised_votes(kinds: pd.DataFrame, plan: PrivacyPlan) -> dict[str, Floats]:
    """Count what the fields of one owner's training records are.

    One call spends the vote's share of the plan's setup events; `noised_summary` is told so.

    Args:
        kinds: a column for each one to be voted on; a field is one of `KINDS`, or missing.
        plan: whose setup noise is on every count.

    Returns:
        For each column the counts of `KINDS`, (3,).

    Raises:
        InputError: the plan was made for fewer columns.
    """
    if kinds.shape[1] > plan.setup_columns:
        raise InputError(
            f"{kinds.shape[1]} columns have no declared type, the plan was made for "
            f"{plan.setup_columns}: calibrate it with setup_columns={kinds.shape[1]}"
        )
    sigma = vote_sigma(kinds.shape[1], plan)
    counts = np.array([[(kinds[name] == kind).sum() for kind in KINDS] for name in kinds.columns])
    noised = counts + noise.gaussian(counts.size, sigma).reshape(counts.shape)
    return dict(zip(map(str, kinds.columns), noised, strict=True))


def elected(votes: Sequence[dict[str, Floats]]) -> dict[str, str]:
    """What each column is, by the noised counts of all owners; reads nothing else."""
    sums = {name: np.sum([each[name] for each in votes], axis=0) for name in votes[0]}
    return {name: KINDS[int(counts.argmax())] for name, counts in sums.items()}
