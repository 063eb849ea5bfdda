"""Who took part in the rounds: whose updates did not count as sent, why, and in how many rounds.

All of it is read off updates that had left their clients, after their noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from domains.naming import natural
from models.federated.screening import CLIPPED
from pipelines.evidence import Cell, Evidence, Figure, Table
from pipelines.reporting.rounds import counted
from pipelines.steps.credit.training import Trained

SECTION = "rounds"
_MOST = 5


def with_conduct(
    evidence: Evidence, folder: Path, clients: Sequence[str], model: Trained
) -> Evidence:
    """The evidence, and what is told of the clients' updates.

    Args:
        evidence: Of any run, also of one that releases no metric.
        folder: For the figure.
        clients: All of them.
        model: The registered one.
    """
    rounds = len(model.history)
    by_round = [point["clients"] for point in model.history if "clients" in point]
    said = _sentence(len(clients), rounds, model.conduct, by_round)
    made = replace(evidence, remarks={**evidence.remarks, SECTION: [said]})
    if away := _away(rounds, model.conduct):
        told = f"Who took part: in more than half of the {rounds} rounds nothing was learned from "
        made = replace(made, findings=[*made.findings, f"{told}{len(away)} clients{_named(away)}."])
    if model.conduct:
        made = replace(made, tables=[*made.tables, table(model.conduct, clients, rounds)])
    if any(count < len(clients) for count in by_round):
        made = replace(made, figures=[*made.figures, _figure(folder, by_round, len(clients))])
    return made


def table(conduct: Mapping[str, Mapping[str, int]], clients: Sequence[str], rounds: int) -> Table:
    """One row a client whose updates did not all count as sent, those with most rounds first."""
    reasons = list(dict.fromkeys(why for found in conduct.values() for why in found))
    order = sorted(conduct, key=lambda name: (-sum(conduct[name].values()), natural(name)))
    rows: list[list[Cell]] = [
        [name, *(conduct[name].get(why, 0) for why in reasons), sum(conduct[name].values())]
        for name in order
    ]
    others = len(clients) - len(conduct)
    rest = f" The updates of the other {others} all counted as sent." if others else ""
    return Table(
        title="Updates that did not count as sent",
        caption=f"In how many of the {rounds} rounds, by why. An update that is clipped counts, "
        f"shortened; every other one is left out of its round's average.{rest}",
        columns=["client", *reasons, "rounds in all"],
        rows=rows,
        section=SECTION,
    )


def _away(rounds: int, conduct: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Clients whose updates were lost or left out in most rounds."""
    without = {
        name: sum(number for why, number in found.items() if why != CLIPPED)
        for name, found in conduct.items()
    }
    often = (name for name, number in without.items() if 2 * number > rounds)
    return sorted(often, key=natural)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f" ({', '.join(names[:_MOST])}{more})"


def _sentence(
    clients: int, rounds: int, conduct: Mapping[str, Mapping[str, int]], by_round: Sequence[float]
) -> str:
    if not conduct and not any(count < clients for count in by_round):
        return f"All {clients} clients took part in all {rounds} rounds; every update counted."
    sums: dict[str, int] = {}
    for found in conduct.values():
        for why, number in found.items():
            sums[why] = sums.get(why, 0) + number
    told = ", ".join(f"{number:,} {why}" for why, number in sums.items())
    not_sent = f"; did not count as sent: {told}" if told else ""
    if not by_round:
        return f"{clients} clients, {rounds} rounds{not_sent}."
    mean = sum(by_round) / len(by_round)
    return (
        f"Of {clients} clients, the updates of {min(by_round):g} to {max(by_round):g} counted in a "
        f"round, {mean:.1f} on average{not_sent}."
    )


def _figure(folder: Path, by_round: Sequence[float], clients: int) -> Figure:
    return Figure(
        "rounds",
        "Whose updates counted, round by round",
        f"Number of clients, of {clients}, whose update entered the average of each round; the "
        "others were not drawn, lost, or left out.",
        counted(folder / "rounds.png", by_round, clients),
    )
