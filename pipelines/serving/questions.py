"""A request's body as records or images: what was asked, before any of it is looked at closely."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from domains.healthcare.images.files import decode_bytes
from domains.healthcare.images.pixels import Unreadable, resize
from pipelines.serving.limits import Limits
from pipelines.serving.refusal import Refusal
from pipelines.serving.version import Version

JSON = "application/json"
IMAGES = ("image/png", "image/jpeg", "application/dicom")

MOST_EXPLAINED = {"patients": 500}
"""Records of one request that can be explained: by kind of model, where it takes long."""

Row = dict[str, Any] | np.ndarray
"""A record by column, or an image's pixels as the model takes them, uint8 (side, side, 3)."""


@dataclass(frozen=True)
class Question:
    """Rows to predict, all by one version.

    Attributes:
        version: The version that answers it: the one that served when it was asked.
        rows: Rows that can be looked at, in the order of the request.
        places: Position of each in the request, (len(rows),).
        wrong: Position of every other row → why there is none.
        count: Rows of the request.
        reasons: Whether reason codes are wanted.
    """

    version: Version
    rows: list[Any]
    places: list[int]
    wrong: dict[int, str]
    count: int
    reasons: bool = False


def predict_body(kind: str, body: bytes, version: Version, limits: Limits) -> Question:
    """What POST /predict asks.

    Args:
        kind: Content type, without parameters.
        body: The body.
        version: The version that is to answer.
        limits: Of this server.

    Raises:
        Refusal: 415 another content type than the model takes, 422 not what is expected there,
            413 too many rows.
    """
    if version.images and kind in IMAGES:
        return _images([body], version, limits)
    wanted = "images" if version.images else "records"
    check_kind(kind, (JSON, *IMAGES) if version.images else (JSON,))
    asked = _parsed(body, version, limits)
    extra = sorted(asked.keys() - {wanted, *(() if version.images else ("reasons",))})
    if wanted not in asked or extra:
        # Names of keys are the client's words: only those expected are said.
        what = "another key" if extra and wanted in asked else f"no {wanted!r}"
        raise Refusal(422, f"the body has {what}; {_expected(version)}")
    if version.images:
        return _images(_list(asked, wanted), version, limits)
    return _records(_list(asked, wanted), version, limits, _reasons(asked, version))


def invocation_body(kind: str, body: bytes, version: Version, limits: Limits) -> Question:
    """What POST /invocations asks, in the forms that MLflow's scoring server takes for tables.

    Raises:
        Refusal: As `predict_body`; and 422 where the model takes images.
    """
    check_kind(kind, (JSON,))
    if version.images:
        raise Refusal(422, "this model takes images; send them to POST /predict")
    asked = _parsed(body, version, limits)
    given = [name for name in _FORMS if name in asked]
    if len(given) != 1:
        raise Refusal(422, f"the body needs exactly one of {', '.join(_FORMS)}")
    return _records(_FORMS[given[0]](asked[given[0]]), version, limits, reasons=False)


def check_kind(kind: str, expected: tuple[str, ...]) -> None:
    """Raise Refusal 415 for another content type."""
    if kind not in expected:
        raise Refusal(415, f"content type: expected {' or '.join(expected)}")


