"""Patients: many outcomes from one record.

One trunk learns from every outcome at once, each labelled for some of the patients only; one head
an outcome answers. What sharing bought is measured against single-task networks of the same size
and against gradient boosting, outcome by outcome, on patients that no model has seen.
"""

from __future__ import annotations

from typing import Any

from prefect import flow

from models.multitask.scorer import load_scorer
from pipelines.environment import time_limit
from pipelines.finish import publish
from pipelines.governance.approval import settled
from pipelines.settings import PatientsConfig
from pipelines.steps.patients.evidence import evaluate
from pipelines.steps.patients.explaining import explain
from pipelines.steps.patients.held_out import held_out
from pipelines.steps.patients.prepare import EFFORTS, fetch_data, prepare
from pipelines.steps.patients.served import calibrate
from pipelines.steps.patients.training import train_controls, train_model
from pipelines.tracking import open_job


@flow(name="patients", timeout_seconds=time_limit())
def patients(config: PatientsConfig) -> dict[str, Any]:
    """Train, compare, calibrate, register and gate one model for all outcomes of a patient.

    Patients are split once, by a keyed hash of their id, into training, validation (early
    stopping), calibration and test. Preprocessing is fixed on training records. Every metric is
    taken on test records, with a 95 % interval by patient.

    Returns:
        The JSON of a training run.
    """
    with open_job("patients", config, stages=8) as job:
        records = fetch_data(job)
        prepared = prepare(job, records)
        model = train_model(job, prepared)
        controls = train_controls(job, prepared, model)
        served = calibrate(job, prepared, model, controls)
        evidence = evaluate(job, prepared, served, [model, *controls])
        evidence = explain(job, prepared, served.package, evidence)
        example = load_scorer(served.package).example()
        held = held_out(prepared, config.seed, EFFORTS[config.scale].repeats)
        return settled(job, publish(job, evidence, served.package, example, held))
