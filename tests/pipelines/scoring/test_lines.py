"""Lines of CSV say what the table holds, whatever stands in its cells."""

import csv
import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.scoring.lines import blocks, header

TEXTS = st.none() | st.text(alphabet='ab,"\r\n ä', max_size=6)
NUMBERS = st.none() | st.floats(allow_nan=False)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, NUMBERS, TEXTS), max_size=8)
ENDING = ["model", "1, or 2", 'say "x"']


def _written(table: pa.Table, ending: list[str]) -> bytes:
    return b"".join(blocks(table, ending))


def _read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def _table(rows: list[Any]) -> pa.Table:
    kinds = {"id": pa.string(), "p": pa.float64(), "q": pa.float64(), "why": pa.string()}
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table({n: pa.array(c, k) for (n, k), c in zip(kinds.items(), columns, strict=True)})


@given(ROWS)
def test_every_cell_is_read_back_as_it_was_and_every_number_exactly(rows: list[Any]) -> None:
    found = _read(_written(_table(rows), ENDING))
    assert len(found) == len(rows)
    for cells, row in zip(found, rows, strict=True):
        assert (cells[0], cells[3]) == (row[0] or "", row[3] or "")
        assert cells[4:] == ENDING
        for cell, number in zip(cells[1:3], row[1:3], strict=True):
            assert cell == "" if number is None else float(cell) == number


def test_a_part_of_a_longer_table_gives_its_own_rows_alone() -> None:
    rows = [(f"r{n}", n / 7, -n / 3, None) for n in range(5000)]
    found = _read(_written(_table(rows).slice(20, 4900), ENDING))
    assert [cells[0] for cells in found] == [f"r{n}" for n in range(20, 4920)]
    assert [float(cells[1]) for cells in found] == [n / 7 for n in range(20, 4920)]


@pytest.mark.parametrize("odd", [math.inf, -math.inf])
def test_an_infinite_prediction_is_written_as_one(odd: float) -> None:
    table = _table([("a", odd, 0.5, "x"), ("b", 0.25, None, None)])
    first, second = _read(_written(table, ["m"]))
    assert [float(cell) for cell in first[1:3]] == [odd, 0.5]
    assert second == ["b", "0.25", "", "", "m"]


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, 8]),
        pa.array(["7", "8"]).dictionary_encode(),
        pa.array(["7", "8"], pa.large_string()),
        pa.array([b"7", b"8"], pa.large_binary()),
        pa.array(np.array([7.0, 8.0])),
    ],
)
def test_ids_of_any_type_are_spelled_plainly(ids: pa.Array) -> None:
    assert _written(pa.table({"id": ids, "p": [0.5, 1e-9]}), ["m"]) == b"7,0.5,m\n8,1e-9,m\n"


def test_the_first_line_quotes_what_must_be() -> None:
    assert header(["id", "p,q"]) == b'id,"p,q"\n'
