"""The model registry: register a version, judge it, find it again with its evidence.

`champion` moves in `pipelines.governance.promotion` alone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from domains.errors import InputError, Refused
from pipelines.governance import chain, gate
from pipelines.governance.chain import CHALLENGER, CHAMPION
from pipelines.governance.held_out import Answers, HeldOut, answers, load
from pipelines.governance.moves import Move, moves, registered
from pipelines.settings import home
from pipelines.tracking import client

__all__ = ["CHALLENGER", "CHAMPION"]  # as others know them

EVIDENCE = "evidence.json"
HELD_OUT = "held_out.parquet"


def create_version(name: str, model_uri: str, run_id: str, tags: dict[str, str]) -> str:
    """Register a run's model as the next version of `name`; returns its number.

    A run registers once: asked again, it answers the version that is there.
    """
    if (found := version_of(name, run_id)) is not None:
        return found
    tracker = client()
    with suppress(MlflowException):  # it is there, or somebody else has just made it
        tracker.create_registered_model(name)
    # A server refuses `models:/ID` as a source unless the id is given beside it.
    logged = model_uri.removeprefix("models:/") if model_uri.startswith("models:/") else None
    version = tracker.create_model_version(
        name, source=model_uri, run_id=run_id, tags=tags, model_id=logged
    )
    return str(version.version)


def version_of(name: str, run_id: str) -> str | None:
    """The version that a run registered; None before it did."""
    found = client().search_model_versions(f"name='{name}' and run_id='{run_id}'")
    return str(found[0].version) if found else None


def judge(
    name: str,
    version: str,
    evidence: dict[str, Any],
    new: Answers,
    held: HeldOut | None = None,
) -> gate.Verdict:
    """The gate's verdict on a version, beside the best champion so far.

    Args:
        name: Registered model.
        version: The version judged.
        evidence: Its evidence as JSON.
        new: Its answers on its held-out records.
        held: The held-out records themselves, while they are at hand: a champion that was split
            the same way answers them afresh. Without them its stored answers are used.
    """
    rules = gate.load_rules(evidence["pipeline"], name)
    best = best_version(name)
    old = None if best in (None, version) else _best_answers(name, str(best), held)
    return gate.check(rules, evidence, new, old)


def champion(name: str) -> str | None:
    """Version that `champion` points to."""
    return alias_of(name, CHAMPION)


def alias_of(name: str, alias: str) -> str | None:
    """Version an alias points to; None when nothing does."""
    found = registered(name).aliases.get(alias)
    return None if found is None else str(found)


def aliases(name: str, version: str) -> list[str]:
    """Aliases of one version, in alphabetical order."""
    return sorted(a for a, v in registered(name).aliases.items() if str(v) == version)


def best_version(name: str) -> str | None:
    """The best champion so far, against which challengers are measured; None before the first."""
    return standing(name, moves(name))


def standing(name: str, history: list[Move]) -> str | None:
    """The yardstick by a history; one that was deleted gives way to the one before it."""
    for move in reversed(history):
        if move.best is not None and chain.exists(name, move.best):
            return move.best
    return None


def list_versions() -> list[tuple[str, str, list[str]]]:
    """(name, version, aliases) of every registered version, by name and number."""
    rows = []
    for model in client().search_registered_models(max_results=1000):
        found = client().search_model_versions(f"name='{model.name}'", max_results=1000)
        for version in sorted(found, key=lambda v: int(v.version)):
            held = sorted(a for a, v in model.aliases.items() if str(v) == str(version.version))
            rows.append((model.name, str(version.version), held))
    return rows


def get_version(name: str, version: str) -> ModelVersion:
    """One version.

    Raises:
        InputError: No such model or version; says which there are.
    """
    registered(name)
    try:
        return client().get_model_version(name, version)
    except MlflowException:
        have = [v for n, v, _ in list_versions() if n == name]
        raise InputError(f"{name} has no version {version!r}; it has {', '.join(have)}") from None


def stored_evidence(version: ModelVersion) -> dict[str, Any]:
    """Evidence of a version, from its run's artifacts.

    Raises:
        Refused: The run holds none: the registration was cut short.
    """
    return dict(json.loads(_artifact(version, EVIDENCE).read_text()))


def stored_answers(version: ModelVersion) -> Answers:
    """A version's answers on its held-out records: kept here, and with the run if public.

    Raises:
        Refused: They are neither here nor with the run.
    """
    here = held_out_path(str(version.run_id))
    if here.exists():
        return load(here)
    try:
        return load(_artifact(version, HELD_OUT))
    except Refused:
        raise Refused(
            f"{version.name} version {version.version}: its answers on held-out records are not "
            "here; private ones stay in the home that trained it, so promote it there"
        ) from None


def held_out_path(run_id: str) -> Path:
    """Where a run's answers on held-out records are kept."""
    return home() / "held_out" / f"{run_id}.parquet"


def package_folder(name: str, version: str) -> Path:
    """Local folder of a version's packed model."""
    folder = Path(download_artifacts(f"models:/{name}/{version}"))
    return folder / "artifacts" / "package"


def _best_answers(name: str, best: str, held: HeldOut | None) -> Answers:
    version = get_version(name, best)
    if held is not None and version.tags.get("careledger.split") == held.split:
        from models.scorer import load as load_scorer  # torch: only when a champion must answer

        try:
            predictions = load_scorer(package_folder(name, best)).predict(held.inputs)
        except InputError:  # other columns than the champion's: compare on what it has answered
            return stored_answers(version)
        return answers(held, predictions)
    return stored_answers(version)


def _artifact(version: ModelVersion, path: str) -> Path:
    try:
        return Path(download_artifacts(run_id=version.run_id, artifact_path=path))
    except (MlflowException, OSError):
        raise Refused(
            f"{version.name} version {version.version}: evidence is missing ({path}); "
            "train again to register a version with its evidence"
        ) from None
