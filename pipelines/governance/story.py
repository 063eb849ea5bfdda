"""The story of a registered model: its versions with their evidence, its champion's moves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mlflow.exceptions import MlflowException

from domains.errors import InputError, Refused
from pipelines.governance import registry
from pipelines.governance.lineage import lineage
from pipelines.governance.moves import Move, awaits, champion_of, moves, registered
from pipelines.governance.scored import scored, summed
from pipelines.tracking import reports_folder

Story = dict[str, Any]
_KEPT = (
    "headline",
    "data",
    "split",
    "metrics",
    "calibration",
    "privacy",
    "findings",
    "limits",
)


def story(reference: str) -> Story:
    """Everything the registry knows of a model, as JSON values.

    Args:
        reference: `MODEL`, or `MODEL/version` or `MODEL@alias` for one version alone.

    Raises:
        InputError: No such model, version or alias.
    """
    name, version = _one(reference)
    held = [
        (number, aliases)
        for model, number, aliases in registry.list_versions()
        if model == name and version in (None, number)
    ]
    history = moves(name)
    return {
        "name": name,
        "version": version,
        "aliases": _aliases(name),
        "best": registry.best_version(name),
        "versions": [
            {**_version(name, number, aliases), **_words(history, number)}
            for number, aliases in held
        ],
        "moves": [asdict(move) for move in history if version in (None, move.before, move.after)],
    }


def _one(reference: str) -> tuple[str, str | None]:
    """Name, and the version that a reference speaks of.

    An alias that points to a deleted version has no story but that of its model.
    """
    name, slash, version = reference.partition("/")
    name, at, alias = name.partition("@")
    registered(name)
    if slash:
        return name, str(registry.get_version(name, version).version)
    if not at:
        return name, None
    found = registry.alias_of(name, alias)
    if found is None:
        have = ", ".join(sorted(registered(name).aliases)) or "none"
        raise InputError(f"{name}: no alias {alias!r}; it has {have}")
    return name, str(registry.get_version(name, found).version)


def _aliases(name: str) -> Story:
    """Alias → version, whether that is there, and what the record of moves says of `champion`."""
    model, recorded = registered(name), champion_of(moves(name))
    there = {number for model_name, number, _ in registry.list_versions() if model_name == name}
    told: Story = {
        alias: {"version": str(number), "exists": str(number) in there}
        for alias, number in sorted(model.aliases.items())
    }
    if recorded is not None:
        champion = told.setdefault("champion", {"version": None, "exists": False})
        champion["recorded"] = recorded
        champion["recorded_exists"] = recorded in there
    return told


def _version(name: str, version: str, aliases: list[str]) -> Story:
    found = registry.get_version(name, version)
    folder = reports_folder(str(found.run_id))
    told: Story = {
        "version": version,
        "aliases": aliases,
        "run_id": found.run_id,
        "registered": found.creation_timestamp,
        "tags": {k.removeprefix("careledger."): v for k, v in found.tags.items()},
        "card": _there(folder / "model_card.md"),
        "report": _there(folder / "report.html"),
        "scored": summed(scored(name, version)),
    }
    try:
        evidence = registry.stored_evidence(found)
    except (Refused, MlflowException, ValueError) as error:
        missing = str(error) if isinstance(error, Refused) else "evidence is damaged"
        return {**told, "evidence": None, "missing": missing, "lineage": lineage(found, None)}
    controls = {a["name"]: a["metrics"] for a in evidence["arms"] if a["role"] == "control"}
    kept = {key: evidence.get(key) for key in _KEPT} | {"controls": controls}
    kept["scorecard"] = (evidence.get("scorecard") or {}).get("rows")
    return {**told, "evidence": kept, "lineage": lineage(found, evidence)}


def _words(history: list[Move], version: str) -> Story:
    """The last word on a version, with its reasons, and whether it awaits one."""
    said = [move for move in history if move.after == version and move.action != "rollback"]
    awaiting = awaits(history, version) is not None
    return {"gate": said[-1].reasons if said else None, "awaiting": awaiting}


def _there(path: Any) -> str | None:
    return str(path) if path.exists() else None
