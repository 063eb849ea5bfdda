"""A large table is read a column, or some rows, at a time, and holds what it holds at once."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domains import table_file
from domains.errors import InputError
from domains.row_ids import row_ids
from domains.table_file import TableFile, open_table
from domains.tables import column_names, read_table

COUNT = 101


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Every plain type, in row groups of odd sizes; a level that only the last one has."""
    place = np.arange(COUNT)
    wards = pa.array(["late" if k > 95 else ["a", "b", None][k % 3] for k in place])
    columns = {
        "whole": pa.array(place),
        "gaps": pa.array([None if k % 7 == 0 else int(k) for k in place], pa.int32()),
        "half": pa.array(place / 2, pa.float32()),
        "yes": pa.array(place % 2 == 0),
        "maybe": pa.array([None if k < 60 else bool(k % 2) for k in place]),
        "ward": wards,
        "coded": wards.dictionary_encode(),
        "price": pa.array([Decimal(int(k)) / 4 for k in place], pa.decimal128(8, 2)),
        "day": pa.array([date(2020, 1, 1 + int(k) % 28) for k in place]),
        "none": pa.nulls(COUNT),
    }
    table, path, start = pa.table(columns), tmp_path / "table.parquet", 0
    with pq.ParquetWriter(path, table.schema) as writer:
        for size in (1, 37, 50, 13):
            writer.write_table(table.slice(start, size))
            start += size
    return path


def _file(path: Path) -> TableFile:
    return TableFile(path, tuple(column_names(path)))


def test_each_column_is_that_of_the_table_at_once(path: Path) -> None:
    whole, table = read_table(path), _file(path)
    assert len(table) == COUNT
    for name in table:
        pd.testing.assert_series_equal(table[name], whole[name])
    pd.testing.assert_series_equal(table.dtypes, whole.dtypes)


def test_records_have_the_same_ids(path: Path) -> None:
    assert row_ids(_file(path)).tolist() == row_ids(read_table(path)).tolist()


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_pieces_of_the_taken_rows_are_those_rows(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "_PIECE", size)
    taken = _file(path).drop(["day", "price"]).take(np.arange(COUNT) % 3 == 1)
    again = taken.take(np.arange(0, len(taken), 2))
    for table, step in ((taken, 3), (again, 6)):
        rows = pa.concat_tables(list(table.pieces())).to_pandas()
        wanted = read_table(path).drop(columns=["day", "price"]).iloc[1::step]
        assert row_ids(rows).tolist() == row_ids(wanted).tolist()
        assert table["ward"].tolist() == wanted["ward"].tolist()


def test_only_large_parquet_tables_stay_on_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(open_table(path), pd.DataFrame)
    monkeypatch.setattr(table_file, "MOST_CELLS", 10)
    assert isinstance(open_table(path), TableFile)
    csv = path.with_suffix(".csv")
    read_table(path).to_csv(csv, index=False)
    assert isinstance(open_table(csv), pd.DataFrame)


def test_an_infinite_number_is_named_by_row_and_column(path: Path) -> None:
    columns = {"fine": np.zeros(40), "half": np.where(np.arange(40) == 37, np.inf, 1.0)}
    pd.DataFrame(columns).to_parquet(path, row_group_size=10)
    table = TableFile(path, ("fine", "half"))
    with pytest.raises(InputError, match=r"row 38, column 'half': infinite value \(1 in"):
        row_ids(table)
