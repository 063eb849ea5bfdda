"""`careledger serve`."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def serve(
    model: Annotated[
        str, typer.Argument(help="MODEL (its champion), MODEL@alias or MODEL/version.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback needs CARELEDGER_API_KEY.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.", min=0, max=65535)] = 8000,
) -> int:
    """Answer over HTTP with the version an alias points to, and follow it when it moves."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        # A server that is gone for a while must not keep a look at it hanging for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from pipelines.serving.running import serve as run

    return run(model, host, port)
