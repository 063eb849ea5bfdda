"""What a run promised: its plan, what its owners were charged, and the shape of its data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from domains.errors import InputError
from pipelines.governance import registry, versions
from pipelines.governance.lineage import TRAINED
from pipelines.settings import CreditConfig, open_ledger
from pipelines.tracking import client
from privacy.plan import PrivacyPlan

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_CONFIG = "config.yaml"


@dataclass(frozen=True)
class Claim:
    """What is audited.

    Attributes:
        run_id: The run.
        version: `NAME VERSION` that it registered; empty if none.
        plan: Noise, clip norm, sampling, rounds and steps that the run's evidence tells.
        epsilon: ε that the evidence tells, bins and category lists included.
        records: Public number of training records expected of each client, rising.
        codes: Width of an encoded record.
        model: `mlp`, `scorecard` or `trees`.
        hidden: Hidden units of the net.
        charged: Owner → events the ledger holds for the run.
        depth: Levels of a tree; 0 for another model.
    """

    run_id: str
    version: str
    plan: PrivacyPlan
    epsilon: float
    records: tuple[float, ...]
    codes: int
    model: str
    hidden: int
    charged: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    depth: int = 0


def read_claim(reference: str) -> Claim:
    """The claim of a run, by its id or as MODEL, MODEL@alias or MODEL/version.

    Raises:
        InputError: No such run or version; it never finished, was trained without privacy, or
            tells its plan in a way that cannot be read.
    """
    run_id = _trained(_run_id(reference))
    evidence = json.loads(_artifact(run_id, registry.EVIDENCE))
    statement = evidence.get("privacy")
    if not statement:
        raise InputError(
            f"run {run_id} trained without privacy: it promised nothing that could be audited"
        )
    try:
        config = CreditConfig.model_validate(yaml.safe_load(_artifact(run_id, _CONFIG)))
        shape, charged = statement["shape"], open_ledger().charged(run_id)
        return Claim(
            run_id=run_id,
            version=_version(run_id),
            plan=_plan(statement, charged),
            epsilon=float(statement["epsilon"]),
            records=tuple(sorted(float(n) for n in shape["training_records"])),
            codes=int(shape["codes"]),
            model=config.model,
            hidden=config.hidden,
            depth=int(shape["depth"]) if config.model == "trees" else 0,
            charged=charged,
        )
    except (KeyError, TypeError, ValueError, ValidationError, yaml.YAMLError) as error:
        raise InputError(
            f"run {run_id}: its plan cannot be read ({type(error).__name__}), because other code "
            "wrote it; audit it with the version that trained it, or train again"
        ) from None


def apart_from(steps: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Events that are no steps of training, as one of these looks."""
    return [event for event in events if not is_step(steps, event)]


def is_step(steps: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event is of the kind, sampling and noise of training steps."""
    return all(event.get(name) == steps.get(name) for name in ("kind", "q", "sigma"))


def _plan(
    statement: Mapping[str, Any], charged: Mapping[str, Sequence[Mapping[str, Any]]]
) -> PrivacyPlan:
    plan = PrivacyPlan(
        rounds=int(statement["rounds"]),
        local_steps=int(statement["local_steps"]),
        sampling_rate=float(statement["sampling_rate"]),
        epsilon=float(statement["target_epsilon"]),
        delta=float(statement["delta"]),
        noise_multiplier=float(statement["noise_multiplier"]),
        clip_norm=float(statement["clip_norm"]),
        setup_columns=int(statement["setup_columns"]),
    )
    if not plan.setup_columns:
        return plan
    noise, delta = _setup(statement, plan, charged)
    return replace(plan, setup_noise_multiplier=noise, setup_delta=delta)


def _setup(
    statement: Mapping[str, Any],
    plan: PrivacyPlan,
    charged: Mapping[str, Sequence[Mapping[str, Any]]],
) -> tuple[float | None, float]:
    """Noise multiplier and δ of the counts; of runs that did not tell them, what was charged."""
    if "setup_noise_multiplier" in statement:
        return float(statement["setup_noise_multiplier"]), float(statement["setup_delta"])
    (step,) = plan.round_events()
    events = [event for each in charged.values() for event in apart_from(step, each)]
    noises = [float(event["sigma"]) for event in events if "sigma" in event]
    return max(noises, default=None), max((float(e.get("delta", 0.0)) for e in events), default=0.0)


def _run_id(reference: str) -> str:
    if not _RUN_ID.fullmatch(reference):
        return str(registry.get_version(*versions.resolve(reference)).run_id)
    try:
        client().get_run(reference)
    except MlflowException:
        raise InputError(
            f"no run {reference}; `careledger models show NAME` names the run of each version"
        ) from None
    return reference


def _trained(run_id: str) -> str:
    """The run itself, or the one that trained the weights of a recalibration."""
    try:
        return str(client().get_run(run_id).data.tags.get(TRAINED, run_id))
    except MlflowException:  # it was deleted: its artifacts are asked for next
        return run_id


def _version(run_id: str) -> str:
    found = client().search_model_versions(f"run_id='{run_id}'")
    return f"{found[0].name} {found[0].version}" if found else ""


def _artifact(run_id: str, name: str) -> str:
    try:
        return Path(download_artifacts(run_id=run_id, artifact_path=name)).read_text("utf-8")
    except (MlflowException, OSError):
        raise InputError(
            f"run {run_id} holds no {name}: it did not finish, or its artifacts are gone"
        ) from None
