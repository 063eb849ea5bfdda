"""Which version serves for each model: who moved the champion, when and why; what waits."""

from __future__ import annotations

from typing import Any

from pipelines.governance.moves import Move, champion_of, moves
from pipelines.provenance import ROLE_TAG
from pipelines.status.tracked import tracker
from pipelines.status.words import DECIDED

Model = dict[str, Any]


def read() -> list[Model]:
    """Every registered model that is there to serve, by name; see `_model` for what is told of
    each. Bases that others start from serve nobody."""
    client = tracker()
    if client is None:
        return []
    found = client.search_registered_models(max_results=1000)
    serving = [model for model in found if model.tags.get(ROLE_TAG) != "base"]
    return [_model(client, model) for model in sorted(serving, key=lambda model: str(model.name))]


def _model(client: Any, model: Any) -> Model:
    versions = client.search_model_versions(f"name='{model.name}'", max_results=1000)
    known = {str(version.version): version for version in versions}
    history = moves(model.name)
    champion = _alias(model, "champion")
    held = champion_of(history)
    if champion is None and held not in known:  # MLflow drops the alias of a deleted version
        champion = held
    return {
        "name": model.name,
        "versions": len(known),
        "champion": champion,
        "champion_exists": champion in known,
        "about": known[champion].description or "" if champion in known else "",
        "since": _told(_last(history, champion)),
        "recorded": held,
        "challenger": _alias(model, "challenger"),
        "awaiting": awaiting(history),
        "verdict": _told(next((m for m in reversed(history) if m.action in DECIDED), None)),
        "moves": [_told(move) for move in reversed(history[-3:])],
    }


def _alias(model: Any, alias: str) -> str | None:
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def _last(history: list[Move], champion: str | None) -> Move | None:
    made = [move for move in history if move.moved and move.after == champion]
    return made[-1] if made else None


def awaiting(history: list[Move]) -> str | None:
    """The version that passed the gate and waits for a person's word."""
    waits = None
    for move in history:
        if move.action == "await":
            waits = move.after
        elif move.action in DECIDED and move.after == waits:
            waits = None
    return waits


def _told(move: Move | None) -> dict[str, Any] | None:
    if move is None:
        return None
    return {
        "when": move.when,
        "who": move.who,
        "action": move.action,
        "from": move.before,
        "to": move.after,
        "why": why(move),
    }


def why(move: Move) -> str:
    """A move's reasons in a line: of a refusal the rules that were not met, and of a promotion
    how many were; any other reason as it stands."""
    unmet = [reason for reason in move.reasons if ": not met (" in reason]
    met = [reason for reason in move.reasons if ": met (" in reason]
    rest = [reason for reason in move.reasons if reason not in met]
    told = unmet or ([f"all {len(met)} rules met"] if met and not rest else rest)
    return "; ".join([*told, *([move.note] if move.note else [])])
