"""A move of the record as a message to people: which rules, never which numbers."""

from __future__ import annotations

from pipelines.governance.moves import Move
from pipelines.notices.notify import Event, notify

_EVENTS: dict[str, Event] = {
    "promote": "promotion",
    "refuse": "refusal",
    "rollback": "rollback",
    "await": "approval",
    "decline": "refusal",
}


def announce(name: str, move: Move) -> None:
    """Tell the webhooks of a move."""
    facts = {
        "model": name,
        "version": move.after or "",
        "before": move.before or "",
        "action": move.action,
        "by": move.who,
        "note": move.note,
        "run_id": move.run_id or "",
    }
    notify(_EVENTS[move.action], _text(name, move), **{k: v for k, v in facts.items() if v})


def _text(name: str, move: Move) -> str:
    version, before = f"version {move.after}", f"version {move.before}" if move.before else "none"
    why = f" ({move.note})" if move.note else ""
    return {
        "promote": f"{name}: champion is {version}, before it {before}",
        "refuse": f"{name}: {version} was refused by the gate{_rules(move)}; champion: {before}",
        "rollback": f"{name}: champion moved back from {before} to {version} by {move.who}",
        "await": f"{name}: {version} passed the gate and awaits approval: "
        f"careledger models approve {name} {move.after}",
        "decline": f"{name}: {version} was declined by {move.who}; champion: {before}",
    }[move.action] + why


def _rules(move: Move) -> str:
    """Names of the rules that were not met, without what they were measured at."""
    failed = [reason.partition(":")[0] for reason in move.reasons if ": not met" in reason]
    return f" (not met: {', '.join(failed)})" if failed else ""
