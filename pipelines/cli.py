"""The command line: `careledger`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal, NoReturn

import typer

from domains.errors import InputError, Interrupted, Refused
from pipelines.commands import budget, data, models
from pipelines.commands.audit import audit
from pipelines.commands.doctor import doctor
from pipelines.commands.explain import explain
from pipelines.commands.resume import resume
from pipelines.commands.score import score
from pipelines.commands.serve import serve
from pipelines.commands.status import status
from pipelines.commands.train import train

app = typer.Typer(
    help="Transfer, multi-task and private federated learning, with the evidence kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(resume)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(budget.app, name="budget")
app.command()(audit)
app.command()(doctor)
app.command()(score)
app.command()(explain)
app.command()(serve)
app.command()(status)


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere on the line.")
    ] = False,
) -> None:
    """Options of every command: `main` has taken them from the line already."""


def main() -> None:
    """Entry point: turns what went wrong into one line and an exit status."""
    if "--debug" in sys.argv:
        sys.argv.remove("--debug")
        os.environ["CARELEDGER_DEBUG"] = "1"
    leave(guarded(lambda: app(standalone_mode=False)))


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; what goes wrong becomes one line on standard error and an exit status."""
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except InputError as error:
        return _fail(error, 2, error.told)
    except Refused as error:
        return _fail(error, 3)
    except Interrupted as error:
        return _fail(error, 1)
    except typer.TyperException as error:
        return _fail(error, 2, _usage(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(error, 1, "stopped")
    except Exception as error:  # noqa: BLE001 - the last resort of a program
        # The text of an unforeseen error may hold a record: it is shown only when asked for.
        text = f"failed with {type(error).__name__}; run again with --debug to see where"
        return _fail(error, 1, text)


def leave(code: int) -> NoReturn:
    """End this process with an exit status, after its threads, exit handlers and output.

    What is left out is taking the interpreter apart: a thread of a native library that still waits
    for it would then abort the process, and its exit status with it (apache/arrow issue 34314).
    """
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does first
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader is gone
            stream.flush()
    os._exit(code)


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
