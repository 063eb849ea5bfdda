"""`careledger budget`: owners' privacy budgets."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pipelines import settings
from pipelines.commands.options import AsJson

app = typer.Typer(help="Owners' privacy budgets.", no_args_is_help=True)


@app.command("grant")
def budget_grant(
    owner: str,
    epsilon: Annotated[float, typer.Option(help="ε allowed in all, ever")],
    delta: Annotated[float, typer.Option(help="δ at which it is measured")],
) -> None:
    """Set what an owner allows in all, ever."""
    ledger = _ledger()
    ledger.grant(owner, epsilon, delta)
    _print_budgets(ledger.budgets(owner))


@app.command("show")
def budget_show(
    owner: Annotated[str | None, typer.Argument()] = None, as_json: AsJson = False
) -> None:
    """Granted, spent and left, an owner or all."""
    from dataclasses import asdict

    found = _ledger().budgets(owner)
    if as_json:
        print(json.dumps([asdict(budget) for budget in found]))
    else:
        _print_budgets(found)


@app.command("history")
def budget_history(owner: str) -> None:
    """Every grant, reservation, commitment and cancellation of an owner."""
    for entry in _ledger().history(owner):
        detail = json.dumps(entry.detail, ensure_ascii=False)
        print(f"{entry.number} {entry.at} {entry.kind} {entry.job or '-'} {detail}")


def _ledger() -> Any:
    from privacy.ledger import Ledger

    return Ledger(settings.ledger_path())


def _print_budgets(budgets: list[Any]) -> None:
    for b in budgets:
        print(
            f"{b.owner}: granted ε {b.epsilon_granted:g} at δ {b.delta:g}, "
            f"spent {b.epsilon_spent:.4g}, left {b.epsilon_left:.4g}, jobs {b.jobs}"
        )
