"""A cohort on disk between the stages of a job: one Parquet file, nothing pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.outcome_spec import Outcome
from domains.healthcare.outcome_targets import Targets
from domains.healthcare.patients import Cohort

_FEATURE, _TARGET = "feature.", "target."


def write_cohort(cohort: Cohort, parts: np.ndarray, path: Path) -> Path:
    """Write a cohort and the part of the split that each record falls in, (n,) of names."""
    features = cohort.features.add_prefix(_FEATURE).reset_index(drop=True)
    others: dict[str, np.ndarray] = {}
    for name, values in cohort.targets.values.items():
        if values.ndim == 2:
            others[f"{_TARGET}{name}.time"], others[f"{_TARGET}{name}.event"] = values.T
        else:
            others[_TARGET + name] = values
    others |= {"patient": cohort.patients, "record": cohort.records, "part": parts}
    pd.concat([features, pd.DataFrame(others)], axis=1).to_parquet(path, index=False)
    return path


def read_part(path: Path, outcomes: tuple[Outcome, ...], part: str) -> Cohort:
    """The records of one part, in their order."""
    frame = pd.read_parquet(path, filters=[("part", "==", part)]).reset_index(drop=True)
    features = [name for name in frame.columns if name.startswith(_FEATURE)]
    return Cohort(
        frame[features].rename(columns=lambda name: name.removeprefix(_FEATURE)),
        Targets(outcomes, {o.name: _target(frame, o) for o in outcomes}),
        frame["patient"].to_numpy(dtype=object),
        frame["record"].to_numpy(dtype=object),
    )


def _target(frame: pd.DataFrame, outcome: Outcome) -> np.ndarray:
    column = _TARGET + outcome.name
    if outcome.kind == "survival":
        return frame[[f"{column}.time", f"{column}.event"]].to_numpy(dtype=float)
    if outcome.kind in ("multiclass", "ordinal"):
        labels = frame[column].astype(object)
        return labels.where(labels.notna(), None).to_numpy(dtype=object)
    return frame[column].to_numpy(dtype=float)
