"""`careledger models`: the registry and its gate."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from domains.errors import InputError, Refused
from pipelines.commands.options import AsJson, say

Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Name = Annotated[str, typer.Argument(help="Of the model, as `models list` tells it.")]
Version = Annotated[str, typer.Argument(help="Number of the version.")]

app = typer.Typer(help="The model registry and its gate.", no_args_is_help=True)


@app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """One line a version: NAME VERSION ALIASES."""
    from pipelines.governance import registry

    rows = registry.list_versions()
    if as_json:
        print(json.dumps([{"name": n, "version": v, "aliases": a} for n, v, a in rows]))
        return
    if not rows and sys.stdout.isatty():
        print("No model is registered yet; `careledger train` registers one.")
    for name, version, aliases in rows:
        print(" ".join([name, version, *aliases]))


@app.command("show")
def models_show(
    model: Annotated[str, typer.Argument(help="NAME, NAME/VERSION or NAME@alias.")],
    as_json: AsJson = False,
) -> None:
    """The story of a model, or of one version: evidence, controls, lineage, use, every move."""
    from pipelines.governance.story import story
    from pipelines.governance.story_text import tell

    told = story(model)
    print(json.dumps(told) if as_json else tell(told))


@app.command("scored")
def models_scored(
    model: Annotated[str, typer.Argument(help="NAME, NAME/VERSION or NAME@alias.")],
    as_json: AsJson = False,
) -> None:
    """Who scored what with a model, newest first: files and minutes of serving, no record."""
    from pipelines.governance import moves, scored, versions

    if "/" in model or "@" in model:
        found = scored.scored(*versions.resolve(model))
    else:
        moves.registered(model)
        found = scored.scored(model)
    if as_json:
        print(json.dumps(found))
        return
    for act in found:
        print(scored.line(act))
    if not found:
        say(f"nothing was scored with {model} from this home")


@app.command("promote")
def models_promote(name: Name, version: Version, reason: Reason = "") -> None:
    """Move `champion` to a version, if the gate says yes."""
    from pipelines.governance import promotion

    promotion.promote(name, version, reason)
    print(_champion(name, version))


@app.command("rollback")
def models_rollback(name: Name, reason: Reason = "") -> None:
    """Move `champion` back to the version that held it before and can still answer."""
    from pipelines.governance import promotion

    before, after = promotion.rollback(name, reason)
    print(f"{name}: champion moved back from version {before} to {after}")


@app.command("recalibrate")
def models_recalibrate(
    model: Annotated[
        str, typer.Argument(help="NAME, NAME/VERSION or NAME@alias of a credit model.")
    ],
    rate: Annotated[
        float | None, typer.Option(help="Default rate that probabilities are to fit.")
    ] = None,
    was: Annotated[
        float | None, typer.Option(help="The one they fit now, where the version does not tell.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Labelled file: fits slope and intercept, and tests them.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="The records of --data are public.")
    ] = False,
    require_promotion: Annotated[
        bool, typer.Option("--require-promotion", help="Exit 3 when the gate says no.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """A credit version of the same weights, its probabilities moved to a new default rate."""
    from pipelines.recalibrate import Asked, recalibrate
    from pipelines.run import describe

    asked = Asked(model, rate, was, None if data is None else Path.cwd() / data, public)
    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        result = recalibrate(asked)
    print(json.dumps(result) if as_json else describe(result))
    if require_promotion and not result["gate"]["promoted"]:
        raise Refused(f"not promoted: {'; '.join(result['gate']['reasons'])}")


@app.command("approve")
def models_approve(
    name: Name,
    version: Version,
    decline: Annotated[bool, typer.Option("--decline", help="Say no instead.")] = False,
    note: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Decide on a version that the gate let pass and that awaits a person's approval."""
    from pipelines.governance import approval

    move = approval.decide(name, version, not decline, note=note)
    print(f"{name}: version {version} was declined" if decline else _champion(name, version))
    if told := approval.resume(name, version, move):
        say(told)


@app.command("seen")
def models_seen(
    record: Annotated[
        str | None, typer.Argument(metavar="ID", help="Of a patient, borrower, image or record.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="A file of ids, one a line; - for standard input.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Only in data of this name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which versions were trained, calibrated or tested with a record."""
    from pipelines.governance import seen

    asked = _ids(record, ids)
    found, unknown = seen.sights(asked, data), seen.without_record()
    answer = seen.answer(found, len(asked), unknown)
    print(json.dumps(answer) if as_json else seen.tell(found, len(asked), unknown))


def _ids(record: str | None, file: Path | None) -> list[str]:
    if (record is None) == (file is None):
        raise InputError("models seen: expected either one ID or --ids FILE")
    if record is not None:
        return [record]
    try:
        text = sys.stdin.read() if str(file) == "-" else Path(str(file)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text ({type(error).__name__})") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise InputError(f"{file}: no id in it; expected one a line")
    return found


def _champion(name: str, version: str) -> str:
    return f"{name}: champion is version {version}"
