"""What a version is used at: the threshold it was given, and the default rate it is calibrated to.

Both are told by held-out records, and so are packed only where these may be released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from domains.errors import InputError
from models.calibration import log_odds

DECISION = "decision"
APPROVE, DECLINE = "approve", "decline"


@dataclass(frozen=True)
class Cutoff:
    """A threshold on the probability of default.

    Attributes:
        rate: Share of loans that it was chosen to approve.
        highest: Probability of default up to which a loan is approved.
    """

    rate: float
    highest: float

    def decide(self, p: np.ndarray) -> np.ndarray:
        """`approve` or `decline` for each probability, (n,).

        >>> Cutoff(0.5, 0.25).decide(np.array([0.25, 0.3])).tolist()
        ['approve', 'decline']
        """
        return np.where(np.asarray(p) <= self.highest, APPROVE, DECLINE).astype(object)


@dataclass(frozen=True)
class Use:
    """What a version is used at; each None where it is not known.

    Attributes:
        cutoff: The threshold.
        default_rate: Of the records that the calibration stands on.
    """

    cutoff: Cutoff | None = None
    default_rate: float | None = None

    def moved(self, slope: float, intercept: float, default_rate: float | None) -> Use:
        """The same after log-odds z have become slope · z + intercept: the same loans are approved.

        Args:
            slope, intercept: Of the change; the slope is above 0.
            default_rate: That the probabilities are then calibrated to.
        """
        if self.cutoff is None or self.cutoff.highest >= 1.0:  # everybody is approved
            return replace(self, default_rate=default_rate)
        z = slope * log_odds(np.array([self.cutoff.highest])) + intercept
        return Use(replace(self.cutoff, highest=float(expit(z)[0])), default_rate)

    def to_json(self) -> dict[str, Any]:
        """What is known, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Use:
        """The inverse of `to_json`; other keys are passed over."""
        cutoff = value.get("cutoff")
        return cls(Cutoff(**cutoff) if cutoff else None, value.get("default_rate"))


UNKNOWN = Use()


def check_rising(slope: float) -> None:
    """Raise InputError where a calibration would turn the order of loans over."""
    if not slope > 0:
        raise InputError(
            f"calibration slope: found {slope:.3g}, expected one above 0: of these records those "
            "of higher risk default less; train again"
        )


def decisions(scorer: Any, predictions: pd.DataFrame) -> np.ndarray | None:
    """What follows from a scorer's predictions, (n,) texts; None where it has no threshold."""
    cutoff = scorer.use.cutoff if hasattr(scorer, "use") else None
    return None if cutoff is None else cutoff.decide(predictions["probability"].to_numpy())
