"""A piece of the input: so many rows in order, some of which cannot be scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from domains.unseen import Counts

ID, REASON = "id", "reason"
_UNSEEN = b"unseen"


@dataclass(frozen=True)
class Piece:
    """Consecutive input rows.

    Attributes:
        ids: One a row; null where a torn row has none.
        records: The rows that can be scored: a frame, or images (k, side, side, 3).
        kept: Their positions in the piece, (k,).
        reasons: Position of every other row → why, without its content.
    """

    ids: pa.Array
    records: Any
    kept: np.ndarray
    reasons: dict[int, str]

    def table(
        self,
        predictions: pd.DataFrame | None,
        outputs: Sequence[str],
        texts: pd.DataFrame | None = None,
        unseen: Counts | None = None,
    ) -> pa.Table:
        """One row an input row: id, predictions (null where rejected), reason (null elsewhere).

        Args:
            predictions: One row a scored record; None when no record of the piece can be scored.
            outputs: Names of the predicted columns.
            texts: Further columns of text, one row a scored record.
            unseen: Unknown categories among the records; `unseen_in` reads it from the table.
        """
        rejected = np.ones(len(self.ids), dtype=bool)
        rejected[self.kept] = False
        columns = {ID: self.ids}
        for name in outputs:
            values = np.zeros(len(self.ids))
            if predictions is not None:
                values[self.kept] = predictions[name].to_numpy(dtype=float)
            columns[name] = pa.array(values, mask=rejected)
        said = {} if texts is None else {str(name): texts[name].to_numpy() for name in texts}
        for name, given in said.items():
            cells = np.full(len(self.ids), None, dtype=object)
            cells[self.kept] = given
            columns[name] = pa.array(cells, pa.string())
        made = pa.table({**columns, REASON: self._reasons()})
        return made.replace_schema_metadata({_UNSEEN: json.dumps(unseen or {})})

    def _reasons(self) -> pa.Array:
        if not self.reasons:
            return pa.nulls(len(self.ids), pa.string())
        return pa.array([self.reasons.get(row) for row in range(len(self.ids))], pa.string())


def unseen_in(table: pa.Table) -> Counts:
    """What `Piece.table` was told of unknown categories."""
    found: Counts = json.loads((table.schema.metadata or {}).get(_UNSEEN, b"{}"))
    return found


class Source(Protocol):
    """Something to score."""

    def digest(self, key: bytes) -> str:
        """Keyed digest of the content."""

    def names(self) -> str:
        """What fixes the ids beside the content."""

    def pieces(self, skip: int = 0) -> Iterator[Piece]:
        """Pieces in input order, the same ones every time, without the first few.

        Raises:
            InputError: The input is damaged, or holds no rows.
        """

    def remarks(self) -> list[str]:
        """What people should know of the input, once all pieces were read; never a value."""


def ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same pieces, each made ready in a thread while the one before it is scored."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, pieces, None)
        while (piece := waiting.result()) is not None:
            waiting = thread.submit(next, pieces, None)
            yield piece
