"""What cannot be scored is one clear line that names the file, and leaves nothing behind."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domains.errors import InputError
from tests.pipelines.governance.sample_versions import LOANS, loans
from tests.pipelines.scoring.sample_scores import score

SECRET = "Zemblanity-7340"
GOOD = "amount,income,purpose\n1,2,car\n"


BAD: list[tuple[str, bytes, str]] = [
    ("empty.csv", b"", "the file is empty"),
    ("header.csv", b"amount,income,purpose\n", "holds no rows"),
    ("lacks.csv", b"amount,purpose\n1,car\n", "'income' is missing.*needs 3.*amount, income, purp"),
    ("twice.csv", b"amount,income,income,purpose\n", "columns 2 and 3 have one name"),
    ("semicolons.csv", b"amount;income;purpose\n1;2;car\n", "'amount' is missing"),
    ("latin.csv", GOOD.encode() + b"1,2,\xe4\n", "not UTF-8"),
    ("utf16.csv", GOOD.encode("utf-16"), "no CSV header in UTF-8"),
    ("quote.csv", GOOD.encode() + b'1,2,"car\n' + b"3,4,home\n" * 300_000, "quote not closed"),
    ("cut.csv.gz", gzip.compress(os.urandom(9000).hex().encode())[:6000], "truncated or damaged"),
    ("text.parquet", b"not a Parquet file", "not a whole Parquet file"),
    ("table.xlsx", b"PK", "unknown kind of table '.xlsx'"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_a_file_that_is_no_table_is_refused_by_name(
    folder: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*{said}") as caught:
        score(tmp_path / name, tmp_path / "out.csv")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == [name]


def test_a_gzip_file_cut_in_its_middle_is_refused(folder: Path, tmp_path: Path) -> None:
    loans(20_000).to_csv(tmp_path / "loans.csv.gz", index=False)
    content = (tmp_path / "loans.csv.gz").read_bytes()
    (tmp_path / "loans.csv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"loans.csv.gz: .*truncated or damaged"):
        score(tmp_path / "loans.csv.gz", tmp_path / "out.csv", chunk=500)
    assert os.listdir(tmp_path) == ["loans.csv.gz"]


def test_a_parquet_column_of_another_kind_costs_its_rows_alone(
    folder: Path, tmp_path: Path
) -> None:
    table = pa.Table.from_pandas(loans(4)).set_column(1, "amount", pa.array([[1.0], [], None, [2]]))
    pq.write_table(table, tmp_path / "nested.parquet")
    result = score(tmp_path / "nested.parquet", tmp_path / "out.csv")
    assert (result["scored"], result["rejected"]) == (1, 3)


def test_decimals_and_dates_are_what_they_are_in_training(folder: Path, tmp_path: Path) -> None:
    frame = loans(3).assign(purpose="1")
    plain = pa.Table.from_pandas(frame, preserve_index=False)
    for name in ("amount", "purpose"):
        place = plain.column_names.index(name)
        decimal = plain.column(name).cast(pa.float64()).cast(pa.decimal128(18, 4))
        typed = plain.set_column(place, name, decimal)
        pq.write_table(plain, tmp_path / "plain.parquet")
        pq.write_table(typed, tmp_path / "typed.parquet")
        found = []
        for kind in ("plain", "typed"):
            score(tmp_path / f"{kind}.parquet", tmp_path / f"{kind}.out.parquet")
            found.append(pd.read_parquet(tmp_path / f"{kind}.out.parquet")["probability"])
        assert found[0].equals(found[1])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nobody", "no registered model 'nobody'"),
        (f"{LOANS}@queen", "no version is 'queen'"),
        (f"{LOANS}/7", "has no version '7'"),
        (f"{LOANS}@", "expected MODEL"),
    ],
)
def test_a_version_that_is_not_there_is_named(
    folder: Path, tmp_path: Path, model: str, said: str
) -> None:
    (tmp_path / "in.csv").write_text(GOOD)
    with pytest.raises(InputError, match=said):
        score(tmp_path / "in.csv", tmp_path / "out.csv", model)


def test_places_that_cannot_be_are_refused_before_anything_is_read(
    folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(GOOD)
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    for output, said in [
        (source, "one file"),
        (tmp_path / "link.csv", "one file"),
        (tmp_path / "folder.csv", "a folder"),
        (tmp_path / "none" / "out.csv", "no such folder"),
        (Path("/proc/out.csv"), "cannot be written to"),
        (tmp_path / "out.json", "unknown kind of output"),
        (tmp_path / ".csv", "unknown kind of output"),
    ]:
        with pytest.raises(InputError, match=said):
            score(source, output)
    with pytest.raises(InputError, match="no such file"):
        score(tmp_path / "none.csv", tmp_path / "out.csv")
    with pytest.raises(InputError, match="a folder, expected a table"):
        score(tmp_path, tmp_path / "out.csv")
    with pytest.raises(InputError, match="no column 'loan' to take ids from"):
        score(source, tmp_path / "out.csv", id="loan")
    with pytest.raises(InputError, match="takes tables, not images"):
        score(source, tmp_path / "out.csv", image="path")
    assert source.read_text() == GOOD
    assert sorted(os.listdir(tmp_path)) == ["folder.csv", "in.csv", "link.csv"]


def test_rows_torn_to_the_last_one_are_rejected_and_counted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.csv").write_text("amount,income,purpose\n1,2\n1,2,car,x\n1,2\n")
    result = score(tmp_path / "torn.csv", tmp_path / "out.csv", chunk=2)
    assert (result["rows"], result["scored"], result["rejected"]) == (3, 0, 3)
    listed = pd.read_csv(result["rejects"])
    assert listed["row"].tolist() == [1, 2, 3]
    assert listed["reason"][1] == "4 fields, expected 3 as in the header"


def test_the_command_says_it_in_one_line_and_by_its_exit_status(
    folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"amount,purpose\n{SECRET},car\n")
    words = ["score", LOANS, "--input", str(source), "--output", str(tmp_path / "out.csv")]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"careledger: {source}: column 'income' is missing")
    assert SECRET not in line