def _parsed(body: bytes, version: Version, limits: Limits) -> dict[str, Any]:
    """The JSON object of a body, unless it holds more values than the limit on rows allows."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > limits.values(len(version.fields)):
        raise _too_many(limits)
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(
            422,
            f"the body is not JSON in UTF-8 (line {error.lineno}, column {error.colno}); "
            "NaN, Infinity and 1e999 are no JSON numbers: write null where a value is unknown",
        ) from None
    if not isinstance(asked, dict):
        raise Refusal(422, f"the body is not a JSON object; {_expected(version)}")
    return asked


def _list(asked: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(asked[name], list) or not asked[name]:
        raise Refusal(422, f"{name!r}: expected a list with at least one entry")
    return list(asked[name])


def _reasons(asked: dict[str, Any], version: Version) -> bool:
    wanted = asked.get("reasons", False)
    if not isinstance(wanted, bool):
        raise Refusal(422, "'reasons': expected true or false")
    if wanted and not version.explains:
        raise Refusal(422, f"'reasons': a model of {version.kind} gives no reason codes")
    return wanted


def _records(records: list[Any], version: Version, limits: Limits, reasons: bool) -> Question:
    if len(records) > limits.rows:
        raise _too_many(limits)
    if reasons and len(records) > (most := MOST_EXPLAINED.get(version.kind, limits.rows)):
        raise Refusal(
            413,
            f"'reasons': a request may ask for those of {most:,} records; send fewer at once, or "
            "use `careledger score --reasons`",
        )
    rows, places, wrong = [], [], {}
    for place, record in enumerate(records):
        if isinstance(record, dict) and version.columns <= record.keys():
            rows.append(record)
            places.append(place)
        else:
            wrong[place] = _lacks(record, version)
    question = Question(version, rows, places, wrong, len(records), reasons)
    if not rows:
        raise none_left(question, wrong)
    return question


def _lacks(record: Any, version: Version) -> str:
    if not isinstance(record, dict):
        return "not a record with a value for each column"
    missing = [field.name for field in version.fields if field.name not in record]
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"column {missing[0]!r} is missing{more}"


def _images(images: list[Any], version: Version, limits: Limits) -> Question:
    if len(images) > limits.rows:
        raise _too_many(limits)
    rows, places, wrong = [], [], {}
    for place, image in enumerate(images):
        try:
            pixels = decode_bytes(_bytes(image), version.reading)
            rows.append(resize(pixels, version.image_size))
            places.append(place)
        except Unreadable as reason:
            wrong[place] = str(reason)
    question = Question(version, rows, places, wrong, len(images))
    if not rows:
        raise none_left(question, wrong)
    return question


def _bytes(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str):
        raise Unreadable("not a text in base64")
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("not in base64") from None


def none_left(question: Question, wrong: dict[int, str]) -> Refusal:
    """The answer to a question of which no row could be predicted."""
    what = f"{question.count} rows" if question.count > 1 else "row"
    return Refusal(
        422,
        f"no prediction for the {what}: {wrong[min(wrong)]}; {_expected(question.version)}",
        rejected=listed(wrong),
    )


def listed(wrong: dict[int, str]) -> list[dict[str, Any]]:
    """Rows without a prediction, by position."""
    return [{"row": place, "reason": wrong[place]} for place in sorted(wrong)]


def _expected(version: Version) -> str:
    if version.images:
        return 'expected PNG, JPEG or DICOM bytes, or {"images": ["BASE64", …]}'
    names = ", ".join(field.name for field in version.fields)
    return f'expected {{"records": [{{"COLUMN": VALUE, …}}, …]}} with the columns {names}'


def _too_many(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"more than the {limits.rows:,} rows a request may have (CARELEDGER_SERVE_ROWS), or far "
        "more values than the model needs; send fewer at once, or use `careledger score`",
    )


def _split(value: Any) -> list[Any]:
    wrong = Refusal(422, '\'dataframe_split\': expected {"columns": […], "data": [[…], …]}')
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise wrong
    columns = value.get("columns")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise wrong
    fits = [isinstance(row, list) and len(row) == len(columns) for row in value["data"]]
    if not fits:
        raise wrong
    rows = zip(value["data"], fits, strict=True)
    return [dict(zip(columns, row, strict=True)) if fit else None for row, fit in rows]


def _by_row(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Refusal(422, "expected a list of records, at least one")
    return value


def _by_column(value: Any) -> list[Any]:
    """`inputs` as columns of equal length, or as a list of records."""
    if not isinstance(value, dict):
        return _by_row(value)
    columns = {name: cells if isinstance(cells, list) else [cells] for name, cells in value.items()}
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise Refusal(422, "'inputs': expected columns of one length, at least one row")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


_FORMS: dict[str, Callable[[Any], list[Any]]] = {
    "dataframe_split": _split,
    "dataframe_records": _by_row,
    "inputs": _by_column,
    "instances": _by_row,
}
