"""The OpenAPI description, with the columns and outcomes of the version that serves."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from pipelines.serving.limits import Limits
from pipelines.serving.questions import IMAGES, JSON
from pipelines.serving.version import Version

Json = dict[str, Any]


class Health(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """The version that answers."""

    model: str
    version: str
    since: str = Field(description="When it began to answer, UTC")
    wrong: str | None = Field(description="What keeps the server from following the alias")


class RejectedRow(BaseModel):
    """A row without a prediction."""

    row: int = Field(ge=0, description="Position in the request, from 0")
    reason: str = Field(description="What was found there; never a value")


class ReasonCode(BaseModel):
    """What raised the risk of a record."""

    column: str = Field(description="Feature")
    of: list[str] = Field(description="Raw columns it is made of")
    log_odds: float = Field(gt=0, description="By how much it raises the log-odds of default")
    points: float | None = Field(
        default=None, description="Of a scorecard: points lost against the feature's reference"
    )


class OutcomeReason(BaseModel):
    """What moves an answer to a patient's record."""

    outcome: str = Field(description="Its name, as in OUTCOME.reason_1 of a scored file")
    answer: str = Field(description="Predicted column; of several classes the most probable one")
    column: str = Field(description="Raw column")
    change: float = Field(
        description="By how much it moves the answer from the typical record's; a Shapley value"
    )
    scale: str = Field(description="Of the change: log-odds, logarithm, or its own unit")


class Answered(BaseModel):
    """Predictions in the order of the request."""

    model: str
    version: str
    predictions: list[dict[str, float | str | None] | None] = Field(
        description="One a row; null where the row was rejected. A scorecard adds its `score`, a "
        "credit model with a threshold its `decision`: approve or decline; a model of images its "
        "`prediction_set` (classes between bars), the `distance` of the image from those it has "
        "learned from, and a `warning` where that is above 1"
    )
    rejected: list[RejectedRow]
    reasons: list[list[ReasonCode | OutcomeReason] | None] | None = Field(
        default=None,
        description="Where asked for: the strongest first, four at most; of patients, four of each "
        "outcome at most",
    )
    warnings: list[str] | None = Field(
        default=None,
        description="Where there are any: categories that the model has not seen, by column and "
        "number, columns that are empty though training mostly had them, how many columns it does "
        "not use, and how many images are unlike those it has learned from; never a value",
    )


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str
    rejected: list[RejectedRow] | None = None


_WAIT = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
_SAID = {
    401: "No API key, or one that is not known",
    413: "The body is too large, or has too many rows",
    415: "Another content type than the model takes",
    421: "Without an API key the server answers to loopback names alone",
    422: "Not what the model takes: says what is expected, and what is wrong with each row",
    429: "Too many requests with this key",
    500: "The model failed",
    503: "Too many requests under way, or not answered in time",
}


def _problems(*statuses: int) -> dict[int, Json]:
    made: dict[int, Json] = {}
    for status in statuses:
        made[status] = {"model": Problem, "description": _SAID[status]}
        if status in (429, 503):
            made[status]["headers"] = _WAIT
    return made


_ASKED = _problems(*_SAID)
PREDICT: Json = {"response_model": None, "responses": {200: {"model": Answered}, **_ASKED}}
INVOCATIONS = PREDICT
HEALTH: Json = {"response_model": None, "responses": {200: {"model": Health}, **_problems(421)}}
READY: Json = {"response_model": None, "responses": {200: {"model": Ready}, **_problems(421)}}
METRICS: Json = {
    "response_model": None,
    "responses": {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **_problems(421),
    },
}


def describe(app: FastAPI, version: Version, limits: Limits, keyed: bool) -> Json:
    """OpenAPI 3.1 of a server.

    Args:
        app: Its routes.
        version: The version that answers now.
        limits: Which it keeps.
        keyed: Whether it asks for an API key.
    """
    made = get_openapi(title=version.name, version=version.number, routes=app.routes)
    paths = made["paths"]
    paths["/predict"]["post"]["requestBody"] = _body(_predict_contents(version, limits))
    if version.images:
        del paths["/invocations"]
    else:
        forms = {JSON: {"schema": _invocation(version, limits)}}
        paths["/invocations"]["post"]["requestBody"] = _body(forms)
    if keyed:
        _secure(made)
    return made


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _predict_contents(version: Version, limits: Limits) -> Json:
    if version.images:
        picture = {"schema": {"type": "string", "format": "binary"}}
        base64 = {"type": "string", "contentEncoding": "base64"}
        several = _object({"images": _rows(base64, limits)}, ["images"])
        return {JSON: {"schema": several}, **dict.fromkeys(IMAGES, picture)}
    properties = {"records": _rows(_record(version), limits)}
    if version.explains:
        properties["reasons"] = {"type": "boolean", "default": False}
    return {JSON: {"schema": _object(properties, ["records"])}}


def _record(version: Version) -> Json:
    """Columns it needs; others are passed over."""
    columns = {field.name: _CELLS[field.kind] for field in version.fields}
    return {"type": "object", "properties": columns, "required": list(columns)}


_SPELLED = {"type": "string", "pattern": r"^(-?[0-9]{1,15}(\.[0-9]{1,15})?)?$"}
_CELLS: Json = {
    "number": {
        "anyOf": [{"type": ["number", "boolean", "null"]}, _SPELLED],
        "description": "A number, or text that spells one; null where unknown",
    },
    "text": {"type": ["string", "number", "boolean", "null"], "description": "null where unknown"},
}


def _invocation(version: Version, limits: Limits) -> Json:
    cells = [_CELLS[field.kind] for field in version.fields]
    row = {"type": "array", "prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)}
    names = [field.name for field in version.fields]
    columns = {"const": names, "description": "In any order; others are passed over"}
    table = _object({"columns": columns, "data": _rows(row, limits)}, ["columns", "data"])
    records = _rows(_record(version), limits)
    by_column = " Or an object of columns, each a list of as many cells."
    forms = {
        "dataframe_split": table,
        "dataframe_records": records,
        "inputs": {**records, "description": records["description"] + by_column},
        "instances": records,
    }
    return {
        "type": "object",
        "properties": forms,
        "oneOf": [{"required": [form]} for form in forms],
    }


def _object(properties: Json, required: list[str]) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _rows(row: Json, limits: Limits) -> Json:
    """At least one good row: any other is rejected by itself."""
    return {
        "type": "array",
        "contains": row,
        "minItems": 1,
        "description": f"At most {limits.rows:,}. A row of another form is rejected, and only it.",
    }


def _secure(made: Json) -> None:
    """Say that a key is asked for, and how it may be given."""
    made.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path in ("/predict", "/invocations"):
        if path in made["paths"]:
            made["paths"][path]["post"]["security"] = [{"bearer": []}, {"header": []}]
