"""Made-up patients whose outcomes follow from their features, with labels missing at random."""

import numpy as np
import pandas as pd

from domains.healthcare.outcomes.spec import Outcome

OUTCOMES = (
    Outcome("death", "binary", column="died"),
    Outcome("place", "multiclass", column="discharge"),
    Outcome("stay", "regression", column="days", transform="log1p", missing=(-1,)),
    Outcome("survival", "survival", time="time", event="event", horizons=(5, 20)),
)


def sample_patients(count: int = 900, seed: int = 0, visits: int = 1) -> pd.DataFrame:
    """`count` records of `count / visits` patients, one row each record."""
    rng = np.random.default_rng(seed)
    age, lab = rng.normal(60, 12, count), rng.lognormal(0, 1, count)
    ward = rng.choice(["surgery", "medicine", "rare"], count, p=[0.5, 0.49, 0.01])
    risk = (age - 60) / 12 + np.log(lab) + (ward == "surgery") + rng.normal(0, 0.7, count)
    time = np.ceil(30 * rng.exponential(np.exp(-risk / 2)) * 10 + 1) / 10
    frame = pd.DataFrame(
        {
            "id": [f"p{seed}-{k // visits}" for k in range(count)],
            "age": age.round(1),
            "lab": np.where(rng.random(count) < 0.2, np.nan, lab),
            "ward": ward,
            "smoker": rng.integers(0, 2, count),
            "died": np.where(rng.random(count) < 0.1, np.nan, risk > 0.8),
            "discharge": np.where(risk > 1, "hospice", np.where(risk > 0, "ward", "home")),
            "days": np.where(rng.random(count) < 0.3, -1, np.exp(2 + risk / 3).round()),
            "time": np.minimum(time, 60.0),
            "event": (time < 60).astype(int),
        }
    )
    return frame.astype({"died": float, "days": float})


EVERY_KIND = (
    *OUTCOMES,
    Outcome("grade", "ordinal", column="grade", levels=("none", "mild", "severe")),
    Outcome("falls", "count", column="falls", missing=(-1,)),
    Outcome("relapse", "survival", time="time", event="event", horizons=(5, 20), head="cox"),
)


def patients_of_every_kind(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """`sample_patients` with an ordinal outcome and a count, which follow from their features."""
    frame, rng = sample_patients(count, seed), np.random.default_rng(seed + 1000)
    risk = (frame["age"] - 60) / 12 + (frame["ward"] == "surgery") + rng.normal(0, 0.7, count)
    grade = pd.cut(risk, [-np.inf, -0.2, 1.0, np.inf], labels=["none", "mild", "severe"])
    falls = rng.poisson(np.exp(0.3 + 0.5 * risk.clip(-3, 3)))
    return frame.assign(
        grade=grade.astype(object).where(rng.random(count) > 0.2, None),
        falls=np.where(rng.random(count) < 0.1, -1, falls),
    )
