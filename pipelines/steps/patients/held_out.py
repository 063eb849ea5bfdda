"""The test records as the gate takes them, to compare versions on."""

from __future__ import annotations

import numpy as np

from domains.healthcare.split_name import key_name
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.settings import home_key
from pipelines.steps.patients.prepare import Prepared


def held_out(prepared: Prepared, seed: int, repeats: int = 500) -> HeldOut:
    """The test records as the gate takes them; a masked label is NaN."""
    cohort = prepared.read("test")
    _, codecs = prepared.read_rules()
    target: dict[str, np.ndarray] = {}
    outcomes = []
    for name, codec in codecs.items():
        values = cohort.targets.values[name]
        if codec.outcome.kind == "survival":
            keys: tuple[str, ...] = (f"{name}.time", f"{name}.event")
            target.update(zip(keys, values.T, strict=True))
        else:
            keys = (name,)
            kind = codec.outcome.kind
            named_classes = kind in ("multiclass", "ordinal")
            target[name] = codec.places(values) if named_classes else values.astype(float)
        first = codec.outcome.kind in ("ordinal", "survival")
        columns = codec.columns[:1] if first else codec.columns
        log1p = codec.outcome.transform == "log1p"
        outcomes.append(HeldOutcome(name, codec.outcome.metric, keys, columns, log1p))
    data = prepared.dataset
    who = key_name(seed, None if data.public else home_key())
    split = f"patients, {data.name}, by {prepared.unit}, {who}"
    return HeldOut(
        inputs=cohort.features,
        target=target,
        groups=cohort.patients,
        ids=cohort.records,
        outcomes=tuple(outcomes),
        split=split,
        repeats=repeats,
        seed=seed,
    )
