"""What a scored row and an HTTP answer tell of an image beside its probabilities."""

import numpy as np
import pandas as pd
import pyarrow as pa

from models.imaging.scorer import Judged
from pipelines.scoring.judged import (
    DISTANCE,
    SET,
    UNLIKE,
    WARNING,
    image_part,
    judged_rows,
    told_unlike,
    unlike_in,
)
from pipelines.scoring.pieces import Piece


class Scorer:
    """Answers of a model that has sets and a limit, without a net."""

    outputs = ("p_a", "p_b")
    sets = familiar = True

    def judge(self, images: np.ndarray) -> Judged:
        p = np.linspace(0.1, 0.9, len(images))
        frame = pd.DataFrame({"p_a": p, "p_b": 1 - p})
        distance = np.where(np.arange(len(images)) % 2, 1.5, 0.5)
        return Judged(frame, [("a", "b")] * len(images), distance)


class Plain(Scorer):
    """A model that has neither."""

    sets = familiar = None  # type: ignore[assignment]

    def judge(self, images: np.ndarray) -> Judged:
        return Judged(super().judge(images).predictions, None, None)


def _piece(kept: list[int]) -> Piece:
    images = np.zeros((len(kept), 8, 8, 3), np.uint8)
    reasons = {row: "empty file" for row in range(4) if row not in kept}
    return Piece(pa.array(list("wxyz")), images, np.array(kept, int), reasons)


def test_a_scored_row_has_its_set_its_distance_and_a_warning() -> None:
    rows = image_part(Scorer(), _piece([0, 2, 3])).to_pylist()
    assert [row[SET] for row in rows] == ["a|b", None, "a|b", "a|b"]
    assert [row[DISTANCE] for row in rows] == [0.5, None, 1.5, 0.5]
    assert [row[WARNING] for row in rows] == [None, None, UNLIKE, None]
    assert rows[1]["reason"] == "empty file"


def test_pieces_have_the_same_columns_whatever_could_be_scored() -> None:
    for scorer in (Scorer(), Plain()):
        schemas = [image_part(scorer, _piece(kept)).schema for kept in ([0, 1, 2, 3], [1], [])]
        assert schemas[0] == schemas[1] == schemas[2]
    assert SET not in image_part(Plain(), _piece([0])).column_names


def test_the_warnings_of_a_file_are_counted() -> None:
    assert unlike_in(image_part(Scorer(), _piece([0, 1, 2, 3]))) == 2
    assert unlike_in(image_part(Scorer(), _piece([]))) == 0
    assert unlike_in(image_part(Plain(), _piece([0, 1]))) == 0
    assert told_unlike(0, 9) == []


def test_an_answer_over_http_leaves_out_what_has_nothing_to_say() -> None:
    rows = judged_rows(Scorer(), np.zeros((2, 8, 8, 3), np.uint8))
    assert [WARNING in row for row in rows] == [False, True]
    assert all(type(row["p_a"]) is float and type(row[DISTANCE]) is float for row in rows)
    assert set(judged_rows(Plain(), np.zeros((1, 8, 8, 3)))[0]) == {"p_a", "p_b"}
