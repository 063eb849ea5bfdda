"""`careledger budget`: owners' privacy budgets."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domains.errors import Refused
from pipelines import settings
from pipelines.commands.options import AsJson, say

if TYPE_CHECKING:
    from privacy.chain import Entry
    from privacy.ledger import Ledger

app = typer.Typer(help="Owners' privacy budgets.", no_args_is_help=True)
_NAMED = "DATA/CLIENT, or DATA where the job cuts the clients"
_Owner = Annotated[str, typer.Argument(help=f"{_NAMED}.")]
_Backup = Annotated[Path, typer.Argument(help="Holds the ledger and its key: keep it secret.")]


@app.command("grant")
def budget_grant(
    owner: _Owner,
    epsilon: Annotated[float, typer.Option(help="ε allowed in all, ever.")],
    delta: Annotated[float, typer.Option(help="δ at which it is measured.")],
) -> None:
    """Set what an owner allows in all, ever."""
    ledger = settings.open_ledger()
    ledger.grant(owner, epsilon, delta)
    _print_budgets(ledger.budgets(owner))


@app.command("show")
def budget_show(
    owner: Annotated[str | None, typer.Argument(help=f"{_NAMED}; default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Granted, spent and left, an owner or all."""
    found = settings.open_ledger().budgets(owner)
    if as_json:
        print(json.dumps([asdict(budget) for budget in found]))
    else:
        _print_budgets(found)


@app.command("history")
def budget_history(owner: _Owner, as_json: AsJson = False) -> None:
    """Every grant, reservation, end and refusal of an owner, a line each."""
    from privacy.history import tell

    entries = settings.open_ledger().history(owner)
    told = tell(entries)
    if as_json:
        rows = zip(told, entries, strict=True)
        print(json.dumps([{**each.as_json(), "detail": entry.detail} for each, entry in rows]))
        return
    width = max(len(str(each.number)) for each in told)
    for each in told:
        job = f" {each.job}" if each.job else ""
        print(f"{each.number:>{width}}  {each.at}  {each.kind:<7}{job}  {each.said}")


@app.command("verify")
def budget_verify(as_json: AsJson = False) -> None:
    """Check every entry, and what runs and versions remember; exit 1 when something is wrong."""
    from pipelines.governance import anchors

    ledger = settings.open_ledger()
    known = anchors.every(ledger.name)
    findings = ledger.verify(known)
    if as_json:
        found = [asdict(finding) for finding in findings]
        print(json.dumps({"sound": not findings, "anchors": len(known), "findings": found}))
    else:
        for finding in findings:
            by = f"; known by {', '.join(finding.known_by)}" if finding.known_by else ""
            print(f"{finding.kind}, entry {finding.number}: {finding.said}{by}")
        for said in (entry.detail for entry in _others(ledger)):
            print(f"another installation's, as was said: ledger {said['ledger']}, {said['reason']}")
        if not findings:
            length, _ = ledger.head()
            print(f"sound: {length} entries, held against {len(known)} runs and versions")
    if findings:
        raise typer.Exit(1)


@app.command("separate")
def budget_separate(
    ledger: Annotated[str, typer.Argument(help="Its name, as `budget verify` tells it.")],
    reason: Annotated[str, typer.Option(help="Whose it is, and who says so; it is recorded.")],
) -> None:
    """State that runs in this MLflow store were paid by another installation's ledger."""
    settings.open_ledger().separate(ledger, reason)
    print(f"recorded: ledger {ledger} is another installation's")


@app.command("backup")
def budget_backup(file: _Backup) -> None:
    """Write ledger and key into one file; jobs may go on meanwhile."""
    print(f"{file}: {settings.open_ledger().backup(file)} entries and the key")


@app.command("restore")
def budget_restore(
    file: _Backup,
    charge_lost: Annotated[
        bool,
        typer.Option(
            "--charge-lost",
            help="Where entries after the backup are lost, charge every owner its whole grant.",
        ),
    ] = False,
) -> None:
    """Put a backup in the ledger's place; refused where that would forget what was spent."""
    from pipelines.governance import anchors
    from privacy import restoring
    from privacy.ledger import TIMEOUT
    from privacy.stores import store_at

    where, key = settings.ledger_place()
    store = store_at(where, TIMEOUT)
    done = restoring.restore(file, store, key, anchors.every, charge_lost=charge_lost)
    print(f"{store.name}: {done.entries} entries, from the backup made at {done.made}")
    if done.lost:
        print(
            f"lost: entries that {', '.join(done.lost)} knew of; the whole grant was charged to "
            f"{', '.join(done.charged) or 'nobody'}. If one of those entries raised a grant, more "
            "was spent than this; a job needs a new, larger grant of each owner."
        )
    elif not done.confirmed:
        say(
            f"nothing here remembers this ledger: if entries were written after {done.made}, "
            "what they spent is forgotten; --charge-lost cannot know of them either"
        )


def _others(ledger: Ledger) -> list[Entry]:
    """Statements that another ledger is another installation's; none of a broken chain."""
    with suppress(Refused):
        return [entry for entry in ledger.entries() if entry.kind == "separate"]
    return []


def _print_budgets(budgets: list[Any]) -> None:
    for b in budgets:
        print(
            f"{b.owner}: granted ε {b.epsilon_granted:g} at δ {b.delta:g}, "
            f"spent {b.epsilon_spent:.4g}, left {b.epsilon_left:.4g}, "
            f"δ used up {b.delta_spent:.3g}, left {b.delta_left:.3g}, jobs {b.jobs}"
        )
