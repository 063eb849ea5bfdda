"""The command line: `careledger`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from domains.errors import InputError, Refused
from pipelines import settings

app = typer.Typer(
    help="Transfer, multi-task and private federated learning, with the evidence kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Public data, pinned and cached.", no_args_is_help=True)
models_app = typer.Typer(help="The model registry and its gate.", no_args_is_help=True)
budget_app = typer.Typer(help="Owners' privacy budgets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(budget_app, name="budget")

AsJson = Annotated[bool, typer.Option("--json", help="Last line of output is one JSON value.")]


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere on the line.")
    ] = False,
) -> None:
    """Options of every command: `main` has taken them from the line already."""


@app.command()
def train(
    pipeline: Annotated[str, typer.Argument(help="imaging, patients or credit")],
    config: Annotated[Path | None, typer.Option(help="YAML file of the job")] = None,
    scale: Annotated[str | None, typer.Option(help="tiny, small or full")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.path=value")] = None,
    require_promotion: Annotated[
        bool, typer.Option("--require-promotion", help="Exit 3 when the gate says no.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run one training job: train, compare with controls, register, gate."""
    if pipeline not in settings.CONFIGS:
        raise InputError(f"no pipeline {pipeline!r}; expected one of {', '.join(settings.CONFIGS)}")
    job = settings.load_config(pipeline, config, set_, scale)
    from pipelines.run import describe, run

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        result = run(pipeline, job)
    print(json.dumps(result) if as_json else describe(result))
    if require_promotion and not result["gate"]["promoted"]:
        raise Refused(f"not promoted: {'; '.join(result['gate']['reasons'])}")


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """Name, rows, licence, provenance of every source, and whether it is cached."""
    from domains.sources import SOURCES, cached

    rows: list[dict[str, Any]] = [
        {
            "name": source.name,
            "about": source.about,
            "rows": source.rows,
            "licence": source.licence,
            "provenance": source.provenance,
            "cached": cached(source.name) is not None,
        }
        for source in SOURCES.values()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        state = "cached" if row["cached"] else "not cached"
        count = f"{row['rows']:,} rows" if row["rows"] else "weights"
        print(f"{row['name']}  {count}  {state}")
        for key in ("about", "licence", "provenance"):
            print(f"    {row[key]}")


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="A name of `data list`")]) -> None:
    """Fetch a source, verify it and keep it in the cache; prints the file."""
    from domains import sources

    if name.startswith("medmnist/"):
        path = sources.fetch_medmnist(name.removeprefix("medmnist/"), progress=_say)
    else:
        path = sources.fetch(name, progress=_say)
    print(path)


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """One line a version: NAME VERSION ALIASES."""
    from pipelines import registry

    rows = registry.list_versions()
    if as_json:
        print(json.dumps([{"name": n, "version": v, "aliases": a} for n, v, a in rows]))
        return
    if not rows and sys.stdout.isatty():
        print("No model is registered yet; `careledger train` registers one.")
    for name, version, aliases in rows:
        print(" ".join([name, version, *aliases]))


@models_app.command("show")
def models_show(name: str, as_json: AsJson = False) -> None:
    """Versions of a model with their evidence, and every move of its champion."""
    from pipelines.story import story, tell

    told = story(name)
    print(json.dumps(told) if as_json else tell(told))


@models_app.command("promote")
def models_promote(name: str, version: str) -> None:
    """Move `champion` to a version, if the gate says yes."""
    from pipelines import registry

    registry.promote(name, version)
    print(f"{name}: champion is version {version}")


@models_app.command("rollback")
def models_rollback(name: str) -> None:
    """Move `champion` back to the version that held it before."""
    from pipelines import registry

    before, after = registry.rollback(name)
    print(f"{name}: champion moved back from version {before} to {after}")


@budget_app.command("grant")
def budget_grant(
    owner: str,
    epsilon: Annotated[float, typer.Option(help="ε allowed in all, ever")],
    delta: Annotated[float, typer.Option(help="δ at which it is measured")],
) -> None:
    """Set what an owner allows in all, ever."""
    ledger = _ledger()
    ledger.grant(owner, epsilon, delta)
    _print_budgets(ledger.budgets(owner))


@budget_app.command("show")
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


@budget_app.command("history")
def budget_history(owner: str) -> None:
    """Every grant, reservation, commitment and cancellation of an owner."""
    for entry in _ledger().history(owner):
        detail = json.dumps(entry.detail, ensure_ascii=False)
        print(f"{entry.number} {entry.at} {entry.kind} {entry.job or '-'} {detail}")


@app.command()
def doctor() -> None:
    """Check this installation: versions, folders, store, ledger; exit 1 when something is wrong."""
    from pipelines.doctor import examine

    checks = examine()
    for check in checks:
        print(f"{'ok ' if check.ok else 'BAD'} {check.name}: {check.detail}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _ledger() -> Any:
    from privacy.ledger import Ledger

    return Ledger(settings.ledger_path())


def _print_budgets(budgets: list[Any]) -> None:
    for b in budgets:
        print(
            f"{b.owner}: granted ε {b.epsilon_granted:g} at δ {b.delta:g}, "
            f"spent {b.epsilon_spent:.4g}, left {b.epsilon_left:.4g}, jobs {b.jobs}"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Entry point: turns what went wrong into one line and an exit status."""
    if "--debug" in sys.argv:
        sys.argv.remove("--debug")
        os.environ["CARELEDGER_DEBUG"] = "1"
    sys.exit(guarded(lambda: app(standalone_mode=False)))


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; what goes wrong becomes one line on standard error and an exit status."""
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except InputError as error:
        return _fail(error, 2)
    except Refused as error:
        return _fail(error, 3)
    except typer.TyperException as error:
        return _fail(error, 2, _usage(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(error, 1, "stopped")
    except Exception as error:  # noqa: BLE001 - the last resort of a program
        # The text of an unforeseen error may hold a record: it is shown only when asked for.
        text = f"failed with {type(error).__name__}; run again with --debug to see where"
        return _fail(error, 1, text)


def _usage(error: typer.TyperException) -> str:
    """What typer says of a wrong command line, without the box it draws around it."""
    said = getattr(error, "format_message", lambda: str(error))()
    return " ".join(f"{said} See careledger --help.".split())


def _fail(error: BaseException, code: Literal[1, 2, 3], text: str | None = None) -> int:
    if os.environ.get("CARELEDGER_DEBUG"):
        raise error
    print(f"careledger: {text or error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
