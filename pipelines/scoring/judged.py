"""What is told of an image beside its probabilities: a prediction set, and how strange it is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from models.imaging.conformal import BETWEEN
from pipelines.scoring.pieces import Piece

SET, DISTANCE, WARNING = "prediction_set", "distance", "warning"
UNLIKE = "unlike the training images"
"""In column `WARNING` of an image whose distance is above 1."""


def columns(scorer: Any) -> tuple[str, ...]:
    """Names of the columns that a scorer adds; none for one that takes no images, or is older."""
    sets = (SET,) if getattr(scorer, "sets", None) is not None else ()
    return (*sets, DISTANCE, WARNING) if getattr(scorer, "familiar", None) is not None else sets


def judged(scorer: Any, images: Any) -> pd.DataFrame:
    """Predictions, and beside them the columns that `columns` names.

    Args:
        scorer: A `models.imaging.scorer.ImagingScorer`.
        images: As it takes them, (n, …).
    """
    found = scorer.judge(images)
    frame: pd.DataFrame = found.predictions
    if found.sets is not None:
        frame[SET] = [BETWEEN.join(names) for names in found.sets]
    if found.distance is not None:
        frame[DISTANCE] = found.distance
        frame[WARNING] = pd.Series(
            [UNLIKE if far > 1 else None for far in found.distance], dtype=object
        )
    return frame


def judged_rows(scorer: Any, images: Any) -> list[dict[str, float | str]]:
    """`judged` as one mapping an image; what has nothing to say is left out."""
    frame = judged(scorer, images).astype(object)
    rows = zip(*(frame[name] for name in frame), strict=True)
    return [{str(n): v for n, v in zip(frame, row, strict=True) if v is not None} for row in rows]


def image_part(scorer: Any, piece: Piece) -> pa.Table:
    """A piece of images scored, as it is kept."""
    added = columns(scorer)
    numbers = (*scorer.outputs, *(name for name in added if name == DISTANCE))
    words = [name for name in added if name != DISTANCE]
    if not len(piece.kept):
        return piece.table(None, numbers, pd.DataFrame(columns=words, dtype=object))
    frame = judged(scorer, piece.records)
    return piece.table(frame, numbers, frame[words])


def unlike_in(table: pa.Table) -> int:
    """How many rows of a scored piece carry the warning."""
    if WARNING not in table.column_names:
        return 0
    column = table.column(WARNING)
    return len(column) - column.null_count


def told_unlike(unlike: int, images: int) -> list[str]:
    """A line where some images are unlike those that the model has learned from.

    >>> told_unlike(2, 10)[0].partition(":")[0]
    '2 of 10 images are unlike those that the model has learned from'
    """
    if not unlike:
        return []
    return [
        f"{unlike:,} of {images:,} images are unlike those that the model has learned from: do not "
        f"rely on their predictions (column {WARNING})"
    ]
