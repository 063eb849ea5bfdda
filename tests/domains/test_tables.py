"""Users' tables: read as they are, or refused with one line that tells where and what."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domains.errors import InputError
from domains.tables import check_filled, column_names, read_table, row_count

TEXT = "id,amount,when,kind\n1,2.5,2020-01-31,a\n2,,2020-02-01,\n3,4,,Ä\n"
SECRET = "Mustermann"


def written(folder: Path, suffix: str, text: str = TEXT) -> Path:
    path = folder / f"table{suffix}"
    if suffix.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif suffix == ".parquet":
        plain = written(folder, ".csv", text)
        pq.write_table(pa.Table.from_pandas(read_table(plain)), path)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """The one line that refuses the file; it never repeats a field."""
    with pytest.raises(InputError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".CSV"])
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    frame = read_table(path)
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["amount"].isna().tolist() == [False, True, False]
    assert frame["when"].dt.month.tolist()[:2] == [1, 2]
    assert frame["kind"].isna().tolist() == [False, True, False]
    assert frame["kind"].iloc[2] == "Ä"
    assert row_count(path) == 3
    assert column_names(path) == ["id", "amount", "when", "kind"]
    assert read_table(path, ["id"])["id"].tolist() == [1, 2, 3]
    assert list(read_table(path, ["kind", "id"])) == ["kind", "id"]


def test_types_come_from_all_rows_not_from_the_first(tmp_path: Path) -> None:
    rows = "".join(f"{number},{number}\n" for number in range(300_000))
    path = written(tmp_path, ".csv", "a,b\n" + rows + "x,0.5\n")
    frame = read_table(path)
    assert frame["a"].iloc[-1] == "x"
    assert frame["b"].iloc[-1] == 0.5
    assert len(frame) == 300_001


def test_line_ends_marks_and_quotes_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"x, y"\r\n2,"two\nlines"\r\n\r\n')
    assert read_table(path)["b"].tolist() == ["x, y", "two\nlines"]
    assert row_count(path) == 2


def test_words_for_missing_are_missing(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, ".csv", "a,b,c\n1,NA,\n,nan,None\n3,2,x\n"))
    assert frame["a"].isna().tolist() == [False, True, False]
    assert frame["b"].isna().tolist() == [True, True, False]
    assert frame["c"].tolist()[1] == "None"


def test_a_column_without_values_is_read_and_can_be_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ".csv", "a,b\n1,\n2,\n")
    frame = read_table(path)
    assert frame["b"].dtype == np.float64
    check_filled(frame, ["a"], path)
    with pytest.raises(InputError, match="column 'b' holds no value in any of 2 rows"):
        check_filled(frame, ["a", "b"], path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_missing_or_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    assert "no such file" in refusal(path)
    path.touch()
    assert "empty" in refusal(path)


@pytest.mark.parametrize("text", ["a,b\n", "\n\n"])
def test_a_file_without_records_is_refused(tmp_path: Path, text: str) -> None:
    assert "expected a header and" in refusal(written(tmp_path, ".csv", text))


def test_a_folder_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    assert "a folder" in refusal(tmp_path / "table.csv")
    assert "'.xlsx', expected .csv, .csv.gz, .parquet" in refusal(tmp_path / "table.xlsx")


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = written(tmp_path, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "truncated or damaged" in refusal(path)
    with pytest.raises(InputError, match="truncated"):
        row_count(path)


def test_a_row_of_another_length_is_named_and_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, ".csv", f"a,b\n1,2\n3,4\n{SECRET}")
    assert "row 3 has 1 fields, expected 2" in refusal(path)
    path = written(tmp_path, ".csv", f"a,b\n1,2\n3,{SECRET},5\n")
    assert "row 2 has 3 fields, expected 2" in refusal(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "1e999"])
def test_an_infinite_value_is_refused_with_row_and_column(
    tmp_path: Path, suffix: str, infinite: str
) -> None:
    if suffix == ".csv":
        path = written(tmp_path, suffix, f"name,x\n{SECRET},1\na,2\nb,{infinite}\nc,inf\n")
    else:
        path = tmp_path / "table.parquet"
        frame = pd.DataFrame({"name": SECRET, "x": [1, 2, float(infinite), np.inf]})
        frame.to_parquet(path)
    assert "row 3, column 'x': infinite value (2 in this column)" in refusal(path)
    assert read_table(path, ["name"])["name"].iloc[0] == SECRET


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_stands_twice_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        path.write_text("a,b,a\n1,2,3\n")
    else:
        pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    places = "1 and 3" if suffix == ".csv" else "1 and 2"
    assert f"columns {places} have one name" in refusal(path)
    with pytest.raises(InputError, match="have one name"):
        column_names(path)


@pytest.mark.parametrize(
    "record", [f"{SECRET},7,{SECRET}", f"{SECRET},7,1961-02-03", f"{SECRET},,x"]
)
def test_a_record_in_the_headers_place_is_not_repeated(tmp_path: Path, record: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{record}\n{record}\n")
    for columns in (None, ["age"]):
        if columns or record.count(SECRET) > 1:
            with pytest.raises(InputError) as caught:
                read_table(path, columns)
            assert SECRET not in str(caught.value)
            assert "1961" not in str(caught.value)


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = written(tmp_path, ".csv")
    with pytest.raises(InputError, match="no column 'Amount'; the file has id, amount, when, kind"):
        read_table(path, ["Amount"])


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(f"a,b\n1,{SECRET}\xe4\n".encode("latin-1"))
    assert "'b' holds text that is not UTF-8" in refusal(path)


def test_parquet_types_become_plain_ones(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"money": [Decimal("1.50"), None], "n": pa.nulls(2)}), path)
    frame = read_table(path)
    assert frame.dtypes.tolist() == [np.float64, np.float64]
    pq.write_table(pa.table({"a": [[1], [2]]}), path)
    assert "expected plain values" in refusal(path)
