"""The end of every job: evidence, registration, the gate, the report, and the contract's JSON."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.context import FlowRunContext

from models.scorer import load
from pipelines.clock import clock, seconds
from pipelines.evidence import Evidence, to_json
from pipelines.governance import held_out as held
from pipelines.governance import promotion, registry
from pipelines.governance.gate import Verdict
from pipelines.governance.held_out import Answers, HeldOut
from pipelines.life.outside import outside
from pipelines.provenance import config_yaml, git_revision
from pipelines.reporting import embedding, report
from pipelines.reporting.drawing import narrow
from pipelines.settings import home_key
from pipelines.stages import stage
from pipelines.tracking import Job, client, log_metrics, logged_model, reports_folder

_SERVED = Path(__file__).resolve().parents[1] / "models" / "served.py"
_REQUIREMENTS = ("torch", "monai", "numpy", "pandas", "safetensors", "scipy", "mlflow")
Result = dict[str, Any]


@stage(kind="orchestration")
def publish(
    job: Job, evidence: Evidence, package: Path, input_example: Any, held_out: HeldOut | Answers
) -> Result:
    """Register a packed model with its evidence and let the gate judge it.

    The model and its evidence are logged first. Then the version is created, judged, described by
    report and card, and only then is an alias moved. A failure in between removes the version
    again. A kill leaves it, and the process that takes the job up completes it: a run never has a
    second version, nor the gate a second word on it.

    Args:
        job: The job.
        evidence: What the run found.
        package: Folder of the packed model, see `models.scorer`.
        input_example: A made-up input as the scorer takes it; never a private record.
        held_out: Test records for the comparison with the champion; or what the model answers on
            them, ids hashed, where the records themselves are not at hand.

    Returns:
        The JSON of a training run.
    """
    if isinstance(held_out, HeldOut):
        held_out = held.disguised(held_out, None if evidence.data["public"] else home_key())
    try:
        evidence = _keep_figures(job, evidence)
        with clock(job, "work"):
            answered = _answered(held_out, package)
        held.save(answered, registry.held_out_path(job.run_id))
        version = registry.version_of(job.name, job.run_id)
        model_uri = _log_model(job, package, input_example) if version is None else ""
        _log_evidence(job, evidence)
    except BaseException as error:
        if not outside(error):
            _forget(job)
        raise
    if version is None:
        tags = _tags(evidence, held_out.split)
        version = registry.create_version(job.name, model_uri, job.run_id, tags)
    records = held_out if isinstance(held_out, HeldOut) else None
    result = _settle(job, evidence, version, answered, records)
    _show_in_prefect(job, evidence)
    result["seconds"] = seconds(job)
    log_metrics(job.run_id, {f"seconds.{name}": each for name, each in result["seconds"].items()})
    return result


def _answered(held_out: HeldOut | Answers, package: Path) -> Answers:
    if isinstance(held_out, Answers):
        return held_out
    return held.answers(held_out, load(package).predict(held_out.inputs))


def _settle(
    job: Job, evidence: Evidence, version: str, answered: Answers, held_out: HeldOut | None
) -> Result:
    """Judge and describe the version, and let the aliases follow; from the move on it stays."""

    def judged() -> Verdict:
        try:
            with clock(job, "work"):
                verdict = registry.judge(job.name, version, to_json(evidence), answered, held_out)
            reasons = verdict.reasons(bool(evidence.metrics))
            _write_report(job, evidence, _result(job, evidence, version, verdict.promotes, reasons))
        except BaseException as error:
            if not outside(error):  # what only interrupts the job is followed by its completion
                client().delete_model_version(job.name, version)
                _forget(job)
            raise
        return verdict

    move = promotion.settle(job.name, version, judged, bool(evidence.metrics), job.run_id)
    result = _result(job, evidence, version, move.action == "promote", move.reasons)
    result["model"]["aliases"] = registry.aliases(job.name, version)
    return result


def _forget(job: Job) -> None:
    """Remove what a registration that failed has left in the home folder."""
    shutil.rmtree(reports_folder(job.run_id), ignore_errors=True)
    registry.held_out_path(job.run_id).unlink(missing_ok=True)


def _keep_figures(job: Job, evidence: Evidence) -> Evidence:
    """The figures moved from the job's scratch folder to where its report stays."""
    folder = reports_folder(job.run_id) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for figure in evidence.figures:
        for drawn in (figure.path, narrow(figure.path)):
            if drawn.exists():
                shutil.copy2(drawn, folder / drawn.name)
        kept.append(replace(figure, path=folder / figure.path.name))
    return replace(evidence, figures=kept)


