"""Predictions for several questions at once, each answered as if it had been alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from domains.unseen import Marks, counted, told
from models.credit_decision import DECISION, decisions
from models.intake import accept_records
from pipelines.scoring.judged import WARNING, judged_rows, told_unlike
from pipelines.serving.questions import Question, listed, none_left
from pipelines.serving.refusal import Refusal
from pipelines.serving.version import Version

Predicted = dict[str, float | str] | None
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


@dataclass(frozen=True)
class Noted:
    """Unknown and empty values of all questions' rows.

    Attributes:
        marks: Of the rows that were predicted.
        kept: Their positions among all rows, ascending, (k,).
    """

    marks: Marks
    kept: np.ndarray

    def told(self, start: int, stop: int, known: Mapping[str, float] | None) -> list[str]:
        """Of one question's rows."""
        low, high = np.searchsorted(self.kept, [start, stop]).tolist()
        return told(counted(self.marks, slice(low, high)), high - low, known)


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
    marks: Marks = {}
    if kept:
        for place, values in zip(kept, _predict(version, inputs, marks), strict=True):
            predicted[place] = values
        chosen = [i for i, place in enumerate(kept) if wanting[place]]
        for i, found in zip(chosen, _explain(version, inputs, chosen), strict=True):
            codes[kept[i]] = found
    return _shares(questions, predicted, codes, wrong, Noted(marks, np.array(kept)))


def _predict(version: Version, inputs: Any, marks: Marks) -> list[dict[str, float | str]]:
    scorer: Any = version.loaded.scorer
    if hasattr(scorer, "judge"):
        return judged_rows(scorer, inputs)
    if hasattr(scorer, "predict_noting"):
        frame, found = scorer.predict_noting(inputs)
        marks |= found
    else:
        frame = scorer.predict(inputs)
    names = list(frame.columns)
    rows = [dict(zip(names, values, strict=True)) for values in frame.to_numpy().tolist()]
    decided = decisions(scorer, frame)
    if decided is None:
        return rows
    return [row | {DECISION: word} for row, word in zip(rows, decided.tolist(), strict=True)]


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
    noted: Noted,
) -> list[Answer | Refusal]:
    """Each question's part of what was predicted for all."""
    shares: list[Answer | Refusal] = []
    start, known = 0, getattr(questions[0].version.loaded.scorer, "known", None)
    for question in questions:
        stop = start + len(question.rows)
        found = {p: wrong[start + i] for i, p in enumerate(question.places) if start + i in wrong}
        warnings = [*noted.told(start, stop, known), *_unused(question)]
        unlike = sum(WARNING in row for row in predicted[start:stop] if row)
        warnings += told_unlike(unlike, stop - start)
        share = predicted[start:stop], codes[start:stop], question.wrong | found
        shares.append(_share(question, *share, warnings))
        start = stop
    return shares


def _unused(question: Question) -> list[str]:
    """How many columns were sent that the model does not take; their names are the client's."""
    known = question.version.columns
    longer = [row.keys() for row in question.rows if known and len(row) > len(known)]
    more = len(frozenset[str]().union(*longer) - known)
    if not more:
        return []
    columns = f"{more} columns that were sent are" if more > 1 else "1 column that was sent is"
    return [f"{columns} not used by {question.version.name}"]


def _share(
    question: Question,
    predicted: list[Predicted],
    codes: list[Codes],
    wrong: dict[int, str],
    warnings: list[str],
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
    if warnings:
        said["warnings"] = warnings
    return Answer(orjson.dumps(said), question.count - len(wrong), len(wrong))


def _placed(question: Question, values: list[Any]) -> list[Any]:
    """Values at the places of their rows in the request, None elsewhere."""
    if len(values) == question.count:
        return values
    placed: list[Any] = [None] * question.count
    for place, value in zip(question.places, values, strict=True):
        placed[place] = value
    return placed
