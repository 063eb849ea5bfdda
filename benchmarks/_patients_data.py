"""Patients' records of the benchmark: SUPPORT2 with seven outcomes in five folds, and nafld's.

SUPPORT2's features are those known by day 3, named one by one; its outcomes are death in hospital
and within 180 days, an order not to resuscitate, any limited daily activity, worse function after
two months, and the logarithms of days of stay and of costs. Inside a fold the training part is cut
as the product cuts it: 62 parts to train on, 10 to stop by, 8 to calibrate on.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from domains.healthcare.cohort.features import Encoder, fit_encoder
from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.patients import Cohort, read_cohort
from domains.sources import fetch
from domains.tables import read_table
from models.multitask.masked import Records
from pipelines.settings import PatientsData
from pipelines.steps.patients.prepare import PARTS
from pipelines.steps.patients.tables import study_of, study_table
from pipelines.steps.patients.training import encoded

FOLDS = 5
FEATURES = (
    *("age", "sex", "dzgroup", "num.co", "edu", "income", "scoma", "race", "diabetes", "dementia"),
    *("ca", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb", "bili", "crea", "sod", "ph"),
    *("glucose", "bun", "urine", "hday"),
)
_BINARY = ("hospdead", "dead180", "dnr", "adls", "sfdm2")
_AMOUNTS = {"slos": "stay", "totcst": "cost"}


@functools.cache
def support2() -> Cohort:
    """9,105 patients, seven outcomes, each unknown for some."""
    frame = read_table(fetch("support2"))
    table = frame[["sno", *FEATURES]].assign(**{f"y.{k}": v for k, v in _targets(frame).items()})
    outcomes = [Outcome(name, "binary", column=f"y.{name}") for name in _BINARY]
    outcomes += [
        Outcome(name, "regression", column=f"y.{name}", transform="log1p")
        for name in _AMOUNTS.values()
    ]
    return read_cohort(table, outcomes, "support2", patient="sno")


def _targets(frame: pd.DataFrame) -> dict[str, pd.Series]:
    died, days = frame["death"] == 1, frame["d.time"]
    within = (died & (days <= 180)).astype(float)
    amounts = {name: frame[column].clip(lower=0) for column, name in _AMOUNTS.items()}
    return {
        "hospdead": frame["hospdead"],
        "dead180": within.where(died | (days > 180)),
        "dnr": _other_than(frame["dnr"], "no dnr"),
        "adls": (frame["adls"] > 0).astype(float).where(frame["adls"].notna()),
        "sfdm2": _other_than(frame["sfdm2"], "no(M2 and SIP pres)"),
        **amounts,
    }


def _other_than(column: pd.Series, value: str) -> pd.Series:
    return (column != value).astype(float).where(column.notna() & (column != ""))


@functools.cache
def nafld() -> Cohort:
    """17,549 people, eleven outcomes within five years."""
    data = PatientsData(name="nafld")
    study = study_of(data)
    assert study is not None
    table = study_table(study, data)
    return read_cohort(
        table.frame, study.outcomes, study.name, exclude=table.exclude, patient=study.patient
    )


COHORTS = {"support2": support2, "nafld": nafld}


@dataclass(frozen=True)
class Fold:
    """One cut of a cohort, encoded by rules of its training records.

    Attributes:
        encoder, codecs: Those rules.
        parts: `train`, `validation`, `calibration` and `test`.
        rows: Test records, by position in the cohort.
    """

    encoder: Encoder
    codecs: dict[str, Codec]
    parts: dict[str, Cohort]
    rows: np.ndarray

    def records(self, part: str) -> Records:
        """As networks take them."""
        return encoded(self.parts[part], self.encoder, self.codecs)


def fold_of(name: str, fold: int, seed: int, count: int = 0) -> Fold:
    """A fold with its training part cut by a seed.

    Args:
        name: Of the cohort.
        fold: Which of `FOLDS` is tested; they are the same for every seed.
        seed: Draws who trains, and who stops and calibrates.
        count: Records to train on; those to stop by and to calibrate on in proportion. 0: all.
    """
    cohort = COHORTS[name]()
    test = test_rows(cohort, fold)
    rest = np.setdiff1d(np.arange(len(cohort)), test)
    drawn = np.random.default_rng([fold, seed]).permutation(rest)
    kept = drawn[: round(count * _HELD / PARTS["train"])] if count else drawn
    ends = np.round(np.cumsum([PARTS["train"], PARTS["validation"]]) / _HELD * len(kept))
    train, validation, calibration = np.split(kept, ends.astype(int))
    rows = {"train": train, "validation": validation, "calibration": calibration, "test": test}
    parts = {part: cohort.take(each) for part, each in rows.items()}
    codecs = {
        outcome.name: fit_codec(outcome, parts["train"].targets.values[outcome.name], True)
        for outcome in cohort.targets.outcomes
    }
    return Fold(fit_encoder(parts["train"].features), codecs, parts, test)


_HELD = PARTS["train"] + PARTS["validation"] + PARTS["calibration"]


def test_rows(cohort: Cohort, fold: int) -> np.ndarray:
    """Records that a fold tests; every one is of a patient of its own."""
    cut = KFold(FOLDS, shuffle=True, random_state=0).split(np.arange(len(cohort)))
    return np.asarray([test for _, test in cut][fold])
