"""The routes: two that predict, three that say how it goes, and the description of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from pipelines.serving import description
from pipelines.serving.bodies import Bodies
from pipelines.serving.door import Door
from pipelines.serving.following import Following
from pipelines.serving.keys import Keys
from pipelines.serving.limits import Limits
from pipelines.serving.line import Line
from pipelines.serving.meters import Meters
from pipelines.serving.questions import JSON, Question, invocation_body, predict_body
from pipelines.serving.refusal import Refusal
from pipelines.serving.usage import Usage
from pipelines.serving.version import Version

_SMALL = 64 << 10
"""Bodies up to this many bytes are read where they arrive; larger ones and images in a thread."""

Read = Callable[[str, bytes, Version, Limits], Question]


@dataclass
class Service:
    """The parts of one server.

    Attributes:
        following: The version that answers.
        line: Before the thread that predicts.
        limits: What is allowed.
        meters: What is counted for Prometheus.
        usage: What is counted for the log of acts.
        keys: Who may ask.
    """

    following: Following
    line: Line
    limits: Limits
    meters: Meters
    usage: Usage
    keys: Keys
    bodies: Bodies = field(init=False)
    reader: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.limits)
        self.reader = ThreadPoolExecutor(1, "bodies")


def build(service: Service) -> Door:
    """The ASGI application of a server."""
    app = FastAPI(title="Careledger", docs_url=None, redoc_url=None)
    _questions(app, service)
    _states(app, service)
    app.openapi = lambda: description.describe(  # type: ignore[method-assign]
        app, service.following.version, service.limits, keyed=bool(service.keys.names)
    )
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(404, _no_route)
    app.add_exception_handler(405, _no_route)
    app.add_exception_handler(Exception, _failed)
    return Door(app, service.keys, service.limits, service.meters)


def _questions(app: FastAPI, service: Service) -> None:
    @app.post("/predict", **description.PREDICT)
    async def predict(request: Request) -> Response:
        """Predictions for records, or for images."""
        return await _predict(service, request, predict_body)

    @app.post("/invocations", **description.INVOCATIONS)
    async def invocations(request: Request) -> Response:
        """Predictions for records in the forms of MLflow's scoring server."""
        return await _predict(service, request, invocation_body)


def _states(app: FastAPI, service: Service) -> None:
    @app.get("/health", **description.HEALTH)
    async def health() -> Response:
        """Whether the process answers."""
        return _json({"status": "alive"})

    @app.get("/ready", **description.READY)
    async def ready() -> Response:
        """Which version answers, since when, and what is wrong with following the alias."""
        version = service.following.version
        return _json(
            {
                "model": version.name,
                "version": version.number,
                "since": version.since,
                "wrong": service.following.wrong,
            }
        )

    @app.get("/metrics", **description.METRICS)
    async def metrics() -> Response:
        """Counters and latencies for Prometheus."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4")


async def _predict(service: Service, request: Request, read: Read) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    version = service.following.version
    async with service.bodies.read(request) as body:
        if len(body) <= _SMALL and not version.images:
            question = read(kind, body, version, service.limits)
        else:
            question = await asyncio.get_running_loop().run_in_executor(
                service.reader, read, kind, body, version, service.limits
            )
        answer = await service.line.ask(question)
    service.usage.add(version.number, request.scope["state"]["key"], answer.rows)
    return Response(answer.body, media_type=JSON)


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type=JSON)


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)  # noqa: S101 - the type it is registered for
    return Response(refusal.body, refusal.status, refusal.headers, JSON)


async def _no_route(_: Request, error: Exception) -> Response:
    status, headers = getattr(error, "status_code", 404), getattr(error, "headers", None)
    said = "no such path" if status == 404 else "not this method"
    return Response(orjson.dumps({"detail": f"{said}; see /openapi.json"}), status, headers, JSON)


async def _failed(_: Request, error: Exception) -> Response:
    # Its text may hold a record: the type is all that is said.
    body = orjson.dumps({"detail": f"failed with {type(error).__name__}"})
    return Response(body, 500, media_type=JSON)
