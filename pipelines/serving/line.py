"""The line of questions before the one thread that predicts.

Whatever waits when the last prediction is done is answered by the next one, in one call of the
model: nobody waits for company, and many questions cost hardly more than one.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Iterable

import torch

from domains.errors import InputError
from pipelines.serving.answers import Answer, answer
from pipelines.serving.meters import Meters
from pipelines.serving.questions import Question
from pipelines.serving.refusal import Refusal

_MOST_ROWS = 4096
_MOST_IMAGES = 64

Waiting = tuple[Question, "asyncio.Future[Answer]"]


class Line:
    """Questions in, answers out, in the order in which they came.

    Args:
        loop: Where the answers are awaited.
        meters: Counts rows.
        threads: Threads of one prediction.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, meters: Meters, threads: int) -> None:
        self._loop, self._meters, self._threads = loop, meters, threads
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="predictions", daemon=True)
        self._thread.start()

    async def ask(self, question: Question) -> Answer:
        """The answer to a question; a question that nobody awaits any more is passed over.

        Raises:
            Refusal: 422 no row could be predicted, 500 the model failed.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.put((question, future))
        return await future

    def close(self) -> None:
        """Let the thread end after the questions that wait."""
        self._waiting.put(None)

    def _work(self) -> None:
        torch.set_num_threads(self._threads)
        left: Waiting | None = None
        while (first := left or self._waiting.get()) is not None:
            together, left = self._more(first)
            asked = [(q, f) for q, f in together if not f.cancelled()]
            if asked:
                answers = self._answers([question for question, _ in asked])
                futures = [future for _, future in asked]
                self._loop.call_soon_threadsafe(_deliver, zip(futures, answers, strict=True))

    def _more(self, first: Waiting) -> tuple[list[Waiting], Waiting | None]:
        """Those that wait behind the first, for the same version; and one that must wait."""
        together, version = [first], first[0].version
        most = _MOST_IMAGES if version.images else _MOST_ROWS
        rows = len(first[0].rows)
        while rows < most and not self._waiting.empty():
            following = self._waiting.get()
            if following is None:
                self._waiting.put(None)
                break
            if following[0].version is not version:
                return together, following
            together.append(following)
            rows += len(following[0].rows)
        return together, None

    def _answers(self, questions: list[Question]) -> list[Answer | Refusal]:
        try:
            answers = answer(questions)
        except Exception as error:  # noqa: BLE001 - its text may hold a record
            if len(questions) > 1:  # one of them may be at fault: the others are answered
                return [self._answers([question])[0] for question in questions]
            if isinstance(error, InputError):  # names a row and a column, never a value
                return [Refusal(422, str(error))]
            logging.getLogger("careledger").error("prediction failed: %s", type(error).__name__)
            return [Refusal(500, f"the model failed with {type(error).__name__}")]
        self._count(answers)
        return answers

    def _count(self, answers: list[Answer | Refusal]) -> None:
        told = [each for each in answers if isinstance(each, Answer)]
        refused = sum(len(each.rejected or ()) for each in answers if isinstance(each, Refusal))
        self._meters.predicted(
            sum(each.rows for each in told), sum(each.rejected for each in told) + refused
        )


def _deliver(answers: Iterable[tuple[asyncio.Future[Answer], Answer | Refusal]]) -> None:
    for future, found in answers:
        if future.done():  # its time ran out, or its client is gone
            continue
        if isinstance(found, Refusal):
            future.set_exception(found)
        else:
            future.set_result(found)
