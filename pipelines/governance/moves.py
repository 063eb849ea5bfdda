"""The record of a model's champion: every move and refusal, kept with the registered model.

A move is one tag of the registered model, so that it lives wherever the registry lives. What stands
here is the truth; the aliases follow it. `pipelines.governance.chain` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from mlflow.exceptions import MlflowException

from domains.errors import InputError
from pipelines.acting import now, who
from pipelines.tracking import client

PREFIX = "careledger.move."
_NOTE_LIMIT = 500

Action = Literal["promote", "refuse", "rollback", "await", "decline"]


@dataclass(frozen=True)
class Move:
    """One move of the `champion` alias, or a word on a version that leaves it where it is.

    Attributes:
        when, who: UTC, and the account or the person.
        action: `promote` and `rollback` move `champion`; `refuse` is the gate's no, `await` its yes
            where a person must say yes too, `decline` that person's no.
        before: The champion at that time.
        after: The version that the word is about.
        reasons: Of the gate, or of the person.
        best: The best champion so far once the move was made, the yardstick of the next one.
        note: Why, in the words of the person who did it.
        run_id: The run that registered the version, where the run itself made the move.
    """

    when: str
    who: str
    action: str
    before: str | None
    after: str | None
    reasons: list[str]
    best: str | None
    note: str = ""
    run_id: str | None = None

    @property
    def moved(self) -> bool:
        """Whether `champion` went from `before` to `after`."""
        return self.action in ("promote", "rollback")


def made(
    action: Action,
    before: str | None,
    after: str,
    reasons: list[str],
    best: str | None,
    note: str = "",
    run_id: str | None = None,
    by: str | None = None,
) -> Move:
    """A move made now, by whoever runs this process unless somebody else is named."""
    note = " ".join(note.split())[:_NOTE_LIMIT]
    return Move(now(), by or who(), action, before, after, reasons, best, note, run_id)


def moves(name: str) -> list[Move]:
    """Every move and word, oldest first."""
    return list(numbered(registered(name).tags).values())


def numbered(tags: dict[str, str]) -> dict[int, Move]:
    """Number → move, in order, from the tags of a registered model.

    Records of older releases have a suffix after the number; those of one number, which two
    machines could write, follow each other.
    """
    found: dict[int, Move] = {}
    for key in sorted(key for key in tags if key.startswith(PREFIX)):
        number = int(key.removeprefix(PREFIX).partition(".")[0])
        found[max(number, max(found, default=0) + 1)] = Move(**json.loads(tags[key]))
    return found


def champion_of(history: Iterable[Move]) -> str | None:
    """The version that `champion` belongs to by the record."""
    after = [move.after for move in history if move.moved]
    return after[-1] if after else None


def challenger_of(history: Iterable[Move]) -> str | None:
    """The version that `challenger` belongs to by the record: the last that was held back."""
    found = None
    for move in history:
        if move.action in ("refuse", "await") and move.after != move.before:
            found = move.after
        elif move.action == "promote" and move.after == found:
            found = None
    return found


def awaits(history: Iterable[Move], version: str) -> Move | None:
    """The move since which a version waits for a person's word; None when it does not."""
    said = [move for move in history if move.after == version]
    return said[-1] if said and said[-1].action == "await" else None


def succession(history: list[Move]) -> list[str]:
    """Champions that a rollback can go back through, oldest first, the present one last."""
    line: list[str] = []
    for move in history:
        if move.action == "promote" and move.after and (not line or line[-1] != move.after):
            line.append(move.after)
        elif move.action == "rollback":
            line.pop()
            while line and line[-1] != move.after:  # it went past champions that were gone
                line.pop()
    return line


def best_before(history: list[Move], version: str) -> str | None:
    """The yardstick before `version` was last promoted."""
    promoted = [i for i, m in enumerate(history) if m.action == "promote" and m.after == version]
    earlier = [move.best for move in history[: promoted[-1]] if move.best] if promoted else []
    return earlier[-1] if earlier else None


def registered(name: str) -> Any:
    """The registered model; InputError, with the names there are, when there is none."""
    try:
        return client().get_registered_model(name)
    except MlflowException:
        names = sorted(model.name for model in client().search_registered_models())
        have = f"there are {', '.join(names)}" if names else "none is registered yet"
        raise InputError(f"no registered model {name!r}; {have}") from None
