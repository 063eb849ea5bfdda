"""Which updates of a round count: none that is not finite, none that is too long.

Looked at is only what has left its client, after its noise; no record is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from domains.errors import Interrupted
from models.federated.clients import Client
from models.federated.stack import State
from models.federated.terms import NOT_DRAWN, Terms
from privacy.plan import PrivacyPlan, Schedule

NOT_FINITE = "no finite length"
TOO_LONG, CLIPPED = "too long", "too long, clipped"
_NAMED = 5

Conduct = dict[str, dict[str, int]]
"""Client → why its update did not count as sent → rounds."""


def expected_noise(
    schedule: Schedule, clients: Sequence[Client], learning_rate: float, numbers: int
) -> Tensor:
    """Length of the noise in each client's update, (clients,); 0 without privacy.

    Args:
        schedule: What each does in a round.
        clients: In their order.
        learning_rate: Of their steps.
        numbers: Parameters of the model.
    """
    records = torch.tensor([client.records for client in clients])
    if not isinstance(schedule, PrivacyPlan):
        return torch.zeros(len(records))
    steps = learning_rate * (schedule.local_steps * numbers) ** 0.5
    sigma = schedule.noise_multiplier * schedule.clip_norm / schedule.sampling_rate
    return steps * sigma / records


def screen(
    updates: State, missing: Mapping[int, str], terms: Terms, noise: Tensor
) -> dict[int, str]:
    """Put zeros for what does not count, shorten what is clipped; place of the client → why.

    Args:
        updates: Each client's change, (clients, *shape); changed in place.
        missing: Who was not there.
        terms: How long an update may be.
        noise: From `expected_noise`.
    """
    lengths = _lengths(updates)
    found = {int(i): NOT_FINITE for i in (~lengths.isfinite()).nonzero()} | dict(missing)
    there = [i for i in range(len(lengths)) if i not in found]
    if there and (terms.times_median is not None or terms.longest is not None):
        most = _most(lengths[there], terms, noise)
        for place in (i for i in there if lengths[i] > most[i]):
            found[place] = CLIPPED if terms.beyond == "clip" else TOO_LONG
            if terms.beyond == "clip":
                _scale(updates, place, float(most[place] / lengths[place]))
    for place in (i for i, why in found.items() if why != CLIPPED):
        for part in updates:
            part[place] = 0.0
    return found


def _lengths(updates: State) -> Tensor:
    """Of each client's update, (clients,); one beyond float32 is infinite."""
    parts = [torch.linalg.vector_norm(part.flatten(1), dim=1) for part in updates]
    return torch.linalg.vector_norm(torch.stack(parts), dim=0)


def _most(lengths: Tensor, terms: Terms, noise: Tensor) -> Tensor:
    """How long each client's update may be, (clients,)."""
    most = torch.full_like(noise, torch.inf if terms.longest is None else terms.longest)
    if terms.times_median is None:
        return most
    middle = lengths.quantile(0.5)
    return torch.minimum(most, terms.times_median * torch.maximum(noise, middle))


def _scale(updates: State, place: int, share: float) -> None:
    for part in updates:
        part[place] *= share


def shares_of(base: Tensor, found: Mapping[int, str], least: int, round_: str) -> Tensor:
    """Weights of a round: the clients' shares, 0 where an update does not count.

    Args:
        base: Shares of all clients, (clients,).
        found: From `screen`.
        least: Clients that the strategy needs.
        round_: The round and the strategy, for the message.

    Raises:
        Interrupted: Too few count.
    """
    gone = [place for place, why in found.items() if why != CLIPPED]
    if len(base) - len(gone) < least:
        said = Counter(why for why in found.values() if why != CLIPPED)
        why = ", ".join(f"{count} {reason}" for reason, count in said.items())
        raise Interrupted(
            f"{round_}: found {len(base) - len(gone)} of {len(base)} clients' updates that count "
            f"({why}), expected at least {least}; what was reached before is kept"
        )
    if not gone:
        return base
    weights = base.clone()
    weights[gone] = 0.0
    return weights / weights.sum()


def note(conduct: Conduct, clients: Sequence[Client], found: Mapping[int, str]) -> None:
    """Add a round to what is told of each client; who was not drawn is told nothing of."""
    for place, why in sorted(found.items()):
        if why != NOT_DRAWN:
            told = conduct.setdefault(clients[place].name, {})
            told[why] = told.get(why, 0) + 1


def told(conduct: Conduct) -> str:
    """Whose updates did not count as sent, and why, in one sentence; empty if all did.

    >>> told({"bank a": {"too long": 3}})
    'updates not taken as sent: bank a (too long in 3 rounds)'
    """
    each = [
        f"{name} ({', '.join(f'{why} in {rounds} rounds' for why, rounds in reasons.items())})"
        for name, reasons in conduct.items()
    ]
    more = f" and {len(each) - _NAMED} more clients" if len(each) > _NAMED else ""
    return f"updates not taken as sent: {', '.join(each[:_NAMED])}{more}" if each else ""
