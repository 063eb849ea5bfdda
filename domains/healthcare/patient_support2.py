"""SUPPORT2: seriously ill patients in five US hospitals, 1989–1994 (Knaus et al., 1995).

What may be a feature is what is known by day 3 of the study. Never features: the study's own and
the physicians' survival estimates, physiology scores that feed them, the coarse disease class
beside the fine one, and whatever is recorded afterwards.
"""

from __future__ import annotations

from domains.healthcare.outcome_spec import Outcome

NAME = "support2"
PATIENT = "sno"

ESTIMATES = ("surv2m", "surv6m", "prg2m", "prg6m", "aps", "sps", "avtisst")
AFTERWARDS = (
    *("dnr", "dnrday", "charges", "totcst", "totmcst", "adlp", "adls", "adlsc", "sfdm2"),
    *("slos", "d.time", "death", "hospdead"),
)
NEVER = (*ESTIMATES, "dzclass", *AFTERWARDS)
"""Columns that are never features, whichever outcomes are asked for."""

OUTCOMES = (
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
