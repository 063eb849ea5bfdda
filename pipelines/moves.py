"""The record of a model's champion: every move and refusal, kept with the registered model.

A move is one tag of the registered model, so that it lives wherever the registry lives. Writing it
is the move; the alias follows.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from mlflow.exceptions import MlflowException

from domains.errors import InputError
from pipelines.acting import now, who
from pipelines.tracking import client

_MOVE = "careledger.move."
_TAG_LIMIT = 4000


@dataclass(frozen=True)
class Move:
    """One move of the `champion` alias, or the gate's refusal to move it.

    `best` is the best champion so far once the move was made, the yardstick of the next one.
    """

    when: str
    who: str
    action: str
    before: str | None
    after: str | None
    reasons: list[str]
    best: str | None


def made(action: str, before: str | None, after: str, reasons: list[str], best: str | None) -> Move:
    """A move made now, by whoever runs this process."""
    return Move(now(), who(), action, before, after, reasons, best)


def moves(name: str) -> list[Move]:
    """Every move and refusal, oldest first."""
    tags = registered(name).tags
    return [Move(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(_MOVE)]


def record(name: str, move: Move) -> None:
    """Write a move down."""
    text = json.dumps(asdict(move))
    if len(text) > _TAG_LIMIT:
        text = json.dumps({**asdict(move), "reasons": ["; ".join(move.reasons)[:2000]]})
    # The suffix keeps the records of two machines that share a server apart.
    key = f"{_MOVE}{len(moves(name)) + 1:06d}.{secrets.token_hex(4)}"
    client().set_registered_model_tag(name, key, text)


def succession(history: list[Move]) -> list[str]:
    """Champions that a rollback can go back through, oldest first."""
    line: list[str] = []
    for move in history:
        if move.action == "promote" and move.after and (not line or line[-1] != move.after):
            line.append(move.after)
        elif move.action == "rollback" and line:
            line.pop()
    return line


def best_before(history: list[Move], version: str) -> str | None:
    """The yardstick before `version` was last promoted."""
    last = max(i for i, m in enumerate(history) if m.action == "promote" and m.after == version)
    earlier = [move.best for move in history[:last] if move.best]
    return earlier[-1] if earlier else None


def registered(name: str) -> Any:
    """The registered model; InputError, with the names there are, when there is none."""
    try:
        return client().get_registered_model(name)
    except MlflowException:
        names = sorted(model.name for model in client().search_registered_models())
        have = f"there are {', '.join(names)}" if names else "none is registered yet"
        raise InputError(f"no registered model {name!r}; {have}") from None
