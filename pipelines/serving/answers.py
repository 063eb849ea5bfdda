"""Predictions for several questions at once, each answered as if it had been alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from models.intake import accept_records
from pipelines.serving.questions import Question, listed, none_left
from pipelines.serving.refusal import Refusal
from pipelines.serving.version import Version

Predicted = dict[str, float] | None
Codes = list[dict[str, Any]] | None

_REASONS = 4


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        body: JSON.
        rows: How many were predicted.
        rejected: How many were not.
    """

    body: bytes
    rows: int
    rejected: int


def answer(questions: Sequence[Question]) -> list[Answer | Refusal]:
    """Answer questions for one version with one call of its model.

    Args:
        questions: At least one; all for the same version.

    Returns:
        One answer a question, in order; a refusal where none of its rows could be predicted.
    """
    version = questions[0].version
    rows = [row for question in questions for row in question.rows]
    wanting = [question.reasons for question in questions for _ in question.rows]
    inputs: Any
    if version.images:
        inputs, kept, wrong = np.stack(rows), list(range(len(rows))), {}
    else:
        accepted = accept_records(rows, version.fields)
        inputs, kept, wrong = accepted.frame, accepted.kept.tolist(), accepted.reasons
    predicted: list[Predicted] = [None] * len(rows)
    codes: list[Codes] = [None] * len(rows)
    if kept:
        for place, values in zip(kept, _predict(version, inputs), strict=True):
            predicted[place] = values
        chosen = [i for i, place in enumerate(kept) if wanting[place]]
        for i, found in zip(chosen, _explain(version, inputs, chosen), strict=True):
            codes[kept[i]] = found
    return _shares(questions, predicted, codes, wrong)


def _predict(version: Version, inputs: Any) -> list[dict[str, float]]:
    frame = version.loaded.scorer.predict(inputs)
    names = list(frame.columns)
    return [dict(zip(names, values, strict=True)) for values in frame.to_numpy().tolist()]


def _explain(version: Version, inputs: Any, chosen: list[int]) -> list[Codes]:
    if not chosen:
        return []
    scorer: Any = version.loaded.scorer
    found = scorer.reasons(inputs.iloc[chosen], top=_REASONS)
    return [[asdict(code) for code in codes] for codes in found]


def _shares(
    questions: Sequence[Question],
    predicted: list[Predicted],
    codes: list[Codes],
    wrong: dict[int, str],
) -> list[Answer | Refusal]:
    """Each question's part of what was predicted for all."""
    shares: list[Answer | Refusal] = []
    start = 0
    for question in questions:
        stop = start + len(question.rows)
        found = {p: wrong[start + i] for i, p in enumerate(question.places) if start + i in wrong}
        shares.append(
            _share(question, predicted[start:stop], codes[start:stop], question.wrong | found)
        )
        start = stop
    return shares


def _share(
    question: Question, predicted: list[Predicted], codes: list[Codes], wrong: dict[int, str]
) -> Answer | Refusal:
    if len(wrong) == question.count:
        return none_left(question, wrong)
    said: dict[str, Any] = {
        "model": question.version.name,
        "version": question.version.number,
        "predictions": _placed(question, predicted),
        "rejected": listed(wrong),
    }
    if question.reasons:
        said["reasons"] = _placed(question, codes)
    return Answer(orjson.dumps(said), question.count - len(wrong), len(wrong))


def _placed(question: Question, values: list[Any]) -> list[Any]:
    """Values at the places of their rows in the request, None elsewhere."""
    if len(values) == question.count:
        return values
    placed: list[Any] = [None] * question.count
    for place, value in zip(question.places, values, strict=True):
        placed[place] = value
    return placed