def _result(
    job: Job, evidence: Evidence, version: str, promoted: bool, reasons: list[str]
) -> Result:
    alias = registry.CHAMPION if promoted else registry.CHALLENGER
    return {
        "pipeline": job.pipeline,
        "run_id": job.run_id,
        "model": {"name": job.name, "version": version, "aliases": [alias]},
        "metrics": evidence.metrics,
        "controls": {arm.name: arm.metrics for arm in evidence.arms if arm.role == "control"},
        "privacy": evidence.privacy,
        "gate": {"promoted": promoted, "reasons": reasons},
        "data": {key: evidence.data[key] for key in ("name", "digest", "rows")},
        "seconds": seconds(job),
        "report": str(reports_folder(job.run_id) / "report.html"),
    }


def _log_model(job: Job, package: Path, example: Any) -> str:
    """Log the packed model and return its address; one that an earlier process logged serves."""
    return logged_model(job) or log_package(job.run_id, job.name, package, example)


def log_package(run_id: str, name: str, package: Path, example: Any) -> str:
    """Log a packed model to a run under way; returns its address."""
    client()  # points MLflow at the right store
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It asks for type hints as a schema, over any filter; the signature below is the schema.
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings(record=True):
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(_SERVED),
            artifacts={"package": str(package)},
            signature=_signature(example, load(package).predict(example)),
            input_example=example,
            # Inferring them costs 19 s and imports the model in another process.
            pip_requirements=[f"{n}=={importlib.metadata.version(n)}" for n in _REQUIREMENTS],
        )
    client().update_run(run_id, "RUNNING")
    return str(info.model_uri)


def _signature(example: Any, output: pd.DataFrame) -> ModelSignature:
    """Any number of images of any size; for tables, the columns of the example."""
    inferred = infer_signature(example, output)
    if isinstance(example, np.ndarray):
        shape = (-1, -1, -1, *example.shape[3:])
        return ModelSignature(Schema([TensorSpec(example.dtype, shape)]), inferred.outputs)
    return inferred


def _log_evidence(job: Job, evidence: Evidence) -> None:
    tracker = client()
    for figure in evidence.figures:
        tracker.log_artifact(job.run_id, str(figure.path), "figures")
    path = reports_folder(job.run_id) / registry.EVIDENCE
    path.write_text(json.dumps(_portable(evidence), indent=1), encoding="utf-8")
    tracker.log_artifact(job.run_id, str(path))
    log_metrics(job.run_id, evidence.metrics)
    if evidence.data.get("public"):
        path = registry.held_out_path(job.run_id)
        copy = job.folder / registry.HELD_OUT
        copy.write_bytes(path.read_bytes())
        tracker.log_artifact(job.run_id, str(copy))


def _portable(evidence: Evidence) -> dict[str, Any]:
    """Evidence as JSON, with figures named by their place beside it."""
    figures = [replace(f, path=Path("figures") / f.path.name) for f in evidence.figures]
    return to_json(replace(evidence, figures=figures))


def _tags(evidence: Evidence, split: str) -> dict[str, str]:
    tags = {
        "careledger.data.name": str(evidence.data["name"]),
        "careledger.data.digest": str(evidence.data["digest"]),
        "careledger.git_revision": git_revision(),
        "careledger.split": split,
    }
    if evidence.privacy:
        tags["careledger.epsilon"] = f"{evidence.privacy['epsilon']:g}"
        tags["careledger.ledger"] = json.dumps(evidence.privacy.get("ledger", {}))
    return tags


def _write_report(job: Job, evidence: Evidence, result: Result) -> None:
    folder, tracker = reports_folder(job.run_id), client()
    folder.mkdir(parents=True, exist_ok=True)
    shown = {
        **result,
        "git_revision": git_revision(),
        "config_yaml": config_yaml(job.config),
        "started": tracker.get_run(job.run_id).data.tags["careledger.asked"],
    }
    card = report.model_card(evidence, shown)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    report.render(evidence, shown, folder / "report.html")
    names = ["model_card.md", "report.html"]
    if evidence.monitoring:
        (folder / "model_risk.md").write_text(report.risk_pack(evidence, shown), encoding="utf-8")
        names.append("model_risk.md")
    for name in names:
        tracker.log_artifact(job.run_id, str(folder / name))
    version = result["model"]["version"]
    tracker.update_model_version(job.name, version, description=report.headline(evidence))


def artifact_key(name: str) -> str:
    """A job's name as Prefect takes keys: of the 26 small letters, digits and dashes.

    >>> artifact_key("imaging-Röntgen 2")
    'imaging-r-ntgen-2'
    """
    return re.sub("[^a-z0-9]", "-", name.lower()).strip("-")


def _show_in_prefect(job: Job, evidence: Evidence) -> None:
    """The card and the first figure as Prefect artifacts, when a flow is running."""
    if FlowRunContext.get() is None:
        return
    key = artifact_key(job.name)
    card = (reports_folder(job.run_id) / "model_card.md").read_text(encoding="utf-8")
    create_markdown_artifact(card, key=f"{key}-card", description=report.headline(evidence))
    if evidence.figures:
        figure = evidence.figures[0]
        create_image_artifact(
            embedding.data_uri(figure.path), key=f"{key}-figure", description=figure.title
        )
