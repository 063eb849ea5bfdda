"""The model registry and its one door: register, promote, roll back, list.

`champion` moves only here, under a lock, after the gate; every move is written down with its
reasons as a tag of the registered model, so that it lives wherever the registry lives.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from domains.errors import InputError, Refused
from pipelines import gate
from pipelines.held_out import Answers, HeldOut, answers, load
from pipelines.moves import best_before, made, moves, record, registered, succession
from pipelines.settings import home
from pipelines.tracking import client

CHAMPION, CHALLENGER = "champion", "challenger"
EVIDENCE = "evidence.json"
HELD_OUT = "held_out.parquet"
_REASON_LIMIT = 4000


@contextmanager
def door() -> Iterator[None]:
    """Only one process at a time judges and moves; the lock goes with the process."""
    with (home() / "registry.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def create_version(name: str, model_uri: str, run_id: str, tags: dict[str, str]) -> str:
    """Register a logged model as the next version of `name`; returns its number."""
    tracker = client()
    try:
        tracker.get_registered_model(name)
    except MlflowException:
        tracker.create_registered_model(name)
    # A server refuses `models:/ID` as a source unless the id is given beside it.
    logged = model_uri.removeprefix("models:/") if model_uri.startswith("models:/") else None
    version = tracker.create_model_version(
        name, source=model_uri, run_id=run_id, tags=tags, model_id=logged
    )
    return str(version.version)


def judge(
    name: str, version: str, evidence: dict[str, Any], new: Answers, held: HeldOut | None
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


def promote(name: str, version: str) -> gate.Verdict:
    """Judge a registered version again and move `champion` to it if the gate says yes.

    Raises:
        InputError: No such model or version.
        Refused: The gate said no; the move is not made, the refusal is recorded.
    """
    with door():
        found = get_version(name, version)
        evidence, new = stored_evidence(found), stored_answers(found)
        verdict = judge(name, version, evidence, new, None)
        numbers = bool(evidence["metrics"])
        apply_verdict(name, version, verdict, numbers)
    if not verdict.passed:
        raise Refused(f"{name} version {version}: " + "; ".join(verdict.reasons(numbers)))
    return verdict


def apply_verdict(name: str, version: str, verdict: gate.Verdict, numbers: bool) -> None:
    """Move `champion` after a yes, `challenger` after a no; record either. Hold the door first."""
    tracker = client()
    _follow(tracker, name)
    before, best = champion(name), best_version(name)
    reasons = verdict.reasons(numbers)
    said = "; ".join(reasons)[:_REASON_LIMIT]
    tracker.set_model_version_tag(name, version, "careledger.gate", said)
    if not verdict.passed:
        if version != before:
            tracker.set_registered_model_alias(name, CHALLENGER, version)
        record(name, made("refuse", before, version, reasons, best))
        return
    # A new champion becomes the yardstick only if it is ahead: small declines do not add up.
    best = version if best is None or verdict.ahead else best
    record(name, made("promote", before, version, reasons, best))
    _follow(tracker, name)
    if alias_of(name, CHALLENGER) == version:
        tracker.delete_registered_model_alias(name, CHALLENGER)


def rollback(name: str) -> tuple[str, str]:
    """Move `champion` back to the version that held it before; returns (from, to).

    Raises:
        InputError: There is no such model, no champion or none before it.
    """
    with door():
        tracker = client()
        _follow(tracker, name)
        current, history = champion(name), moves(name)
        line = succession(history)
        if current is None or len(line) < 2:
            raise InputError(f"{name}: no earlier champion to go back to")
        earlier, best = line[-2], best_version(name)
        get_version(name, earlier)
        if best == current:
            best = best_before(history, current) or earlier
        reasons = ["rolled back by a person"]
        record(name, made("rollback", current, earlier, reasons, best))
        _follow(tracker, name)
    return current, earlier


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
    for move in reversed(moves(name)):
        if move.best is not None and _exists(name, move.best):
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
    return load(here if here.exists() else _artifact(version, HELD_OUT))


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


def _follow(tracker: MlflowClient, name: str) -> None:
    """Point `champion` where the last recorded move says.

    The record is the move: it is one write. A process that died before the alias followed is
    made good by the next one that holds the door.
    """
    after = [move.after for move in moves(name) if move.action in ("promote", "rollback")]
    if after and after[-1] and after[-1] != champion(name) and _exists(name, after[-1]):
        tracker.set_registered_model_alias(name, CHAMPION, after[-1])


def _exists(name: str, version: str) -> bool:
    try:
        client().get_model_version(name, version)
    except MlflowException:
        return False
    return True


def _artifact(version: ModelVersion, path: str) -> Path:
    try:
        return Path(download_artifacts(run_id=version.run_id, artifact_path=path))
    except (MlflowException, OSError):
        raise Refused(
            f"{version.name} version {version.version}: evidence is missing ({path}); "
            "train again to register a version with its evidence"
        ) from None
