"""Encoded records of made-up patients, and what their training fixed."""

from __future__ import annotations

from functools import cache

from domains.healthcare.cohort.features import Encoder, fit_encoder
from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.patients import read_cohort
from models.multitask.masked import Records
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind


@cache
def codecs() -> dict[str, Codec]:
    """Of every kind of outcome."""
    targets = read_cohort(patients_of_every_kind(), EVERY_KIND, "f", patient="id").targets
    return {o.name: fit_codec(o, targets.values[o.name]) for o in EVERY_KIND}


@cache
def encoder() -> Encoder:
    """Of their features."""
    cohort = read_cohort(patients_of_every_kind(), EVERY_KIND, "f", patient="id")
    return fit_encoder(cohort.features)


@cache
def records() -> tuple[Records, Records]:
    """Records to learn from, and others of the same kind."""
    parts = []
    for seed in (0, 1):
        cohort = read_cohort(patients_of_every_kind(seed=seed), EVERY_KIND, "f", patient="id")
        y = {name: codec.encode(cohort.targets.values[name]) for name, codec in codecs().items()}
        parts.append(Records(encoder().encode(cohort.features), y, encoder().numbers))
    return parts[0], parts[1]
