"""The records that a credit run is tested on, and what every arm says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.banking.credit import LATER as LATER_PART
from pipelines.steps.credit.controls import LATER, LATER_BOOSTING
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import Tested, metrics_of
from pipelines.steps.credit.training import Trained

PREFIX = "out_of_time"


@dataclass(frozen=True)
class Later:
    """The out-of-time test: its records, metrics of model and boosting, how the rate moved."""

    tested: Tested
    metrics: dict[str, dict[str, float]]
    rates: tuple[float, float]


def tested_on(facts: pd.DataFrame, rows: np.ndarray, scores: Mapping[str, np.ndarray]) -> Tested:
    """The chosen records, (n,) bool, under every arm's probabilities of all."""
    chosen = facts[rows]
    client, names = pd.factorize(chosen["client"], sort=True)
    return Tested(
        y=chosen["y"].to_numpy(dtype=float),
        client=client,
        group=pd.factorize(chosen["group"])[0],
        names=tuple(str(name) for name in names),
        scores={name: p[rows] for name, p in scores.items()},
    )


def tested_later(prepared: Prepared, trained: Sequence[Trained]) -> Later | None:
    """Later approvals of borrowers who did not train; on private data the model itself is tested,
    because there later approvals never train, and no training record decides which are tested.
    Earlier records are counted where they are held out.
    """
    facts = prepared.facts
    later, rows = facts["later"].to_numpy(), (facts["part"] == LATER_PART).to_numpy()
    own = {t.name: t.read() for t in trained if t.name in (LATER, LATER_BOOSTING)}
    if rows.any():
        own = {LATER: trained[0].read()} if facts["y"][rows].nunique() == 2 else {}
    else:
        early = facts[~later & (facts["part"] == "train").to_numpy()]
        rows = later & ~facts["group"].isin(early["group"]).to_numpy()
    if not own:
        return None
    tested = tested_on(facts, rows, own)
    found = {name: metrics_of(tested, name) for name in own}
    held = facts[~later & (facts["part"] == "test").to_numpy()]
    rates = (float(held["y"].mean()), float(tested.y.mean()))
    return Later(
        tested,
        {n: {f"{PREFIX}.{k}": v for k, v in values.items()} for n, values in found.items()},
        rates,
    )
