"""What a scoring passes over is said: new categories, unused columns, rows of several lines."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.commands.score import _describe
from pipelines.governance.activity import acts
from pipelines.score import score as flow
from pipelines.scoring.workspace import Workspace
from pipelines.settings import ScoreConfig
from tests.domains.sample_patients import sample_patients
from tests.pipelines.governance.sample_versions import LOANS, loans
from tests.pipelines.scoring.sample_scores import score
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    patients_scorer,
    records,
    register,
    table_example,
)

SECRET = "Zemblanity-7340"
UNSEEN = "column purpose: {} of {} values are categories that the model has not seen"


def _written(folder: Path, frame: pd.DataFrame, kind: str = ".csv") -> Path:
    path = folder / f"in{kind}"
    if kind == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_new_categories_are_counted_over_all_pieces(
    folder: Path, tmp_path: Path, kind: str, chunk: int
) -> None:
    frame = loans(29)[["amount", "income", "purpose"]].assign(purpose=SECRET)
    frame.loc[[3, 5], "purpose"] = None
    frame.loc[8, "purpose"] = "car"
    result = score(_written(tmp_path, frame, kind), tmp_path / "out.csv", chunk=chunk)
    assert result["rejected"] == 0
    (line,) = result["warnings"]
    assert line.startswith(UNSEEN.format(26, 27))
    assert line.endswith("scored as rare/other")
    assert SECRET not in json.dumps(result)


def test_known_values_however_they_are_spelled_warn_nobody(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("amount,income,purpose\n1,2,1.0\n1,2,car\n1,2,\n1,2,NA\n")
    result = score(source, tmp_path / "out.csv")
    assert result["warnings"] == []
    assert "warning" not in _describe(result)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_a_column_that_is_empty_in_the_whole_file_is_told_once(
    home: Path, tmp_path: Path, kind: str, chunk: int
) -> None:
    frame = sample_patients(24)[PATIENTS].assign(lab=np.nan)
    scorer = replace(patients_scorer(), known={"age": 1.0, "lab": 0.8, "ward": 1.0})
    register("patients", scorer, table_example(PATIENTS, records(frame[:3], PATIENTS)), "champion")
    empty, output = frame.assign(ward=None), tmp_path / "out.csv"
    result = score(_written(tmp_path, empty, kind), output, "patients@champion", chunk=chunk)
    assert [line.partition(" training")[0] for line in result["warnings"]] == [
        "column lab: empty in all 24 rows, though 80% of",
        "column ward: empty in all 24 rows, though 100% of",
    ]
    one = frame.assign(lab=[*[np.nan] * 23, 1.0])
    result = score(_written(tmp_path, one, kind), output, "patients@champion", chunk=chunk)
    assert result["warnings"] == []
    few = _written(tmp_path, frame[:19], kind)
    assert score(few, output, "patients@champion", chunk=chunk)["warnings"] == []


def test_columns_that_nobody_reads_are_named_once(folder: Path, tmp_path: Path) -> None:
    frame = loans(20).assign(purpose="car", extra=SECRET)
    result = score(_written(tmp_path, frame), tmp_path / "out.csv", id="loan", chunk=3)
    assert result["warnings"] == [f"columns remark, extra are not used by {LOANS}"]
    one = frame.drop(columns=["remark"])
    result = score(_written(tmp_path, one), tmp_path / "out.csv", id="loan")
    assert result["warnings"] == [f"column extra is not used by {LOANS}"]
    assert f"  warning   column extra is not used by {LOANS}" in _describe(result).splitlines()


def test_a_scoring_cut_short_counts_what_it_had_scored_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = _written(tmp_path, loans(50).assign(purpose=SECRET)), tmp_path / "out.csv"
    keep = Workspace.keep

    def dies(work: Workspace, number: int, table: object) -> None:
        if number == 3:
            raise KeyboardInterrupt
        keep(work, number, table)

    monkeypatch.setattr(Workspace, "keep", dies)
    with pytest.raises(KeyboardInterrupt):
        score(source, output, chunk=10)
    monkeypatch.setattr(Workspace, "keep", keep)
    assert score(source, output, chunk=10)["warnings"][0].startswith(UNSEEN.format(50, 50))


def test_parts_leave_no_trace_of_their_counts_in_an_output(folder: Path, tmp_path: Path) -> None:
    source = _written(tmp_path, loans(9))
    score(source, tmp_path / "out.parquet", chunk=2)
    pq = pytest.importorskip("pyarrow.parquet")
    assert b"unseen" not in (pq.read_schema(tmp_path / "out.parquet").metadata or {})


@pytest.mark.usefixtures("prefect_server")
def test_the_log_of_acts_and_the_scheduled_run_hold_the_same_lines_and_no_value(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inbox, outbox = tmp_path / "inbox", tmp_path / "outbox"
    inbox.mkdir()
    outbox.mkdir()
    _written(inbox, loans(12).assign(purpose=SECRET))
    (result,) = flow(ScoreConfig(model=LOANS, input=inbox, output=outbox))["files"]
    scoring, ended = list(acts("score"))[-1], list(acts("round"))[-1]
    assert scoring["warnings"] == result["warnings"]
    assert result["warnings"][0].startswith(UNSEEN.format(12, 12))
    assert ended["warnings"] == len(result["warnings"]) == 2
    said = capfd.readouterr()
    assert all(line in said.err + said.out for line in result["warnings"])
    assert SECRET not in json.dumps([scoring, ended]) + said.err + said.out


QUOTED = 'remark,amount,income,purpose\n"a\nb",1,2,car\n\n,3,4,home\n"c ""d""\n\ne, f",5,6,car\n'


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_several_lines_are_scored_and_said(
    folder: Path, tmp_path: Path, packed: bool, end: str
) -> None:
    content = QUOTED.replace("\n", end).encode()
    source = tmp_path / ("in.csv.gz" if packed else "in.csv")
    source.write_bytes(gzip.compress(content) if packed else content)
    result = score(source, tmp_path / "out.csv", chunk=1)
    assert (result["rows"], result["rejected"]) == (3, 0)
    assert result["warnings"] == [
        f"column remark is not used by {LOANS}",
        "2 rows span several lines (first: lines 2 to 3); is a quote left open?",
    ]


def test_quotes_and_blank_lines_alone_are_nothing_to_say(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text('amount,income,"purpose"\n\n"1","2","car"\n\n\n3,4,"ho""me"\n1,2,a"b\n\n')
    result = score(source, tmp_path / "out.csv")
    assert (result["rows"], result["rejected"]) == (3, 0)
    assert not any("lines" in line for line in result["warnings"])


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_two_stray_quotes_in_a_column_that_is_read_reject_every_line_between(
    folder: Path, tmp_path: Path, column: int, chunk: int
) -> None:
    rows = [["1", "2", "car"] for _ in range(20)]
    rows[6][column] = '"' + rows[6][column]
    rows[9][column] += '"'
    source = tmp_path / "in.csv"
    source.write_text("\n".join(["amount,income,purpose", *map(",".join, rows)]) + "\n")
    result = score(source, tmp_path / "out.csv", chunk=chunk)
    assert (result["rows"], result["rejected"]) == (20, 4)
    listed = pd.read_csv(result["rejects"])
    assert listed["row"].tolist() == listed["id"].tolist() == [7, 8, 9, 10]
    name = ("amount", "income", "purpose")[column]
    assert set(listed["reason"].str.partition(",")[0]) == {
        f"column {name!r}: a quote makes one cell of lines 8 to 11"
    }
    assert "1 row spans several lines (first: lines 8 to 11)" in result["warnings"][-1]
    out = pd.read_csv(tmp_path / "out.csv")
    assert out["id"].tolist() == list(range(1, 21))
    assert np.flatnonzero(out["probability"].isna()).tolist() == [6, 7, 8, 9]


def test_ids_stay_at_their_rows_below_a_swallowed_one(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(
        'id,amount,income,purpose\na,1,2,car\nb,1,2,"car\nc,1,2,car"\nd,1\ne,1,2,car\n'
    )
    result = score(source, tmp_path / "out.csv", id="id")
    out = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert out["id"].tolist() == ["a", "b", "", "", "e"]
    assert (out["probability"] != "").tolist() == [True, False, False, False, True]
    assert pd.read_csv(result["rejects"])["row"].tolist() == [2, 3, 4]
