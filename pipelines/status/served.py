"""Which version serves for each model: who moved the champion, when and why; what waits."""

from __future__ import annotations

from typing import Any

from pipelines.moves import Move, moves
from pipelines.status.tracked import tracker

Model = dict[str, Any]
_MOVES = ("promote", "rollback")


def read() -> list[Model]:
    """Every registered model by name; see `_model` for what is told of each."""
    client = tracker()
    if client is None:
        return []
    found = client.search_registered_models(max_results=1000)
    return [_model(client, model) for model in sorted(found, key=lambda model: str(model.name))]


def _model(client: Any, model: Any) -> Model:
    versions = client.search_model_versions(f"name='{model.name}'", max_results=1000)
    known = {str(version.version): version for version in versions}
    history = moves(model.name)
    champion = _alias(model, "champion")
    return {
        "name": model.name,
        "versions": len(known),
        "champion": champion,
        "champion_exists": champion in known,
        "about": known[champion].description or "" if champion in known else "",
        "since": _told(_last(history, champion)),
        "challenger": _alias(model, "challenger"),
        "verdict": _verdict(history),
        "moves": [_told(move) for move in reversed(history[-3:])],
    }


def _alias(model: Any, alias: str) -> str | None:
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def _last(history: list[Move], champion: str | None) -> Move | None:
    made = [m for m in history if m.action in _MOVES and m.after == champion]
    return made[-1] if made else None


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


def _verdict(history: list[Move]) -> dict[str, Any] | None:
    judged = [move for move in history if move.action in ("promote", "refuse")]
    if not judged:
        return None
    last = judged[-1]
    return {
        "when": last.when,
        "version": last.after,
        "passed": last.action == "promote",
        "why": why(last),
    }


def why(move: Move) -> str:
    """A move's reasons in a line: of a refusal the rules that were not met, and of a promotion
    how many were; any other reason as it stands."""
    met = [reason for reason in move.reasons if ": met (" in reason]
    unmet = [reason for reason in move.reasons if ": not met (" in reason]
    if unmet:
        return "; ".join(unmet)
    if met and len(met) == len(move.reasons):
        return f"all {len(met)} rules met"
    return "; ".join(move.reasons)
