"""SUPPORT2: seriously ill patients in five US hospitals, 1989–1994 (Knaus et al., 1995)."""

from __future__ import annotations

from domains.healthcare.cohort.schema import Range
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.studies.study import Study, because

_ESTIMATES = because(
    "an estimate of the study's own or the physicians', or a score that feeds one",
    *("surv2m", "surv6m", "prg2m", "prg6m", "aps", "sps", "avtisst"),
)
_AFTERWARDS = because(
    "recorded after day 3",
    *("dnr", "dnrday", "charges", "totcst", "totmcst", "adlp", "adls", "adlsc", "sfdm2"),
    *("slos", "d.time", "death", "hospdead"),
)

_OUTCOMES = (
    Outcome("hospdead", "binary", column="hospdead"),
    Outcome("dnr", "binary", column="dnr", positive=("dnr after sadm", "dnr before sadm")),
    Outcome("adls", "binary", column="adls", positive=(1, 2, 3, 4, 5, 6, 7)),
    Outcome("function", "multiclass", column="sfdm2"),
    Outcome("stay", "regression", column="slos", transform="log1p"),
    Outcome("cost", "regression", column="totcst", transform="log1p"),
    Outcome("survival", "survival", time="d.time", event="death", horizons=(30, 180, 365)),
)
"""Death in hospital, do-not-resuscitate order, any limited daily activity, function two months
later, days of stay, cost in US dollars, and days to death."""

STUDY = Study(
    name="support2",
    patient="sno",
    outcomes=_OUTCOMES,
    never={
        **_ESTIMATES,
        "dzclass": "the coarse disease class beside the fine one",
        **_AFTERWARDS,
    },
    predicted="on day 3 of the study",
    ranges={
        "age": Range(18, 120, "years"),
        "slos": Range(0, 1000, "days"),
        "d.time": Range(0, 4000, "days"),
        "meanbp": Range(0, 300, "mmHg"),
        "hrt": Range(0, 400, "a minute"),
        "resp": Range(0, 120, "a minute"),
        "temp": Range(25, 45, "degrees Celsius"),
        "sod": Range(90, 200, "mmol/l"),
        "ph": Range(6.5, 8),
        "totcst": Range(0, 1e7, "US dollars"),
    },
    groups={"sex": "sex", "age": "age", "race": "race"},
)
"""One row a patient, as the source has them."""
